//! How files are looked for: listings, one by one, inventories, directories.

use super::scene::{Scene, content, key, one_each};

/// So many blobs among 10,000 objects, spread evenly.
fn spread(wanted: u32) -> Scene {
    let step = 10_000 / wanted;
    let rows = format!(
        "select has(1 + n % 40, 'n' || lpad((n * {step})::text, 5, '0'), 'x') from generate_series(1, {wanted}) n;"
    );
    let scene = Scene::new(&rows);
    scene.store("primary = \"s3://files\"");
    scene.server.bucket("files", |b| {
        for n in 1..=10_000 {
            b.put(&format!("n{n:05}"), crate::s3::Version::of(b"x"));
        }
    });
    scene
}

#[test]
fn dense_sets_are_listed_and_sparse_ones_asked_for() {
    let scene = spread(2_000);
    let document = scene.finds(&[], 0, &[("present", 2_000)]);
    let method = &document["stores"][0];
    assert_eq!(method["ranges_headed"], 0);
    // Ten pages, and where two stretches meet one more; a sample for what expires.
    assert!(
        scene.server.count("list") <= 15,
        "{}",
        scene.server.count("list")
    );
    assert!(
        scene.server.count("head") <= 16,
        "{}",
        scene.server.count("head")
    );
    let scene = spread(100);
    let document = scene.finds(&[], 0, &[("present", 100)]);
    let method = &document["stores"][0];
    assert_eq!(method["ranges_listed"], 0);
    assert!(method["pages"].as_u64().unwrap() <= 1, "one page tells");
    assert!(scene.server.count("head") <= 100);
    let said = scene.check(&[""; 0]).stderr;
    assert!(said.contains("asked for one by one"), "{said}");
}

#[test]
fn a_listing_out_of_order_is_noticed_and_loses_nothing() {
    let rows = "select has(1 + n % 40, 'k' || (n % 20) || case n % 3 when 0 then '/' when 1 then '-' else '.' end || n, 'x')
                from generate_series(1, 600) n;";
    let scene = Scene::new(rows);
    scene.store("primary = \"s3://files\"");
    let name = |n: u32| format!("k{}{}{n}", n % 20, ['/', '-', '.'][n as usize % 3]);
    for n in (1..=600).filter(|n| n % 100 != 0) {
        scene.server.put("files", &name(n), b"x");
    }
    scene.server.unsorted();
    scene.server.page(100);
    for strategy in ["list", "auto"] {
        let document = scene.finds(
            &["--strategy", strategy],
            1,
            &[("present", 594), ("lost", 6)],
        );
        assert_eq!(document["stores"][0]["unsorted"], true, "{strategy}");
    }
    let listed = scene
        .rows()
        .iter()
        .filter(|r| r["seen"] == "listing")
        .count();
    assert!(listed > 0);
}

#[test]
fn neighbours_that_a_listing_must_not_mix_up() {
    let scene = Scene::new(
        "select has(1, 'a', 'x'); select has(2, 'ab', 'x'); select has(3, 'a/b', 'x'); select has(4, 'b', 'x');",
    );
    scene.store("primary = \"s3://files/below\"");
    for (key, bytes) in [
        ("below/ab", "x"),
        ("below/a/b", "x"),
        ("below/aa", "x"),
        ("a", "x"),
        ("b", "x"),
        ("belowa", "x"),
    ] {
        scene.server.put("files", key, bytes.as_bytes());
    }
    for strategy in ["list", "head"] {
        scene.finds(&["--strategy", strategy], 1, &[("present", 2), ("lost", 2)]);
        assert_eq!(
            scene.row("a")["state"],
            "lost",
            "what lies above the prefix is another's"
        );
    }
}

