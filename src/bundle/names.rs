//! The names of a bundle's files: which are fixed, how a table's is made, and what a path may look like.

use crate::ident::TableName;

/// The manifest; written last.
pub(super) const MANIFEST: &str = "manifest.json";
/// The manifest's SHA-256, as `sha256sum` writes it.
pub(super) const MANIFEST_DIGEST: &str = "manifest.json.sha256";
/// The directory of the tables' files.
pub(super) const ROWS: &str = "rows";
/// The units.
pub(super) const UNITS: &str = "units.jsonl.zst";
/// Listings beside the units.
pub(super) const LISTINGS: [&str; 3] = [
    "relinks.jsonl.zst",
    "attachments.jsonl.zst",
    "contacts.jsonl.zst",
];
/// The place of the references that the deletion set to NULL among the listings.
pub(super) const RELINKS: usize = 0;
/// The place of the files that the rows point at.
pub(super) const ATTACHMENTS: usize = 1;
/// The large objects that rows point at; only where there are any.
pub(super) const LARGE_OBJECTS: &str = "large_objects.jsonl.zst";
/// Their content.
pub(super) const LARGE_OBJECT_CONTENT: &str = "large_objects.copy.zst";
/// How to put the bundle back by hand.
pub(super) const RESTORE: &str = "RESTORE.txt";

/// Bytes of a table's name that its file's name keeps; file systems allow 255 in all.
const KEPT: usize = 100;

/// The file of the table at `place`, from 0: `rows/001-public.users.copy.zst`. The number alone makes it unique; the name
/// is for people, so whatever could mean something to a shell or a file system becomes `_`.
pub(super) fn table_file(place: usize, table: &TableName) -> String {
    let safe = |part: &str| -> String {
        let kept = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        part.chars()
            .map(|c| if kept(c) { c } else { '_' })
            .take(KEPT / 2)
            .collect()
    };
    format!(
        "{ROWS}/{:03}-{}.{}.copy.zst",
        place + 1,
        safe(&table.schema),
        safe(&table.name)
    )
}

/// Why `path` may not be the path of a file in a bundle, if it may not.
pub(super) fn path_fault(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        return Some("the path is absolute");
    }
    if path.contains(['\0', '\\', '\n']) {
        return Some("the path holds a character that no bundle uses");
    }
    path.split('/').find_map(|part| match part {
        ".." => Some("the path leaves the directory"),
        "" | "." => Some("the path is not in its plain form"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_files_are_safe_and_short() {
        let file = |schema: &str, name: &str| table_file(0, &TableName::new(schema, name));
        assert_eq!(file("public", "users"), "rows/001-public.users.copy.zst");
        assert_eq!(
            file("../x", "a/b c'\"$é"),
            "rows/001-___x.a_b_c____.copy.zst"
        );
        assert!(file(&"s".repeat(63), &"é".repeat(63)).len() < 140);
        assert_eq!(path_fault(&file("..", "..")), None);
        assert_eq!(
            table_file(1233, &TableName::new("s", "t")),
            "rows/1234-s.t.copy.zst"
        );
    }

    #[test]
    fn paths_stay_inside() {
        for fine in ["a", "rows/001-s.t.copy.zst", "a/..b/c"] {
            assert_eq!(path_fault(fine), None, "{fine}");
        }
        for wrong in [
            "", "/etc/x", "..", "a/../b", "../x", "a//b", "a/", "./a", "a\\b", "a\0",
        ] {
            assert!(path_fault(wrong).is_some(), "{wrong}");
        }
    }
}
