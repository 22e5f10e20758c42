//! `contacts`: whom the rows of a bundle concern; `contacts.csv` in the case.

use serde_json::json;

use crate::bundle::Bundle;
use crate::cli::args::{self, Format};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::output::{Outcome, counted};
use crate::contacts::{Gathered, gather};
use crate::flag::who_lost;
use crate::pg::{Access, Session, system_identifier};

use super::restore::open_bundle;

/// What to add where nothing says whom a record concerns.
const EXAMPLE: &str = r#"say in reinstate.toml whom a record concerns, in SQL that runs on the snapshot:
[[contacts]]
sql = "select 'dossiers' as owner_table, d.id::text as owner_key, u.email as contact from dossiers d join users u on u.id = d.user_id""#;

/// Tables named at once.
const NAMED: usize = 5;

pub(super) async fn run(context: &Context, args: args::Contacts) -> Result<Code, Failure> {
    if context.config.contacts.is_empty() {
        return Err(Failure::usage("no [[contacts]] in the configuration").hint(EXAMPLE));
    }
    let conninfo = context.snapshot()?;
    let bundle = open_bundle(&context.bundle(args.bundle.as_deref())).await?;
    let session = context.open(&conninfo, Access::Reading, "contacts").await?;
    refuse_live(context, &session).await?;
    warn_of_another(context, &bundle, &session).await;
    let mut file = context.create("contacts.csv")?;
    let sources = &context.config.contacts;
    let renames = &context.config.renames;
    let gathered = gather(
        &session,
        &bundle,
        sources,
        renames,
        &context.case,
        &mut file,
    )
    .await?;
    let path = file.finish()?;
    report(context, &bundle, &gathered, &path);
    if args.lost {
        lost(context, &path)?;
    }
    Ok(Code::Done)
}

/// Joins the sheet with what is known of the files: `lost.csv` in the case.
fn lost(context: &Context, contacts: &std::path::Path) -> Result<(), Failure> {
    let blobs = context.case.join(super::blobs::WHOLE);
    if !blobs.exists() {
        return Err(Failure::usage(format!(
            "there is no {}: nobody knows which files are lost",
            blobs.display()
        ))
        .hint(format!(
            "look for them first: {}",
            context.next("blobs check")
        )));
    }
    let mut file = context.create("lost.csv")?;
    let found = who_lost(contacts, &blobs, &mut file)?;
    if found.of_no_unit > 0 {
        return Err(Failure::usage(format!(
            "{} says of files of all of live, not of the bundle's, that they are lost",
            blobs.display()
        ))
        .hint(format!(
            "look for the bundle's files: {}",
            context.next("blobs check")
        )));
    }
    let path = file.finish()?;
    let mut line = format!(
        "{} lost {}",
        counted(found.persons, "person"),
        counted(found.files, "file")
    );
    if found.doubtful > 0 {
        line = format!(
            "{line}, and may have lost {} more",
            counted(found.doubtful, "file")
        );
    }
    if found.without_contact > 0 {
        line = format!(
            "{line}; {} of nobody known",
            counted(found.without_contact, "file")
        );
    }
    match context.format {
        Format::Json => {}
        Format::Text => context.ui.data(&line),
    }
    context
        .ui
        .status(&format!("who lost which file is in {}", path.display()));
    Ok(())
}

/// Live may have lost the addresses, so that asking it would find nobody. It need not be known, nor reachable.
async fn refuse_live(context: &Context, snapshot: &Session) -> Result<(), Failure> {
    let Ok(conninfo) = context.live() else {
        return Ok(());
    };
    let Ok(live) = context.open(&conninfo, Access::Reading, "schema").await else {
        context.ui.detail(
            "live cannot be reached; whether the snapshot is another database was not checked",
        );
        return Ok(());
    };
    if crate::pg::same_database(snapshot, &live).await? {
        return Err(Failure::refused(format!(
            "--snapshot and --live reach the same database ({})",
            live.target()
        ))
        .hint("contacts are asked of the restored backup: live may have lost them; check both connection strings"));
    }
    Ok(())
}

