//! The states: where a file is, and what proves it.

use std::os::unix::fs::PermissionsExt;

use super::scene::{Scene, content, key, md5_base64, one_each};
use crate::s3::Version;

#[test]
fn every_state_by_every_level() {
    let scene = Scene::new(&one_each(1..=8));
    scene.put("files", 1..=3);
    scene.put("copy", 4..=5);
    // Another content of the same size, and one of another size.
    scene.server.put("files", &key(6), content(1).as_bytes());
    scene.server.put("files", &key(7), b"cut");
    scene.put("copy", 7..=7);
    scene.finds(
        &["--level", "exists"],
        1,
        &[("present", 5), ("recoverable", 2), ("lost", 1)],
    );
    assert_eq!(scene.row(&key(6))["proof"], "exists");
    let size = scene.finds(
        &[],
        1,
        &[
            ("present", 4),
            ("recoverable", 2),
            ("corrupt", 1),
            ("lost", 1),
        ],
    );
    assert_eq!(size["level"], "size");
    assert_eq!(size["owners_hit"], 2);
    let document = scene.finds(
        &["--level", "checksum"],
        1,
        &[
            ("present", 3),
            ("recoverable", 2),
            ("corrupt", 2),
            ("lost", 1),
        ],
    );
    assert_eq!(document["tables"][0]["table"], "public.dossiers");
    assert_eq!(document["tables"][0]["lost"], 1);
    assert_eq!(scene.row(&key(1))["proof"], "etag");
    let recoverable = scene.row(&key(4));
    assert_eq!(recoverable["source"]["side"], "backup");
    assert_eq!(recoverable["proof"], "etag");
    let corrupt = scene.row(&key(7));
    assert_eq!(corrupt["proof"], "bytes");
    assert_eq!(corrupt["source"]["side"], "backup", "a good copy is named");
    assert_eq!(scene.row(&key(6))["source"], serde_json::Value::Null);
    let lost = scene.row(&key(8));
    assert_eq!(lost["owners"][0]["table"], "public.dossiers");
    assert_eq!(lost["owners"][0]["key"][0], "8");
    assert_eq!(lost["owners"][0]["filename"], "file 8.pdf");
    let mode = scene
        .incident
        .case
        .file("blobs.jsonl")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // For people: what to act upon.
    let text = scene.check(&[""; 0]).expect_code(1);
    assert!(
        text.stdout
            .contains("2 files are not where the application looks"),
        "{}",
        text.stdout
    );
    assert!(
        text.stdout.contains("1 lost and 1 corrupt, of 2 records"),
        "{}",
        text.stdout
    );
}

#[test]
fn all_is_well() {
    let scene = Scene::new(&one_each(1..=3));
    scene.put("files", 1..=3);
    scene.finds(&[], 0, &[("present", 3)]);
}

#[test]
fn one_blob_of_many_owners_and_variants_that_can_be_made_again() {
    let rows = format!(
        "{}{}",
        "select has(n, 'shared', 'one content') from generate_series(1, 5) n;",
        "insert into active_storage_variant_records (blob_id, variation_digest) select id, 'small' from active_storage_blobs;
         insert into active_storage_blobs (key, filename, service_name, byte_size) values ('thumbnail', 't.png', 'files', 3);
         insert into active_storage_attachments (name, record_type, record_id, blob_id)
           select 'image', 'ActiveStorage::VariantRecord', v.id, b.id from active_storage_variant_records v, active_storage_blobs b
            where b.key = 'thumbnail';"
    );
    let scene = Scene::new(&rows);
    scene.server.put("files", "shared", b"one content");
    let document = scene.finds(&[], 0, &[("present", 1)]);
    assert_eq!(document["derived"]["lost"], 1, "its loss is no loss");
    assert_eq!(scene.row("shared")["owners"].as_array().unwrap().len(), 5);
    assert_eq!(scene.row("thumbnail")["derived"], true);
}

