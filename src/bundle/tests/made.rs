//! Small bundles for the tests.

use std::path::Path;

use crate::bundle::*;
use crate::ident::{Key, TableName};

/// Rows of a unit: table and line.
pub(super) type Rows = Vec<(usize, Vec<u8>)>;

/// A table `public.t<n>` of two columns.
pub(super) fn table(n: usize) -> ManifestTable {
    ManifestTable {
        table: TableName::new("public", format!("t{n}")),
        file: String::new(),
        columns: vec![column("id"), column("v")],
        key: vec!["id".into()],
        rows: 0,
        cyclic: false,
        large_objects: Vec::new(),
    }
}

pub(super) fn column(name: &str) -> ManifestColumn {
    ManifestColumn {
        name: name.into(),
        type_name: "text".into(),
        not_null: false,
        generated: false,
        identity: None,
    }
}

/// A draft for `tables` tables, each a group.
pub(super) fn draft(tables: usize, units: u64, rows: u64) -> ManifestDraft {
    ManifestDraft {
        tool: ToolBuild {
            version: "0.1.0".into(),
            commit: "abc".into(),
            sha256: None,
        },
        created: "2020-01-22T09:00:00Z".into(),
        source: Source {
            system_identifier: Some("7".into()),
            lsn: None,
            server_version: 170_004,
            database: "app".into(),
            snapshot_time: None,
        },
        window: Window {
            from: Some("2020-01-21T15:40:00Z".into()),
            to: "2020-01-21T16:30:00Z".into(),
            transactions: Vec::new(),
            asked: false,
        },
        settings_digest: "s".into(),
        schema_fingerprint: "f".into(),
        renames: Vec::new(),
        attachment_sources: Vec::new(),
        wanting: Vec::new(),
        dropped: Vec::new(),
        roots: None,
        insertion_order: (0..tables).map(|t| vec![t]).collect(),
        relations: vec![ManifestRelation {
            child: TableName::new("public", "t1"),
            child_columns: vec!["v".into()],
            parent: TableName::new("public", "t0"),
            parent_columns: vec!["id".into()],
            when: vec![("kind".into(), "T".into())],
            declared: true,
            needed: true,
            identity: None,
        }],
        totals: Totals {
            rows,
            units,
            ..Totals::default()
        },
        left_out: Vec::new(),
        evidence: Vec::new(),
        unknowable: None,
        doubtful_parents: Vec::new(),
        exclusions: Vec::new(),
    }
}

/// Unit `n` with the counts of `rows`.
pub(super) fn unit(n: u64, rows: &Rows) -> UnitRecord {
    let mut counts: Vec<(usize, u64)> = Vec::new();
    for (table, _) in rows {
        match counts.iter_mut().find(|c| c.0 == *table) {
            Some(count) => count.1 += 1,
            None => counts.push((*table, 1)),
        }
    }
    UnitRecord {
        unit: n,
        root: RowName {
            table: 0,
            key: Key(vec![n.to_string(), "é\n".into()]),
        },
        rows: counts,
        evidence: Evidence {
            from: None,
            to: "2020-01-21T16:30:00Z".into(),
            source: "audit".into(),
            transaction: None,
            contradicted: false,
        },
        row_evidence: Vec::new(),
        depends_on: (1..n).take(2).collect(),
        needs: vec![Need {
            relation: 0,
            key: Key(vec!["9".into()]),
            unit: None,
            identity: vec![Some("then".into()), None],
        }],
        reason: n.is_multiple_of(2).then(|| "needed by unit 1".into()),
    }
}

/// Writes a bundle of these units.
pub(super) fn write(target: &Path, tables: usize, units: &[Rows], frame: u64) -> BundleId {
    let mut writer = BundleWriter::with_frames(target, frame).unwrap();
    writer.add_tables((0..tables).map(table).collect()).unwrap();
    for (n, rows) in (1..).zip(units) {
        for (table, line) in rows {
            writer.row(*table, line).unwrap();
        }
        writer.end_unit(unit(n, rows)).unwrap();
    }
    let rows = units.iter().map(|u| u.len() as u64).sum();
    writer
        .finish(draft(tables, units.len() as u64, rows))
        .unwrap()
}
