//! Constraints that columns alone do not tell: partial and expression indexes, NULLS NOT DISTINCT, exclusion constraints. The
//! server is asked with the index's own expressions, predicate and operators, over the bundle's values as rows of the table.
//!
//! Not asked, and left to the server to refuse: an index over a column that the bundle has no values for (one that live added,
//! a generated one).

use std::fmt::Write as _;

use crate::catalog::Table;
use crate::ident::{Key, array_literal, qualified_list, quote_ident, quote_literal};
use crate::pg::copy::CopyLines;
use crate::pg::{PgError, Session};

use super::super::look::{Conflict, numbered};
use super::super::{BatchRow, TargetTable};
use super::sides::{BothSides, fields};
use super::taken::conflict;

/// Such a constraint.
#[derive(Debug, Clone)]
pub(in crate::restore) struct Probe {
    name: String,
    exclusion: bool,
    nulls_not_distinct: bool,
    /// Rows for which it holds, as SQL over the table's columns.
    predicate: Option<String>,
    /// What it compares, as SQL; by which operators; under which collations.
    expressions: Vec<String>,
    operators: Vec<String>,
    collations: Vec<String>,
    /// Columns of the table that all this mentions.
    columns: Vec<String>,
}

impl Probe {
    fn under(&self) -> String {
        let kind = match self.exclusion {
            true => "exclusion constraint",
            false => "unique",
        };
        format!("{kind} {} ({})", self.name, self.expressions.join(", "))
    }

    /// Two values are in each other's way: `there`, an expression over the table, and `here`, a value. With `null`, because
    /// neither is known.
    fn meets(&self, n: usize, null: bool) -> String {
        let (there, operator) = (&self.expressions[n], &self.operators[n]);
        match null {
            true => format!("({there}) is null and v.e{n} is null"),
            false => format!("({there}) {operator} (v.e{n}{})", self.collations[n]),
        }
    }

    /// When a row of the table is in the way of a row of the list: any of these, of which no two hold at once. Where NULLs are
    /// in each other's way, there is one for each set of columns that can be NULL: an index can answer it, and not an OR.
    fn ways(&self) -> Vec<String> {
        let count = self.expressions.len();
        let all = |meets: &dyn Fn(usize) -> String| {
            let each: Vec<String> = (0..count).map(meets).collect();
            each.join(" and ")
        };
        match (self.nulls_not_distinct, count) {
            (false, _) => vec![all(&|n| self.meets(n, false))],
            (true, 0..=4) => (0..1_u32 << count)
                .map(|set| all(&|n| self.meets(n, set >> n & 1 == 1)))
                .collect(),
            (true, _) => {
                let either = |n| format!("({} or {})", self.meets(n, false), self.meets(n, true));
                vec![all(&either)]
            }
        }
    }

    /// Pairs of the bundle's rows, by position, and live's that are in their way.
    fn sql(&self, table: &TargetTable, rows: &[(usize, &BatchRow)]) -> String {
        let expressions = self.expressions.iter().enumerate();
        let here: Vec<String> = expressions.map(|(n, e)| format!("({e}) as e{n}")).collect();
        let here = here.join(", ");
        let holds = self.predicate.as_deref().unwrap_or("true");
        let mut shown = vec!["v.n".to_owned()];
        if table.keyed() {
            shown.extend(table.locator.columns("t"));
        }
        shown.push(qualified_list("t", &self.columns));
        let from = table.live.from_sql();
        let ways = self.ways().into_iter();
        let ways = ways.map(|way| format!("select * from {from} where ({holds}) and {way}"));
        format!(
            "copy (select {} from (select reinstate_n as n, {here} from {} where {holds}) v
                     join lateral ({}) t on true) to stdout",
            shown.join(", "),
            values(table, &self.columns, rows),
            ways.collect::<Vec<_>>().join("\n union all "),
        )
    }
}

