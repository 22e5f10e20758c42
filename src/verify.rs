//! Reads every row of a bundle back from live and compares its content: what came back, what people have changed
//! since, and what is missing. Every row ends in one state; the sums add up to the bundle.

mod bags;
mod large_objects;

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::bundle::{Bundle, BundleError, UnitRows};
use crate::catalog::introspect;
use crate::event::{Event, Sink};
use crate::ident::{TableName, UnitId};
use crate::journal::{self, History, Store};
use crate::pg::{PgError, Session};
use crate::restore::excluded::{Dropped, Excluded, Rules, dropped};
use crate::restore::{
    Batch, Fill, Presence, Replacements, Resolution, RestoreError, Targets, look, relinks_in_live,
};

use bags::Bags;
pub use large_objects::ObjectVerdicts;
use large_objects::Objects;

/// Rows named in each list.
const LISTED: usize = 100;
/// Rows that one look takes.
const ROWS_A_LOOK: usize = 2_000;

/// What can go wrong while verifying.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The server refused or went away.
    #[error(transparent)]
    Pg(#[from] PgError),
    /// The bundle does not fit live, or the journal cannot be read.
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

impl From<BundleError> for VerifyError {
    fn from(error: BundleError) -> Self {
        Self::Restore(error.into())
    }
}

impl From<journal::JournalError> for VerifyError {
    fn from(error: journal::JournalError) -> Self {
        Self::Restore(error.into())
    }
}

/// Rows by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// As in the bundle.
    pub identical: u64,
    /// Restored, then edited by somebody.
    pub changed_since: u64,
    /// Restored, then deleted by somebody.
    pub gone_since: u64,
    /// Not in live, and it must not come back.
    pub excluded: u64,
    /// A live row is used in its place.
    pub remapped: u64,
    /// Left out: its key or value was taken, or it hangs from a row of which that is so.
    pub skipped: u64,
    /// Not in live, and no run left it out.
    pub missing: u64,
    /// Left out by the last run, with its unit.
    pub quarantined: u64,
}

impl Verdicts {
    /// By name, in the order in which they are shown.
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("identical", self.identical),
            ("changed_since", self.changed_since),
            ("gone_since", self.gone_since),
            ("remapped", self.remapped),
            ("excluded", self.excluded),
            ("skipped", self.skipped),
            ("missing", self.missing),
            ("quarantined", self.quarantined),
        ]
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        self.named().iter().map(|(_, n)| n).sum()
    }
}

/// Columns of a table that are not compared.
#[derive(Debug, Serialize)]
pub struct NotCompared {
    /// The table.
    pub table: TableName,
    /// The columns.
    pub columns: Vec<String>,
    /// Why not.
    pub reason: &'static str,
}

/// The outcome.
#[derive(Debug)]
pub struct Verified {
    /// Per table, in insertion order.
    pub tables: Vec<(TableName, Verdicts)>,
    /// Columns that are not compared: those that live has not, and those whose values have another form there.
    pub not_compared: Vec<NotCompared>,
    /// Rows that are not in live, at most a hundred: table and key.
    pub absent: Vec<String>,
    /// Rows that must not come back and are in live.
    pub excluded_but_back: u64,
    /// Exclusions that were in force before and are not now: what they name counts as missing.
    pub exclusions_dropped: Vec<Dropped>,
    /// References of other rows that the deletion set to NULL or to their default: how many hold what, by table.
    pub relinks: BTreeMap<TableName, BTreeMap<&'static str, u64>>,
    /// Large objects that rows of the bundle point at; none where the bundle has none.
    pub large_objects: Option<ObjectVerdicts>,
    /// How many rows are missing or left out because live has another one under their key.
    pub displaced: u64,
    /// Those, at most a hundred: table and key.
    pub other_content: Vec<String>,
}

impl Verified {
    /// Lists a row that did not come back.
    fn lists(&mut self, presence: Presence, name: impl FnOnce() -> String) {
        let list = match presence {
            Presence::Other => {
                self.displaced += 1;
                &mut self.other_content
            }
            _ => &mut self.absent,
        };
        if list.len() < LISTED {
            list.push(name());
        }
    }

    /// Over all tables.
    pub fn total(&self) -> Verdicts {
        self.tables
            .iter()
            .fold(Verdicts::default(), |sum, (_, v)| Verdicts {
                identical: sum.identical + v.identical,
                changed_since: sum.changed_since + v.changed_since,
                gone_since: sum.gone_since + v.gone_since,
                excluded: sum.excluded + v.excluded,
                remapped: sum.remapped + v.remapped,
                skipped: sum.skipped + v.skipped,
                missing: sum.missing + v.missing,
                quarantined: sum.quarantined + v.quarantined,
            })
    }
}

