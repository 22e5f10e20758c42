//! Reads a [`Schema`] from the server's catalogs: one query per kind of object, whatever the number of tables.
//!
//! Source: PostgreSQL manual, chapter "System Catalogs" (`pg_class`, `pg_attribute`, `pg_index`, `pg_constraint`,
//! `pg_trigger`, `pg_rewrite`, `pg_collation`).

use std::collections::{BTreeMap, HashMap};

use crate::ident::TableName;
use crate::pg::{PgError, Row, Session};

use super::columns::{read_columns, read_correlations};
use super::model::{ForeignKey, OnDelete, Schema, Table, TableKind, Trigger, Unique};

pub(super) const DOING: &str = "reading the schema";

/// Which relations are an application's tables: no system schema, no temporary one, not this program's own; partitions
/// are represented by their root.
pub(super) const OURS: &str =
    "n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'reinstate')
    and n.nspname not like 'pg\\_temp\\_%' and n.nspname not like 'pg\\_toast\\_temp\\_%'
    and c.relkind in ('r', 'p', 'f') and not c.relispartition";

pub(super) type ByOid = HashMap<u32, TableName>;

/// Reads the schema of the database that `session` is connected to.
pub async fn introspect(session: &Session) -> Result<Schema, PgError> {
    let row = session
        .query_one(
            DOING,
            "select current_database()::text, pg_is_in_recovery(), pg_encoding_to_char(encoding)::text
               from pg_database where datname = current_database()",
            &[],
        )
        .await?;
    let (mut tables, names) = tables(session).await?;
    read_columns(session, &names, &mut tables).await?;
    uniques(session, &names, &mut tables).await?;
    triggers(session, &names, &mut tables).await?;
    rules(session, &names, &mut tables).await?;
    let foreign_keys = foreign_keys(session, &tables).await?;
    for table in tables.values_mut() {
        table.key = choose_key(table);
    }
    read_correlations(session, &mut tables).await?;
    Ok(Schema {
        database: row.get(0),
        server_version: session.server_version(),
        in_recovery: row.get(1),
        encoding: row.get(2),
        tables,
        foreign_keys,
    })
}

async fn tables(session: &Session) -> Result<(BTreeMap<TableName, Table>, ByOid), PgError> {
    let sql = format!(
        "select c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relrowsecurity,
                c.relpersistence = 'u',
                has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT'),
                has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'INSERT'),
                (select e.extname::text from pg_depend d join pg_extension e on e.oid = d.refobjid
                  where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
                    and d.refclassid = 'pg_extension'::regclass limit 1),
                s.rows, s.pages, s.bytes, s.all_pages,
                c.relkind = 'p' and exists (select from pg_partition_tree(c.oid) p join pg_class l on l.oid = p.relid
                                             where l.relkind = 'f')
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          cross join lateral (
                select coalesce(sum(greatest(l.reltuples, 0)), 0)::int8 as rows,
                       coalesce(max(pg_relation_size(l.oid)), 0)::int8 / current_setting('block_size')::int8 as pages,
                       coalesce(sum(pg_relation_size(l.oid)), 0)::int8 / current_setting('block_size')::int8 as all_pages,
                       coalesce(sum(pg_table_size(l.oid)), 0)::int8 as bytes
                  from pg_class l
                 where l.relkind = 'r' and (l.oid = c.oid or (c.relkind = 'p'
                       and l.oid in (select relid from pg_partition_tree(c.oid) where isleaf)))) s
          where {OURS}"
    );
    let mut tables = BTreeMap::new();
    let mut names = HashMap::new();
    for row in session.query(DOING, &sql, &[]).await? {
        let name = TableName::new(row.get::<_, String>(1), row.get::<_, String>(2));
        names.insert(row.get(0), name.clone());
        let unsigned = |i: usize| u64::try_from(row.get::<_, i64>(i)).unwrap_or(0);
        tables.insert(
            name.clone(),
            Table {
                name,
                kind: match row.get::<_, &str>(3) {
                    "p" => TableKind::Partitioned,
                    "f" => TableKind::Foreign,
                    _ => TableKind::Plain,
                },
                row_security: row.get(4),
                unlogged: row.get(5),
                readable: row.get(6),
                insertable: row.get(7),
                extension: row.get(8),
                estimated_rows: unsigned(9),
                pages: unsigned(10),
                bytes: unsigned(11),
                all_pages: unsigned(12),
                foreign_partition: row.get(13),
                columns: Vec::new(),
                key: Vec::new(),
                uniques: Vec::new(),
                triggers: Vec::new(),
                insert_rules: Vec::new(),
                update_rules: Vec::new(),
                correlation: None,
                stored: None,
            },
        );
    }
    Ok((tables, names))
}

