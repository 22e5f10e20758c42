//! What is decaying right now: rows that are being deleted, by whom as far as that can be seen, and deleted rows that lie
//! on their pages until somebody looks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::ident::TableName;
use crate::pg::{PgError, Row, Session};

use super::finding::{listed, role};
use super::{Findings, Level, Side};

/// Time between two samples.
const BETWEEN: Duration = Duration::from_millis(1_100);
/// Dead rows of a table that are worth a word.
const WORTH: i64 = 100;

/// Counters at one moment.
pub(super) struct Sample {
    at: Instant,
    deleted: BTreeMap<TableName, i64>,
    deleting: BTreeMap<String, i64>,
    hidden: i64,
}

/// Reads the counters. Statistics arrive with up to a second's delay.
pub(super) async fn sample(session: &Session) -> Result<Sample, PgError> {
    // A partition's rows are told as its root's.
    let sql = "select n.nspname::text, c.relname::text, sum(s.n_tup_del)::int8
                 from pg_stat_user_tables s
                 join pg_class c on c.oid = coalesce(pg_partition_root(s.relid), s.relid)
                 join pg_namespace n on n.oid = c.relnamespace
                where n.nspname <> 'reinstate'
                group by 1, 2";
    let rows = session
        .query("sampling the statistics of tables", sql, &[])
        .await?;
    let table = |r: &Row| TableName::new(r.get::<_, String>(0), r.get::<_, String>(1));
    let deleted = rows.iter().map(|r| (table(r), r.get(2))).collect();
    let at = Instant::now();
    let (deleting, hidden) = deleting(session).await?;
    Ok(Sample {
        at,
        deleted,
        deleting,
        hidden,
    })
}

/// Sessions at this moment in a statement that deletes, by `application_name`; and how many cannot be seen.
async fn deleting(session: &Session) -> Result<(BTreeMap<String, i64>, i64), PgError> {
    let sql = "select coalesce(nullif(application_name, ''), 'without a name') || ' as ' || coalesce(usename::text, '?'),
                      count(*) filter (where query ~* '\\m(delete\\s+from|truncate)\\M')::int8,
                      count(*) filter (where query = '<insufficient privilege>')::int8
                 from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()
                  and (state is null or state <> 'idle')
                group by 1";
    let rows = session
        .query("looking at running statements", sql, &[])
        .await?;
    let hidden = rows.iter().map(|r| r.get::<_, i64>(2)).sum();
    let seen = rows
        .iter()
        .map(|r| (r.get::<_, String>(0), r.get::<_, i64>(1)))
        .filter(|(_, n)| *n > 0)
        .collect();
    Ok((seen, hidden))
}

/// Samples again and says what happened in between; then the deleted rows that are still there. Returns the tables whose
/// dead rows can be evidence here: a look at them would take it away.
pub(super) async fn look(
    session: &Session,
    before: Result<Sample, PgError>,
    findings: &mut Findings,
) -> BTreeSet<TableName> {
    let what = "deletions going on";
    match before {
        Ok(before) => {
            let rest = BETWEEN.saturating_sub(before.at.elapsed());
            tokio::time::sleep(rest).await;
            let after = sample(session).await.map(|after| {
                compare(&before, &after, &role(session), findings);
            });
            findings.unless_seen(session, Side::Live, what, after);
        }
        Err(error) => findings.unless_seen(session, Side::Live, what, Err(error)),
    }
    match dead_rows(session, findings).await {
        Ok(tables) => tables,
        Err(error) => {
            findings.unless_seen(session, Side::Live, "dead rows", Err(error));
            BTreeSet::new()
        }
    }
}