/// Rows whose place under such a constraint belongs to another row of live. Outside a transaction (not `locked`), values that the
/// server refuses are left to the run.
pub(super) async fn probe(
    session: &Session,
    (place, table): (usize, &TargetTable),
    rows: &[(usize, &BatchRow)],
    locked: bool,
    conflicts: &mut Vec<Conflict>,
) -> Result<(), PgError> {
    for probe in table.probes.iter().filter(|_| !rows.is_empty()) {
        match one(session, (place, table), probe, rows).await {
            Ok(found) => conflicts.extend(found),
            Err(error) if !locked && error.sqlstate().is_some_and(|s| s.starts_with("22")) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn one(
    session: &Session,
    (place, table): (usize, &TargetTable),
    probe: &Probe,
    rows: &[(usize, &BatchRow)],
) -> Result<Vec<Conflict>, PgError> {
    let doing = format!("looking at {} by {}", table.name, probe.name);
    let sql = probe.sql(table, rows);
    let mut lines = CopyLines::start(session, &doing, &sql).await?;
    let mut found = Vec::new();
    while let Some(line) = lines.next().await? {
        let Some((n, rest)) = numbered(&line) else {
            continue;
        };
        let Some((at, row)) = rows.get(n) else {
            continue;
        };
        let mut key = fields(&rest);
        let live = key.split_off(table.key.len().min(key.len()));
        let holder = Key(key.into_iter().map(Option::unwrap_or_default).collect());
        if holder == row.key && table.keyed() {
            continue;
        }
        let sides = BothSides {
            constraint: probe.name.clone(),
            key: row.key.clone(),
            live_key: holder,
            columns: probe.columns.clone(),
            bundle: of_columns(table, &probe.columns, row),
            live,
        };
        let sqlstate = if probe.exclusion { "23P01" } else { "23505" };
        let under = probe.under();
        found.push(conflict(table, (place, *at), row, &under, sqlstate, sides));
    }
    Ok(found)
}

/// A row's values in these columns.
fn of_columns(table: &TargetTable, columns: &[String], row: &BatchRow) -> Vec<Option<String>> {
    let all = fields(&row.line);
    let value = |column: &String| {
        let place = table.columns.iter().position(|c| c == column)?;
        all.get(place).cloned().flatten()
    };
    columns.iter().map(value).collect()
}

/// The rows as a FROM item that has columns of the table by name, type and collation, and their position from 1 as
/// `reinstate_n`. As [`crate::catalog::typed_list`], with NULLs.
pub(in crate::restore) fn values(
    table: &TargetTable,
    columns: &[String],
    rows: &[(usize, &BatchRow)],
) -> String {
    let by_row: Vec<Vec<Option<String>>> = rows
        .iter()
        .map(|(_, row)| of_columns(table, columns, row))
        .collect();
    let (mut arrays, mut casts, mut names) = (Vec::new(), String::new(), Vec::new());
    for (n, column) in columns.iter().enumerate() {
        let of_column = by_row
            .iter()
            .map(|row| row.get(n).and_then(Option::as_deref));
        arrays.push(format!(
            "{}::text[]",
            quote_literal(&array_literal(of_column))
        ));
        names.push(quote_ident(column));
        // Writing to a String cannot fail.
        let _ = write!(casts, ", k.k{n}::{}", type_of(&table.live, column));
    }
    let aliases: Vec<String> = (0..columns.len()).map(|n| format!("k{n}")).collect();
    format!(
        "(select null::int8 as reinstate_n, {} from {} where false
          union all
          select k.n{casts} from unnest({}) with ordinality as k({}, n)) b",
        names.join(", "),
        table.live.from_sql(),
        arrays.join(", "),
        aliases.join(", "),
    )
}

fn type_of<'t>(table: &'t Table, column: &str) -> &'t str {
    table.column(column).map_or("text", |c| &c.lookup_type)
}

