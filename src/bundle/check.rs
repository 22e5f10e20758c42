//! Whether a manifest agrees with itself and a directory with its manifest: asked before a bundle is written, and each
//! time one is opened.

use std::collections::HashSet;
use std::fs::{self, FileType};
use std::path::Path;

use super::BundleError;
use super::digest::measure;
use super::format::{Manifest, ManifestRelation, ManifestTable};
use super::names::{LISTINGS, MANIFEST, MANIFEST_DIGEST, RESTORE, UNITS, path_fault};

/// Checks paths, places and sums of a manifest. Pure.
///
/// Errors: `Path`, `Inconsistent`.
pub(super) fn manifest(manifest: &Manifest) -> Result<(), BundleError> {
    let files = file_names(manifest)?;
    let wrong = |cause: String| Err(BundleError::inconsistent(MANIFEST, cause));
    for fixed in LISTINGS.iter().chain([&UNITS, &RESTORE]) {
        if !files.contains(fixed) {
            return wrong(format!("it does not list {fixed}"));
        }
    }
    let mut used = HashSet::new();
    for table in &manifest.tables {
        if !files.contains(table.file.as_str()) || !used.insert(&table.file) {
            return wrong(format!("no file of its own for table {}", table.table));
        }
        if let Some(cause) = table_fault(table) {
            return wrong(cause);
        }
    }
    if let Some(cause) = order_fault(&manifest.insertion_order, manifest.tables.len()) {
        return wrong(cause);
    }
    if let Some(cause) = manifest.relations.iter().find_map(relation_fault) {
        return wrong(cause);
    }
    let rows: u128 = manifest.tables.iter().map(|t| u128::from(t.rows)).sum();
    if rows != u128::from(manifest.totals.rows) {
        return wrong(format!(
            "its tables have {rows} rows, its totals {}",
            manifest.totals.rows
        ));
    }
    Ok(())
}

/// The paths the manifest lists, each once and inside the directory.
fn file_names(manifest: &Manifest) -> Result<HashSet<&str>, BundleError> {
    let mut names = HashSet::new();
    for file in &manifest.files {
        let path = file.path.as_str();
        let cause = match path {
            MANIFEST | MANIFEST_DIGEST => Some("the manifest cannot list itself"),
            _ => path_fault(path),
        };
        let cause = match cause {
            None if !names.insert(path) => Some("it is listed twice"),
            other => other,
        };
        if let Some(cause) = cause {
            return Err(BundleError::Path {
                file: file.path.clone(),
                cause,
            });
        }
    }
    Ok(names)
}

fn table_fault(table: &ManifestTable) -> Option<String> {
    let mut names = HashSet::new();
    if let Some(twice) = table.columns.iter().find(|c| !names.insert(&c.name)) {
        return Some(format!("{} has column {:?} twice", table.table, twice.name));
    }
    let lacking = table.key.iter().find(|k| !names.contains(k))?;
    Some(format!("{} has no key column {lacking:?}", table.table))
}

fn relation_fault(relation: &ManifestRelation) -> Option<String> {
    let (child, parent) = (&relation.child_columns, &relation.parent_columns);
    (child.is_empty() || child.len() != parent.len()).then(|| {
        format!(
            "the relation from {} to {} pairs {} columns with {}",
            relation.child,
            relation.parent,
            child.len(),
            parent.len()
        )
    })
}

/// The insertion order must name each table once.
pub(super) fn order_fault(order: &[Vec<usize>], tables: usize) -> Option<String> {
    let mut seen = HashSet::new();
    for &place in order.iter().flatten() {
        if place >= tables || !seen.insert(place) {
            return Some(format!(
                "the insertion order names table {place} of {tables} wrongly or twice"
            ));
        }
    }
    (seen.len() < tables).then(|| {
        format!(
            "the insertion order names {} of {tables} tables",
            seen.len()
        )
    })
}

/// Compares the directory with its manifest: nothing missing, nothing extra, every size and digest. Reads every file
/// once.
///
/// Errors: `Missing`, `Extra`, `Path`, `Changed`, `Io`.
pub(super) fn directory(dir: &Path, manifest: &Manifest) -> Result<(), BundleError> {
    let mut expected: HashSet<&str> = manifest.files.iter().map(|f| f.path.as_str()).collect();
    expected.extend([MANIFEST, MANIFEST_DIGEST]);
    let mut found = HashSet::new();
    walk(dir, "", &expected, &mut found)?;
    for file in &manifest.files {
        if !found.contains(&file.path) {
            return Err(BundleError::Missing {
                file: file.path.clone(),
            });
        }
    }
    for file in &manifest.files {
        let (sha256, bytes) = measure(&dir.join(&file.path))?;
        let difference = match (bytes == file.bytes, sha256 == file.sha256) {
            (true, true) => continue,
            (true, false) => "SHA-256 differs".to_owned(),
            (false, _) => format!("{bytes} bytes instead of {}", file.bytes),
        };
        return Err(BundleError::Changed {
            file: file.path.clone(),
            against: "the manifest",
            difference,
        });
    }
    Ok(())
}

fn walk(
    dir: &Path,
    prefix: &str,
    expected: &HashSet<&str>,
    found: &mut HashSet<String>,
) -> Result<(), BundleError> {
    let unreadable = |e| BundleError::io("list", dir, e);
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        // The entry's own type: a link is a link, wherever it points.
        let kind = entry.file_type().map_err(unreadable)?;
        let inside = format!("{name}/");
        if kind.is_dir() && expected.iter().any(|e| e.starts_with(&inside)) {
            walk(&entry.path(), &inside, expected, found)?;
        } else if !expected.contains(name.as_str()) && !kind.is_symlink() {
            return Err(BundleError::Extra { file: name });
        } else {
            plain(&name, kind)?;
            found.insert(name);
        }
    }
    Ok(())
}

/// Refuses whatever is no plain file.
pub(super) fn plain(name: &str, kind: FileType) -> Result<(), BundleError> {
    if kind.is_file() {
        return Ok(());
    }
    Err(BundleError::Path {
        file: name.to_owned(),
        cause: match kind.is_symlink() {
            true => "it is a symbolic link",
            false => "it is no plain file",
        },
    })
}
