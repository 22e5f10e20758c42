//! An application with ActiveStorage whose records were deleted, and what its stores have left.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use md5::{Digest, Md5};
use serde_json::Value;

use crate::restore::Incident;
use crate::s3::{ACCESS_KEY, SECRET_KEY, Server};
use crate::support::Output;

/// As Rails creates them.
const RAILS: &str = "
create table dossiers (id bigint primary key, title text);
create table active_storage_blobs (id bigserial primary key, key varchar not null unique, filename varchar not null,
  content_type varchar, metadata text, service_name varchar not null, byte_size bigint not null, checksum varchar,
  created_at timestamp(6) not null default now());
create table active_storage_attachments (id bigserial primary key, name varchar not null, record_type varchar not null,
  record_id bigint not null, blob_id bigint not null references active_storage_blobs, created_at timestamp(6) not null default now(),
  unique (record_type, record_id, name, blob_id));
create table active_storage_variant_records (id bigserial primary key, blob_id bigint not null references active_storage_blobs,
  variation_digest varchar not null, unique (blob_id, variation_digest));
create function has(dossier bigint, the_key text, content text, service text default 'files') returns void language plpgsql as $$
begin
  insert into active_storage_blobs (key, filename, content_type, service_name, byte_size, checksum)
    values (the_key, 'file ' || dossier || '.pdf', 'application/pdf', service, length(content), encode(decode(md5(content), 'hex'), 'base64'))
    on conflict (key) do nothing;
  insert into active_storage_attachments (name, record_type, record_id, blob_id)
    select 'piece', 'Dossier', dossier, id from active_storage_blobs b where b.key = the_key;
end $$;
insert into dossiers select n, 'title ' || n from generate_series(1, 50) n;
";

/// Every dossier up to 40 goes, with its files' rows.
pub(super) const LOSS: &str = "
delete from active_storage_attachments where record_id <= 40 or record_type <> 'Dossier';
delete from active_storage_variant_records;
delete from active_storage_blobs b where not exists (select from active_storage_attachments a where a.blob_id = b.id);
delete from dossiers where id <= 40;
";

/// Which relations no foreign key states.
const RELATIONS: &str = r#"
[[relation]]
from = "active_storage_attachments(record_id)"
to = "dossiers(id)"
when = { record_type = "Dossier" }
[[relation]]
from = "active_storage_attachments(record_id)"
to = "active_storage_variant_records(id)"
when = { record_type = "ActiveStorage::VariantRecord" }
"#;

/// What a dossier's file holds.
pub(super) fn content(n: u32) -> String {
    format!("the content of file {n}")
}

/// Its key, which sorts as it is counted.
pub(super) fn key(n: u32) -> String {
    format!("k{n:03}")
}

/// A file of its own for each of these dossiers.
pub(super) fn one_each(dossiers: std::ops::RangeInclusive<u32>) -> String {
    dossiers
        .map(|n| format!("select has({n}, '{}', '{}');\n", key(n), content(n)))
        .collect()
}

/// A loss, and a server with a primary and a backup bucket.
pub(super) struct Scene {
    pub(super) incident: Incident,
    pub(super) server: Server,
}

impl Scene {
    /// With these rows; the bundle is extracted. The stores are empty.
    pub(super) fn new(rows: &str) -> Self {
        Self::with(rows, "[[attachments]]\npreset = \"active_storage\"\n")
    }

    /// The same with other `[[attachments]]`.
    pub(super) fn with(rows: &str, attachments: &str) -> Self {
        let scene = Self {
            incident: Incident::new(&format!("{RAILS}{rows}"), LOSS),
            server: Server::start(&["files", "files-versioned", "copy"]),
        };
        scene.stores(
            attachments,
            "primary = \"s3://files\"\nbackup = \"s3://copy\"",
        );
        scene.incident.extract(&[]);
        scene
    }

    /// Writes the configuration, with this `[stores.files]`.
    pub(super) fn stores(&self, attachments: &str, files: &str) {
        let endpoint = &self.server.endpoint;
        let config = format!(
            "{RELATIONS}{attachments}\n[stores.files]\nendpoint_url = \"{endpoint}\"\n{files}\n"
        );
        self.incident.case.write("reinstate.toml", &config);
    }

    /// The same with the usual adapter.
    pub(super) fn store(&self, files: &str) {
        self.stores("[[attachments]]\npreset = \"active_storage\"\n", files);
    }

    /// Puts the files of these dossiers where they belong.
    pub(super) fn put(&self, bucket: &str, dossiers: std::ops::RangeInclusive<u32>) {
        for n in dossiers {
            self.server.put(bucket, &key(n), content(n).as_bytes());
        }
    }

    /// `blobs check ARGS`.
    pub(super) fn check<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        self.command(args)
            .output()
            .expect("reinstate starts")
            .into()
    }

    /// The same, not yet started.
    pub(super) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> std::process::Command {
        self.blobs("check", args)
    }

    /// `blobs copy ARGS`.
    pub(super) fn copy<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        self.blobs("copy", args)
            .output()
            .expect("reinstate starts")
            .into()
    }

    /// `blobs VERB ARGS`, not yet started.
    pub(super) fn blobs<S: AsRef<OsStr>>(&self, verb: &str, args: &[S]) -> std::process::Command {
        let mut command = self.incident.case.command(["blobs", verb]);
        command
            .args(args)
            .env("REINSTATE_LIVE", self.incident.live.conninfo())
            .env("REINSTATE_SNAPSHOT", self.incident.snapshot.conninfo())
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// The document of a check that finds this.
    #[track_caller]
    pub(super) fn finds(&self, args: &[&str], code: i32, totals: &[(&str, u64)]) -> Value {
        let args = [args, &["--format", "json"]].concat();
        self.says(self.check(&args), code, totals)
    }

    /// The same of a copy.
    #[track_caller]
    pub(super) fn copies(&self, args: &[&str], code: i32, totals: &[(&str, u64)]) -> Value {
        let args = [args, &["--format", "json"]].concat();
        self.says(self.copy(&args), code, totals)
    }

    #[track_caller]
    fn says(&self, output: Output, code: i32, totals: &[(&str, u64)]) -> Value {
        let document = output.expect_code(code).json();
        let mut expected = BTreeMap::from(
            [
                "present",
                "present_expiring",
                "restored",
                "recoverable",
                "corrupt",
                "unverifiable",
                "lost",
            ]
            .map(|s| (s, 0)),
        );
        expected.extend(totals.iter().copied());
        let found: BTreeMap<&str, u64> = document["totals"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(s, n)| (s.as_str(), n.as_u64().unwrap()))
            .collect();
        assert_eq!(
            found,
            expected,
            "{}",
            self.incident.case.read("blobs.jsonl")
        );
        document
    }

    /// The line of `blobs.jsonl` for a key.
    #[track_caller]
    pub(super) fn row(&self, key: &str) -> Value {
        let rows = self.rows();
        let row = rows.into_iter().find(|r| r["key"] == key);
        row.unwrap_or_else(|| panic!("no row of {key}"))
    }

    /// All lines.
    pub(super) fn rows(&self) -> Vec<Value> {
        let text = self.incident.case.read("blobs.jsonl");
        text.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    }
}

/// The MD5 of bytes, as ActiveStorage records it.
pub(super) fn md5_base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(Md5::digest(bytes))
}
