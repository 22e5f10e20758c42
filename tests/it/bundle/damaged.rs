//! Whatever was changed, removed, added or made up since a bundle was written is refused, by name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use reinstate::bundle::*;

use super::made::bundle;

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
            "\"format\": \"1.5\"",
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
