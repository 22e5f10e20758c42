//! What becomes of each candidate: by the window, by exclusions, and by what follows from both for what hangs together.

use std::collections::BTreeMap;

use crate::bundle::{LeftOut, ManifestExclusion};
use crate::catalog::Relation;
use crate::closure::{Edge, Fate, Node, Units, admit, spread};
use crate::evidence::{Dated, Exclusion, Finding, Place, Selection};
use crate::ident::{Key, TableName};
use crate::pg::Session;

use super::edges::References;
use super::outside::Outside;
use super::roots::Chosen;
use super::{ExtractError, Request};

/// What to do with rows of which nobody knows whether they were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Undetermined {
    /// They come.
    Include,
    /// They stay deleted.
    Exclude,
    /// Nothing is extracted while there are any.
    #[default]
    Refuse,
}

/// A row of which nobody knows whether it was asked for.
pub struct Undecided<'a> {
    /// Its table.
    pub table: &'a TableName,
    /// Its key.
    pub key: Key,
    /// What is known of its deletion.
    pub finding: &'a Finding,
}

/// Units, and what became of the candidates outside them.
pub(super) struct Decided {
    pub(super) units: Units,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) outside: u64,
    pub(super) undetermined: u64,
    pub(super) excluded: u64,
    pub(super) notes: Vec<String>,
}

/// What the caller knows of each candidate by itself.
struct Known {
    places: Vec<Place>,
    excluded: BTreeMap<Node, u16>,
    /// What hangs from a row that is excluded and not missing.
    hanging: Vec<(Node, u16)>,
    /// What a person should know about the exclusions.
    notes: Vec<String>,
}

impl Known {
    async fn ask(
        request: &Request,
        (snapshot, live): (&Session, &Session),
        dated: &Dated,
        (relations, references): (&[Relation], &References),
    ) -> Result<Self, ExtractError> {
        let mut known = Self {
            places: places(&request.selection, dated),
            excluded: BTreeMap::new(),
            hanging: Vec::new(),
            notes: Vec::new(),
        };
        let candidates = &dated.candidates;
        let tables = request.exclusions.iter().map(|e| e.place(candidates));
        let tables = tables.collect::<Result<_, _>>()?;
        let outside = Outside::find(
            snapshot, candidates, relations, references, tables, dated.rows,
        )
        .await?;
        let mut kept: BTreeMap<Node, u16> = BTreeMap::new();
        for (entry, exclusion) in request.exclusions.iter().enumerate() {
            let table = exclusion.place(candidates)?;
            let mut missing = 0_u64;
            let mut take = |key: Key, node: Option<Node>| {
                missing += u64::from(node.is_some());
                let (list, node) = match node {
                    Some(node) => (&mut known.excluded, Some(node)),
                    None => (&mut kept, outside.node(table, key)),
                };
                if let Some(node) = node {
                    list.entry(node).or_insert(entry as u16);
                }
            };
            let named = exclusion
                .rows(snapshot, live, candidates, &mut take)
                .await?;
            if missing == 0 {
                known.notes.push(names_nothing(exclusion, named));
            }
        }
        known.hanging = known.hanging_from(&kept, &outside, &references.edges);
        Ok(known)
    }

    /// What hangs from excluded rows, where that leads over rows that are not missing.
    fn hanging_from(
        &self,
        kept: &BTreeMap<Node, u16>,
        outside: &Outside,
        edges: &[Edge],
    ) -> Vec<(Node, u16)> {
        if outside.len() == 0 {
            return Vec::new();
        }
        let rows = self.places.len();
        let mut fates = vec![Fate::Free; rows + outside.len()];
        for (node, entry) in self.excluded.iter().chain(kept) {
            fates[*node as usize] = Fate::Excluded(*entry);
        }
        spread(&[edges, &outside.edges].concat(), &mut fates);
        let hangs = |(node, fate): (usize, &Fate)| match fate {
            Fate::HangsFromExcluded(entry) => Some((node as Node, *entry)),
            _ => None,
        };
        fates[..rows].iter().enumerate().filter_map(hangs).collect()
    }

    /// `straddling` is the fate of rows of which nobody knows.
    fn fates(&self, straddling: Fate) -> Vec<Fate> {
        let by_place = |place: &Place| match place {
            Place::Inside => Fate::Free,
            Place::Outside => Fate::Stays,
            Place::Straddling => straddling,
        };
        let mut fates: Vec<Fate> = self.places.iter().map(by_place).collect();
        for (node, entry) in &self.excluded {
            fates[*node as usize] = Fate::Excluded(*entry);
        }
        for (node, entry) in &self.hanging {
            fates[*node as usize] = Fate::HangsFromExcluded(*entry);
        }
        fates
    }

    fn straddles(&self, node: Node) -> bool {
        self.places[node as usize] == Place::Straddling
    }
}

/// The exclusions as the manifest has them.
pub(super) fn stated(exclusions: &[Exclusion]) -> Vec<ManifestExclusion> {
    let stated = |e: &Exclusion| ManifestExclusion {
        table: e.table.clone(),
        reason: e.reason.clone(),
    };
    exclusions.iter().map(stated).collect()
}

