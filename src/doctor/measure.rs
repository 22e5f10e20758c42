//! How often the values of a suspected reference exist in the table that it seems to point at. Bounded: samples, a limit
//! for each statement, and one for all of them together.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::catalog::{Column, Schema, Table};
use crate::ident::{TableName, quote_ident};
use crate::pg::{PgError, Row, Session};

use super::suspect::{comparable, family, table_of_class};
use super::{Class, Findings, Level, Points, Rate, Side, Suspect, Target};

/// Values looked up for one reference.
const VALUES: u32 = 1_000;
/// Rows looked at for the classes of a polymorphic one: more than the pages of a sample hold.
const ROWS: u32 = 100_000;
/// Classes of one column.
const CLASSES: u32 = 20;
/// Pages that a sample is drawn from, at random, where the table has more.
const PAGES: f64 = 300.0;
/// Longest time of one statement, and of all.
const ONE: Duration = Duration::from_secs(3);
const ALL: Duration = Duration::from_secs(20);

/// Where values are sampled.
pub(super) struct Sampling<'a> {
    pub(super) session: &'a Session,
    pub(super) schema: &'a Schema,
    /// Tables that must not be read: it would prune dead rows that can be evidence.
    pub(super) spared: &'a BTreeSet<TableName>,
}

/// Measures what it has time for.
pub(super) async fn measure(
    sampling: &Sampling<'_>,
    side: Side,
    suspects: &mut [Suspect],
    findings: &mut Findings,
) {
    let session = sampling.session;
    let started = Instant::now();
    let bounded = session.set_timeouts(Duration::from_secs(1), ONE).await;
    findings.unless_seen(session, side, "references", bounded);
    let total = suspects.len();
    for (done, suspect) in suspects.iter_mut().enumerate() {
        if started.elapsed() > ALL {
            let text = format!(
                "{} of {total} suspected references were not measured, for lack of time",
                total - done
            );
            findings.add(Level::Note, side, "not_measured", text);
            break;
        }
        let what = format!(
            "whether {}({}) is a reference",
            suspect.child, suspect.column
        );
        let outcome = sampling.one(suspect).await;
        findings.unless_seen(session, side, &what, outcome);
    }
    let spared = |s: &&Suspect| sampling.spares(s);
    let tables: Vec<TableName> = suspects
        .iter()
        .filter(spared)
        .map(|s| s.child.clone())
        .collect();
    findings.about_tables(
        Level::Note,
        side,
        "not_measured",
        "references not measured, because a look would prune dead rows that can be evidence",
        tables,
        "with --snapshot they are measured there",
    );
}

impl Sampling<'_> {
    /// Whether measuring would read a table that must not be read.
    fn spares(&self, suspect: &Suspect) -> bool {
        let parent = match &suspect.points {
            Points::At(target) => self.spared.contains(&target.parent),
            Points::ByClass { .. } => false,
        };
        parent || self.spared.contains(&suspect.child)
    }

    async fn one(&self, suspect: &mut Suspect) -> Result<(), PgError> {
        let Some(child) = self.table(&suspect.child) else {
            return Ok(());
        };
        let Some(column) = child.column(&suspect.column) else {
            return Ok(());
        };
        match &mut suspect.points {
            Points::At(target) => {
                target.rate = self.rate(child, column, target, None).await?;
            }
            Points::ByClass {
                column: kind,
                classes,
            } => {
                if child.column(kind).is_none() {
                    return Ok(());
                }
                for value in self.values(child, column, kind).await? {
                    let mut target = table_of_class(self.schema, child, &value);
                    if let Some(target) = &mut target {
                        let class = Some((kind.as_str(), value.as_str()));
                        target.rate = self.rate(child, column, target, class).await?;
                    }
                    classes.push(Class { value, target });
                }
            }
        }
        Ok(())
    }

    /// A table that may be read.
    fn table(&self, name: &TableName) -> Option<&Table> {
        let table = self.schema.tables.get(name)?;
        (table.readable && !self.spared.contains(name)).then_some(table)
    }

    /// The values of the column beside a polymorphic reference, the most frequent first.
    async fn values(
        &self,
        child: &Table,
        column: &Column,
        kind: &str,
    ) -> Result<Vec<String>, PgError> {
        let (from, column, of) = (sample(child), quote_ident(&column.name), quote_ident(kind));
        // A sample can miss a class whose rows lie together; the planner's statistics know the frequent ones.
        let sql = format!(
            "select s.k, count(*)
               from (select k from (
                        select {of}::text as k from {from}
                         where {of} is not null and {column} is not null limit {ROWS}) r
                     union all
                     select unnest(most_common_vals::text::text[]) from pg_stats
                      where schemaname = $1 and tablename = $2 and attname = $3) s
              group by 1 order by 2 desc, 1 limit {CLASSES}"
        );
        let doing = "looking at kinds of owners";
        let name = child.stored_name();
        let names = [&name.schema, &name.name, child.stored_column(kind)];
        let rows = self.session.ask(doing, &sql, &names).await?;
        Ok(rows.iter().map(|r| r.get(0)).collect())
    }

    async fn rate(
        &self,
        child: &Table,
        column: &Column,
        target: &Target,
        class: Option<(&str, &str)>,
    ) -> Result<Option<Rate>, PgError> {
        let parent = self.table(&target.parent);
        let Some((parent, key)) = parent.and_then(|p| Some((p, p.column(&target.key)?))) else {
            return Ok(None);
        };
        let Some(value) = as_key(column, key) else {
            return Ok(None);
        };
        let (from, name) = (sample(child), quote_ident(&column.name));
        let (condition, params) = match class {
            Some((kind, value)) => (format!("and {}::text = $1", quote_ident(kind)), vec![value]),
            None => (String::new(), Vec::new()),
        };
        let sql = format!(
            "select count(*)::int8,
                    count(*) filter (where exists (
                        select from {parent} p where p.{key} {equals} {value}))::int8
               from (select {name} as v from {from}
                      where {name} is not null {condition} limit {VALUES}) s",
            parent = parent.from_sql(),
            equals = key.equals(),
            key = quote_ident(&key.name),
        );
        let doing = "measuring a reference";
        let rows = self.session.ask(doing, &sql, &params).await?;
        let number = |r: &Row, i| u64::try_from(r.get::<_, i64>(i)).unwrap_or(0);
        Ok(rows.first().map(|r| Rate {
            sampled: number(r, 0),
            matched: number(r, 1),
        }))
    }
}

/// The sampled value in the key's own type, so that the key's index can serve; `None` where there is no way.
fn as_key(column: &Column, key: &Column) -> Option<String> {
    if comparable(column, key) {
        return Some("s.v".to_owned());
    }
    let (pattern, to) = match family(key) {
        "integer" => ("^-?[0-9]{1,18}$", "int8"),
        "uuid" => (
            "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
            "uuid",
        ),
        "text" => return Some("s.v::text".to_owned()),
        _ => return None,
    };
    (family(column) == "text")
        .then(|| format!("(case when s.v::text ~ '{pattern}' then s.v::text::{to} end)"))
}

/// A table as a FROM item: some of its pages, where it has many.
fn sample(table: &Table) -> String {
    if table.all_pages as f64 <= PAGES {
        return format!("{} c", table.from_sql());
    }
    let percent = 100.0 * PAGES / table.all_pages as f64;
    table.sample_sql("c", &format!("tablesample system ({percent:.6})"))
}