fn compare(before: &Sample, after: &Sample, role: &str, findings: &mut Findings) {
    let seconds = (after.at - before.at).as_secs_f64();
    let mut rates: Vec<(i64, &TableName)> = after
        .deleted
        .iter()
        .map(|(table, n)| (n - before.deleted.get(table).unwrap_or(&0), table))
        .filter(|(n, _)| *n > 0)
        .collect();
    rates.sort_by(|a, b| b.cmp(a));
    let mut who: Vec<&String> = before.deleting.keys().collect();
    who.extend(after.deleting.keys());
    who.sort();
    who.dedup();
    let hidden = before.hidden.max(after.hidden);
    if hidden > 0 {
        findings
            .add(
                Level::Note,
                Side::Live,
                "activity_hidden",
                format!("what {hidden} busy sessions are doing is hidden from this role"),
            )
            .advice("who deletes can only be seen with pg_monitor")
            .next(format!("GRANT pg_monitor TO {role}"));
    }
    if rates.is_empty() && who.is_empty() {
        let text = format!("no row was deleted while it was looked at ({seconds:.1} s)");
        findings.add(Level::Good, Side::Live, "deletions", text);
        return;
    }
    let mut text = String::from("statements that delete are running");
    if !rates.is_empty() {
        let rates: Vec<String> = rates
            .iter()
            .map(|(n, table)| format!("{table} {:.0} a second", *n as f64 / seconds))
            .collect();
        text = format!("rows are being deleted right now: {}", listed(&rates));
    }
    if !who.is_empty() {
        let who: Vec<String> = who.into_iter().cloned().collect();
        text += &format!("; by {}", listed(&who));
    }
    findings
        .add(Level::Warning, Side::Live, "deletions", text)
        .advice("is that the incident? Stop the cause before anything else")
        .tables = rates.into_iter().map(|(_, table)| table.clone()).collect();
}

/// Deleted rows that no vacuum and no reader has taken away yet.
async fn dead_rows(
    session: &Session,
    findings: &mut Findings,
) -> Result<BTreeSet<TableName>, PgError> {
    let sql = "select n.nspname::text, c.relname::text, sum(s.n_dead_tup)::int8
                 from pg_stat_user_tables s
                 join pg_class c on c.oid = coalesce(pg_partition_root(s.relid), s.relid)
                 join pg_namespace n on n.oid = c.relnamespace
                where n.nspname <> 'reinstate'
                group by 1, 2 having sum(s.n_dead_tup) >= $1::int8
                order by 3 desc, 1, 2";
    let rows = session
        .query("looking at dead rows", sql, &[&WORTH])
        .await?;
    let Some(first) = rows.first() else {
        return Ok(BTreeSet::new());
    };
    let tables: Vec<TableName> = rows
        .iter()
        .map(|r| TableName::new(r.get::<_, String>(0), r.get::<_, String>(1)))
        .collect();
    let counts: Vec<String> = rows
        .iter()
        .zip(&tables)
        .map(|(r, table)| format!("{table} about {}", r.get::<_, i64>(2)))
        .collect();
    let worst = TableName::new(first.get::<_, String>(0), first.get::<_, String>(1));
    let (usable, evidence) = usable(session).await?;
    let spared = match evidence {
        true => tables.iter().cloned().collect(),
        false => BTreeSet::new(),
    };
    let text = format!(
        "dead rows (deleted, or earlier versions of updated ones) still on their pages: {}",
        listed(&counts)
    );
    let finding = findings.add(Level::Note, Side::Live, "dead_rows", text);
    finding.tables = tables;
    finding
        .advice(format!(
            "one SELECT can prune them, and autovacuum will: {usable}"
        ))
        .next(format!(
            "ALTER TABLE {} SET (autovacuum_enabled = off)  -- and on again after the incident",
            worst.sql()
        ));
    Ok(spared)
}

/// Whether dead rows can serve as evidence here, or what that would take, in words; and whether it takes no more than a
/// statement of this role.
async fn usable(session: &Session) -> Result<(&'static str, bool), PgError> {
    let sql = "select exists (select from pg_extension where extname = 'pageinspect'),
                      exists (select from pg_available_extensions where name = 'pageinspect'),
                      current_setting('track_commit_timestamp')::bool,
                      (select rolsuper from pg_roles where rolname = current_user)";
    let row = session
        .query_one("asking whether dead rows can be read", sql, &[])
        .await?;
    let (installed, available, timed): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let superuser: bool = row.get(3);
    let text = match (installed, superuser, timed) {
        (true, true, true) => {
            "pageinspect and commit timestamps are there, so they tell what was deleted when, if they are read before anything else"
        }
        (true, true, false) => {
            "pageinspect can read them, but without track_commit_timestamp nothing tells when they were deleted"
        }
        (true, ..) => "pageinspect can read them, but only for a superuser",
        (false, ..) if available && timed => {
            "reading them as evidence needs CREATE EXTENSION pageinspect and a superuser"
        }
        (false, ..) if available => {
            "pageinspect is not installed and track_commit_timestamp is off: they are of little use as evidence"
        }
        (false, ..) => "this server has no pageinspect to read them with",
    };
    Ok((text, (installed || available) && superuser && timed))
}
