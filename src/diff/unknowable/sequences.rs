//! Which column of a table draws its numbers from a sequence, and where both sides stand.
//!
//! Source: PostgreSQL manual, "CREATE SEQUENCE" (cache, cycle) and the catalogs `pg_sequence`, `pg_depend`, `pg_attrdef`.

use std::collections::HashMap;

use crate::catalog::{Comparable, Table, Unique};
use crate::ident::{TableName, quote_ident};
use crate::pg::{PgError, Session};

use super::bound::{Position, Seen, bound};
use super::{BornAndGone, Compared, NEVER_SET_BACK, refused};
use crate::diff::Sides;

/// A column and the sequence that numbers it, as one side's catalogs have it.
struct Numbered {
    column: String,
    sequence: TableName,
    increment: i64,
    cycle: bool,
    cache: i64,
    start: i64,
    by_default: bool,
    readable: bool,
    sessions: i64,
}

type ByTable = HashMap<TableName, Vec<Numbered>>;

/// For every table a bound, or why there is none.
pub(super) async fn bounds(
    sides: &Sides,
    tables: &[Compared<'_>],
) -> Result<Vec<BornAndGone>, PgError> {
    let (Some(snapshot), Some(live)) = (sides.snapshot.first(), sides.live.first()) else {
        return Ok(Vec::new());
    };
    let (before, now) = tokio::try_join!(numbered(snapshot), numbered(live))?;
    let mut bounds = Vec::with_capacity(tables.len());
    for compared in tables {
        let mut entry = BornAndGone {
            table: compared.table.snapshot.name.to_string(),
            ..BornAndGone::default()
        };
        let outcome = match choose(compared.table, &before, &now) {
            Ok(pair) => one((snapshot, live), compared, pair, &mut entry).await?,
            Err(reason) => Err(reason),
        };
        match outcome {
            Ok(rows) => {
                entry.at_most = Some(rows);
                entry.assumes = Some(NEVER_SET_BACK.to_owned());
            }
            Err(reason) => entry.reason = Some(reason),
        }
        bounds.push(entry);
    }
    Ok(bounds)
}

/// Columns drawing from a sequence: by identity, by a default that is `nextval` and nothing else, or because the
/// sequence belongs to the column (an application may call it itself).
async fn numbered(session: &Session) -> Result<ByTable, PgError> {
    let sql = r"
        select n.nspname::text, c.relname::text, a.attname::text, sn.nspname::text, s.relname::text,
               q.seqincrement, q.seqcycle, q.seqcache, q.seqstart, bool_or(u.by_default),
               has_schema_privilege(sn.oid, 'USAGE') and has_sequence_privilege(s.oid, 'SELECT'),
               current_setting('max_connections')::int8
          from (select d.objid as sequence, d.refobjid as rel, d.refobjsubid as attnum, d.deptype = 'i' as by_default
                  from pg_depend d
                 where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
                   and d.refobjsubid > 0 and d.deptype in ('i', 'a')
                union all
                select d.refobjid, f.adrelid, f.adnum, true
                  from pg_attrdef f
                  join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid
                                  and d.refclassid = 'pg_class'::regclass
                 where pg_get_expr(f.adbin, f.adrelid) ~ '^nextval\(''[^)]*''::regclass\)$') u
          join pg_sequence q on q.seqrelid = u.sequence
          join pg_class s on s.oid = u.sequence join pg_namespace sn on sn.oid = s.relnamespace
          join pg_class c on c.oid = u.rel join pg_namespace n on n.oid = c.relnamespace
          join pg_attribute a on a.attrelid = u.rel and a.attnum = u.attnum and not a.attisdropped
         group by n.oid, n.nspname, c.relname, a.attname, a.attnum, sn.oid, sn.nspname, s.oid, s.relname,
                  q.seqincrement, q.seqcycle, q.seqcache, q.seqstart
         order by bool_or(u.by_default) desc, a.attnum, s.oid";
    let mut by_table = ByTable::new();
    for row in session.ask("reading the sequences", sql, &[]).await? {
        let table = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        by_table.entry(table).or_default().push(Numbered {
            column: row.get(2),
            sequence: TableName::new(row.get::<_, String>(3), row.get::<_, String>(4)),
            increment: row.get(5),
            cycle: row.get(6),
            cache: row.get(7),
            start: row.get(8),
            by_default: row.get(9),
            readable: row.get(10),
            sessions: row.get(11),
        });
    }
    Ok(by_table)
}

/// The column to count by: numbered on both sides, with an index that begins with it.
fn choose<'a>(
    table: &Comparable,
    before: &'a ByTable,
    now: &'a ByTable,
) -> Result<(&'a Numbered, &'a Numbered), String> {
    let of = |side: &'a ByTable, name: &TableName| side.get(name).map_or(&[][..], Vec::as_slice);
    let before = of(before, table.snapshot.stored_name());
    let now = of(now, &table.live.name);
    if now.is_empty() {
        return Err(without_sequence(table));
    }
    let usable = |n: &&Numbered| counts(&table.snapshot, n) && counts(&table.live, n);
    let Some(live) = now.iter().find(usable) else {
        return Err(format!(
            "no unique index begins with {}, to count by",
            now[0].column
        ));
    };
    let Some(snapshot) = before
        .iter()
        .find(|b| table.snapshot.name_of(&b.column) == live.column)
    else {
        return Err(format!(
            "{} is numbered by a sequence only since the backup",
            live.column
        ));
    };
    for (side, numbered) in [("live", live), ("the snapshot", snapshot)] {
        if !numbered.readable {
            let sequence = &numbered.sequence;
            return Err(format!(
                "no right to read sequence {sequence} of {side}: grant select on sequence {sequence}"
            ));
        }
    }
    Ok((snapshot, live))
}

