//! What live holds of the references of a bundle, whoever did that; for `verify`.

use std::collections::BTreeMap;

use super::decide::ChildSeen;
use super::look::Looker;
use super::{Links, Parents, Past};
use crate::bundle::Bundle;
use crate::catalog::Schema;
use crate::ident::TableName;
use crate::journal;
use crate::pg::Session;
use crate::restore::{RestoreError, Settings, Targets};

/// By table: how many references are `as_before` (they hold what they held in the backup, or what a restore filled them with),
/// `null`, `set_default`, `elsewhere`, or `gone` with the row that referred, or `not_compared`. Reads only.
pub async fn relinks_in_live(
    session: &Session,
    bundle: &Bundle,
    targets: &Targets,
    live: &Schema,
) -> Result<BTreeMap<TableName, BTreeMap<&'static str, u64>>, RestoreError> {
    let links = Links::find(session, bundle, live, &Settings::default()).await?;
    let past = match journal::exists(session).await? {
        true => Past::read(session, &bundle.id).await?,
        false => Past::default(),
    };
    let parents = Parents::default();
    let mut tables: BTreeMap<TableName, BTreeMap<&'static str, u64>> = BTreeMap::new();
    let mut chunks = links.chunks(bundle)?;
    while let Some(chunk) = chunks.next()? {
        let link = &links.all[chunk.link];
        let looker = Looker {
            session,
            targets,
            link,
            parents: &parents,
            timed: false,
        };
        let told =
            link.child.as_ref().is_some_and(|c| c.readable) && !link.head.key_columns.is_empty();
        let seen = match told {
            true => looker.children(&chunk, false).await?,
            false => vec![ChildSeen::Held; chunk.records.len()],
        };
        for (record, seen) in chunk.records.iter().zip(seen) {
            let filled = past.filled(record).map_or(&record.values, |f| &f.after);
            let state = match seen {
                ChildSeen::Held => "not_compared",
                ChildSeen::Gone => "gone",
                ChildSeen::There(child) => {
                    let as_in = |values: &[String]| {
                        let mut pairs = child.values.iter().zip(values);
                        pairs.all(|(now, then)| now.as_ref() == Some(then))
                    };
                    if as_in(&record.values) || as_in(filled) {
                        "as_before"
                    } else if record.set_default {
                        "set_default"
                    } else if child.values.iter().any(Option::is_none) {
                        "null"
                    } else {
                        "elsewhere"
                    }
                }
            };
            let of_table = tables.entry(record.table.clone()).or_default();
            *of_table.entry(state).or_default() += 1;
        }
    }
    Ok(tables)
}
