//! The candidates with what is known of their deletion: what `timeline` draws and `extract` chooses from.

use jiff::Timestamp;

use super::{EvidenceError, EvidenceSource, Findings, Interval, Place, Selection};
use crate::catalog::{Comparable, Drift};
use crate::diff::{Candidates, Sides};
use crate::event::{Event, Sink};
use crate::ident::TableName;
use crate::pg::{PgError, Session};

/// Candidates, and what is known of each.
pub struct Dated {
    /// The rows that live lacks.
    pub candidates: Candidates,
    /// How many there are.
    pub rows: u32,
    /// When they were deleted.
    pub findings: Findings,
    /// From the backup to the end of the comparison, by live's clock: what is known of every candidate.
    pub period: Interval,
    /// What a person should know about the sources.
    pub notes: Vec<String>,
}

/// Finds the candidates and dates them. `selection` is what will be chosen from them: what no evidence could answer is
/// refused before the work.
pub async fn date(
    sides: &Sides,
    pairs: Vec<(TableName, Result<Box<Comparable>, Drift>)>,
    sources: &mut [Box<dyn EvidenceSource>],
    snapshot_time: Option<Timestamp>,
    selection: &Selection,
    sink: Sink<'_>,
) -> Result<Dated, EvidenceError> {
    let live = sides.live.first().ok_or(EvidenceError::TooMany)?;
    let period = |to| Interval {
        from: snapshot_time,
        to,
    };
    let begun = period(now(live).await?);
    check(begun, selection, sources.is_empty())?;
    for source in sources.iter_mut() {
        source.read_first().await?;
    }
    let candidates = Candidates::find(sides, pairs, sink).await?;
    let rows = candidates.total().ok_or(EvidenceError::TooMany)?;
    // Rows can have been deleted while they were compared: the period ends afterwards.
    let period = period(now(live).await?);
    let mut findings = Findings::new(rows, period);
    let mut notes = Vec::new();
    for source in sources {
        let mut hear = |testimony: super::Testimony| findings.hear(&testimony);
        notes.extend(source.testify(&candidates, period, &mut hear).await?);
    }
    let contradicted = findings.iter().filter(|f| f.contradicted()).count();
    if contradicted > 0 {
        notes.push(format!(
            "of {contradicted} rows the evidence contradicts itself, which decides nothing about them: reinstate timeline \
             lists them in contradictions.jsonl"
        ));
    }
    // Said at once: where the work ends in a refusal, this is often why.
    for text in &notes {
        sink(Event::Note { text: text.clone() });
    }
    Ok(Dated {
        candidates,
        rows,
        findings,
        period,
        notes,
    })
}

/// What a server's clock shows.
pub async fn now(session: &Session) -> Result<Timestamp, PgError> {
    let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::int8";
    let micros = session
        .query_one("asking for the time", sql, &[])
        .await?
        .get(0);
    Ok(Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX))
}

/// Refuses what cannot be answered whatever is found.
fn check(period: Interval, selection: &Selection, no_source: bool) -> Result<(), EvidenceError> {
    let now = period.to;
    if let Some(time) = period.from.filter(|time| *time >= now) {
        return Err(EvidenceError::SnapshotTime { time, now });
    }
    if let Some(window) = selection.window {
        let reason = match (window.from, period.from) {
            (Some(from), _) if from >= now => {
                format!("it begins at {from}, and live's clock shows {now}")
            }
            (_, Some(backup)) if window.to <= backup => format!(
                "it ends at {}, and the backup was taken at {backup}: what was deleted before is not in it; an older backup \
                 may have it",
                window.to
            ),
            _ => String::new(),
        };
        if !reason.is_empty() {
            return Err(EvidenceError::Window { reason });
        }
    }
    let unknown = super::Finding::unknown(period);
    if no_source && selection.place(&unknown) != Place::Inside {
        return Err(EvidenceError::None {
            period: period.to_string(),
        });
    }
    Ok(())
}
