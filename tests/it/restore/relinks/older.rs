//! A bundle of the version before references were filled.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{BOOKS, WITH_TRANSACTION, edited_by, incident, left, restored, totals};
use crate::restore::Ledger;

/// Writes the bundle's references, and what vouches for them, as format 1.1 had them.
fn of_version_1_1(bundle: &Path) {
    let path = bundle.join("relinks.jsonl.zst");
    let text = zstd::decode_all(&*std::fs::read(&path).unwrap()).unwrap();
    let fields = ["unit", "parent", "table", "key", "columns", "values"];
    let lines: String = String::from_utf8(text)
        .unwrap()
        .lines()
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            let known = |name: &String, _: &mut Value| fields.contains(&name.as_str());
            record.as_object_mut().unwrap().retain(known);
            format!("{record}\n")
        })
        .collect();
    let packed = zstd::encode_all(lines.as_bytes(), 3).unwrap();
    std::fs::write(&path, &packed).unwrap();
    let path = bundle.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["format"] = json!("1.1");
    let files = manifest["files"].as_array_mut().unwrap();
    let file = files.iter_mut().find(|f| f["path"] == "relinks.jsonl.zst");
    let file = file.unwrap();
    (file["sha256"], file["bytes"]) = (json!(digest(&packed)), json!(packed.len()));
    let text = serde_json::to_vec_pretty(&manifest).unwrap();
    std::fs::write(&path, &text).unwrap();
    let sum = format!("{}  manifest.json\n", digest(&text));
    std::fs::write(bundle.join("manifest.json.sha256"), sum).unwrap();
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn its_references_are_left_and_its_rows_come_back() {
    let incident = incident("", WITH_TRANSACTION);
    of_version_1_1(&incident.case.file("bundle"));
    assert_eq!(restored(&incident, &[], 0), json!({"older_bundle": BOOKS}));
    assert_eq!(left(&incident)[0], "12 older_bundle");
    assert_eq!(edited_by(&incident, "3, 4"), "");
    let verified = incident.verify(&[]).ok();
    Ledger::of(&verified).expect(&[("identical", 2)]);
}

#[test]
fn a_table_that_cannot_be_written_to_is_no_failure_of_who_did_not_ask() {
    let incident = incident("", WITH_TRANSACTION);
    incident
        .live
        .run("create rule aside as on update to books do instead nothing");
    let done = Ledger::of(&incident.restore_with(&["--relinks", "none"]).ok());
    assert_eq!(totals(&done), json!({"not_asked": BOOKS}));
    let asked = Ledger::of(&incident.restore_with(&[]).expect_code(4));
    assert_eq!(totals(&asked), json!({"refused": BOOKS}));
}
