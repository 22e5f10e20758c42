//! An S3 Inventory: a store's own listing, made once a day, for buckets too large to list.
//!
//! Source: Amazon S3 User Guide, "Amazon S3 Inventory list": CSV without a header, keys in URL encoding; `manifest.json` says which
//! columns there are and which files. It is only as new as it is; what it does not have is asked for.

use std::fs::File;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::sort::{Sorted, Sorter};
use super::store::decoded;
use super::{CheckError, Location, Object, StoreConfig};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    file_format: String,
    file_schema: String,
    files: Vec<ManifestFile>,
    creation_timestamp: Option<String>,
}

#[derive(Deserialize)]
struct ManifestFile {
    key: String,
}

/// An inventory, sorted: walked once beside the blobs.
pub struct Listed {
    sorted: Peekable<Sorted>,
    /// When it was made, in milliseconds since 1970, where it says.
    pub created: Option<i64>,
    /// Objects in it that are in a store of the configuration.
    pub objects: u64,
}

/// Where columns are.
struct Columns {
    bucket: usize,
    key: usize,
    size: Option<usize>,
    etag: Option<usize>,
    latest: Option<usize>,
    marker: Option<usize>,
    class: Option<usize>,
}

impl Columns {
    fn read(names: &[String]) -> Option<Self> {
        let squeezed = |text: &str| text.replace([' ', '_'], "").to_lowercase();
        let place = |name: &str| names.iter().position(|n| squeezed(n) == name);
        Some(Self {
            bucket: place("bucket")?,
            key: place("key")?,
            size: place("size"),
            etag: place("etag"),
            latest: place("islatest"),
            marker: place("isdeletemarker"),
            class: place("storageclass"),
        })
    }
}

struct Reading<'a> {
    stores: &'a [StoreConfig],
    sorter: Sorter,
    objects: u64,
}

/// Reads `manifest.json`, or one CSV file whose first line names its columns. What memory does not hold is spilled to `scratch`.
pub fn read(path: &Path, stores: &[StoreConfig], scratch: &Path) -> Result<Listed, CheckError> {
    let failed = |cause: String| CheckError::Inventory {
        path: path.display().to_string(),
        cause,
    };
    let mut reading = Reading {
        stores,
        sorter: Sorter::new(scratch.to_owned()),
        objects: 0,
    };
    let mut created = None;
    if path.extension().is_some_and(|e| e == "json") {
        let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
        let manifest: Manifest = serde_json::from_str(&text)
            .map_err(|e| failed(format!("no manifest of an inventory: {e}")))?;
        if manifest.file_format != "CSV" {
            return Err(failed(format!(
                "it is in {}; only CSV can be read",
                manifest.file_format
            )));
        }
        let names: Vec<String> = manifest
            .file_schema
            .split(',')
            .map(|n| n.trim().to_owned())
            .collect();
        for file in &manifest.files {
            let file = beside(path, &file.key).map_err(failed)?;
            reading.csv(&file, Some(&names)).map_err(failed)?;
        }
        created = manifest.creation_timestamp.and_then(|t| t.parse().ok());
    } else {
        reading.csv(path, None).map_err(failed)?;
    }
    let sorted = reading.sorter.finish().map_err(CheckError::Scratch)?;
    Ok(Listed {
        sorted: sorted.peekable(),
        created,
        objects: reading.objects,
    })
}

/// The file of an inventory: where its key says, or beside the manifest; unpacked.
fn beside(manifest: &Path, key: &str) -> Result<PathBuf, String> {
    let name = key.rsplit('/').next().unwrap_or(key);
    let plain = name.trim_end_matches(".gz");
    let here = manifest.parent().unwrap_or(Path::new("."));
    let data = here
        .parent()
        .map_or_else(|| here.join("data"), |up| up.join("data"));
    let places = [
        here.join(plain),
        here.join("data").join(plain),
        data.join(plain),
    ];
    let found = places.into_iter().find(|p| p.is_file());
    found.ok_or_else(|| {
        format!("its file {plain} is not beside it; copy it there, and unpack it: gunzip {name}")
    })
}

impl Reading<'_> {
    fn csv(&mut self, path: &Path, names: Option<&[String]>) -> Result<(), String> {
        let said = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let file = File::open(path).map_err(|e| said(&e))?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(names.is_none())
            .flexible(true)
            .from_reader(file);
        let names: Vec<String> = match names {
            Some(names) => names.to_vec(),
            None => {
                let first = reader.headers().map_err(|e| said(&e))?;
                first.iter().map(str::to_owned).collect()
            }
        };
        let columns = Columns::read(&names).ok_or_else(|| {
            "its first line names no columns Bucket and Key; name its manifest.json, or write such a line: \
             Bucket,Key,Size,ETag"
                .to_owned()
        })?;
        for record in reader.records() {
            self.take(&columns, &record.map_err(|e| said(&e))?)
                .map_err(|e| said(&e))?;
        }
        Ok(())
    }

    fn take(&mut self, columns: &Columns, record: &csv::StringRecord) -> std::io::Result<()> {
        let field = |place: Option<usize>| place.and_then(|p| record.get(p)).unwrap_or_default();
        let is = |place, text: &str| field(place).eq_ignore_ascii_case(text);
        if is(columns.marker, "true") || is(columns.latest, "false") {
            return Ok(());
        }
        let (bucket, key) = (
            field(Some(columns.bucket)),
            decoded(field(Some(columns.key))),
        );
        // What says no size says nothing that could be compared.
        let Ok(size) = field(columns.size).parse::<u64>() else {
            return Ok(());
        };
        for store in self.stores {
            let Location::S3 {
                bucket: ours,
                prefix,
            } = &store.primary.location
            else {
                continue;
            };
            let Some(path) = key.strip_prefix(prefix.as_str()).filter(|_| ours == bucket) else {
                continue;
            };
            let etag = field(columns.etag).trim_matches('"');
            let class = field(columns.class);
            let entry = format!("{}\0{path}\0{size}\0{etag}\0{class}", store.name);
            self.objects += 1;
            self.sorter.push(entry.into_bytes())?;
        }
        Ok(())
    }
}

impl Listed {
    /// What it says of a blob; to be asked in the order of store and path.
    pub(super) fn find(&mut self, store: &str, path: &str) -> Result<Option<Object>, CheckError> {
        let wanted = format!("{store}\0{path}\0").into_bytes();
        while let Some(next) = self.sorted.next_if(|e| {
            e.as_ref()
                .is_ok_and(|e| !e.starts_with(&wanted) && *e < wanted)
        }) {
            next.map_err(CheckError::Scratch)?;
        }
        match self
            .sorted
            .next_if(|e| e.as_ref().map_or(true, |e| e.starts_with(&wanted)))
        {
            None => Ok(None),
            Some(Err(e)) => Err(CheckError::Scratch(e)),
            Some(Ok(entry)) => Ok(object(&entry[wanted.len()..])),
        }
    }
}

fn object(rest: &[u8]) -> Option<Object> {
    let text = String::from_utf8_lossy(rest);
    let mut parts = text.split('\0');
    let size = parts.next()?.parse().ok()?;
    let etag = parts.next().filter(|e| !e.is_empty());
    let class = parts
        .next()
        .filter(|c| matches!(*c, "GLACIER" | "DEEP_ARCHIVE"));
    Some(Object {
        size,
        etag: etag.map(str::to_owned),
        archived: class.map(str::to_owned),
        listed: true,
        ..Object::default()
    })
}
