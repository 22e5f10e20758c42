//! Reads from the catalog what tables ask of their rows.

use crate::bundle::{Bundle, ManifestTable};
use crate::catalog::TableKind;
use crate::ident::array_literal;
use crate::pg::{PgError, Row, Session};

use super::super::{TargetTable, Targets};
use super::values::Judged;
use super::{Check, Gate, Typed};

/// Columns whose type is an enum or a domain, or holds one as element, field or bound.
const TYPED: &str = "
    with recursive part(n, attname, type) as (
      select t.n, a.attname, a.atttypid
        from unnest($1::text[]) with ordinality t(name, n)
        join pg_attribute a on a.attrelid = t.name::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
       union
      select p.n, p.attname, x.type
        from part p join pg_type y on y.oid = p.type
        cross join lateral (
          select y.typelem as type where y.typlen = -1
           union all select y.typbasetype
           union all select a.atttypid from pg_attribute a where a.attrelid = y.typrelid and a.attnum > 0 and not a.attisdropped
           union all select r.rngsubtype from pg_range r where y.oid in (r.rngtypid, r.rngmultitypid)) x
       where x.type <> 0)
    select distinct p.n, p.attname::text from part p join pg_type y on y.oid = p.type where y.typtype in ('e', 'd') order by 1, 2";

/// CHECK constraints, with the columns that they mention.
const CHECKS: &str = "
    select t.n, k.conname::text, pg_get_expr(k.conbin, k.conrelid),
           array(select a.attname::text from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey) order by a.attnum)
      from unnest($1::text[]) with ordinality t(name, n)
      join pg_constraint k on k.conrelid = t.name::regclass and k.contype = 'c'
     order by t.n, k.conname";

/// What each leaf takes, all levels above it included, with the columns that partitions are told by.
const PARTITIONS: &str = "
    select t.n, null::text,
           (select string_agg(coalesce(pg_get_partition_constraintdef(l.relid), 'true'), ' or ')
              from pg_partition_tree(t.name::regclass) l where l.isleaf and l.relid <> t.name::regclass),
           array(select distinct a.attname::text
                   from pg_partition_tree(t.name::regclass) l
                   join pg_partitioned_table p on p.partrelid = l.relid
                   join pg_attribute a on a.attrelid = l.relid and a.attnum > 0
                  where a.attnum = any (p.partattrs::int2[])
                     or exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = l.relid and d.objsubid = 0
                                   and d.refclassid = 'pg_class'::regclass and d.refobjid = l.relid and d.refobjsubid = a.attnum)
                  order by 1)
      from unnest($1::text[]) with ordinality t(name, n)
     where (select relkind from pg_class where oid = t.name::regclass) = 'p'
     order by t.n";

/// What each of the bundle's tables asks of its rows.
pub(in crate::restore) async fn find(
    session: &Session,
    bundle: &Bundle,
    targets: &Targets,
) -> Result<Vec<Gate>, PgError> {
    let names: Vec<String> = targets.tables.iter().map(|t| t.name.sql()).collect();
    let names = array_literal(names.iter().map(|n| Some(n.as_str())));
    let stored = bundle.manifest.tables.iter();
    let pairs = targets.tables.iter().zip(stored);
    let mut gates: Vec<Gate> = pairs.map(must_hold_something).collect();
    let of = |row: &Row| usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
    let doing = "looking at what tables ask of their rows";
    for row in session.ask(doing, TYPED, &[&names]).await? {
        let (n, column): (usize, String) = (of(&row), row.get(1));
        gates[n].typed.extend(typed(&targets.tables[n], &column));
    }
    for (gate, table) in gates.iter_mut().zip(&targets.tables) {
        for retyped in &table.retyped {
            gate.typed.extend(typed(table, &retyped.column));
        }
    }
    let mut conditions = session.ask(doing, CHECKS, &[&names]).await?;
    if targets
        .tables
        .iter()
        .any(|t| t.live.kind == TableKind::Partitioned)
    {
        conditions.extend(session.ask(doing, PARTITIONS, &[&names]).await?);
    }
    for row in &conditions {
        let n = of(row);
        gates[n].checks.extend(check(&targets.tables[n], row));
    }
    Ok(gates)
}

/// Columns that could be NULL in the backup, and cannot in live.
fn must_hold_something((table, stored): (&TargetTable, &ManifestTable)) -> Gate {
    let could = |name: &String| {
        stored
            .columns
            .iter()
            .any(|c| c.name == *name && !c.not_null)
    };
    let cannot = |name: &String| table.live.column(name).is_some_and(|c| c.not_null);
    let columns = table.columns.iter().enumerate();
    let columns = columns.filter(|(_, c)| could(c) && cannot(c));
    Gate {
        not_null: columns.map(|(n, _)| n).collect(),
        ..Gate::default()
    }
}

fn typed(table: &TargetTable, column: &str) -> Option<Typed> {
    Some(Typed {
        place: table.columns.iter().position(|c| c == column)?,
        type_name: table.live.column(column)?.type_name.clone(),
        judged: Judged::default(),
    })
}

/// None where the bundle has no values for a column that it mentions.
fn check(table: &TargetTable, row: &Row) -> Option<Check> {
    let columns: Vec<String> = row.get(3);
    let known = columns.iter().all(|c| table.columns.contains(c));
    Some(Check {
        constraint: row.get(1),
        // A partitioned table without any partition takes nothing.
        expression: row
            .get::<_, Option<String>>(2)
            .unwrap_or_else(|| "false".to_owned()),
        columns,
    })
    .filter(|_| known)
}