/// The table an oid of a result row stands for, if it is one of ours.
pub(super) fn of<'a>(
    row: &Row,
    names: &ByOid,
    tables: &'a mut BTreeMap<TableName, Table>,
) -> Option<&'a mut Table> {
    tables.get_mut(names.get(&row.get::<_, u32>(0))?)
}

async fn uniques(
    session: &Session,
    names: &ByOid,
    tables: &mut BTreeMap<TableName, Table>,
) -> Result<(), PgError> {
    let distinct = if session.server_version() >= 150_000 {
        "i.indnullsnotdistinct"
    } else {
        "false"
    };
    let sql = format!(
        "select c.oid, x.relname::text, i.indisprimary,
                i.indpred is not null or i.indexprs is not null or i.indisexclusion,
                coalesce(k.condeferrable, false), {distinct}, pg_get_indexdef(i.indexrelid),
                array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality as u(attnum, n)
                        join pg_attribute a on a.attrelid = c.oid and a.attnum = u.attnum
                       where u.n <= i.indnkeyatts order by u.n),
                not exists (select from unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[])
                                          as u(attnum, class, coll)
                              join pg_opclass o on o.oid = u.class
                              join pg_attribute a on a.attrelid = c.oid and a.attnum = u.attnum
                             where not o.opcdefault or a.attcollation <> u.coll)
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           join pg_index i on i.indrelid = c.oid and (i.indisunique or i.indisexclusion) and i.indisvalid
           join pg_class x on x.oid = i.indexrelid
           left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
                                     and k.conrelid = c.oid
          where {OURS} order by c.oid, not i.indisprimary, x.relname"
    );
    for row in session.query(DOING, &sql, &[]).await? {
        let Some(table) = of(&row, names, tables) else {
            continue;
        };
        table.uniques.push(Unique {
            name: row.get(1),
            primary: row.get(2),
            special: row.get(3),
            deferrable: row.get(4),
            nulls_not_distinct: row.get(5),
            definition: row.get(6),
            columns: row.get(7),
            plain_order: row.get(8),
        });
    }
    Ok(())
}

/// The key by which rows are told apart: the primary key, else the shortest plain unique index whose columns cannot
/// be NULL, preferring one that is checked at once.
fn choose_key(table: &Table) -> Vec<String> {
    let usable = |u: &&Unique| {
        !u.special
            && !u.columns.is_empty()
            && u.columns
                .iter()
                .all(|c| table.column(c).is_some_and(|c| c.not_null))
    };
    let best = table
        .uniques
        .iter()
        .filter(usable)
        .min_by_key(|u| (!u.primary, u.deferrable, u.columns.len()));
    best.map(|u| u.columns.clone()).unwrap_or_default()
}

