//! Files come back: by which means, whole, with all that they carry, and over nothing that was not meant.

use super::scene::{Scene, content, key, one_each};
use crate::cli::story::one_message;
use crate::s3::{Server, Version};

/// What everybody sees under a key.
fn seen(server: &Server, bucket: &str, key: &str) -> Option<Vec<u8>> {
    server.bucket(bucket, |b| b.get(key, None).map(|v| v.bytes.clone()))
}

#[track_caller]
fn back(scene: &Scene, bucket: &str, dossiers: std::ops::RangeInclusive<u32>) {
    for n in dossiers {
        let found = seen(&scene.server, bucket, &key(n));
        assert_eq!(found.as_deref(), Some(content(n).as_bytes()), "{}", key(n));
    }
}

#[test]
fn a_plan_writes_nothing_and_says_what_would_be_done() {
    let scene = Scene::new(&one_each(1..=6));
    scene.put("files", 1..=2);
    scene.put("copy", 1..=5);
    let document = scene.copies(&[], 0, &[("present", 2), ("recoverable", 3), ("lost", 1)]);
    assert_eq!(
        (&document["plan"], &document["run"]),
        (&true.into(), &serde_json::Value::Null)
    );
    assert_eq!(document["means"]["server_side"]["files"], 3);
    let bytes: usize = (3..=5).map(|n| content(n).len()).sum();
    assert_eq!(document["means"]["server_side"]["bytes"], bytes);
    for op in ["put", "copy", "delete", "begin"] {
        assert_eq!(scene.server.count(op), 0, "{op}");
    }
    assert!(!scene.incident.case.file("blobs.copy.jsonl").exists());
    let said = scene.copy(&[""; 0]).ok();
    assert!(
        said.stdout.contains("would bring 3 files back"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout
            .contains("1 file lost: no store has a good copy, of 1 record"),
        "{}",
        said.stdout
    );
    assert!(
        said.stderr
            .contains("files come back into s3://files at http"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("blobs copy --execute"),
        "{}",
        said.stderr
    );
}

#[test]
fn delete_markers_are_taken_off_and_older_versions_put_on_top() {
    let scene = Scene::new(&one_each(1..=6));
    scene.store("primary = \"s3://files-versioned\"");
    scene.put("files-versioned", 1..=5);
    let overwritten = |n: u32| {
        scene
            .server
            .put("files-versioned", &key(n), b"another file altogether")
    };
    scene.server.bucket("files-versioned", |b| {
        b.delete(&key(1));
        b.delete(&key(2));
        // Under two markers nothing comes back by taking one off.
        b.delete(&key(3));
        b.delete(&key(3));
    });
    overwritten(4);
    scene
        .server
        .bucket("files-versioned", |b| b.delete(&key(4)));
    let args = ["--level", "checksum"];
    scene.copies(&args, 0, &[("present", 1), ("recoverable", 4), ("lost", 1)]);
    let document = scene.copies(
        &["--level", "checksum", "--execute"],
        0,
        &[("present", 1), ("restored", 4), ("lost", 1)],
    );
    assert_eq!(document["means"]["undelete"]["files"], 2);
    assert_eq!(document["means"]["older_version"]["files"], 2);
    back(&scene, "files-versioned", 1..=5);
    assert_eq!(
        scene
            .server
            .bucket("files-versioned", |b| b.versions_deleted),
        0
    );
    // A later check knows whose work it was, and a later copy has nothing to do.
    scene.finds(&args, 1, &[("present", 1), ("restored", 4), ("lost", 1)]);
    let again = scene.copies(
        &["--execute"],
        0,
        &[("present", 1), ("restored", 4), ("lost", 1)],
    );
    assert_eq!(again["means"]["undelete"]["files"], 0);
}

#[test]
fn the_store_copies_by_itself_where_both_are_its_own() {
    let scene = Scene::new(&one_each(1..=4));
    scene.put("copy", 1..=4);
    scene.server.bucket("copy", |b| {
        let version = Version::of(content(1).as_bytes());
        b.put(
            &key(1),
            version
                .with_header("content-type", "application/pdf")
                .with_tag("a", "b"),
        );
    });
    scene.copies(&["--execute"], 0, &[("restored", 4)]);
    assert_eq!(
        (
            scene.server.count("copy"),
            scene.server.count("get"),
            scene.server.count("put")
        ),
        (4, 0, 0)
    );
    back(&scene, "files", 1..=4);
    let kept = scene
        .server
        .bucket("files", |b| b.get(&key(1), None).unwrap().clone());
    assert_eq!(kept.tags, [("a".to_owned(), "b".to_owned())]);
    // In parts where it is too large for one go.
    scene
        .server
        .bucket("files", |b| (1..=4).for_each(|n| b.delete(&key(n))));
    scene.copies(&["--execute", "--parts-above", "10"], 0, &[("restored", 4)]);
    back(&scene, "files", 1..=4);
    let kept = scene
        .server
        .bucket("files", |b| b.get(&key(1), None).unwrap().clone());
    assert!(kept.etag.ends_with("-3"), "{}", kept.etag);
    assert!(
        kept.headers
            .contains(&("content-type".to_owned(), "application/pdf".to_owned())),
        "{:?}",
        kept.headers
    );
    assert_eq!(kept.tags, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(
        (scene.server.count("copy"), scene.server.count("get")),
        (4, 4)
    );
}

/// A backup that another server keeps.
fn elsewhere(scene: &Scene) -> Server {
    let other = Server::start(&["copy"]);
    scene.store(&format!(
        "primary = \"s3://files\"\nbackup = {{ url = \"s3://copy\", endpoint_url = \"{}\" }}",
        other.endpoint
    ));
    other
}

#[test]
fn what_another_server_keeps_comes_through_this_machine_with_all_that_it_carries() {
    let scene = Scene::new(&one_each(1..=3));
    let other = elsewhere(&scene);
    let carried = [
        ("content-type", "text/plain; charset=utf-8"),
        ("cache-control", "max-age=60"),
        ("content-disposition", "attachment; filename=\"f.txt\""),
        ("content-language", "fr"),
        ("expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("x-amz-meta-author", "somebody"),
    ];
    for n in 1..=3 {
        let version = carried
            .iter()
            .fold(Version::of(content(n).as_bytes()), |v, (k, w)| {
                v.with_header(k, w)
            });
        let version = version
            .with_tag("class", "a&b=c +\u{e9}")
            .with_tag("empty", "");
        other.bucket("copy", |b| b.put(&key(n), version));
    }
    let check = |parts: &str| {
        back(&scene, "files", 1..=3);
        for n in 1..=3 {
            let kept = scene
                .server
                .bucket("files", |b| b.get(&key(n), None).unwrap().clone());
            let mut headers = kept.headers.clone();
            headers.sort();
            let mut expected: Vec<_> = carried
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            expected.sort();
            assert_eq!(headers, expected);
            assert_eq!(
                kept.tags,
                [
                    ("class".to_owned(), "a&b=c +\u{e9}".to_owned()),
                    ("empty".to_owned(), String::new())
                ]
            );
            assert!(kept.etag.ends_with(parts), "{}", kept.etag);
        }
    };
    let document = scene.copies(&["--execute", "--level", "checksum"], 0, &[("restored", 3)]);
    assert_eq!(document["means"]["streamed"]["files"], 3);
    check("");
    assert_eq!(scene.row(&key(1))["proof"], "bytes");
    scene
        .server
        .bucket("files", |b| (1..=3).for_each(|n| b.delete(&key(n))));
    scene.copies(&["--execute", "--parts-above", "10"], 0, &[("restored", 3)]);
    check("-3");
    // Hashed on the way, and the store's ETag is that of the parts as they were sent: nothing is read back.
    assert_eq!(scene.row(&key(1))["proof"], "bytes");
    assert_eq!(scene.server.count("copy"), 0);
}

#[test]
fn what_appears_meanwhile_stays() {
    for (conditions, parts) in [(true, "8MB"), (true, "10"), (false, "8MB"), (false, "10")] {
        let scene = Scene::new(&one_each(1..=2));
        let other = elsewhere(&scene);
        (1..=2).for_each(|n| other.put("copy", &key(n), content(n).as_bytes()));
        if !conditions {
            scene.server.no_conditions();
        }
        let op = if parts == "10" { "complete" } else { "put" };
        let theirs = b"what the application wrote";
        scene.server.meanwhile(
            op,
            &key(1),
            |b| b.put(&key(1), Version::of(theirs)),
            "files",
        );
        // One by one: where a store knows no conditions, the first file teaches it, and looks just before it writes.
        let how = ["--level", "exists", "--concurrency", "1"];
        let document = scene.copies(
            &[&["--execute", "--parts-above", parts], &how[..]].concat(),
            0,
            &[("present", 1), ("restored", 1)],
        );
        assert_eq!(document["appeared"], 1, "{conditions} {parts}");
        assert_eq!(
            seen(&scene.server, "files", &key(1)).as_deref(),
            Some(&theirs[..])
        );
        back(&scene, "files", 2..=2);
        assert!(scene.server.bucket("files", |b| b.uploads.is_empty()));
    }
    // The store copying by itself, and a marker that is none any more.
    let scene = Scene::new(&one_each(1..=2));
    scene.store("primary = \"s3://files-versioned\"\nbackup = \"s3://copy\"");
    scene.put("copy", 1..=1);
    scene.put("files-versioned", 2..=2);
    scene
        .server
        .bucket("files-versioned", |b| b.delete(&key(2)));
    let theirs = |n: u32| move |b: &mut crate::s3::Bucket| b.put(&key(n), Version::of(b"theirs"));
    scene
        .server
        .meanwhile("copy", &key(1), theirs(1), "files-versioned");
    let document = scene.copies(
        &["--execute", "--level", "exists"],
        0,
        &[("present", 1), ("restored", 1)],
    );
    assert_eq!(document["appeared"], 1);
    assert_eq!(
        seen(&scene.server, "files-versioned", &key(1)).as_deref(),
        Some(&b"theirs"[..])
    );
    back(&scene, "files-versioned", 2..=2);
    assert_eq!(
        scene
            .server
            .bucket("files-versioned", |b| b.versions_deleted),
        0
    );
}

#[test]
fn another_file_is_never_written_and_bytes_that_the_store_garbles_are_told() {
    let scene = Scene::new(&one_each(1..=2));
    let other = elsewhere(&scene);
    let wrong = content(1).to_uppercase();
    other.put("copy", &key(1), wrong.as_bytes());
    other.put("copy", &key(2), content(2).as_bytes());
    for parts in ["8MB", "10"] {
        scene.copies(
            &["--execute", "--parts-above", parts],
            4,
            &[("recoverable", 1), ("restored", 1)],
        );
        let reason = scene.row(&key(1))["reason"].to_string();
        assert!(
            reason.contains("is another file") && reason.contains("nothing was written"),
            "{reason}"
        );
        assert_eq!(seen(&scene.server, "files", &key(1)), None);
        assert!(scene.server.bucket("files", |b| b.uploads.is_empty()));
    }
    // A look that reads its bytes does not offer it at all.
    scene.copies(
        &["--execute", "--level", "checksum"],
        0,
        &[("lost", 1), ("restored", 1)],
    );
    scene.server.bucket("files", |b| b.delete(&key(2)));
    scene.server.garbles(true);
    let output = scene.copy(&["--execute"]);
    let output = output.expect_code(4);
    assert!(
        output.stdout.contains("it was written, and then read back"),
        "{}",
        output.stdout
    );
    assert_eq!(scene.row(&key(2))["state"], "corrupt");
    // And is mended when the store is, if asked to.
    scene.server.garbles(false);
    scene.copies(
        &["--execute", "--level", "checksum"],
        0,
        &[("lost", 1), ("corrupt", 1)],
    );
    scene.copies(
        &["--execute", "--level", "checksum", "--replace-corrupt"],
        0,
        &[("lost", 1), ("restored", 1)],
    );
    back(&scene, "files", 2..=2);
}

#[test]
fn a_corrupt_file_is_only_replaced_while_it_is_the_corrupt_one() {
    let scene = Scene::new(&one_each(1..=2));
    scene.put("copy", 1..=2);
    (1..=2).for_each(|n| scene.server.put("files", &key(n), b"other bytes"));
    let level = ["--level", "checksum"];
    scene.copies(&level, 0, &[("corrupt", 2)]);
    let said = scene.copy(&level).ok().stdout;
    assert!(said.contains("--replace-corrupt"), "{said}");
    scene.copies(&[&level[..], &["--execute"]].concat(), 0, &[("corrupt", 2)]);
    let mended = content(1);
    scene.server.meanwhile(
        "copy",
        &key(1),
        move |b| b.put(&key(1), Version::of(mended.as_bytes())),
        "files",
    );
    let document = scene.copies(
        &[&level[..], &["--execute", "--replace-corrupt"]].concat(),
        0,
        &[("present", 1), ("restored", 1)],
    );
    assert_eq!(document["appeared"], 1);
    back(&scene, "files", 1..=2);
}

#[test]
fn odd_keys_empty_objects_and_two_owners() {
    let long = format!("long/{}", "x".repeat(1_019));
    let keys = [
        "a b",
        "a+b",
        "a%20b",
        "a//b",
        "\u{e9}t\u{e9}/\u{65e5}\u{672c}",
        "q?v=1&w#x",
        "it's",
        long.as_str(),
    ];
    let quoted = |k: &str| k.replace('\'', "''");
    let rows: String = keys
        .iter()
        .enumerate()
        .map(|(n, k)| format!("select has({}, '{}', 'content of {n}');\n", n + 1, quoted(k)))
        .chain(["select has(20, 'empty', ''); select has(21, 'shared', 's'); select has(22, 'shared', 's');".to_owned()])
        .collect();
    let scene = Scene::new(&rows);
    let all = || {
        let odd = keys
            .iter()
            .enumerate()
            .map(|(n, k)| ((*k).to_owned(), format!("content of {n}")));
        odd.chain([
            ("empty".to_owned(), String::new()),
            ("shared".to_owned(), "s".to_owned()),
        ])
    };
    let total = keys.len() as u64 + 2;
    let check = || {
        scene.copies(
            &["--execute", "--level", "checksum"],
            0,
            &[("restored", total)],
        );
        for (key, content) in all() {
            assert_eq!(
                seen(&scene.server, "files", &key).as_deref(),
                Some(content.as_bytes()),
                "{key}"
            );
        }
    };
    all().for_each(|(k, c)| scene.server.put("copy", &k, c.as_bytes()));
    check();
    assert_eq!(
        scene.server.count("copy"),
        total,
        "a blob with two owners once"
    );
    scene
        .server
        .bucket("files", |b| all().for_each(|(k, _)| b.delete(&k)));
    let other = elsewhere(&scene);
    all().for_each(|(k, c)| other.put("copy", &k, c.as_bytes()));
    check();
    assert_eq!(scene.server.count("put"), total);
}

#[test]
fn directories() {
    let scene = Scene::new(&one_each(1..=4));
    let place = |name: &str| scene.incident.case.file(name).display().to_string();
    let (files, copy) = (place("files"), place("copy"));
    std::fs::create_dir_all(&files).unwrap();
    let laid = |root: &str, n: u32| {
        let k = key(n);
        std::path::PathBuf::from(format!("{root}/{}/{}/{k}", &k[..2], &k[2..4]))
    };
    let write = |root: &str, n: u32, text: &str| {
        let path = laid(root, n);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(&files, 1, &content(1));
    (1..=3).for_each(|n| write(&copy, n, &content(n)));
    scene.put("copy", 4..=4);
    scene.store(&format!(
        "layout = \"active_storage\"\nprimary = \"dir:{files}\"\nbackup = \"dir:{copy}\""
    ));
    for parts in ["8MB", "7"] {
        scene.copies(
            &["--execute", "--parts-above", parts],
            0,
            &[("present", 1), ("restored", 2), ("lost", 1)],
        );
        for n in 1..=3 {
            assert_eq!(
                std::fs::read_to_string(laid(&files, n)).unwrap(),
                content(n)
            );
            let around = std::fs::read_dir(laid(&files, n).parent().unwrap()).unwrap();
            let odd = around.filter(|f| {
                f.as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .contains("reinstate")
            });
            assert_eq!(odd.count(), 0, "half a file was left");
        }
        (2..=3).for_each(|n| std::fs::remove_file(laid(&files, n)).unwrap());
    }
    // From a bucket into a directory, and into a bucket from a directory.
    scene.store(&format!(
        "primary = {{ url = \"dir:{files}\", layout = \"active_storage\" }}\nbackup = \"s3://copy\""
    ));
    scene.copies(
        &["--execute"],
        0,
        &[("present", 1), ("restored", 1), ("lost", 2)],
    );
    assert_eq!(
        std::fs::read_to_string(laid(&files, 4)).unwrap(),
        content(4)
    );
    scene.store(&format!(
        "primary = \"s3://files\"\nbackup = {{ url = \"dir:{copy}\", layout = \"active_storage\" }}"
    ));
    scene.incident.case.command(["--version"]).output().unwrap();
    scene.copies(&["--execute"], 0, &[("restored", 3), ("lost", 1)]);
    back(&scene, "files", 1..=3);
    let typed = scene
        .server
        .bucket("files", |b| b.get(&key(1), None).unwrap().headers.clone());
    assert_eq!(
        typed,
        [("content-type".to_owned(), "application/pdf".to_owned())],
        "the application's word"
    );
}

#[test]
fn one_at_a_time() {
    let scene = Scene::new(&one_each(1..=1));
    scene.put("copy", 1..=1);
    let held = std::fs::File::create(scene.incident.case.file("blobs.copy.jsonl")).unwrap();
    held.lock().unwrap();
    one_message(
        &scene.copy(&["--execute"]),
        3,
        &["another `blobs copy` is at work in this case"],
    );
    drop(held);
    scene.copies(&["--execute"], 0, &[("restored", 1)]);
}