fn without_sequence(table: &Comparable) -> String {
    match table.key.is_empty() {
        true => "no key".to_owned(),
        false => "no sequence numbers the key".to_owned(),
    }
}

/// Whether the column holds integers, each once, that an index can count.
fn counts(table: &Table, numbered: &Numbered) -> bool {
    let integer = table.column(&numbered.column).is_some_and(|c| {
        c.builtin
            .as_deref()
            .is_some_and(|b| matches!(b, "int2" | "int4" | "int8"))
    });
    integer
        && table
            .uniques
            .iter()
            .any(|u| !u.special && u.plain_order && u.columns.first() == Some(&numbered.column))
}

/// Asks both sides where they stand.
async fn one(
    (snapshot, live): (&Session, &Session),
    compared: &Compared<'_>,
    (before, now): (&Numbered, &Numbered),
    entry: &mut BornAndGone,
) -> Result<Result<u64, String>, PgError> {
    let table = compared.table;
    entry.column = Some(now.column.clone());
    entry.sequence = Some(now.sequence.to_string());
    let doing = format!("asking how far {} was numbered", table.snapshot.name);
    let sql = question_snapshot(&table.snapshot, before);
    let row = match snapshot.query_one(&doing, &sql, &[]).await {
        Ok(row) => row,
        Err(e) => return Ok(Err(refused(e)?)),
    };
    let (last, greatest): (Option<i64>, Option<i64>) = (row.get(2), row.get(3));
    let from = before.at(row.get(0), row.get(1));
    entry.after = last;
    let sql = question_live(&table.live, now, last);
    let row = match live.query_one(&doing, &sql, &[]).await {
        Ok(row) => row,
        Err(e) => return Ok(Err(refused(e)?)),
    };
    let all: i64 = row.get(5);
    entry.numbered_earlier = compared
        .inserted
        .saturating_sub(u64::try_from(all).unwrap_or(0));
    Ok(bound(&Seen {
        snapshot: from,
        live: now.at(row.get(0), row.get(1)),
        last,
        greatest,
        live_greatest: row.get(2),
        beyond: row.get(3),
        on_steps: row.get(4),
        by_default: now.by_default,
        sessions: now.sessions,
    }))
}

impl Numbered {
    fn at(&self, last_value: i64, is_called: bool) -> Position {
        Position {
            increment: self.increment,
            cycle: self.cycle,
            cache: self.cache,
            start: self.start,
            last_value,
            is_called,
        }
    }

    /// Greatest, beyond, not beyond: as the sequence counts.
    fn words(&self) -> (&'static str, &'static str, &'static str) {
        if self.increment < 0 {
            ("min", "<", ">")
        } else {
            ("max", ">", "<")
        }
    }
}

/// Position, and the greatest numbers: at or before the position, and of all.
fn question_snapshot(table: &Table, numbered: &Numbered) -> String {
    let (greatest, _, before) = numbered.words();
    let column = quote_ident(table.name_of(&numbered.column));
    let from = table.from_sql();
    format!(
        "select s.last_value, s.is_called,
                (select {greatest}(t.{column})::int8 from {from} t
                  where t.{column} {before}= s.last_value and (s.is_called or t.{column} {before} s.last_value)),
                (select {greatest}(t.{column})::int8 from {from} t)
           from {} s",
        numbered.sequence.sql()
    )
}

/// Position, the greatest number, and how many rows lie beyond `last`. One statement: rows that it sees had their
/// number before it reads the position.
fn question_live(table: &Table, numbered: &Numbered, last: Option<i64>) -> String {
    let (greatest, beyond, before) = numbered.words();
    let column = quote_ident(&numbered.column);
    let from = table.from_sql();
    let condition = match last {
        Some(last) => format!("t.{column} {beyond} '{last}'::int8"),
        None => "true".to_owned(),
    };
    let handed_out = format!(
        "t.{column} {before}= s.last_value and (s.is_called or t.{column} {before} s.last_value)"
    );
    let sole = |u: &Unique| !u.special && u.columns == [numbered.column.as_str()];
    let distinct = match table.uniques.iter().any(sole) {
        true => "*".to_owned(),
        false => format!("distinct t.{column}"),
    };
    let on_steps = match numbered.increment {
        1 | -1 => "true".to_owned(),
        by => format!("(t.{column}::numeric - s.last_value) % {by} = 0"),
    };
    format!(
        "select s.last_value, s.is_called, (select {greatest}(t.{column})::int8 from {from} t),
                c.handed_out, c.on_steps, c.beyond
           from {} s
          cross join lateral (
                select count({distinct}) filter (where {handed_out}) as handed_out,
                       count({distinct}) filter (where {handed_out} and {on_steps}) as on_steps,
                       count(*) as beyond
                  from {from} t where {condition}) c",
        numbered.sequence.sql()
    )
}