#[test]
fn under_a_delete_marker_and_behind_a_newer_version() {
    let scene = Scene::new(&one_each(1..=4));
    scene.store("primary = \"s3://files-versioned\"");
    scene.put("files-versioned", 1..=4);
    scene.server.bucket("files-versioned", |b| {
        b.delete(&key(1));
        // Twice deleted, so that a page holds nothing but markers.
        b.put(
            &key(2),
            Version {
                marker: true,
                ..Version::default()
            },
        );
        b.put(
            &key(2),
            Version {
                marker: true,
                ..Version::default()
            },
        );
        b.put(&key(3), Version::of(b"overwritten by something else"));
        b.put(&key(4), Version::of(b"overwritten, then deleted"));
        b.delete(&key(4));
    });
    scene.server.page(1);
    scene.finds(
        &["--level", "checksum"],
        1,
        &[("recoverable", 3), ("corrupt", 1)],
    );
    let row = |n| scene.row(&key(n))["source"].clone();
    assert_eq!(row(1)["side"], "primary");
    assert_eq!(row(1)["version"], "v000001");
    assert!(row(1)["marker"].is_string(), "taking it off is enough");
    assert_eq!(row(2)["version"], "v000002");
    assert!(row(2)["marker"].is_null(), "under it is another one");
    assert!(row(3)["marker"].is_null() && row(3)["version"].is_string());
    assert_eq!(
        row(4)["version"],
        "v000004",
        "not the newest, which is another file"
    );
    assert!(
        row(4)["marker"].is_null(),
        "a marker taken off would show the wrong one"
    );
}

#[test]
fn keys_of_every_kind() {
    let keys = [
        "with blank",
        "plus+plus",
        "50%25",
        "a//b",
        "a/../b",
        "é/日本.pdf",
        "quote'\"&<>",
        "k/1",
        "k-1",
        "k.1",
        "~",
        "tab\there",
        "a+b c%2Fd",
    ];
    let long = "x".repeat(1_024);
    let mut rows = String::new();
    for (i, key) in keys.iter().copied().chain([long.as_str()]).enumerate() {
        let quoted = key.replace('\'', "''");
        rows += &format!("select has({}, '{quoted}', 'content {i}');", i + 1);
    }
    let scene = Scene::new(&rows);
    let n = keys.len() as u64 + 1;
    for (i, key) in keys.iter().copied().chain([long.as_str()]).enumerate() {
        scene
            .server
            .put("files", key, format!("content {i}").as_bytes());
    }
    for strategy in ["head", "list"] {
        let args = ["--level", "checksum", "--strategy", strategy];
        let document = scene.finds(&args, 0, &[("present", n)]);
        let listed = if strategy == "list" { n } else { 0 };
        assert_eq!(document["stores"][0]["by_listing"], listed, "{strategy}");
    }
}

#[test]
fn empty_and_in_parts_and_without_a_checksum() {
    let parts = "0123456789".repeat(100);
    let rows = format!(
        "select has(1, 'empty', '');
         select has(2, 'parts', '{parts}');
         select has(3, 'changed-parts', '{parts}');
         select has(4, 'unknown', 'some bytes');
         select has(5, 'unknown-size', 'some bytes');
         update active_storage_blobs set checksum = null where key like 'unknown%'"
    );
    let scene = Scene::new(&rows);
    scene.server.put("files", "empty", b"");
    let changed = parts.replace("55", "x5").replacen('3', "4", 1);
    scene.server.bucket("files", |b| {
        b.put("parts", Version::in_parts(parts.as_bytes(), 300));
        b.put("changed-parts", Version::in_parts(changed.as_bytes(), 300));
    });
    scene.server.put("files", "unknown", b"SOME BYTES");
    scene.server.put("files", "unknown-size", b"cut");
    let document = scene.finds(
        &["--level", "checksum"],
        1,
        &[("present", 2), ("corrupt", 1), ("unverifiable", 2)],
    );
    assert_eq!(document["suspicious"], 1);
    assert_eq!(scene.row("empty")["proof"], "etag");
    assert_eq!(
        scene.row("parts")["proof"],
        "bytes",
        "an ETag of parts is no MD5"
    );
    assert_eq!(scene.row("unknown")["reason"], "no checksum is recorded");
    let reason = scene.row("unknown-size")["reason"].to_string();
    assert!(
        reason.contains("it has 3 bytes, 10 are recorded"),
        "{reason}"
    );
    assert_eq!(scene.row("unknown-size")["suspicious"], true);
}