/// Compares a bundle with live. Reads only.
pub async fn verify(
    session: &Session,
    bundle: &Bundle,
    rules: Rules<'_>,
    fills: &[Fill],
    sink: Sink<'_>,
) -> Result<Verified, VerifyError> {
    session.look_up_by_key().await?;
    let live = introspect(session).await?;
    let mut targets = Targets::find(bundle, &live, fills)?;
    let not_compared = not_compared(&mut targets);
    let history = known(session, bundle).await?;
    let declared = rules.declared;
    let mut replacements = Replacements::of_journal(bundle, &live, declared);
    let resolved = &history.resolved;
    replacements.learn(session, &targets, resolved).await?;
    let bags = Bags::count(session, bundle, &targets, &replacements).await?;
    let mut verifier = Verifier {
        verified: Verified {
            tables: targets
                .tables
                .iter()
                .map(|t| (t.name.clone(), Verdicts::default()))
                .collect(),
            not_compared,
            absent: Vec::new(),
            excluded_but_back: 0,
            exclusions_dropped: dropped(session, bundle, rules.exclusions).await?,
            relinks: relinks_in_live(session, bundle, &targets, &live).await?,
            large_objects: None,
            displaced: 0,
            other_content: Vec::new(),
        },
        excluded: Excluded::ask(session, bundle, &targets, &live, rules).await?,
        restored: history.earlier,
        quarantined: history.quarantined,
        replacements,
        bags,
        targets: &targets,
        objects: targets.objects.as_ref().map(|_| Objects::default()),
    };
    let mut rows = bundle.read()?;
    let (mut units, mut size): (Vec<UnitRows>, usize) = (Vec::new(), 0);
    for table in &targets.tables {
        sink(Event::TableStarted {
            table: table.name.clone(),
            rows: table.rows,
        });
    }
    while let Some(unit) = rows.next_rows(ROWS_A_LOOK as u64)? {
        size += unit.1.iter().map(|t| t.1.len()).sum::<usize>();
        units.push(unit);
        if size >= ROWS_A_LOOK {
            verifier
                .batch(session, std::mem::take(&mut units), sink)
                .await?;
            size = 0;
        }
    }
    verifier.batch(session, units, sink).await?;
    for table in &targets.tables {
        sink(Event::TableFinished {
            table: table.name.clone(),
        });
    }
    verifier.verified.large_objects = verifier.objects.map(|o| o.verdicts);
    Ok(verifier.verified)
}

/// Takes out what cannot be compared, and names it.
fn not_compared(targets: &mut Targets) -> Vec<NotCompared> {
    let mut all = Vec::new();
    for target in &mut targets.tables {
        let filled = target.fills.iter().map(|f| f.column.clone());
        let reasons = [
            (
                filled.collect(),
                "the backup did not have it; restored rows hold what [[fill]] says",
            ),
            (target.dropped.clone(), "live no longer has it"),
            (target.computed.clone(), "live computes it by now"),
            (
                target.leave_out_incomparable(),
                "it has another type in live",
            ),
        ];
        for (columns, reason) in reasons {
            if !columns.is_empty() {
                all.push(NotCompared {
                    table: target.name.clone(),
                    columns,
                    reason,
                });
            }
        }
    }
    all
}

/// What all runs did.
async fn known(session: &Session, bundle: &Bundle) -> Result<History, VerifyError> {
    if !journal::exists(session).await? {
        return Ok(History::default());
    }
    Ok(Store::new(session).history(&bundle.id, None).await?)
}

struct Verifier<'a> {
    verified: Verified,
    excluded: Excluded,
    restored: HashSet<UnitId>,
    quarantined: HashSet<UnitId>,
    replacements: Replacements,
    bags: Bags,
    targets: &'a Targets,
    objects: Option<Objects>,
}

impl Verifier<'_> {
    async fn batch(
        &mut self,
        session: &Session,
        units: Vec<UnitRows>,
        sink: Sink<'_>,
    ) -> Result<(), VerifyError> {
        let mut marked: Vec<Vec<bool>> = vec![Vec::new(); self.targets.tables.len()];
        for unit in &units {
            for ((table, _), marks) in unit.1.iter().zip(self.excluded.marks(self.targets, unit)) {
                marked[*table].extend(marks);
            }
        }
        let batch = Batch::new(units, self.targets);
        for (table, rows) in self.targets.tables.iter().zip(&batch.rows) {
            sink(Event::TableProgress {
                table: table.name.clone(),
                rows: rows.len() as u64,
            });
        }
        let (batch, resolved) = self.replacements.recall(self.targets, batch, &mut marked);
        for row in resolved {
            let verdicts = &mut self.verified.tables[row.table].1;
            match row.state {
                Resolution::Remapped => verdicts.remapped += 1,
                Resolution::Skipped => verdicts.skipped += 1,
                Resolution::Rewritten => {}
            }
        }
        let looked = look(session, self.targets, &batch, false).await?;
        for (i, table) in self.targets.tables.iter().enumerate() {
            let mut identical: Vec<&[u8]> = Vec::new();
            for (n, (row, presence)) in batch.rows[i].iter().zip(&looked.presence[i]).enumerate() {
                let excluded = marked[i][n];
                let unit = batch.units[row.unit].unit;
                let restored = self.restored.contains(&unit);
                // Equal rows that were never deleted prove nothing about one that was: before a restore, a row of a bag
                // is missing.
                let presence = match (table.keyed(), restored) {
                    (true, _) => *presence,
                    (false, true) => self.bags.take(i, &row.line),
                    (false, false) => Presence::Absent,
                };
                let verdicts = &mut self.verified.tables[i].1;
                if excluded && presence != Presence::Absent {
                    self.verified.excluded_but_back += 1;
                }
                let counter = match presence {
                    Presence::Absent if excluded => &mut verdicts.excluded,
                    Presence::Same => &mut verdicts.identical,
                    Presence::Other if restored => &mut verdicts.changed_since,
                    Presence::Absent if restored => &mut verdicts.gone_since,
                    _ if self.quarantined.contains(&unit) => &mut verdicts.quarantined,
                    _ => &mut verdicts.missing,
                };
                *counter += 1;
                if presence == Presence::Same && self.objects.is_some() {
                    identical.push(&row.stored);
                }
                if !restored && !excluded && presence != Presence::Same {
                    let name = || format!("{} {}", table.name, row.key);
                    self.verified.lists(presence, name);
                }
            }
            if let Some(objects) = &mut self.objects {
                objects.look(session, self.targets, i, &identical).await?;
            }
        }
        Ok(())
    }
}
