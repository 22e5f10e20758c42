//! A bundle on disk: readable with standard tools, private, refused once anything about it has changed, and never half
//! there.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use reinstate::bundle::*;
use reinstate::ident::{Key, TableName};
use tempfile::TempDir;

const TABLES: [&str; 2] = ["users", "Odd \"Name\"/"];
const UNITS: u64 = 300;

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
        },
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
        },
        settings_digest: "s".into(),
        schema_fingerprint: "f".into(),
        roots: None,
        insertion_order: vec![vec![0], vec![1]],
        relations: Vec::new(),
        totals: Totals {
            rows,
            units,
            ..Totals::default()
        },
        left_out: Vec::new(),
    }
}

/// A line that does not compress.
fn line(n: u64) -> String {
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
fn write(target: &Path, units: u64) -> Result<BundleId, BundleError> {
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
fn bundle() -> (TempDir, PathBuf, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("bundle");
    write(&target, UNITS).unwrap();
    let manifest = Bundle::open(&target).unwrap().manifest;
    let mut files: Vec<_> = manifest.files.into_iter().map(|f| f.path).collect();
    files.extend(["manifest.json".into(), "manifest.json.sha256".into()]);
    (dir, target, files)
}

fn refusal(target: &Path) -> BundleError {
    match Bundle::open(target) {
        Err(error) => error,
        Ok(_) => panic!("accepted"),
    }
}

/// Edits the manifest as JSON text and signs it again.
fn forge(target: &Path, edit: impl Fn(String) -> String) {
    let path = target.join("manifest.json");
    let json = edit(fs::read_to_string(&path).unwrap());
    fs::write(&path, json).unwrap();
    let sum = Command::new("sha256sum")
        .arg("manifest.json")
        .current_dir(target)
        .output()
        .unwrap();
    fs::write(target.join("manifest.json.sha256"), sum.stdout).unwrap();
}

#[test]
fn standard_tools_read_it() {
    let (_dir, target, _) = bundle();
    let shell = |script: &str| {
        let output = Command::new("sh")
            .args(["-c", script])
            .current_dir(&target)
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let expected: String = (1..=UNITS).map(|n| line(n * 10) + "\n").collect();
    assert_eq!(shell("zstdcat rows/001-public.users.copy.zst"), expected);
    assert_eq!(
        shell("zstdcat rows/002-public.Odd__Name__.copy.zst | wc -l").trim(),
        "300"
    );
    assert_eq!(shell("zstdcat units.jsonl.zst | wc -l").trim(), "300");
    assert_eq!(
        shell("zstdcat relinks.jsonl.zst attachments.jsonl.zst contacts.jsonl.zst"),
        ""
    );
    assert_eq!(
        shell("sha256sum -c manifest.json.sha256"),
        "manifest.json: OK\n"
    );
    assert!(shell("cat RESTORE.txt").contains(
        "zstdcat rows/002-public.Odd__Name__.copy.zst | psql -X -v ON_ERROR_STOP=1 \
         -c 'copy \"public\".\"Odd \"\"Name\"\"/\" (\"id\", \"v\") from stdin'"
    ));
}

#[test]
fn it_is_for_its_owner_only() {
    let (_dir, target, files) = bundle();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&target), mode(&target.join("rows"))), (0o700, 0o700));
    for file in files {
        assert_eq!(mode(&target.join(&file)), 0o600, "{file}");
    }
}

#[test]
fn a_changed_or_cut_file_is_refused_by_name() {
    let (_dir, target, files) = bundle();
    for file in &files {
        let path = target.join(file);
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for bad in [&flipped[..], &good[..good.len() - 1], b""] {
            fs::write(&path, bad).unwrap();
            let error = refusal(&target);
            assert!(
                matches!(error, BundleError::Changed { .. }),
                "{file}: {error}"
            );
            // A manifest and its digest accuse each other.
            assert!(error.to_string().contains(file), "{file}: {error}");
        }
        fs::write(&path, good).unwrap();
    }
    let path = target.join("rows/001-public.users.copy.zst");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(
        refusal(&target).to_string(),
        "bundle file rows/001-public.users.copy.zst does not match the manifest (SHA-256 differs): the bundle was changed \
         or damaged after extract; extract again, or fetch the original"
    );
}

#[test]
fn a_missing_file_is_refused_by_name() {
    let (_dir, target, files) = bundle();
    for file in &files {
        let path = target.join(file);
        let good = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        match refusal(&target) {
            BundleError::Missing { file: named } => assert_eq!(&named, file),
            BundleError::NotABundle { .. } => assert_eq!(file, "manifest.json"),
            other => panic!("{file}: {other}"),
        }
        fs::write(&path, good).unwrap();
    }
    assert!(Bundle::open(&target).is_ok());
}

