//! Taste that no linter knows: which crate may see which, and what the domain may not name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const MEMBERS: [&str; 7] = ["ledger-core", "stores", "audit", "projections", "adapters", "api", "rewardhub"];

/// The workspace crates a crate's manifest depends on, tests and benches aside.
fn depends_on(member: &str) -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names = dependencies.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| MEMBERS.contains(name)).map(str::to_owned).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn dependencies_point_one_way() {
    assert_eq!(depends_on("ledger-core"), [] as [&str; 0]);
    assert_eq!(depends_on("stores"), ["ledger-core"]);
    assert_eq!(depends_on("audit"), ["ledger-core"]);
    assert_eq!(depends_on("projections"), ["ledger-core", "stores"]);
    // The sandbox's rail keeps its books in a file, by the same means as the others.
    assert_eq!(depends_on("adapters"), ["ledger-core", "stores"]);
    assert_eq!(depends_on("api"), ["ledger-core", "projections"]);
    assert_eq!(depends_on("rewardhub"), ["ledger-core", "stores", "audit", "projections", "adapters", "api"]);
}

/// What is measured against has the SQLite that sqlx 0.8 brings: a lock holds one, and ours is
/// another.
#[test]
fn comparators_name_no_store_and_the_product_none_of_them() {
    for program in ["cala", "plain"] {
        let members = depends_on(&format!("bench/comparators/{program}"));
        assert!(members.iter().all(|member| member == "ledger-core"), "{program}: {members:?}");
    }
    for (name, _) in packages("").keys() {
        assert!(!["sqlx", "sqlx-core", "postgres-es", "sqlite-es"].contains(&name.as_str()), "{name}");
    }
}

/// What is built for one of them is there for the others.
#[test]
fn the_locks_agree_on_the_crates_they_share() {
    let (ours, bench, comparators) = (packages(""), packages("bench"), packages("bench/comparators"));
    for (others, than) in [(&bench, &ours), (&comparators, &ours), (&comparators, &bench)] {
        for (package, version) in others {
            let shared = than.get(package);
            assert!(shared.is_none_or(|shared| shared == version), "{package:?}: {shared:?} and {version}");
        }
    }
}

/// The versions in a lock, by name and by what they are compatible with.
fn packages(workspace: &str) -> BTreeMap<(String, String), String> {
    let lock = std::fs::read_to_string(root().join(workspace).join("Cargo.lock")).unwrap();
    let entry = |entry: &str| {
        let value =
            |name: &str| entry.split_once(&format!("{name} = \""))?.1.split('"').next().map(str::to_owned);
        let (name, version) = (value("name")?, value("version")?);
        let mut line = version.split('.');
        let compatible = line.find(|part| *part != "0").map(|part| format!("{part}, {}", line.count()));
        Some(((name, compatible?), version))
    };
    lock.split("[[package]]").filter_map(entry).collect()
}