#[test]
fn without_etags_bytes_are_read_and_a_stored_checksum_is_not_believed_when_it_differs() {
    let scene = Scene::new(&one_each(1..=2));
    scene.put("files", 1..=1);
    // Encrypted by a key service: an ETag that is no MD5.
    let mut version = Version::of(content(2).as_bytes());
    version.etag = "0".repeat(32);
    scene.server.bucket("files", |b| b.put(&key(2), version));
    scene.finds(&["--level", "checksum"], 0, &[("present", 2)]);
    assert_eq!(scene.row(&key(2))["proof"], "bytes");
    scene.server.no_etags();
    scene.finds(
        &["--level", "checksum", "--strategy", "list"],
        0,
        &[("present", 2)],
    );
    assert_eq!(scene.row(&key(1))["proof"], "bytes");
}

#[test]
fn what_expires_soon() {
    let scene = Scene::new(&one_each(1..=40));
    scene.put("files", 1..=40);
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(48);
    let late = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(9_000);
    let version = |n: u32| Version::of(content(n).as_bytes());
    scene.server.bucket("files", |b| {
        for n in 1..=39 {
            let seconds = soon.as_second().to_string();
            b.put(&key(n), version(n).with_header("x-delete-at", &seconds));
        }
        let date = late.strftime("%a, %d %b %Y %H:%M:%S GMT");
        let header = format!("expiry-date=\"{date}\", rule-id=\"all\"");
        b.put(
            &key(40),
            version(40).with_header("x-amz-expiration", &header),
        );
    });
    for strategy in ["head", "list"] {
        scene.finds(
            &["--strategy", strategy],
            1,
            &[("present_expiring", 39), ("present", 1)],
        );
    }
    assert!(scene.row(&key(40))["expires"].is_string());
    let within = ["--expires-within", "24h"];
    scene.finds(&within, 0, &[("present", 40)]);
}

#[test]
fn an_encrypting_proxy_and_a_store_that_rewrites() {
    let scene = Scene::new(&one_each(1..=3));
    let sealed = |n: u32| format!("{}{}", "*".repeat(80 + 17), content(n));
    scene.server.put("files", &key(1), sealed(1).as_bytes());
    scene.server.put("files", &key(2), content(2).as_bytes());
    scene.server.put("files", &key(3), b"something else");
    scene.store("primary = \"s3://files\"\nstored_size = \"80 + n + 17*ceil(n/16384)\"");
    scene.finds(&[], 1, &[("present", 2), ("unverifiable", 1)]);
    assert_eq!(scene.row(&key(1))["proof"], "size");
    assert_eq!(scene.row(&key(3))["suspicious"], true);
    // Sealed bytes cannot be compared; those from before the proxy can.
    scene.finds(
        &["--level", "checksum"],
        1,
        &[("present", 1), ("unverifiable", 2)],
    );
    scene.store("primary = \"s3://files\"\nrewrites = true");
    scene.server.put("files", &key(1), content(9).as_bytes());
    scene.finds(
        &["--level", "checksum"],
        1,
        &[("present", 1), ("unverifiable", 2)],
    );
    assert_eq!(scene.row(&key(1))["suspicious"], serde_json::Value::Null);
}

#[test]
fn the_checksum_of_the_scene_is_what_rails_records() {
    // As `openssl md5 -binary | base64` prints it.
    assert_eq!(md5_base64(b"Hello World!"), "7Qdih1MuhjZehB6Sv8UNjA==");
}
