//! JSON that is text already.

use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

/// JSON bytes as they are: what `json` takes on the wire. The server checks that it is JSON.
#[derive(Debug)]
pub struct Json<'a>(pub &'a [u8]);

impl ToSql for Json<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSON
    }

    to_sql_checked!();
}
