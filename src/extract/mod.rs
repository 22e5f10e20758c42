//! Packs what was deleted, with all that belongs to it, into a bundle.
//!
//! Candidates come from a comparison of keys; references between them are asked of the snapshot, whose own `=` joins
//! them; [`crate::closure`] groups them into units; rows are then fetched in the order of the units, so that the
//! bundle's files are read forward once. The snapshot and live are only read; the bundle appears whole or not at all.
//!
//! Memory: per candidate its key's text, 4 bytes, and what the closure needs; rows pass through in small groups.

mod attachments;
mod dates;
mod edges;
mod error;
mod fates;
mod large_objects;
mod layout;
mod left_out;
mod outside;
mod pack;
mod parents;
mod relinks;
mod roots;
mod stated;

pub use error::ExtractError;
pub use fates::{Undecided, Undetermined};

use std::path::PathBuf;

use jiff::Timestamp;

use crate::attachments::AttachmentSource;
use crate::bundle::{
    BundleWriter, DoubtfulParent, LeftOut, ManifestDraft, SourceSum, ToolBuild, Totals,
};
use crate::catalog::{
    Comparable, Drift, IdentityRule, Relation, Renames, Schema, TablePatterns, fingerprint,
    merge_relations,
};
use crate::diff::{Sides, unknowable};
use crate::event::{Event, Sink};
use crate::evidence::{EvidenceError, EvidenceSource, Exclusion, Selection, date};
use crate::ident::{Key, TableName};

/// What to extract.
pub struct Request {
    /// Tables whose deleted rows are roots.
    pub patterns: TablePatterns,
    /// Tables named as roots; empty: every table that `patterns` choose.
    pub roots: Vec<TableName>,
    /// Condition on the root table, as SQL over its columns.
    pub where_sql: Option<String>,
    /// Keys of the root table to which the roots are limited.
    pub keys: Option<Vec<Key>>,
    /// Relations that no foreign key states.
    pub declared: Vec<Relation>,
    /// When the backup was taken.
    pub snapshot_time: Option<Timestamp>,
    /// Which deletions were asked for.
    pub selection: Selection,
    /// What to do with rows of which nobody knows whether they were.
    pub undetermined: Undetermined,
    /// Rows that must not come back.
    pub exclusions: Vec<Exclusion>,
    /// How rows of some tables are told from others under the same key.
    pub identities: Vec<IdentityRule>,
    /// Names of the snapshot that are not live's: its schema, and all of the above, has live's.
    pub renames: Renames,
    /// What tells which files the rows point at.
    pub attachments: Vec<AttachmentSource>,
    /// This build.
    pub tool: ToolBuild,
    /// Digest of the settings, connections left out.
    pub settings_digest: String,
    /// Where the bundle goes.
    pub target: PathBuf,
}

impl Request {
    /// What was asked for, as in "deleted in the window".
    fn asked_for(&self) -> &'static str {
        match self.selection.window {
            Some(_) => "in the window",
            None => "by these transactions",
        }
    }
}

/// What was extracted.
#[derive(Debug)]
pub struct Extracted {
    /// The bundle's id.
    pub bundle: String,
    /// Sums.
    pub totals: Totals,
    /// Rows and units (by root) per table, in insertion order.
    pub tables: Vec<(TableName, u64, u64)>,
    /// What was deleted and stays so.
    pub left_out: Vec<LeftOut>,
    /// How many rows each source dates.
    pub evidence: Vec<SourceSum>,
    /// What a person should know about the evidence.
    pub notes: Vec<String>,
    /// Parents in live that may be others.
    pub doubtful_parents: Vec<DoubtfulParent>,
}

