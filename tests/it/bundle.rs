//! A bundle on disk: readable with standard tools, private, never half there, and refused once anything about it has
//! changed.

#![allow(clippy::unwrap_used)]

mod damaged;
mod made;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use reinstate::bundle::*;
use tempfile::TempDir;

use self::made::{UNITS, bundle, line, write};

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