/// Finds such constraints of a table.
pub(super) async fn find(session: &Session, table: &TargetTable) -> Result<Vec<Probe>, PgError> {
    let special = |u: &crate::catalog::Unique| u.special || u.nulls_not_distinct;
    if !table.live.uniques.iter().any(special) {
        return Ok(Vec::new());
    }
    let distinct = match session.server_version() >= 150_000 {
        true => "i.indnullsnotdistinct",
        false => "false",
    };
    let sql = format!(
        "select x.relname::text, i.indisexclusion, {distinct}, pg_get_expr(i.indpred, i.indrelid),
                array(select pg_get_indexdef(i.indexrelid, n, false) from generate_series(1, i.indnkeyatts) n order by n),
                array(select (select format('operator(%I.%s)', s.nspname, o.oprname)
                                from pg_operator o join pg_namespace s on s.oid = o.oprnamespace
                               where o.oid = coalesce(k.conexclop[n],
                                       (select a.amopopr from pg_opclass c
                                          join pg_amop a on a.amopfamily = c.opcfamily and a.amopstrategy = 3
                                               and a.amoplefttype = c.opcintype and a.amoprighttype = c.opcintype
                                         where c.oid = i.indclass[n - 1])))
                        from generate_series(1, i.indnkeyatts) n order by n),
                array(select coalesce((select format(' collate %I.%I', s.nspname, c.collname)
                                         from pg_collation c join pg_namespace s on s.oid = c.collnamespace
                                        where c.oid = i.indcollation[n - 1]), '')
                        from generate_series(1, i.indnkeyatts) n order by n),
                array(select a.attname::text from pg_attribute a
                       where a.attrelid = i.indrelid and a.attnum > 0
                         and (a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                              or exists (select from pg_depend d
                                          where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
                                            and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid
                                            and d.refobjsubid = a.attnum))
                       order by a.attnum)
           from pg_index i join pg_class x on x.oid = i.indexrelid
           left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = i.indrelid and k.contype = 'x'
          where i.indrelid = $1::text::regclass and i.indisvalid and (i.indisunique or i.indisexclusion)
            and (i.indpred is not null or i.indexprs is not null or i.indisexclusion or {distinct})
          order by x.relname"
    );
    let doing = format!("looking at constraints of {}", table.name);
    let rows = session.ask(&doing, &sql, &[&table.name.sql()]).await?;
    let probe = |row: &crate::pg::Row| {
        // An operator that cannot be named cannot be asked.
        let operators: Vec<Option<String>> = row.get(5);
        Some(Probe {
            name: row.get(0),
            exclusion: row.get(1),
            nulls_not_distinct: row.get(2),
            predicate: row.get(3),
            expressions: row.get(4),
            operators: operators.into_iter().collect::<Option<Vec<_>>>()?,
            collations: row.get(6),
            columns: row.get(7),
        })
    };
    let known = |p: &Probe| p.columns.iter().all(|c| table.columns.contains(c));
    Ok(rows.iter().filter_map(probe).filter(known).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(expressions: &[&str], nulls_not_distinct: bool) -> Probe {
        let all = |text: &str| vec![text.to_owned(); expressions.len()];
        Probe {
            name: "one".into(),
            exclusion: false,
            nulls_not_distinct,
            predicate: None,
            expressions: expressions.iter().map(|e| (*e).to_owned()).collect(),
            operators: all("="),
            collations: all(""),
            columns: Vec::new(),
        }
    }

    #[test]
    fn each_set_of_nulls_is_asked_for_by_itself() {
        let ways = probe(&["a", "b"], true).ways();
        let wanted = [
            "(a) = (v.e0) and (b) = (v.e1)",
            "(a) is null and v.e0 is null and (b) = (v.e1)",
            "(a) = (v.e0) and (b) is null and v.e1 is null",
            "(a) is null and v.e0 is null and (b) is null and v.e1 is null",
        ];
        assert_eq!(ways, wanted);
    }

    #[test]
    fn nulls_are_in_nobodys_way_elsewhere_and_many_columns_are_asked_at_once() {
        assert_eq!(probe(&["a"], false).ways(), ["(a) = (v.e0)"]);
        assert_eq!(probe(&["a", "b", "c", "d", "e"], true).ways().len(), 1);
    }
}