/// The backup may have been restored again since, elsewhere or under another name: that is for a person to say.
async fn warn_of_another(context: &Context, bundle: &Bundle, snapshot: &Session) {
    let source = &bundle.manifest.source;
    let (then, now) = (&source.database, &snapshot.target().database);
    let server = system_identifier(snapshot).await;
    let elsewhere = source.system_identifier.is_some()
        && server.is_some()
        && source.system_identifier != server;
    if !elsewhere && then == now {
        return;
    }
    let place = if elsewhere {
        "another server"
    } else {
        "another database"
    };
    context.ui.warning(&format!(
        "the bundle was made from database {then}, and {} is {place}: whom its rows concern is only right if that is \
         the same backup, restored again",
        snapshot.target()
    ));
}

fn report(context: &Context, bundle: &Bundle, gathered: &Gathered, path: &std::path::Path) {
    let total = gathered.total();
    let outcome = Outcome {
        command: "contacts",
        run: None,
        totals: vec![
            ("persons", gathered.persons),
            ("records", total.records),
            ("records_without_contact", total.without_contact),
        ],
        tables: gathered
            .tables
            .iter()
            .map(|(table, of)| {
                let counts = vec![
                    ("records", of.records),
                    ("records_without_contact", of.without_contact),
                ];
                (table.clone(), counts)
            })
            .collect(),
        beside: vec![
            ("bundle", json!(bundle.id)),
            ("path", json!(path)),
            ("elsewhere", json!(gathered.elsewhere)),
            ("empty", json!(gathered.empty)),
            (
                "unknown_owner_tables",
                json!(
                    gathered
                        .unknown
                        .iter()
                        .map(|(name, rows)| json!({"owner_table": name, "rows": rows}))
                        .collect::<Vec<_>>()
                ),
            ),
        ],
    };
    match context.format {
        Format::Json => context.ui.data(&format!("{:#}", outcome.json())),
        Format::Text => {
            context.ui.data(&by_table(&outcome));
            context.ui.data(&format!(
                "{} concerned by {}",
                counted(gathered.persons, "person"),
                counted(total.records, "record")
            ));
        }
    }
    warn(context, gathered);
    context.ui.status(&format!(
        "contacts are in {}. Next: {}",
        path.display(),
        context.next_on("restore", &bundle.dir)
    ));
}

/// Persons belong to no table: they have a line of their own.
fn by_table(outcome: &Outcome) -> String {
    Outcome {
        command: outcome.command,
        run: None,
        totals: outcome.totals[1..].to_vec(),
        tables: outcome.tables.clone(),
        beside: Vec::new(),
    }
    .text()
}

/// Who would be forgotten otherwise.
fn warn(context: &Context, gathered: &Gathered) {
    let total = gathered.total();
    if total.without_contact > 0 {
        let tables: Vec<String> = gathered
            .tables
            .iter()
            .filter(|(_, of)| of.without_contact > 0)
            .map(|(table, of)| format!("{table} {}", of.without_contact))
            .collect();
        context.ui.warning(&format!(
            "{} without a contact ({}); they are in contacts.csv, with an empty one",
            counted(total.without_contact, "record"),
            listed(&tables)
        ));
    }
    if !gathered.unknown.is_empty() {
        let names: Vec<String> = gathered
            .unknown
            .iter()
            .map(|(name, rows)| format!("`{name}` in {}", counted(*rows, "row")))
            .collect();
        context.ui.warning(&format!(
            "owner_table is no table of the snapshot: {}; a class name is to be mapped to its table in the SQL",
            listed(&names)
        ));
    }
    if gathered.empty > 0 {
        context.ui.status(&format!(
            "{} of [[contacts]] about records of the bundle had no contact",
            counted(gathered.empty, "row")
        ));
    }
}

fn listed(items: &[String]) -> String {
    let shown = items.iter().take(NAMED).cloned().collect::<Vec<_>>();
    match items.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