#[test]
fn ledger_core_names_no_database_no_protocol_and_no_vendor() {
    let manifest = std::fs::read_to_string(root().join("ledger-core/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for word in
        ["rusqlite", "postgres", "rustls", "axum", "hyper", "reqwest", "graphql", "aws-sdk", "object_store"]
    {
        assert!(!dependencies.contains(word), "ledger-core depends on {word}");
    }
    for entry in walk(&root().join("ledger-core/src")) {
        let text = std::fs::read_to_string(&entry).unwrap();
        for word in ["rusqlite", "tokio_postgres", "deadpool"] {
            assert!(!text.contains(word), "{} names {word}", entry.display());
        }
    }
}

/// What checks cannot change what it checks.
#[test]
fn audits_have_nothing_to_write_with() {
    for entry in walk(&root().join("audit/src")) {
        let text = std::fs::read_to_string(&entry).unwrap();
        for word in ["PayoutRail", "Notifier", "std::fs", "std::net", ".append(", "engine::Ledger"] {
            assert!(!text.contains(word), "{} names {word}", entry.display());
        }
    }
}

/// Folders of the domain proper: no database, no runtime, no clock, no randomness, no log line and
/// no metric of their own.
#[test]
fn the_domain_does_no_io() {
    for folder in ["account", "campaign", "system", "draw"] {
        for entry in walk(&root().join("ledger-core/src").join(folder)) {
            let text = std::fs::read_to_string(&entry).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for word in [
                "rusqlite",
                "tokio::",
                "std::fs",
                "std::net",
                "std::thread",
                "metrics::",
                "tracing::",
                "SystemClock",
                "Utc::now",
            ] {
                let is_test =
                    entry.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests"));
                assert!(is_test || !code.contains(word), "{} names {word}", entry.display());
            }
        }
    }
}

/// What has no way to pay, tell or record cannot do so by mistake.
#[test]
fn a_back_test_has_nothing_to_pay_tell_or_record_with() {
    for entry in walk(&root().join("audit/src/backtest")) {
        let text = std::fs::read_to_string(&entry).unwrap();
        for word in
            ["Ledger", "EventLog", "PayoutRail", "Notifier", "Keyring", "engine::", "std::fs", "std::net"]
        {
            assert!(!text.contains(word), "{} names {word}", entry.display());
        }
    }
}

/// Another rail, notifier or beacon changes `outside.rs` alone.
#[test]
fn the_node_names_no_outside_system() {
    let node = std::fs::read_to_string(root().join("rewardhub/src/node.rs")).unwrap();
    for word in ["adapters", "Sandbox", "Drand", "Recording"] {
        assert!(!node.contains(word), "node.rs names {word}");
    }
}

/// The floors inside `ledger-core`, lowest first: a module names only those before it.
const FLOORS: [&str; 25] = [
    "person",
    "serde_text",
    "text",
    "faults",
    "figures",
    "own_thread",
    "money",
    "time",
    "zone",
    "ids",
    "position",
    "aggregate",
    "log",
    "transaction",
    "posting",
    "draw",
    "keys",
    "campaign",
    "account",
    "system",
    "operate",
    "event",
    "engine",
    "stated",
    "steps",
];

#[test]
fn a_module_of_ledger_core_names_only_the_floors_below_it() {
    let source = root().join("ledger-core/src");
    for entry in walk(&source) {
        let path = entry.strip_prefix(&source).unwrap();
        let module = path.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let is_test = path.iter().any(|part| part.to_string_lossy().starts_with("test"));
        if is_test || ["lib", "given"].contains(&module) {
            continue;
        }
        let floor = FLOORS.iter().position(|name| *name == module);
        let floor = floor.unwrap_or_else(|| panic!("{module} has no floor: add it to FLOORS"));
        let text = std::fs::read_to_string(&entry).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for above in &FLOORS[floor + 1..] {
            let name = format!("crate::{above}");
            let named = lines.clone().any(|line| {
                let mut after = line.split(&name).skip(1);
                after.any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
            });
            assert!(!named, "{} names {above}, which stands above it", path.display());
        }
    }
}

/// The folder with files that name each other: GraphQL's types do so by nature.
const IN_A_CIRCLE: &str = "api/src/graphql";

#[test]
fn files_of_a_folder_name_each_other_one_way() {
    let sources = MEMBERS.iter().flat_map(|member| walk(&root().join(member).join("src")));
    let mut folders: BTreeMap<PathBuf, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for file in sources {
        let name = file.file_stem().unwrap().to_str().unwrap();
        if !["mod", "lib", "main", "tests"].contains(&name) {
            let folder = file.parent().unwrap().strip_prefix(root()).unwrap();
            let mut siblings = siblings_named(&std::fs::read_to_string(&file).unwrap());
            siblings.remove(name);
            folders.entry(folder.into()).or_default().insert(name.into(), siblings);
        }
    }
    for (folder, mut files) in folders {
        // What names none of those left goes; what is left at the end stands in a circle.
        while let Some(lowest) = files.keys().find(|name| files[*name].iter().all(|n| !files.contains_key(n)))
        {
            let lowest = lowest.clone();
            files.remove(&lowest);
        }
        let may = folder == Path::new(IN_A_CIRCLE);
        assert!(may || files.is_empty(), "{} goes in circles: {:?}", folder.display(), files.keys());
    }
}

/// The `x` of every `super::x` and `super::{x, …}`.
fn siblings_named(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n").replace("super::super::", "");
    let words = |text: &str| {
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let named = code.split("super::").skip(1).flat_map(|rest| match rest.strip_prefix('{') {
        Some(list) => words(list.split('}').next().unwrap()),
        None => words(rest).into_iter().take(1).collect(),
    });
    named.collect()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
