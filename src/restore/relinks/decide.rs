//! Which references are filled, and why the others are not: pure.

use jiff::Timestamp;

use super::Relinking;
use super::past::Past;
use crate::bundle::{Bundle, Evidence, RelinkRecord};

/// The row that refers, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChildSeen {
    /// Not in live any more.
    Gone,
    /// Somebody holds it.
    Held,
    /// There.
    There(Child),
}

/// What was seen of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) xmin: u32,
    /// When that was committed, where live keeps it.
    pub(super) committed: Option<Timestamp>,
    /// Hash of the columns that the reference does not have.
    pub(super) content: Option<String>,
    /// The columns of the reference, as text.
    pub(super) values: Vec<Option<String>>,
}

/// The row referred to, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ParentSeen {
    /// There: what its columns hold by which it is referred to.
    There(Vec<Option<String>>),
    /// The plan at hand brings it back, as the bundle has it.
    Coming,
    /// There, but those columns hold something else than the reference did.
    Changed,
    /// Somebody holds it.
    Held,
    /// Its unit has not been tried.
    Pending,
    /// Not there.
    NotBack,
}

/// Why a reference is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The deleting transaction wrote the row last.
    Transaction,
    /// Whoever wrote it last committed when the parent was deleted, or in the window asked for.
    Committed,
    /// Our own undo emptied it.
    Undo,
    /// Nobody knows, but the row is otherwise as it was (`--relinks all`).
    Content,
}

impl Proof {
    /// As the journal has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Committed => "committed",
            Self::Undo => "undo",
            Self::Content => "content",
        }
    }
}

/// Why a reference is not filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// It holds its default, not NULL.
    SetDefault,
    /// The bundle does not say enough.
    OlderBundle,
    /// The row that referred is gone.
    Gone,
    /// The row that it pointed at is not back.
    ParentNotBack,
    /// That row holds something else now in the columns referred to.
    ParentChanged,
    /// Its unit has not been tried.
    Pending,
    /// It points at something else.
    Reassigned,
    /// It was filled, and somebody has emptied it since.
    EmptiedSince,
    /// `--relinks none`.
    NotAsked,
    /// Nothing proves that the deletion emptied it.
    Unproven,
    /// Nothing proves it, and the row is not otherwise as it was.
    Changed,
    /// Somebody holds one of the rows.
    Locked,
    /// The server refused, or would.
    Refused(String, Option<String>),
}

impl Reason {
    /// As the files and the sums have it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::SetDefault => "set_default",
            Self::OlderBundle => "older_bundle",
            Self::Gone => "gone",
            Self::ParentNotBack => "parent_not_back",
            Self::ParentChanged => "parent_changed",
            Self::Pending => "pending",
            Self::Reassigned => "reassigned",
            Self::EmptiedSince => "emptied_since",
            Self::NotAsked => "not_asked",
            Self::Unproven => "unproven",
            Self::Changed => "changed",
            Self::Locked => "locked",
            Self::Refused(..) => "refused",
        }
    }
}

/// What becomes of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// These columns (by place) are filled with these values.
    Fill(Filling),
    /// It points where it should.
    AsBefore,
    /// It stays as it is.
    Left(Reason),
}

/// What a reference is filled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filling {
    /// What all its columns are to hold.
    pub(super) values: Vec<String>,
    /// Those that are NULL now, by place.
    pub(super) columns: Vec<usize>,
    pub(super) proof: Proof,
    pub(super) xmin: u32,
}

/// What was asked for when the bundle was made.
#[derive(Debug, Clone, Default)]
pub(in crate::restore) struct Window {
    /// The window, where somebody asked for one: all the time since the backup proves nothing.
    between: Option<(Option<Timestamp>, Timestamp)>,
    transactions: Vec<u32>,
}

impl Window {
    pub(in crate::restore) fn of(bundle: &Bundle) -> Self {
        let window = &bundle.manifest.window;
        let between = interval(window.from.as_deref(), &window.to).filter(|_| window.asked);
        Self {
            between,
            transactions: window.transactions.clone(),
        }
    }
}

fn interval(from: Option<&str>, to: &str) -> Option<(Option<Timestamp>, Timestamp)> {
    let to = to.parse().ok()?;
    match from {
        None => Some((None, to)),
        Some(from) => Some((Some(from.parse().ok()?), to)),
    }
}

/// Why a reference is left whatever live holds.
fn unasked(record: &RelinkRecord) -> Option<Reason> {
    if record.set_default {
        return Some(Reason::SetDefault);
    }
    let older = record.parent_columns.is_empty() || record.key_columns.is_empty();
    older.then_some(Reason::OlderBundle)
}

