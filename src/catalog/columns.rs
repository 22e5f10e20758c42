//! Reads what the server says of columns: types, how values of them are compared and sorted, and how the rows lie.
//!
//! Source: PostgreSQL manual, chapter "System Catalogs" (`pg_attribute`, `pg_type`, `pg_collation`, `pg_opclass`,
//! `pg_amop`) and the view `pg_stats`.

use std::collections::{BTreeMap, HashMap};

use crate::ident::{TableName, quote_ident};
use crate::pg::{PgError, Row, Session};

use super::introspect::{ByOid, DOING, OURS, of};
use super::model::{Collation, Column, Identity, Table, TableKind};

/// Adds their columns to the tables.
pub(super) async fn read_columns(
    session: &Session,
    names: &ByOid,
    tables: &mut BTreeMap<TableName, Table>,
) -> Result<(), PgError> {
    for row in session
        .query(DOING, &question(session.server_version()), &[])
        .await?
    {
        if let Some(table) = of(&row, names, tables) {
            table.columns.push(column(&row));
        }
    }
    Ok(())
}

fn question(version: u32) -> String {
    let (provider, locale, collation_version) = collation(version);
    // A NOT NULL that was never checked against the old rows (18+) promises nothing. Operators of the server's own
    // types are found without their schema.
    format!(
        "with recursive base(oid, base) as (
            select t.oid, t.oid from pg_type t where t.typtype <> 'd'
             union all
            select t.oid, b.base from pg_type t join base b on t.typtype = 'd' and t.typbasetype = b.oid)
         select c.oid, a.attname::text, format_type(a.atttypid, a.atttypmod),
                case when t.typtype = 'b' and t.typelem = 0 and t.typnamespace = 'pg_catalog'::regnamespace
                     then t.typname::text end,
                a.attnotnull and not exists (
                    select from pg_constraint k where k.contype = 'n' and k.conrelid = c.oid and not k.convalidated
                                                  and k.conkey = array[a.attnum]),
                a.atthasdef or a.attidentity <> '', a.attgenerated <> '', a.attidentity::text,
                {provider}, {locale}, {collation_version}, l.collisdeterministic,
                format_type(u.oid, -1), u.typtype = 'e', e.nspname::text, e.oprname::text,
                a.attidentity <> '' or exists (
                    select from pg_attrdef v where v.adrelid = a.attrelid and v.adnum = a.attnum
                                             and pg_get_expr(v.adbin, v.adrelid) like 'nextval(%')
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
           join pg_type t on t.oid = a.atttypid
           join base b on b.oid = t.oid join pg_type u on u.oid = b.base
           join pg_database d on d.datname = current_database()
           left join pg_collation l on l.oid = a.attcollation and a.attcollation <> 0
           left join lateral (
                select o.oprname, p.nspname
                  from pg_opclass s join pg_am m on m.oid = s.opcmethod and m.amname = 'btree'
                  join pg_amop f on f.amopfamily = s.opcfamily and f.amopstrategy = 3
                                and f.amoplefttype = u.oid and f.amoprighttype = u.oid
                  join pg_operator o on o.oid = f.amopopr join pg_namespace p on p.oid = o.oprnamespace
                 where s.opcdefault and s.opcintype = u.oid
                   and u.typnamespace <> 'pg_catalog'::regnamespace) e on true
          where {OURS} order by c.oid, a.attnum"
    )
}

/// Provider, locale with rules, and version of a column's collation. One that is called "default" is the database's;
/// the catalogs' columns for it moved over the versions.
fn collation(version: u32) -> (String, String, String) {
    let (provider, icu) = match version {
        170_000.. => ("d.datlocprovider::text", "d.datlocale"),
        150_000.. => ("d.datlocprovider::text", "d.daticulocale"),
        _ => ("'c'::text", "null::text"),
    };
    let own = match version {
        170_000.. => "coalesce(l.colllocale, l.collcollate)",
        150_000.. => "coalesce(l.colliculocale, l.collcollate)",
        _ => "l.collcollate",
    };
    let (icu_rules, own_rules) = match version {
        160_000.. => (
            "coalesce(d.daticurules, '')",
            "coalesce(l.collicurules, '')",
        ),
        _ => ("''", "''"),
    };
    // What an index was built under must be what the library does now.
    let database = match version {
        150_000.. => {
            "case when d.datcollversion = pg_database_collation_actual_version(d.oid) then d.datcollversion end"
        }
        _ => "null::text",
    };
    let is_default = "l.collprovider = 'd'";
    (
        format!(
            "case when l.oid is null then null when {is_default} then {provider} else l.collprovider::text end"
        ),
        format!(
            "case when {is_default} then coalesce({icu}, d.datcollate) || {icu_rules} else {own} || {own_rules} end"
        ),
        format!(
            "case when {is_default} then {database}
                  when l.collversion = pg_collation_actual_version(l.oid) then l.collversion end"
        ),
    )
}

fn column(row: &Row) -> Column {
    let collation = row.get::<_, Option<String>>(8).map(|provider| Collation {
        provider,
        locale: row.get::<_, Option<String>>(9).unwrap_or_default(),
        version: row.get(10),
        deterministic: row.get::<_, Option<bool>>(11).unwrap_or(true),
    });
    let equality = row
        .get::<_, Option<String>>(14)
        .zip(row.get::<_, Option<String>>(15))
        .map(|(schema, name)| format!("operator({}.{name})", quote_ident(&schema)));
    Column {
        name: row.get(1),
        type_name: row.get(2),
        lookup_type: row.get(12),
        equality,
        is_enum: row.get(13),
        builtin: row.get(3),
        not_null: row.get(4),
        has_default: row.get(5),
        drawn: row.get(16),
        generated: row.get(6),
        identity: match row.get::<_, &str>(7) {
            "a" => Some(Identity::Always),
            "d" => Some(Identity::ByDefault),
            _ => None,
        },
        collation,
    }
}

/// Adds how well the physical order of each table follows its key. Of a partitioned table the statistics over all
/// partitions count, of any other those of its own rows.
pub(super) async fn read_correlations(
    session: &Session,
    tables: &mut BTreeMap<TableName, Table>,
) -> Result<(), PgError> {
    let sql =
        "select s.schemaname::text, s.tablename::text, s.attname::text, s.inherited, s.correlation
                 from pg_stats s
                where s.correlation is not null and s.schemaname <> 'pg_catalog'";
    let mut known: HashMap<(String, String, String, bool), f32> = HashMap::new();
    for row in session.query(DOING, sql, &[]).await? {
        let of = (row.get(0), row.get(1), row.get(2), row.get(3));
        known.insert(of, row.get(4));
    }
    for table in tables.values_mut() {
        let Some(first) = table.key.first() else {
            continue;
        };
        let at = (
            table.name.schema.clone(),
            table.name.name.clone(),
            first.clone(),
            table.kind == TableKind::Partitioned,
        );
        // A percentage: 0 to 100, so the conversion cannot lose anything that matters.
        table.correlation = known
            .get(&at)
            .map(|c| (c.abs() * 100.0).clamp(0.0, 100.0) as u8);
    }
    Ok(())
}
