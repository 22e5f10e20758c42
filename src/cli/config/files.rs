//! `[[attachments]]` and `[stores.NAME]`: which files the rows point at, and where those are.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use toml::{Table, Value};

use super::{known, text_of};
use crate::attachments::{AttachmentSource, PLACEHOLDER, Preset};
use crate::blobs::{Layout, Side, StoreConfig};

const ATTACHMENTS: &[&str] = &[
    "preset",
    "sql",
    "classes",
    "store",
    "key",
    "checksum",
    "size_tolerance",
];
/// Keys of a store that hold for both of its sides.
const SIDE: [&str; 9] = [
    "layout",
    "endpoint_url",
    "region",
    "profile",
    "ca_file",
    "path_style",
    "timeout",
    "stored_size",
    "rewrites",
];

pub(super) fn attachments(table: &Table) -> Result<AttachmentSource, String> {
    known(table, ATTACHMENTS, "attachments.")?;
    let (preset, sql) = (text_of(table, "preset")?, text_of(table, "sql")?);
    let (name, preset, sql) = match (preset, sql) {
        (Some(name), None) => {
            let preset = Preset::named(&name)?;
            let sql = preset.sql.clone();
            (name, Some(preset), sql)
        }
        (None, Some(sql)) if !sql.trim().is_empty() => ("sql".to_owned(), None, sql),
        (Some(_), Some(_)) => return Err("`preset` and `sql` exclude each other".into()),
        _ => return Err("`preset` or `sql` is missing".into()),
    };
    let mut classes = preset
        .as_ref()
        .map_or_else(BTreeMap::new, |p| p.classes.clone());
    classes.extend(classes_of(table)?);
    let key = text_of(table, "key")?;
    if key.as_ref().is_some_and(|k| !k.contains(PLACEHOLDER)) {
        return Err(format!(
            "`key` lacks {PLACEHOLDER}: every file would be the same object"
        ));
    }
    let algorithm = text_of(table, "checksum")?.map(|c| c.parse()).transpose()?;
    let tolerance = match table.get("size_tolerance") {
        None => preset.as_ref().map_or(0, |p| p.size_tolerance),
        Some(value) => value
            .as_integer()
            .and_then(|n| u64::try_from(n).ok())
            .ok_or("`size_tolerance` is a number of bytes")?,
    };
    Ok(AttachmentSource {
        name,
        sql,
        classes,
        store: text_of(table, "store")?,
        key,
        algorithm: algorithm.or_else(|| preset.and_then(|p| p.algorithm())),
        size_tolerance: tolerance,
    })
}

