//! What goes in comes out, from any unit on; what is parsed never panics.

use proptest::collection::vec;
use proptest::prelude::*;

use super::made::{self, Rows};
use crate::bundle::units::{Limits, parse_line};
use crate::bundle::*;

const TABLES: usize = 3;

/// Lines of two fields, of any bytes that COPY text can hold.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let field = || {
        vec(
            any::<u8>().prop_filter("escaped in COPY", |b| !b"\n\t\r".contains(b)),
            0..30,
        )
    };
    (field(), field()).prop_map(|(a, b)| [a, b].join(&b'\t'))
}

fn units() -> impl Strategy<Value = Vec<Rows>> {
    vec(vec((0..TABLES, line()), 0..6), 0..20)
}

/// The rows as a walk returns them.
fn collect(mut walk: BundleRows) -> Vec<UnitRows> {
    let mut all = Vec::new();
    while let Some(unit) = walk.next_unit().unwrap() {
        all.push(unit);
    }
    all
}

fn expected(n: u64, rows: &Rows) -> UnitRows {
    let record = made::unit(n, rows);
    let of = |table| {
        let lines = rows.iter().filter(|r| r.0 == table);
        lines.map(|r| r.1.clone().into()).collect()
    };
    let rows = record.rows.iter().map(|r| (r.0, of(r.0))).collect();
    (record, rows)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_goes_in_comes_out_from_any_unit(units in units(), frame in 1u64..200, start in 0u64..25) {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("bundle");
        let id = made::write(&target, TABLES, &units, frame);
        let bundle = Bundle::open(&target).unwrap();
        prop_assert_eq!(&bundle.id, &id);
        let all: Vec<_> = (1..).zip(&units).map(|(n, rows)| expected(n, rows)).collect();
        prop_assert_eq!(&collect(bundle.read().unwrap()), &all);
        let from = all.iter().filter(|u| u.0.unit >= start).cloned().collect::<Vec<_>>();
        prop_assert_eq!(collect(bundle.read_from(start).unwrap()), from);
        let records: Vec<_> = bundle.units().unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(records, all.into_iter().map(|u| u.0).collect::<Vec<_>>());
    }

    #[test]
    fn rows_may_be_taken_in_pieces_or_left(units in units(), limit in 0u64..4) {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("bundle");
        made::write(&target, TABLES, &units, 50);
        let mut walk = Bundle::open(&target).unwrap().read().unwrap();
        for (n, rows) in (1..).zip(&units) {
            let (record, all) = expected(n, rows);
            prop_assert_eq!(walk.next_record().unwrap(), Some(record));
            for (table, lines) in all {
                let wanted = &lines[..lines.len().min(limit as usize)];
                prop_assert_eq!(walk.take_rows(table, limit).unwrap(), wanted);
            }
            prop_assert!(walk.take_rows(TABLES, 1).unwrap().is_empty());
        }
        prop_assert_eq!(walk.next_record().unwrap(), None);
        prop_assert_eq!(walk.next_unit().unwrap(), None);
    }

    #[test]
    fn arbitrary_bytes_are_no_manifest(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(Manifest::parse(&bytes).is_err());
    }

    #[test]
    fn a_damaged_manifest_never_panics(at in any::<prop::sample::Index>(), with in vec(any::<u8>(), 0..12)) {
        let mut json = manifest_json();
        let at = at.index(json.len());
        let end = (at + with.len()).min(json.len());
        json.splice(at..end, with);
        let _ = Manifest::parse(&json);
    }

    #[test]
    fn a_damaged_unit_never_panics(at in any::<prop::sample::Index>(), with in vec(any::<u8>(), 0..12)) {
        let manifest = Manifest::parse(&manifest_json()).unwrap();
        let mut json = serde_json::to_vec(&made::unit(1, &vec![(0, Vec::new())])).unwrap();
        let at = at.index(json.len());
        let end = (at + with.len()).min(json.len());
        json.splice(at..end, with.iter().copied());
        let limits = Limits::of(&manifest);
        let _ = parse_line(&json, 1, &limits);
        let _ = parse_line(&with, 1, &limits);
    }

    #[test]
    fn arbitrary_bytes_are_no_frames(bytes in vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()) {
        let dir = tempfile::tempdir().unwrap();
        let mut file = zstd::encode_all(&b"a\nb\n"[..], 3).unwrap();
        file.splice(at.index(file.len()).., bytes);
        std::fs::write(dir.path().join("x"), file).unwrap();
        let mut line = Vec::new();
        if let Ok(mut lines) = frames::LineReader::open(dir.path(), "x", 0) {
            while let Ok(true) = lines.line(&mut line) {}
        }
    }
}

fn manifest_json() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("bundle");
    made::write(&target, 2, &[vec![(0, b"1\ta".to_vec())]], 50);
    std::fs::read(target.join("manifest.json")).unwrap()
}

#[test]
fn versions_compare_by_major() {
    for (text, readable) in [("1.0", true), ("1.9", true), ("2.0", false), ("0.9", false)] {
        let version: FormatVersion = text.parse().unwrap();
        assert_eq!(
            (version.readable(), version.to_string()),
            (readable, text.to_owned())
        );
    }
    for wrong in ["", "1", "1.", ".1", "1.0.0", "+1.0", "a.b", "99999999999.0"] {
        assert!(wrong.parse::<FormatVersion>().is_err(), "{wrong}");
    }
}

#[test]
fn a_big_unit_is_one_frame_and_small_ones_share() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("bundle");
    let big: Rows = (0..400)
        .map(|n| (0, format!("{n}\t{}", "x".repeat(1000)).into_bytes()))
        .collect();
    let mut units: Vec<Rows> = vec![big];
    units.extend((0..100).map(|n| vec![(0, format!("{n}\ty").into_bytes())]));
    made::write(&target, 1, &units, frames::FRAME_BYTES);
    let bundle = Bundle::open(&target).unwrap();
    let mut lines = Units::open(&bundle).unwrap();
    let mut begun = Vec::new();
    while let Some(line) = lines.next_line().unwrap() {
        begun.extend(line.at.iter().map(|_| line.record.unit));
    }
    assert_eq!(begun, [1, 2]);
}
