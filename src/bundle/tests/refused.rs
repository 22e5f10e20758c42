//! What the writer refuses, and what it leaves behind: nothing.

use std::fs;
use std::path::Path;

use super::made;
use crate::bundle::*;

fn entries(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn writer(dir: &Path) -> BundleWriter {
    let mut writer = BundleWriter::create(&dir.join("bundle")).unwrap();
    writer
        .add_tables(vec![made::table(0), made::table(1)])
        .unwrap();
    writer
}

fn cause(result: Result<impl Sized, BundleError>) -> String {
    match result.err() {
        Some(BundleError::Rejected { cause }) => cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_existing_target_is_never_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("bundle");
    fs::create_dir(&target).unwrap();
    let refused = || match BundleWriter::create(&target).err() {
        Some(error @ BundleError::TargetExists { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(refused().contains("exists already"));
    fs::remove_dir(&target).unwrap();
    std::os::unix::fs::symlink("nowhere", &target).unwrap();
    refused();
    fs::remove_file(&target).unwrap();
    // In the way only when the bundle is complete.
    let writer = writer(dir.path());
    fs::write(&target, "").unwrap();
    let error = writer.finish(made::draft(2, 0, 0)).unwrap_err();
    assert!(matches!(error, BundleError::TargetExists { .. }));
    assert_eq!(entries(dir.path()), ["bundle"]);
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path());
    writer.row(0, b"1\ta").unwrap();
    let partial = entries(dir.path());
    assert!(partial[0].starts_with(".bundle-") && partial[0].ends_with(".partial"));
    drop(writer);
    assert!(entries(dir.path()).is_empty());
}

#[test]
fn what_a_killed_writer_left_is_removed_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let alive = writer(dir.path());
    let abandoned = dir.path().join(".bundle-x.partial");
    fs::create_dir_all(abandoned.join("rows")).unwrap();
    // Not ours: another name, or a link to somebody else's.
    fs::create_dir_all(dir.path().join(".bundle-y/rows")).unwrap();
    let link = dir.path().join(".bundle-z.partial");
    std::os::unix::fs::symlink(".bundle-y", &link).unwrap();
    drop(writer(dir.path()));
    assert!(!abandoned.exists());
    assert!(link.exists());
    assert_eq!(entries(dir.path()).len(), 3);
    alive.finish(made::draft(2, 0, 0)).unwrap();
}

#[test]
fn lines_that_are_no_row_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path());
    for line in [&b"1"[..], b"1\ta\tb", b"", b"1\ta\n", b"\\."] {
        assert!(cause(writer.row(0, line)).contains("public.t0"));
    }
    assert!(cause(writer.row(2, b"1\ta")).contains("table 2"));
}

#[test]
fn units_that_do_not_add_up_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path());
    writer.row(0, b"1\ta").unwrap();
    let rows = vec![(0, b"1\ta".to_vec())];
    let good = made::unit(1, &rows);
    let said = |f: &dyn Fn(&mut UnitRecord)| {
        let mut unit = good.clone();
        f(&mut unit);
        unit
    };
    for (unit, why) in [
        (
            said(&|u| u.rows[0].1 = 2),
            "says 2 rows of public.t0, 1 were",
        ),
        (
            said(&|u| u.rows.clear()),
            "says 0 rows of public.t0, 1 were",
        ),
        (
            said(&|u| u.rows.push((1, 1))),
            "says 1 rows of public.t1, 0",
        ),
        (said(&|u| u.rows.push((7, 1))), "in no table"),
        (said(&|u| u.rows.push((0, 1))), "table 0 twice"),
        (said(&|u| u.unit = 2), "where unit 1 belongs"),
        (said(&|u| u.depends_on = vec![1]), "which is not before it"),
        (said(&|u| u.root.table = 2), "root in no table"),
    ] {
        let cause = cause(writer.end_unit(unit));
        assert!(cause.contains(why), "{cause}");
    }
    writer.end_unit(good.clone()).unwrap();
    drop(writer);
    assert!(entries(dir.path()).is_empty());
}

#[test]
fn a_draft_that_does_not_fit_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |f: &dyn Fn(&mut BundleWriter, &mut ManifestDraft)| {
        let (mut writer, mut draft) = (writer(dir.path()), made::draft(2, 0, 0));
        f(&mut writer, &mut draft);
        let cause = cause(writer.finish(draft));
        assert!(entries(dir.path()).is_empty());
        cause
    };
    let text = refused(&|w, _| w.row(0, b"1\ta").unwrap());
    assert!(text.contains("not ended"), "{text}");
    let text = refused(&|_, d| d.totals.rows = 1);
    assert!(text.contains("1 rows"), "{text}");
    let text = refused(&|_, d| d.insertion_order = vec![vec![0]]);
    assert!(text.contains("1 of 2"), "{text}");
    let text = refused(&|_, d| d.insertion_order = vec![vec![0, 1], vec![1]]);
    assert!(text.contains("twice"), "{text}");
    let text = refused(&|_, d| d.relations[0].child_columns.clear());
    assert!(text.contains("pairs 0 columns"), "{text}");
    let text = refused(&|w, d| {
        w.end_unit(made::unit(1, &Vec::new())).unwrap();
        d.totals.units = 1;
        d.relations.clear();
    });
    assert!(text.contains("1 values of relation 0"), "{text}");
    let text = refused(&|w, d| {
        w.end_unit(made::unit(1, &Vec::new())).unwrap();
        d.totals.units = 1;
        let relation = &mut d.relations[0];
        relation.child_columns.push("w".into());
        relation.parent_columns.push("w".into());
    });
    assert!(text.contains("1 values of relation 0"), "{text}");
}

#[test]
fn writers_and_walks_go_anywhere() {
    fn sendable<T: Send>() {}
    sendable::<BundleWriter>();
    sendable::<BundleRows>();
    sendable::<BundleError>();
}
