//! Random ways in which rows are lost, and what goes on besides.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::support::Dice;

use super::rows::{Row, insert_into, literal, tuple};
use super::schema::{Action, Source, Table};

/// Tables and their rows.
pub(super) struct World<'a> {
    pub(super) tables: &'a [Table],
    pub(super) rows: &'a [Vec<Row>],
}

/// What the server refuses is given up, as an application would.
fn attempted(statements: &str) -> String {
    format!(
        "do $x$ begin\n{statements}set constraints all immediate;\n\
         exception when integrity_constraint_violation then null; end $x$;\n"
    )
}

/// Up to three losses, one after the other.
pub(super) fn lose(dice: &mut Dice, world: &World<'_>) -> String {
    let mut sql = String::new();
    for _ in 0..1 + dice.index(3) {
        let step = match dice.below(8) {
            0..=2 => attempted(&by_the_server(dice, world)),
            3..=5 => attempted(&by_the_application(dice, world)),
            6 => some_of_a_bag(dice, world),
            _ => attempted(&truncate(dice, world)),
        };
        sql.push_str(&step);
    }
    sql
}

/// When all of that was refused.
pub(super) fn truncate(dice: &mut Dice, world: &World<'_>) -> String {
    format!("truncate {} cascade;\n", dice.pick(world.tables).sql())
}

fn keyed(dice: &mut Dice, world: &World<'_>) -> usize {
    loop {
        let t = dice.index(world.tables.len());
        if !world.tables[t].key.is_empty() {
            return t;
        }
    }
}

fn chosen(dice: &mut Dice, world: &World<'_>, t: usize) -> BTreeSet<usize> {
    let share = *dice.pick(&[10, 40, 80]);
    let mut rows: BTreeSet<usize> = (0..world.rows[t].len())
        .filter(|_| dice.chance(share))
        .collect();
    rows.insert(dice.index(world.rows[t].len()));
    rows
}

/// `(columns) in (…)` for the values that some rows have in `of`.
fn among(
    table: &Table,
    columns: &[usize],
    of: &[usize],
    rows: &[Row],
    which: &BTreeSet<usize>,
) -> String {
    let tuples: Vec<String> = which
        .iter()
        .map(|n| {
            let values: Vec<String> = of.iter().map(|c| literal(rows[*n][*c].as_ref())).collect();
            format!("({})", values.join(", "))
        })
        .collect();
    format!("({}) in ({})", table.list(columns), tuples.join(", "))
}

fn by_the_server(dice: &mut Dice, world: &World<'_>) -> String {
    let t = keyed(dice, world);
    let (table, rows) = (&world.tables[t], &world.rows[t]);
    let which = chosen(dice, world, t);
    format!(
        "delete from {} where {};\n",
        table.sql(),
        among(table, &table.key, &table.key, rows, &which)
    )
}

/// All that hangs from the chosen rows goes: children first, or all in one statement.
fn by_the_application(dice: &mut Dice, world: &World<'_>) -> String {
    let t = keyed(dice, world);
    let mut gone = vec![BTreeSet::new(); world.tables.len()];
    gone[t] = chosen(dice, world, t);
    while spread(world, &mut gone) {}
    let mut deletes: Vec<String> = Vec::new();
    for (t, table) in world.tables.iter().enumerate().rev() {
        let condition = match table.key.is_empty() {
            false => among(table, &table.key, &table.key, &world.rows[t], &gone[t]),
            true => {
                let by = |r: &super::schema::Reference| {
                    among(
                        table,
                        &r.columns,
                        &r.parent_columns,
                        &world.rows[r.parent],
                        &gone[r.parent],
                    )
                };
                let followed = table
                    .references
                    .iter()
                    .filter(|r| !gone[r.parent].is_empty());
                followed.map(by).collect::<Vec<_>>().join(" or ")
            }
        };
        if !gone[t].is_empty() && !condition.is_empty() {
            deletes.push(format!("delete from {} where {condition}", table.sql()));
        }
    }
    let last = deletes.pop().expect("the chosen rows");
    match deletes.is_empty() || dice.chance(30) {
        true => {
            deletes.push(last);
            format!("set constraints all deferred;\n{};\n", deletes.join(";\n"))
        }
        false => {
            let with = deletes
                .iter()
                .enumerate()
                .map(|(i, d)| format!("d{i} as ({d})"));
            format!("with {}\n{last};\n", with.collect::<Vec<_>>().join(",\n"))
        }
    }
}

/// One step from the rows that go to the rows that refer to them; whether there were any more.
fn spread(world: &World<'_>, gone: &mut [BTreeSet<usize>]) -> bool {
    let mut more = false;
    for (t, table) in world.tables.iter().enumerate() {
        for reference in table.references.iter().filter(|r| !r.action.edits()) {
            let parents = &world.rows[reference.parent];
            for (n, row) in world.rows[t].iter().enumerate() {
                let refers = gone[reference.parent].iter().any(|p| {
                    let mut pairs = reference.columns.iter().zip(&reference.parent_columns);
                    pairs.all(|(c, pc)| row[*c].is_some() && row[*c] == parents[*p][*pc])
                });
                more |= refers && gone[t].insert(n);
            }
        }
    }
    more
}