async fn triggers(
    session: &Session,
    names: &ByOid,
    tables: &mut BTreeMap<TableName, Table>,
) -> Result<(), PgError> {
    // On a partitioned table, triggers defined on partitions alone fire too; and a partition's copy of a trigger can be
    // enabled in another way than the trigger itself.
    let sql = format!(
        "select c.oid, g.tgname::text, g.tgfoid::regproc::text, (g.tgtype & 4) <> 0, g.tgenabled::text,
                (g.tgtype & 8) <> 0, g.tgdeferrable,
                case when (g.tgtype & 2) <> 0 then 'before' when (g.tgtype & 64) <> 0 then 'instead of' else 'after' end
                || ' ' || array_to_string(array_remove(array[
                     case when (g.tgtype & 4) <> 0 then 'insert' end, case when (g.tgtype & 16) <> 0 then 'update' end,
                     case when (g.tgtype & 8) <> 0 then 'delete' end, case when (g.tgtype & 32) <> 0 then 'truncate' end],
                     null), ' or ')
                || ', for each ' || case when (g.tgtype & 1) <> 0 then 'row' else 'statement' end
                || case when g.tginitdeferred then ', at commit' else '' end,
                (g.tgtype & 16) <> 0
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           join pg_trigger g on not g.tgisinternal and g.tgenabled <> 'D'
                and g.tgenabled is distinct from (select p.tgenabled from pg_trigger p where p.oid = g.tgparentid)
                and (g.tgrelid = c.oid or (c.relkind = 'p'
                     and g.tgrelid in (select relid from pg_partition_tree(c.oid))))
          where {OURS} order by c.oid, g.tgname"
    );
    for row in session.query(DOING, &sql, &[]).await? {
        let Some(table) = of(&row, names, tables) else {
            continue;
        };
        table.triggers.push(Trigger {
            name: row.get(1),
            function: row.get(2),
            on_insert: row.get(3),
            enabled: row.get(4),
            on_delete: row.get(5),
            deferrable: row.get(6),
            fires: row.get(7),
            on_update: row.get(8),
        });
    }
    Ok(())
}

async fn rules(
    session: &Session,
    names: &ByOid,
    tables: &mut BTreeMap<TableName, Table>,
) -> Result<(), PgError> {
    let sql = format!(
        "select c.oid, r.rulename::text, r.ev_type = '2' from pg_class c join pg_namespace n on n.oid = c.relnamespace
           join pg_rewrite r on r.ev_class = c.oid and r.ev_type in ('2', '3') and r.ev_enabled <> 'D'
          where {OURS} order by c.oid, r.rulename"
    );
    for row in session.query(DOING, &sql, &[]).await? {
        let Some(table) = of(&row, names, tables) else {
            continue;
        };
        let rules = match row.get(2) {
            true => &mut table.update_rules,
            false => &mut table.insert_rules,
        };
        rules.push(row.get(1));
    }
    Ok(())
}

async fn foreign_keys(
    session: &Session,
    tables: &BTreeMap<TableName, Table>,
) -> Result<Vec<ForeignKey>, PgError> {
    // Copies that a partitioned table hands down to its partitions have a parent constraint; a key declared on one
    // partition alone is seen on the root.
    let sql = "
        select k.conname::text, cn.nspname::text, c.relname::text, pn.nspname::text, p.relname::text,
               k.confdeltype::text, k.condeferrable, k.convalidated,
               array(select a.attname::text from unnest(k.conkey) with ordinality as u(attnum, n)
                       join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum order by u.n),
               array(select a.attname::text from unnest(k.confkey) with ordinality as u(attnum, n)
                       join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum order by u.n)
          from pg_constraint k
          join pg_class c on c.oid = coalesce(pg_partition_root(k.conrelid), k.conrelid)
          join pg_namespace cn on cn.oid = c.relnamespace
          join pg_class p on p.oid = coalesce(pg_partition_root(k.confrelid), k.confrelid)
          join pg_namespace pn on pn.oid = p.relnamespace
         where k.contype = 'f' and k.conparentid = 0
         order by 2, 3, 1";
    let mut keys = Vec::new();
    for row in session.query(DOING, sql, &[]).await? {
        let name = |i: usize| TableName::new(row.get::<_, String>(i), row.get::<_, String>(i + 1));
        let (child, parent) = (name(1), name(3));
        if !tables.contains_key(&child) || !tables.contains_key(&parent) {
            continue;
        }
        keys.push(ForeignKey {
            name: row.get(0),
            child,
            parent,
            on_delete: match row.get::<_, &str>(5) {
                "c" => OnDelete::Cascade,
                "n" => OnDelete::SetNull,
                "d" => OnDelete::SetDefault,
                _ => OnDelete::Refuse,
            },
            deferrable: row.get(6),
            validated: row.get(7),
            child_columns: row.get(8),
            parent_columns: row.get(9),
        });
    }
    Ok(keys)
}
