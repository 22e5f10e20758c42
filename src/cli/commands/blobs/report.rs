//! What `blobs check` prints.

use serde_json::{Map, Value, json};

use super::look::Looked;
use crate::blobs::{Counts, Listed, Method, State, Tally};
use crate::cli::args::{BlobsLook, Format, LevelArg};
use crate::cli::context::Context;
use crate::cli::output::{Outcome, counted, grouped};
use crate::ident::TableName;

/// Says how old an inventory is: what was purged since is still in it.
pub(super) fn of_inventory(context: &Context, inventory: Listed) -> Listed {
    let made = inventory
        .created
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let made = made.map_or_else(
        || "at a time it does not say".to_owned(),
        |t| format!("at {t}"),
    );
    context.ui.warning(&format!(
        "the inventory has {} of these stores and was made {made}: what was deleted since then still counts as present; use \
         one from after the incident",
        counted(inventory.objects, "object")
    ));
    inventory
}

pub(super) fn checked(context: &Context, args: &BlobsLook, looked: &Looked) {
    let methods = looked.methods();
    let tally = &looked.tally;
    print(
        context,
        &outcome(
            "blobs check",
            args,
            looked,
            vec![("stores", json!(methods))],
        ),
        &lines(tally),
    );
    for method in &methods {
        context.ui.status(&how(method));
    }
    let next = match tally.blobs.of(State::Recoverable) + tally.blobs.of(State::Corrupt) {
        _ if args.live_all => String::new(),
        0 => format!(". Next: {}", context.next("restore")),
        _ => format!(". Next: {}", context.next("blobs copy")),
    };
    context
        .ui
        .status(&format!("every file is in {}{next}", looked.path.display()));
}

/// The document of both commands, with what is one's own.
pub(super) fn outcome(
    command: &'static str,
    args: &BlobsLook,
    looked: &Looked,
    own: Vec<(&'static str, Value)>,
) -> Outcome {
    let tally = &looked.tally;
    let bundle = (!args.live_all).then_some(&looked.of);
    let mut beside = vec![
        ("bundle", json!(bundle)),
        ("path", json!(looked.path)),
        ("level", json!(level(args.level))),
        ("derived", derived(&tally.derived)),
        ("suspicious", json!(tally.suspicious)),
        ("owners_hit", json!(tally.owners_hit)),
    ];
    beside.extend(own);
    let of_table = |(t, c): (&TableName, &Counts)| (t.clone(), counts(c));
    Outcome {
        command,
        run: None,
        totals: counts(&tally.blobs),
        tables: tally.tables.iter().map(of_table).collect(),
        beside,
    }
}

/// The document, or the table and what it means.
pub(super) fn print(context: &Context, outcome: &Outcome, lines: &[String]) {
    match context.format {
        Format::Json => context.ui.data(&format!("{:#}", outcome.json())),
        Format::Text => {
            context.ui.data(&outcome.text());
            lines.iter().for_each(|line| context.ui.data(line));
        }
    }
}

fn level(level: LevelArg) -> &'static str {
    match level {
        LevelArg::Exists => "exists",
        LevelArg::Size => "size",
        LevelArg::Checksum => "checksum",
    }
}

fn counts(counts: &Counts) -> Vec<(&'static str, u64)> {
    State::ALL
        .into_iter()
        .map(|s| (s.name(), counts.of(s)))
        .collect()
}

fn derived(counted: &Counts) -> Value {
    let of = |(name, n): (&str, u64)| (name.to_owned(), json!(n));
    Value::Object(counts(counted).into_iter().map(of).collect::<Map<_, _>>())
}

/// What the numbers mean to somebody who has to act.
pub(super) fn lines(tally: &Tally) -> Vec<String> {
    let n = |state| tally.blobs.of(state);
    let mut lines = Vec::new();
    if n(State::Recoverable) > 0 {
        lines.push(format!(
            "{} not where the application looks, but in an older version or the backup store",
            files(n(State::Recoverable))
        ));
    }
    if n(State::PresentExpiring) > 0 {
        lines.push(format!(
            "{} will be deleted by the store itself soon: take the expiry off, or copy them, first",
            counted(n(State::PresentExpiring), "file")
        ));
    }
    if n(State::Lost) + n(State::Corrupt) > 0 {
        lines.push(format!(
            "{} lost and {} corrupt, of {}",
            grouped(n(State::Lost)),
            grouped(n(State::Corrupt)),
            counted(tally.owners_hit, "record")
        ));
    }
    if tally.suspicious > 0 {
        lines.push(format!(
            "{} to be looked at: not as recorded, or their store would not say, and nothing decides (\"suspicious\" in blobs.jsonl)",
            files(tally.suspicious)
        ));
    }
    let (made, missing) = (tally.derived.total(), tally.derived.of(State::Lost));
    if made > 0 {
        lines.push(format!(
            "besides, {} that the application makes again by itself (thumbnails, previews), {} missing",
            counted(made, "file"),
            grouped(missing)
        ));
    }
    lines
}

fn files(n: u64) -> String {
    let verb = if n == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(n, "file"))
}

/// How the files of a store were looked for.
fn how(method: &Method) -> String {
    let mut parts = Vec::new();
    if method.pages > 0 {
        parts.push(format!(
            "{} in {} of listings",
            grouped(method.by_listing),
            counted(method.pages, "page")
        ));
    }
    if method.by_inventory > 0 {
        parts.push(format!("{} in the inventory", grouped(method.by_inventory)));
    }
    parts.push(format!("{} asked for one by one", grouped(method.heads)));
    let unsorted = match method.unsorted {
        true => "; its listings are not in byte order, so they were not relied on for it",
        false => "",
    };
    format!("{}: {}{unsorted}", method.store, parts.join(", "))
}