fn some_of_a_bag(dice: &mut Dice, world: &World<'_>) -> String {
    let mut sql = String::new();
    for table in world.tables.iter().filter(|t| t.key.is_empty()) {
        let name = table.sql();
        let _ = writeln!(
            sql,
            "delete from {name} where (tableoid, ctid) in (select tableoid, ctid from {name} limit {});",
            dice.below(9)
        );
    }
    sql
}

/// What people do meanwhile: they edit rows that are left and add others, under new keys.
pub(super) fn live_on(dice: &mut Dice, world: &World<'_>) -> String {
    let mut sql = String::new();
    for (t, table) in world
        .tables
        .iter()
        .enumerate()
        .filter(|(_, t)| !t.key.is_empty())
    {
        if dice.chance(70) {
            sql.push_str(&attempted(&edit(dice, table)));
        }
        for n in 0..dice.below(4) {
            let like = dice.index(world.rows[t].len());
            let mut row = world.rows[t][like].clone();
            renumber(table, &mut row, 5_000 + n);
            sql.push_str(&attempted(&format!(
                "{} values {};\n",
                insert_into(table),
                tuple(table, &row)
            )));
        }
    }
    sql
}

/// An UPDATE of some rows, of columns that neither constraint nor reference knows.
pub(super) fn edit(dice: &mut Dice, table: &Table) -> String {
    let Some(c) = table.free().first().copied() else {
        return String::new();
    };
    let value = (table.columns[c].kind.value)(7);
    let list = table.list(&[c]);
    format!(
        "update {} set {list} = '{}' where abs(hashtext(({})::text)) % 3 = {};\n",
        table.sql(),
        value.replace('\'', "''"),
        table.list(&table.key),
        dice.below(3)
    )
}

/// Gives a row a key and unique values that no other has.
pub(super) fn renumber(table: &Table, row: &mut Row, n: u64) {
    for (value, column) in row.iter_mut().zip(&table.columns) {
        if matches!(
            column.source,
            Source::Key { repeats: false } | Source::Distinct
        ) {
            *value = Some((column.kind.value)(n));
        }
    }
}

/// Rows that take the place of lost ones: the same key with other content, or a unique value under another key.
pub(super) fn take_places(dice: &mut Dice, world: &World<'_>) -> String {
    let mut sql = String::new();
    for (t, table) in world
        .tables
        .iter()
        .enumerate()
        .filter(|(_, t)| !t.key.is_empty())
    {
        let share = *dice.pick(&[0, 10, 50]);
        for (n, row) in (0..).zip(&world.rows[t]) {
            if !dice.chance(share) {
                continue;
            }
            let mut row = row.clone();
            let by_key = dice.chance(50);
            for (value, column) in row.iter_mut().zip(&table.columns) {
                match column.source {
                    Source::Few(_) => *value = Some((column.kind.value)(6)),
                    Source::Key { repeats: false } if !by_key => {
                        *value = Some((column.kind.value)(6_000 + n))
                    }
                    Source::Distinct if by_key => *value = Some((column.kind.value)(7_000 + n)),
                    _ => {}
                }
            }
            // References that may be NULL are, so that the row does not need what is lost itself.
            for reference in &table.references {
                for c in &reference.columns {
                    let column = &table.columns[*c];
                    if column.nullable && column.source == Source::Parent {
                        row[*c] = None;
                    }
                }
            }
            sql.push_str(&attempted(&format!(
                "{} values {};\n",
                insert_into(table),
                tuple(table, &row)
            )));
        }
    }
    sql
}

/// What may point at nothing afterwards: references that only the configuration states.
pub(super) fn dangling(world: &World<'_>) -> String {
    let mut parts = Vec::new();
    for table in world.tables {
        for reference in table
            .references
            .iter()
            .filter(|r| r.action == Action::Declared)
        {
            let parent = &world.tables[reference.parent];
            let pairs = reference.columns.iter().zip(&reference.parent_columns);
            let joined: Vec<String> = pairs
                .map(|(c, p)| format!("p.{} = c.{}", parent.list(&[*p]), table.list(&[*c])))
                .collect();
            let first = table.list(&reference.columns[..1]);
            parts.push(format!(
                "(select count(*) from {} c where c.{first} is not null and not exists (select from {} p where {}))",
                table.sql(),
                parent.sql(),
                joined.join(" and ")
            ));
        }
    }
    match parts.is_empty() {
        true => "select 0".to_owned(),
        false => format!("select {}", parts.join(" + ")),
    }
}
