//! The schema is what apps rely on: it changes on purpose or not at all.

use super::*;

#[test]
fn the_checked_in_schema_is_the_one_we_serve() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, sdl()).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(checked_in, sdl(), "api/schema.graphql is stale: run the tests with UPDATE_SCHEMA=1");
}