/// An exclusion without effect on what is missing.
fn names_nothing(exclusion: &Exclusion, named: u64) -> String {
    let Exclusion { table, reason, .. } = exclusion;
    match named {
        0 => format!("[[exclude]] of {table} ({reason}) names no row at all"),
        n => format!("[[exclude]] of {table} ({reason}) lists {n} keys and names no missing row"),
    }
}

fn places(selection: &Selection, dated: &Dated) -> Vec<Place> {
    dated.findings.iter().map(|f| selection.place(f)).collect()
}

/// Decides. Undetermined rows that matter are listed one by one; rows that no root leads to do not matter.
pub(super) async fn decide(
    request: &Request,
    sessions: (&Session, &Session),
    dated: &Dated,
    references: (&[Relation], &References),
    roots: &Chosen,
    list: &mut dyn FnMut(&Undecided<'_>),
) -> Result<Decided, ExtractError> {
    let known = Known::ask(request, sessions, dated, references).await?;
    let edges = &references.1.edges;
    let mut fates = known.fates(Fate::Free);
    let mut units = admit(edges, roots.as_closure(), &mut fates);
    let undetermined: Vec<Node> = (0..dated.rows)
        .filter(|n| known.straddles(*n) && units.unit_of(*n).is_some())
        .collect();
    for node in &undetermined {
        let (table, _) = dated.candidates.place(*node);
        list(&Undecided {
            table: &dated.candidates.tables[table].snapshot.name,
            key: dated.candidates.key(*node),
            finding: dated.findings.of(*node),
        });
    }
    match request.undetermined {
        Undetermined::Refuse if !undetermined.is_empty() => {
            return Err(refusal(request, dated, &undetermined));
        }
        Undetermined::Exclude => {
            fates = known.fates(Fate::Stays);
            units = admit(edges, roots.as_closure(), &mut fates);
        }
        _ => {}
    }
    let count = |is: fn(&Fate) -> bool| fates.iter().filter(|f| is(f)).count() as u64;
    let outside = (0..dated.rows).filter(|n| known.places[*n as usize] == Place::Outside);
    Ok(Decided {
        left_out: left_out(request, dated, &known, &fates, &units),
        outside: outside.count() as u64,
        undetermined: undetermined.len() as u64,
        excluded: count(|f| matches!(f, Fate::Excluded(_) | Fate::HangsFromExcluded(_))),
        units,
        notes: known.notes,
    })
}

fn refusal(request: &Request, dated: &Dated, undetermined: &[Node]) -> ExtractError {
    let mut tables: BTreeMap<usize, u64> = BTreeMap::new();
    for node in undetermined {
        *tables.entry(dated.candidates.place(*node).0).or_default() += 1;
    }
    ExtractError::Undetermined {
        rows: undetermined.len() as u64,
        asked_for: request.asked_for(),
        tables: tables
            .into_iter()
            .map(|(t, n)| (dated.candidates.tables[t].snapshot.name.clone(), n))
            .collect(),
    }
}

/// Candidates that belong to no unit, counted by table and reason.
fn left_out(
    request: &Request,
    dated: &Dated,
    known: &Known,
    fates: &[Fate],
    units: &Units,
) -> Vec<LeftOut> {
    let mut counted: BTreeMap<(usize, String), u64> = BTreeMap::new();
    let mut last: Option<((usize, Fate, bool), u64)> = None;
    let mut add = |what: (usize, Fate, bool), rows: u64| {
        let (table, fate, straddles) = what;
        let uncertain = dated.candidates.uncertain[table];
        let reason = reason(request, fate, straddles, uncertain);
        *counted.entry((table, reason)).or_default() += rows;
    };
    for node in (0..dated.rows).filter(|n| units.unit_of(*n).is_none()) {
        let what = (
            dated.candidates.place(node).0,
            fates[node as usize],
            known.straddles(node),
        );
        match &mut last {
            Some((same, rows)) if *same == what => *rows += 1,
            _ => {
                if let Some((before, rows)) = last.replace((what, 1)) {
                    add(before, rows);
                }
            }
        }
    }
    if let Some((before, rows)) = last {
        add(before, rows);
    }
    counted
        .into_iter()
        .map(|((table, reason), rows)| LeftOut {
            table: dated.candidates.tables[table].snapshot.name.clone(),
            reason,
            rows,
        })
        .collect()
}

fn reason(request: &Request, fate: Fate, straddles: bool, uncertain: bool) -> String {
    let exclusion = |entry: u16| -> &Exclusion { &request.exclusions[usize::from(entry)] };
    match fate {
        Fate::Excluded(entry) => format!("excluded: {}", exclusion(entry).reason),
        Fate::HangsFromExcluded(entry) => {
            let by = exclusion(entry);
            format!("hangs from an excluded row of {}: {}", by.table, by.reason)
        }
        Fate::Stays if straddles => format!(
            "nobody knows whether it was deleted {} (--undetermined exclude)",
            request.asked_for()
        ),
        Fate::Stays if request.selection.window.is_none() => {
            "deleted by another transaction".into()
        }
        Fate::Stays => "deleted outside the window".into(),
        Fate::Hangs => "hangs from a row that stays deleted".into(),
        Fate::Blocked => {
            "belongs to a unit that needs a row which was deleted, and does not come".into()
        }
        Fate::Free if uncertain => super::left_out::UNCERTAIN.into(),
        Fate::Free => super::left_out::NOT_ASKED_FOR.into(),
    }
}
