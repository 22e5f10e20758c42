//! Bundles for the tests.

use std::path::{Path, PathBuf};

use reinstate::bundle::*;
use reinstate::ident::{Key, TableName};
use tempfile::TempDir;

const TABLES: [&str; 2] = ["users", "Odd \"Name\"/"];
pub(super) const UNITS: u64 = 300;

fn table(name: &str) -> ManifestTable {
    let column = |name: &str| ManifestColumn {
        name: name.into(),
        type_name: "text".into(),
        not_null: true,
        generated: false,
        identity: None,
    };
    ManifestTable {
        table: TableName::new("public", name),
        file: String::new(),
        columns: vec![column("id"), column("v")],
        key: vec!["id".into()],
        rows: 0,
        cyclic: false,
        large_objects: Vec::new(),
    }
}

fn unit(unit: u64) -> UnitRecord {
    UnitRecord {
        unit,
        root: RowName {
            table: 0,
            key: Key(vec![unit.to_string()]),
        },
        rows: vec![(0, 1), (1, unit % 3)],
        evidence: Evidence {
            from: None,
            to: "2020-01-21T16:30:00Z".into(),
            source: "audit".into(),
            transaction: None,
            contradicted: false,
        },
        row_evidence: Vec::new(),
        depends_on: Vec::new(),
        needs: Vec::new(),
        reason: None,
    }
}

fn draft(rows: u64, units: u64) -> ManifestDraft {
    ManifestDraft {
        tool: ToolBuild {
            version: "0.1.0".into(),
            commit: "abc".into(),
            sha256: None,
        },
        created: "2020-01-22T09:00:00Z".into(),
        source: Source {
            system_identifier: None,
            lsn: None,
            server_version: 170_004,
            database: "app".into(),
            snapshot_time: None,
        },
        window: Window {
            from: None,
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
        insertion_order: vec![vec![0], vec![1]],
        relations: Vec::new(),
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

/// A line that does not compress.
pub(super) fn line(n: u64) -> String {
    let mut x = n;
    let mut noise = String::new();
    for _ in 0..60 {
        x = x
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        noise += &format!("{:016x}", x ^ (x >> 29));
    }
    format!("{n}\t{noise}")
}

/// Writes a bundle of `units` units; how far it came, and why not further.
pub(super) fn write(target: &Path, units: u64) -> Result<BundleId, BundleError> {
    let mut writer = BundleWriter::create(target)?;
    writer.add_tables(TABLES.map(table).to_vec())?;
    let mut rows = 0;
    for n in 1..=units {
        let unit = unit(n);
        for &(table, count) in &unit.rows {
            for row in 0..count {
                writer.row(table, line(n * 10 + row).as_bytes())?;
                rows += 1;
            }
        }
        writer.end_unit(unit)?;
    }
    writer.finish(draft(rows, units))
}

/// A bundle, and every file in it.
pub(super) fn bundle() -> (TempDir, PathBuf, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("bundle");
    write(&target, UNITS).unwrap();
    let manifest = Bundle::open(&target).unwrap().manifest;
    let mut files: Vec<_> = manifest.files.into_iter().map(|f| f.path).collect();
    files.extend(["manifest.json".into(), "manifest.json.sha256".into()]);
    (dir, target, files)
}