fn classes_of(table: &Table) -> Result<BTreeMap<String, String>, String> {
    let wrong = || "`classes` is a table: classes = { Dossier = \"dossiers\" }".to_owned();
    match table.get("classes") {
        None => Ok(BTreeMap::new()),
        Some(Value::Table(classes)) => classes
            .iter()
            .map(|(class, table)| {
                let table = table.as_str().ok_or_else(wrong)?;
                Ok((class.clone(), table.to_owned()))
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

/// `[stores]`: a table of tables.
pub(super) fn stores(config: &Table) -> Result<Vec<StoreConfig>, String> {
    let stores = match config.get("stores") {
        None => return Ok(Vec::new()),
        Some(Value::Table(stores)) => stores,
        Some(_) => return Err("`stores` holds tables: write [stores.files]".into()),
    };
    let one = |(name, value): (&String, &Value)| match value {
        Value::Table(table) => store(name, table).map_err(|e| format!("stores.{name}: {e}")),
        _ => Err(format!("stores.{name}: write [stores.{name}]")),
    };
    stores.iter().map(one).collect()
}

fn store(name: &str, table: &Table) -> Result<StoreConfig, String> {
    let keys: Vec<&str> = ["primary", "backup"].into_iter().chain(SIDE).collect();
    known(table, &keys, &format!("stores.{name}."))?;
    let primary =
        side(table, "primary")?.ok_or("`primary` is missing: s3://bucket or dir:/path")?;
    let backup = side(table, "backup")?;
    if backup.as_ref().is_some_and(|b| same_place(b, &primary)) {
        return Err("`primary` and `backup` are the same place".into());
    }
    Ok(StoreConfig {
        name: name.to_owned(),
        primary,
        backup,
    })
}

fn same_place(one: &Side, other: &Side) -> bool {
    one.location == other.location && one.endpoint_url == other.endpoint_url
}

/// A side is its place alone, or a table with `url` and what is said of this side only.
fn side(store: &Table, key: &str) -> Result<Option<Side>, String> {
    let nothing = Table::new();
    let (url, own) = match store.get(key) {
        None => return Ok(None),
        Some(Value::String(url)) => (url.clone(), &nothing),
        Some(Value::Table(own)) => {
            let keys: Vec<&str> = ["url"].into_iter().chain(SIDE).collect();
            known(own, &keys, &format!("{key}."))?;
            let url = text_of(own, "url")?.ok_or_else(|| format!("`{key}.url` is missing"))?;
            (url, own)
        }
        Some(_) => return Err(format!("`{key}` is a place or a table")),
    };
    let text = |name: &str| match text_of(own, name)? {
        None => text_of(store, name),
        own => Ok::<_, String>(own),
    };
    let flag = |name: &str| match own.get(name).or_else(|| store.get(name)) {
        None => Ok(None),
        Some(Value::Boolean(b)) => Ok(Some(*b)),
        Some(_) => Err(format!("`{name}` is true or false")),
    };
    Ok(Some(Side {
        location: url.parse().map_err(|e| format!("`{key}`: {e}"))?,
        layout: match text("layout")?.as_deref() {
            None | Some("plain") => Layout::Plain,
            Some("active_storage") => Layout::ActiveStorage,
            Some(other) => {
                return Err(format!(
                    "`layout = \"{other}\"`: there are plain and active_storage"
                ));
            }
        },
        endpoint_url: text("endpoint_url")?,
        region: text("region")?,
        profile: text("profile")?,
        ca_file: text("ca_file")?.map(Into::into),
        path_style: flag("path_style")?,
        timeout: text("timeout")?.map(|t| duration(&t)).transpose()?,
        stored_size: text("stored_size")?.map(|f| f.parse()).transpose()?,
        rewrites: flag("rewrites")?.unwrap_or(false),
    }))
}

fn duration(text: &str) -> Result<Duration, String> {
    let read = text.parse::<SignedDuration>().ok();
    let read = read.and_then(|d| Duration::try_from(d).ok());
    read.filter(|d| !d.is_zero())
        .ok_or_else(|| format!("`timeout = \"{text}\"` is no length of time, such as 30s"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::config::Config;

    #[test]
    fn what_is_said_of_a_side_beats_what_is_said_of_the_store() {
        let config = Config::parse(
            "[stores.files]\nprimary = 's3://a/p'\nendpoint_url = 'https://one'\nprofile = 'x'\n\
             stored_size = 'n + 1'\nbackup = { url = 'dir:/srv', profile = 'y', layout = 'active_storage' }",
        )
        .unwrap();
        let store = &config.stores[0];
        let backup = store.backup.as_ref().unwrap();
        assert_eq!(store.primary.profile.as_deref(), Some("x"));
        assert_eq!(backup.profile.as_deref(), Some("y"));
        assert_eq!(backup.endpoint_url.as_deref(), Some("https://one"));
        assert_eq!(store.primary.layout, Layout::Plain);
        assert_eq!(backup.layout, Layout::ActiveStorage);
        assert_eq!(store.primary.stored_size.as_ref().unwrap().of(1), Some(2));
    }

    #[test]
    fn what_cannot_be_meant() {
        for (text, said) in [
            (
                "[stores.f]\nbackup = 's3://b'",
                "stores.f: `primary` is missing",
            ),
            (
                "[stores.f]\nprimary = 's3://b'\nbackup = 's3://b/'",
                "the same place",
            ),
            (
                "[stores.f]\nprimary = 's3://b'\nlayuot = 'plain'",
                "did you mean `stores.f.layout`?",
            ),
            (
                "[stores.f]\nprimary = 's3://b'\nlayout = 'x'",
                "plain and active_storage",
            ),
            ("stores = 1", "[stores.files]"),
            ("[[attachments]]\nsql = ' '", "`preset` or `sql` is missing"),
            ("[[attachments]]\npreset = 'x'", "there is no preset `x`"),
            (
                "[[attachments]]\npreset = 'active_storage'\nkey = 'a'",
                "lacks {blob_key}",
            ),
            (
                "[[attachments]]\npreset = 'active_storage'\nchecksum = 'crc'",
                "md5, sha1",
            ),
        ] {
            let message = Config::parse(text).unwrap_err();
            assert!(message.contains(said), "{message}");
        }
    }
}