/// Why a reference is left of a table that cannot be written to, which is `refused`.
pub(super) fn barred(record: &RelinkRecord, mode: Relinking, refused: &Reason) -> Reason {
    unasked(record).unwrap_or_else(|| match mode {
        Relinking::None => Reason::NotAsked,
        Relinking::Proven | Relinking::All => refused.clone(),
    })
}

/// Decides about one reference.
pub(super) fn decide(
    record: &RelinkRecord,
    parent: &ParentSeen,
    child: &ChildSeen,
    mode: Relinking,
    (window, past): (&Window, &Past),
) -> Verdict {
    if let Some(reason) = unasked(record) {
        return Verdict::Left(reason);
    }
    let child = match child {
        ChildSeen::Gone => return Verdict::Left(Reason::Gone),
        ChildSeen::Held => return Verdict::Left(Reason::Locked),
        ChildSeen::There(child) => child,
    };
    let values = match wanted(record, parent) {
        Ok(values) => values,
        Err(reason) => return Verdict::Left(reason),
    };
    let same = |values: &[String]| {
        let pairs = child.values.iter().zip(values);
        pairs.clone().all(|(now, then)| now.as_ref() == Some(then))
    };
    let filled = past.filled(record);
    if same(&values) || filled.is_some_and(|f| same(&f.after)) {
        return Verdict::AsBefore;
    }
    let pairs = || child.values.iter().zip(&values).enumerate();
    if pairs().any(|(_, (now, then))| now.as_ref().is_some_and(|now| now != then)) {
        return Verdict::Left(Reason::Reassigned);
    }
    let empty = pairs().filter(|(_, (now, _))| now.is_none());
    let columns = empty.map(|(i, _)| i).collect();
    if mode == Relinking::None {
        return Verdict::Left(Reason::NotAsked);
    }
    if filled.is_some() {
        return Verdict::Left(Reason::EmptiedSince);
    }
    let proof = proof(record, child, window, past);
    let same_content = record.content.is_some() && record.content == child.content;
    let proof = match (proof, mode) {
        (Some(proof), _) => proof,
        (None, Relinking::All) if same_content => Proof::Content,
        (None, Relinking::All) => return Verdict::Left(Reason::Changed),
        (None, _) => return Verdict::Left(Reason::Unproven),
    };
    Verdict::Fill(Filling {
        values,
        columns,
        proof,
        xmin: child.xmin,
    })
}

/// What the reference should hold.
fn wanted(record: &RelinkRecord, parent: &ParentSeen) -> Result<Vec<String>, Reason> {
    let held = match parent {
        ParentSeen::There(values) => values.clone(),
        ParentSeen::Coming => return Ok(record.values.clone()),
        ParentSeen::Changed => return Err(Reason::ParentChanged),
        ParentSeen::Held => return Err(Reason::Locked),
        ParentSeen::Pending => return Err(Reason::Pending),
        ParentSeen::NotBack => return Err(Reason::ParentNotBack),
    };
    let held: Option<Vec<String>> = held.into_iter().collect();
    let Some(mut values) = held else {
        return Err(Reason::ParentChanged);
    };
    values.extend(
        record
            .values
            .iter()
            .skip(record.parent_columns.len())
            .cloned(),
    );
    Ok(values)
}

/// What proves that the deletion emptied it.
fn proof(record: &RelinkRecord, child: &Child, window: &Window, past: &Past) -> Option<Proof> {
    if past.emptied_by(record, child.xmin) {
        return Some(Proof::Undo);
    }
    let theirs = past.theirs(record, child.xmin);
    let evidence = record.evidence.as_ref();
    let deleting = evidence.and_then(|e| e.transaction);
    if deleting == Some(theirs) || window.transactions.contains(&theirs) {
        return Some(Proof::Transaction);
    }
    // What live has forgotten since, the bundle may know; of a transaction before one of ours, only the bundle does.
    let known = record.committed.as_deref().and_then(|t| t.parse().ok());
    let known = known.filter(|_| record.xmin == Some(theirs));
    let committed = child.committed.filter(|_| theirs == child.xmin).or(known)?;
    // Two backups can lie hours apart: what was committed between them proves no more than a window nobody asked for.
    let told = |e: &&Evidence| e.source != "none" && e.source != "bracket" && !e.contradicted;
    let dated = evidence.filter(told);
    let dated = dated.and_then(|e| interval(e.from.as_deref(), &e.to));
    let inside = |(from, to): (Option<Timestamp>, Timestamp)| {
        from.is_none_or(|from| from <= committed) && committed < to
    };
    // An interval without a beginning says no more than that it was before.
    let dated = dated.filter(|(from, _)| from.is_some());
    let between = window.between.filter(|(from, _)| from.is_some());
    [dated, between]
        .into_iter()
        .flatten()
        .any(inside)
        .then_some(Proof::Committed)
}

#[cfg(test)]
mod tests;