#[test]
fn a_stranger_is_refused_by_name() {
    let (_dir, target, _) = bundle();
    for stranger in ["notes.txt", "rows/003-public.more.copy.zst", "rows/.hidden"] {
        fs::write(target.join(stranger), "").unwrap();
        let error = refusal(&target);
        assert!(
            matches!(&error, BundleError::Extra { file } if file == stranger),
            "{error}"
        );
        fs::remove_file(target.join(stranger)).unwrap();
    }
    fs::create_dir(target.join("empty")).unwrap();
    assert!(matches!(refusal(&target), BundleError::Extra { file } if file == "empty"));
}

#[test]
fn links_are_refused() {
    let (dir, target, files) = bundle();
    let elsewhere = dir.path().join("elsewhere");
    for file in &files {
        fs::rename(target.join(file), &elsewhere).unwrap();
        symlink(&elsewhere, target.join(file)).unwrap();
        let error = refusal(&target);
        assert!(
            matches!(&error, BundleError::Path { file: f, .. } if f == file),
            "{error}"
        );
        fs::rename(&elsewhere, target.join(file)).unwrap();
    }
    fs::rename(target.join("rows"), &elsewhere).unwrap();
    symlink(&elsewhere, target.join("rows")).unwrap();
    assert!(refusal(&target).to_string().contains("symbolic link"));
}

#[test]
fn paths_that_leave_the_directory_are_refused() {
    let (dir, target, _) = bundle();
    let inside = "rows/001-public.users.copy.zst";
    let outside = dir.path().join("users.zst");
    fs::copy(target.join(inside), &outside).unwrap();
    let mut now = inside.to_owned();
    for path in [
        "../users.zst",
        "rows/../../users.zst",
        outside.to_str().unwrap(),
        "rows//x",
    ] {
        forge(&target, |json| json.replace(&now, path));
        let error = refusal(&target);
        assert!(
            matches!(&error, BundleError::Path { file, .. } if file == path),
            "{error}"
        );
        now = path.to_owned();
    }
}

#[test]
fn versions() {
    let (_dir, target, _) = bundle();
    forge(&target, |json| {
        json.replace(
            "\"format\": \"1.0\"",
            "\"format\": \"1.9\",\n  \"later\": {\"x\": [1]}",
        )
    });
    let bundle = Bundle::open(&target).unwrap();
    assert_eq!(bundle.manifest.format.minor, 9);
    // Of another major version, nothing else is looked at.
    forge(&target, |_| "{\"format\": \"2.0\"}".into());
    let error = refusal(&target);
    assert!(matches!(error, BundleError::Version { .. }));
    assert!(
        error
            .to_string()
            .contains("format 2.0 and this build reads format 1.x")
    );
}

#[test]
fn counts_that_do_not_hold_are_noticed() {
    let (_dir, target, _) = bundle();
    let read = |target: &Path| {
        let mut walk = Bundle::open(target).unwrap().read().unwrap();
        loop {
            match walk.next_unit() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("accepted"),
                Err(error) => break error.to_string(),
            }
        }
    };
    let good = fs::read_to_string(target.join("manifest.json")).unwrap();
    forge(&target, |json| {
        json.replace("\"units\": 300", "\"units\": 301")
    });
    assert!(read(&target).contains("it has 300 units, the manifest says 301"));
    // Both tables have 300 rows; the sum of 600 still holds.
    forge(&target, |_| {
        good.replacen("\"rows\": 300", "\"rows\": 299", 1).replacen(
            "\"rows\": 300",
            "\"rows\": 301",
            1,
        )
    });
    assert!(read(&target).contains("the units have 300 rows of it, the manifest 299"));
    forge(&target, |_| {
        good.replacen("\"rows\": 300", "\"rows\": 299", 1)
    });
    assert!(
        refusal(&target)
            .to_string()
            .contains("599 rows, its totals 600")
    );
}

#[test]
fn what_is_no_bundle_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("nowhere")] {
        let error = refusal(&path);
        assert!(matches!(error, BundleError::NotABundle { .. }));
        assert!(error.to_string().contains("no manifest.json"), "{error}");
    }
}

/// A small file system, unmounted when dropped.
struct Mounted(TempDir);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_leaves_nothing_and_says_where() {
    if !nix::unistd::geteuid().is_root() {
        // Only root may mount; the device /dev/full stands in for it in the unit tests.
        return;
    }
    let disk = Mounted(tempfile::tempdir().unwrap());
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(disk.0.path())
        .status()
        .unwrap();
    assert!(mount.success());
    let target = disk.0.path().join("bundle");
    let error = write(&target, 5000).unwrap_err();
    assert!(matches!(error, BundleError::Full { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("no room to write") && text.contains("choose another place"),
        "{text}"
    );
    assert_eq!(fs::read_dir(disk.0.path()).unwrap().count(), 0);
    // What is left is enough for a smaller one.
    write(&target, 50).unwrap();
    Bundle::open(&target).unwrap();
}