#[test]
fn an_inventory_saves_asking() {
    let scene = Scene::new(&format!(
        "{}select has(9, 'with blank+%', 'x');",
        one_each(1..=5)
    ));
    scene.store("primary = \"s3://files\"\nbackup = \"s3://copy\"");
    scene.put("files", 1..=5);
    scene.server.put("files", "with blank+%", b"x");
    let size = content(1).len();
    let mut lines = String::from(
        "\"files\",\"with+blank%2B%25\",\"1\",\"true\",\"false\",\"x\"\n\"other\",\"k005\",\"1\",\"true\",\"false\",\"x\"\n",
    );
    for n in 1..=4 {
        lines += &format!(
            "\"files\",\"{}\",\"{size}\",\"true\",\"false\",\"x\"\n",
            key(n)
        );
        lines += &format!("\"files\",\"{}\",\"1\",\"false\",\"false\",\"x\"\n", key(n));
    }
    scene.incident.case.write("data.csv", &lines);
    scene.incident.case.write(
        "manifest.json",
        r#"{"sourceBucket":"files","fileFormat":"CSV","creationTimestamp":"1579651200000",
            "fileSchema":"Bucket, Key, Size, IsLatest, IsDeleteMarker, ETag","files":[{"key":"inventory/data/data.csv.gz","size":1}]}"#,
    );
    let manifest = scene.incident.case.file("manifest.json");
    let args = ["--inventory", manifest.to_str().unwrap()];
    let document = scene.finds(&args, 0, &[("present", 6)]);
    assert_eq!(document["stores"][0]["by_inventory"], 5);
    assert_eq!(
        scene.server.count("head"),
        1,
        "the one that it does not have"
    );
    assert_eq!(scene.row(&key(1))["seen"], "inventory");
    let said = scene.check(&args).stderr;
    assert!(
        said.contains("made at 2020-01-22T00:00:00Z: what was deleted since"),
        "{said}"
    );
    std::fs::remove_file(scene.incident.case.file("data.csv")).unwrap();
    let missing = scene.check(&args).expect_code(2).stderr;
    assert!(missing.contains("gunzip data.csv.gz"), "{missing}");
}

#[test]
fn directories_plain_and_as_active_storage_lays_them_out() {
    let scene = Scene::new(
        "select has(1, 'abcdef', 'x'); select has(2, 'wxyz12', 'y'); select has(3, '../../etc/passwd', 'z');",
    );
    let root = scene.incident.case.file("disk");
    let backup = scene.incident.case.file("backup");
    std::fs::create_dir_all(root.join("ab/cd")).unwrap();
    std::fs::create_dir_all(&backup).unwrap();
    std::fs::write(root.join("ab/cd/abcdef"), "x").unwrap();
    std::fs::write(backup.join("wxyz12"), "y").unwrap();
    scene.store(&format!(
        "primary = {{ url = \"dir:{}\", layout = \"active_storage\" }}\nbackup = \"dir:{}\"",
        root.display(),
        backup.display()
    ));
    scene.finds(
        &["--level", "checksum"],
        1,
        &[("present", 1), ("recoverable", 1), ("unverifiable", 1)],
    );
    assert_eq!(scene.row("abcdef")["proof"], "bytes");
    assert_eq!(scene.row("abcdef")["path"], "ab/cd/abcdef");
    let reason = scene.row("../../etc/passwd")["reason"].to_string();
    assert!(reason.contains("this can be no key there"), "{reason}");
}

#[test]
fn all_of_live_and_several_primaries() {
    let rows = format!(
        "{}select has(41, 'other', 'x', 'second');",
        one_each(42..=44)
    );
    let scene = Scene::new(&rows);
    let refused = scene.check(&["--live-all"]).expect_code(2).stderr;
    assert!(
        refused.contains("no [stores.NAME] says where these files are: 1 in `second`"),
        "{refused}"
    );
    let endpoint = &scene.server.endpoint;
    scene.store(&format!(
        "primary = \"s3://files\"\n[stores.second]\nprimary = \"s3://copy\"\nendpoint_url = \"{endpoint}\""
    ));
    scene.put("files", 42..=43);
    scene.server.put("copy", "other", b"x");
    let document = scene.finds(&["--live-all"], 1, &[("present", 3), ("lost", 1)]);
    assert!(document["bundle"].is_null());
    assert_eq!(document["stores"].as_array().unwrap().len(), 2);
    assert_eq!(scene.row("other")["store"], "second");
}

#[test]
fn a_rate_is_obeyed_by_every_request() {
    let scene = Scene::new(&one_each(1..=40));
    scene.put("files", 1..=40);
    let begun = std::time::Instant::now();
    scene.finds(
        &["--strategy", "head", "--rps", "40", "--concurrency", "8"],
        0,
        &[("present", 40)],
    );
    // 40 and the questions at the beginning: not sooner than that rate allows. (No upper bound: machines differ.)
    assert!(begun.elapsed().as_millis() >= 1_000);
}