/// Extracts; see the module. `list` is told of every row of which nobody knows whether it was asked for.
pub async fn extract(
    request: &Request,
    sides: &Sides,
    schemas: (&Schema, &Schema),
    pairs: Vec<(TableName, Result<Box<Comparable>, Drift>)>,
    sources: &mut [Box<dyn EvidenceSource>],
    list: &mut dyn FnMut(&Undecided<'_>),
    sink: Sink<'_>,
) -> Result<Extracted, ExtractError> {
    let (Some(session), Some(live_session)) = (sides.snapshot.first(), sides.live.first()) else {
        return Err(EvidenceError::TooMany.into());
    };
    roots::check(request, &pairs)?;
    // Claims the place first: finding out at the end that it is taken would waste the work.
    let mut writer = BundleWriter::create(&request.target)?;
    let (snapshot, live) = schemas;

    let mut left_out = left_out::not_comparable(&pairs);
    let dated = date(
        sides,
        pairs,
        sources,
        request.snapshot_time,
        &request.selection,
        sink,
    )
    .await?;
    let candidates = &dated.candidates;
    // Now, while the sessions with live are awake: nothing is asked of it while the rows are packed.
    let unknowable = unknowable(sides, schemas, &candidates.compared(), &request.declared)
        .await
        .map_err(EvidenceError::from)?;
    let relations = merge_relations(snapshot, live, &request.declared);
    let mut references = edges::collect(session, candidates, &relations, live).await?;
    let (roots, unmatched) = roots::choose(request, session, candidates).await?;
    let between = (session, live_session);
    let refer = (relations.as_slice(), &references);
    let decided = fates::decide(request, between, &dated, refer, &roots, list).await?;
    let units = &decided.units;
    left_out.extend(decided.left_out);
    if units.is_empty() {
        return Err(ExtractError::Nothing {
            what: roots::described(request),
            left_out,
        });
    }
    if let (Some(root), true) = (request.roots.first(), unmatched > 0) {
        left_out.push(LeftOut {
            table: root.clone(),
            reason: "listed by --keys, and not missing in live, or not in the snapshot either"
                .into(),
            rows: unmatched,
        });
    }
    let identities = parents::identities(snapshot, &relations, &request.identities);
    let told = (relations.as_slice(), identities.as_slice());
    let doubtful_parents = parents::doubtful(sides, schemas, told, &references, units).await?;
    references
        .add_across_units(session, candidates, &relations, units)
        .await?;

    let layout = layout::Layout::new(candidates, told, &references, units);
    writer.add_tables(layout.manifest_tables(candidates))?;
    let looking = relinks::Looking {
        snapshot: session,
        live: live_session,
        schema: live,
        candidates,
        units,
        layout: &layout,
        findings: &dated.findings,
    };
    let relinks = looking.list(&relations, &mut writer).await?;
    let parents = parents::Asked {
        session,
        snapshot,
        told,
    };
    let of = (&dated, &parents);
    let (tables, pointers) =
        pack::write(&mut writer, session, of, &references, units, &layout).await?;
    let large_objects = pointers.write(&mut writer, session).await?;
    let asked = attachments::Asked {
        session,
        snapshot,
        candidates,
        units,
    };
    let files = asked.write(&request.attachments, &mut writer).await?;
    for text in files.notes() {
        sink(Event::Note { text });
    }
    let totals = Totals {
        rows: tables.iter().map(|t| t.1).sum(),
        units: units.len() as u64,
        outside_window: decided.outside,
        undetermined: decided.undetermined,
        excluded: decided.excluded,
        relinks: relinks.listed,
        set_default: relinks.set_default,
        large_objects,
        attachments: files.attachments,
    };
    let evidence = dates::sums(units, &dated.findings);
    let unknowable = unknowable.may_be_stale(
        request.snapshot_time.map(|t| t.to_string()),
        tables.iter().map(|t| (&t.0, t.1)),
    );
    let draft = ManifestDraft {
        tool: request.tool.clone(),
        created: Timestamp::now().to_string(),
        source: stated::source(session, request).await?,
        window: stated::window(request, &dated),
        settings_digest: request.settings_digest.clone(),
        schema_fingerprint: fingerprint(snapshot, tables.iter().map(|t| &t.0)),
        roots: stated::filter(request),
        insertion_order: layout.groups.clone(),
        relations: layout.relations.clone(),
        totals,
        left_out: left_out.clone(),
        evidence: evidence.clone(),
        unknowable: Some(unknowable),
        doubtful_parents: doubtful_parents.clone(),
        exclusions: fates::stated(&request.exclusions),
        renames: request
            .renames
            .entries()
            .into_iter()
            .map(Into::into)
            .collect(),
        attachment_sources: request.attachments.iter().map(|s| s.name.clone()).collect(),
        wanting: layout.wanting(candidates),
        dropped: layout.dropped(candidates),
    };
    let bundle = writer.finish(draft)?;
    Ok(Extracted {
        bundle,
        totals,
        tables,
        left_out,
        evidence,
        notes: dated
            .notes
            .into_iter()
            .chain(decided.notes)
            .chain(relinks.notes)
            .chain(files.notes())
            .collect(),
        doubtful_parents,
    })
}
