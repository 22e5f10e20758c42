//! What an undo would do, without doing it.

use std::collections::HashSet;

use crate::bundle::Bundle;
use crate::ident::{RunId, TableName, UnitId, unit_of};
use crate::journal::{CreatedObjects, Relinks, Undos};
use crate::pg::Session;

use super::find::Found;
use super::look::{Foreseen, look};
use super::objects::{self, ObjectTotals};
use super::piece::of_batch;
use super::postponed;
use super::remove::outcome;
use super::run::{Undoing, so_far};
use super::standing::{self, Standing};
use super::triggers::TreatedOnDelete;
use super::unlink::foresee;
use super::{UndoError, UndoTally, UnlinkTotals};

/// Kept rows that a plan names.
const LISTED: usize = 100;

/// A row that would be kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Left {
    /// Its table.
    pub table: TableName,
    /// Its key, for people.
    pub key: String,
    /// Its unit.
    pub unit: UnitId,
    /// `kept_changed` or `kept_referenced`.
    pub state: &'static str,
}

/// What an undo would do.
#[derive(Debug, Clone)]
pub struct UndoPlan {
    /// Rows by state and table.
    pub tally: UndoTally,
    /// Rows that the restore inserted.
    pub inserted: u64,
    /// Rows that would be kept, at most a hundred.
    pub kept: Vec<Left>,
    /// The undo that would be gone on with.
    pub resumes: Option<RunId>,
    /// References that the restore filled, by what would become of them.
    pub unlinks: UnlinkTotals,
    /// Large objects that the restore created, by what would become of them.
    pub large_objects: ObjectTotals,
    /// The triggers on DELETE, by table.
    pub triggers: Vec<TreatedOnDelete>,
    /// Why it cannot be carried out as things are, by table, and the way out.
    pub obstacles: Vec<(TableName, String)>,
}

/// Plans; reads only. Memory: the place of each row that would go.
pub async fn plan(
    session: &Session,
    bundle: &Bundle,
    found: &Found,
    settings: &Undoing,
) -> Result<UndoPlan, UndoError> {
    let standing = standing::find(session, bundle, found, settings).await?;
    if standing.obstacles.is_empty() {
        standing.refuse(session).await?;
    }
    let Standing {
        scope,
        triggers,
        unlinking,
        filled,
        objects,
        obstacles,
        ..
    } = standing;
    let undos = Undos::new(session);
    let restore = &found.restore.run;
    let mut tally = so_far(session, &scope, found, found.unfinished.as_ref()).await?;
    let done = match &found.unfinished {
        Some(undo) => undos.progress(undo).await?.0,
        None => HashSet::new(),
    };
    let mut kept = Vec::new();
    let (mut unlinks, emptied) = foresee(session, &unlinking).await?;
    let mut filled = postponed::by_unit(filled);
    if let Some(undo) = &found.unfinished {
        for (state, n) in Relinks::new(session).totals_undone(undo).await? {
            *unlinks.entry(state).or_default() += n;
        }
    }
    let mut foreseen = Foreseen {
        going: HashSet::new(),
        emptied,
    };
    let mut before = i64::MAX;
    while let Some(batch) = undos
        .batch_before(restore, before, found.ended.last())
        .await?
    {
        before = batch.batch;
        for (unit, filled) in postponed::take(&mut filled, &batch) {
            let of = (unit, filled.as_slice());
            let emptied = postponed::would_go(session, &scope, found, of, &foreseen).await?;
            foreseen.emptied.extend(emptied.unwrap_or_default());
        }
        let Some(piece) = of_batch(session, &scope, batch, &done).await? else {
            continue;
        };
        let looked = look(session, &scope, &piece, &[&foreseen]).await?;
        let outcome = outcome(&scope, &piece, &looked.fates);
        for (t, (table, rows)) in scope.tables.iter().zip(outcome).enumerate() {
            tally.of(&table.name).add(&rows);
            foreseen
                .going
                .extend(looked.going(t).into_iter().map(|(_, spot)| spot.clone()));
            let stay = rows
                .left
                .iter()
                .filter(|(.., state)| *state != "already_gone");
            let room = LISTED.saturating_sub(kept.len());
            kept.extend(stay.take(room).map(|(unit, key, state)| Left {
                table: table.name.clone(),
                key: key.to_string(),
                unit: unit_of(*unit),
                state,
            }));
        }
    }
    let mut large_objects = match &objects {
        Some(columns) => {
            let of = (bundle.id.as_str(), restore.0.as_str());
            objects::foresee(session, of, columns, &foreseen.going).await?
        }
        None => ObjectTotals::new(),
    };
    if let Some(undo) = &found.unfinished {
        let done = CreatedObjects::new(session).totals_undone(undo).await?;
        let done = done
            .into_iter()
            .filter(|(state, _)| !state.starts_with("kept"));
        done.for_each(|(state, n)| *large_objects.entry(state).or_default() += n);
    }
    Ok(UndoPlan {
        triggers: triggers.treated(),
        obstacles,
        large_objects,
        tally,
        inserted: undos.inserted(restore).await?.values().sum(),
        kept,
        resumes: found.unfinished.clone(),
        unlinks,
    })
}
