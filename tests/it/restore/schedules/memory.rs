//! What a session remembers of its commits, so that it can be compared with what live holds in the end.

use std::collections::{BTreeMap, BTreeSet};

use super::script::Deed;
use super::stage::{Span, Stage};
use super::tally::Tally;

/// What a session has committed, and what it was refused.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By dossier and by user: the last number written to this session's own column.
    pub(super) dossiers: BTreeMap<u64, i64>,
    pub(super) users: BTreeMap<u64, i64>,
    /// Champs added, or written to: id, dossier and value.
    pub(super) champs: BTreeMap<u64, (u64, String)>,
    /// Notes that were pointed at a dossier.
    pub(super) notes: BTreeMap<u64, u64>,
    /// Dossiers that it created under a key of before and has not deleted since.
    pub(super) created: BTreeSet<u64>,
    /// Dossiers that it deleted, though they had come back.
    pub(super) deleted: BTreeSet<u64>,
    /// Dossiers that it touched in either way.
    pub(super) replaced: BTreeSet<u64>,
    /// People that were given an e-mail.
    pub(super) people: BTreeSet<u64>,
    /// Refusals that nobody promised: what was done, and the server's words.
    pub(super) surprises: Vec<String>,
    /// Refusals that are right if the dossier was deleted meanwhile.
    pub(super) doubts: Vec<(u64, Span, String)>,
    /// When it deleted dossiers.
    pub(super) deletions: Vec<(u64, Span)>,
    /// When it held what it had, on purpose.
    pub(super) holds: Vec<Span>,
    /// Statements that took long.
    pub(super) long: Vec<(Span, String)>,
    pub(super) met: Tally,
}

impl Memory {
    /// Remembers a transaction that was committed, by what its statements returned.
    pub(super) fn commit(&mut self, deed: &Deed, n: i64, answers: &[String], stage: &Stage) {
        for answer in answers {
            let mut words = answer.splitn(3, ':');
            let kind = words.next().unwrap_or_default();
            let number = words.next().and_then(|w| w.parse().ok());
            let number: u64 = number.unwrap_or_default();
            let rest = words.next().unwrap_or_default();
            match kind {
                "u" => {
                    self.users.insert(number, n);
                }
                "d" => self.written(deed, number, rest, n, stage),
                "h" => self.added(number, rest, stage),
                "w" => {
                    let dossier: u64 = rest.parse().unwrap();
                    self.champs.insert(number, (dossier, format!("wild {n}")));
                    self.meets("champ returned: written to", (dossier, "dossier"), stage);
                }
                "x" => self.removed(number, rest, stage),
                "c" => {
                    self.replaced.insert(number);
                    self.created.insert(number);
                    self.deleted.remove(&number);
                }
                "p" => {
                    self.people.insert(number);
                }
                "n" => {
                    let dossier = rest.parse().unwrap();
                    self.notes.insert(number, dossier);
                    self.meets("returned: pointed at", (dossier, "dossier"), stage);
                }
                "l" => self.meets("returned: locked", (number, rest), stage),
                "k" if stage.begun() && !stage.over() => {
                    self.met.met("parent locked during a batch");
                }
                _ => {}
            }
        }
    }

    /// Counts a dossier, with its title, that had come back in this act.
    fn meets(&mut self, what: &'static str, (dossier, title): (u64, &str), stage: &Stage) {
        if stage.returned(dossier, title) {
            self.met.met(what);
            if !stage.over() {
                self.met.met("returned, the restore still at work");
            }
        }
    }

    fn written(&mut self, deed: &Deed, dossier: u64, title: &str, n: i64, stage: &Stage) {
        self.dossiers.insert(dossier, n);
        let what = match deed {
            Deed::Upsert { .. } | Deed::UpsertEmail { .. } => "returned: upserted",
            _ => "returned: written to",
        };
        self.meets(what, (dossier, title), stage);
    }

    fn added(&mut self, champ: u64, parent: &str, stage: &Stage) {
        let (dossier, title) = parent.split_once(':').unwrap();
        let dossier = dossier.parse().unwrap();
        self.champs
            .insert(champ, (dossier, "application".to_owned()));
        self.meets("returned: child added", (dossier, title), stage);
    }

    fn removed(&mut self, dossier: u64, title: &str, stage: &Stage) {
        self.replaced.insert(dossier);
        self.created.remove(&dossier);
        if title.starts_with("dossier") {
            self.deleted.insert(dossier);
        }
        self.meets("returned: deleted", (dossier, title), stage);
    }

    /// What is remembered after a second act, `now`.
    pub(super) fn then(&mut self, now: Self) {
        let anew = |d: &u64| !now.replaced.contains(d) || now.created.contains(d);
        self.created.retain(anew);
        self.deleted.retain(|d| !now.replaced.contains(d));
        self.created.extend(now.created);
        self.deleted.extend(now.deleted);
        self.replaced.extend(now.replaced);
        self.dossiers.extend(now.dossiers);
        self.users.extend(now.users);
        self.champs.extend(now.champs);
        self.notes.extend(now.notes);
        self.people.extend(now.people);
    }
}
