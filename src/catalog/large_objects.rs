//! Large objects: which columns can point at one, and the SQL that asks about their rights and their content.
//!
//! Whole objects are never in memory, neither here nor on the server: content is read, and hashed, in pieces of [`PIECE`] bytes. An
//! object's *pieces digest* is SHA-256 of the SHA-256 of all its pieces, of which the last is always shorter than the others (it can be
//! empty): so the server alone can tell whether an object has the content of another database's.
//!
//! Source: PostgreSQL manual, chapter "Large Objects"; `pg_largeobject_metadata`.

use super::model::{Column, Table};

/// Bytes of a piece: whole pages of `pg_largeobject`.
pub const PIECE: u64 = 256 << 10;

impl Column {
    /// Whether its values can be numbers of large objects: `oid`, or a domain over it (`lo` of the extension of that name).
    pub fn can_point_at_large_object(&self) -> bool {
        self.lookup_type == "oid"
    }
}

impl Table {
    /// The columns whose values can be numbers of large objects.
    pub fn large_object_columns(&self) -> impl Iterator<Item = &Column> {
        let columns = self.columns.iter();
        columns.filter(|c| c.can_point_at_large_object())
    }
}

/// Whether the session's role may read the large object whose row of `pg_largeobject_metadata` is `m`, as SQL. Those who may not even
/// ask get an error, which ends the transaction.
pub fn readable_sql() -> &'static str {
    "((select rolsuper from pg_roles where rolname = current_user)
      or current_setting('lo_compat_privileges')::bool
      or exists (select from aclexplode(coalesce(m.lomacl, acldefault('L', m.lomowner))) x
                  where x.privilege_type = 'SELECT'
                    and case when x.grantee = 0 then true else pg_has_role(x.grantee, 'USAGE') end))"
}

/// The pieces digest of large object `loid`, taken to have `size` bytes, as SQL: that of another size comes out differently.
pub fn pieces_sql(loid: &str, size: &str) -> String {
    format!(
        "(select sha256(string_agg(sha256(lo_get({loid}, p * {PIECE}, {PIECE})), ''::bytea order by p))
            from generate_series(0, {size} / {PIECE}) p)"
    )
}
