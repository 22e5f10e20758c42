//! What can be recovered, with which rights, and what stands in the way: findings, each with a level. Reads only.

use serde::Serialize;

use crate::catalog::{OnDelete, Schema, Table, TableKind, introspect};
use crate::pg::{PgError, Session, same_database};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Needs a decision or will limit what can be done.
    Warning,
    /// Nothing works until it is mended.
    Problem,
}

/// One finding.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Level.
    pub level: Level,
    /// `live`, `snapshot` or `both`.
    pub about: &'static str,
    /// What was found.
    pub text: String,
    /// What to do about it, where there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Findings.
#[derive(Debug, Default)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    fn add(&mut self, level: Level, about: &'static str, text: String, advice: Option<&str>) {
        self.0.push(Finding {
            level,
            about,
            text,
            advice: advice.map(str::to_owned),
        });
    }

    /// The worst level.
    pub fn worst(&self) -> Level {
        self.0.iter().map(|f| f.level).max().unwrap_or(Level::Good)
    }
}

/// Oldest and newest server versions that are supported.
const VERSIONS: std::ops::RangeInclusive<u32> = 14..=18;

/// Looks at what is there: live, and the snapshot if one is restored already.
pub async fn examine(live: &Session, snapshot: Option<&Session>) -> Result<Findings, PgError> {
    let mut findings = Findings::default();
    server(live, "live", &mut findings).await?;
    let live_schema = introspect(live).await?;
    tables("live", &live_schema, &mut findings);
    writing(live, &live_schema, &mut findings).await?;
    undeclared(&live_schema, &mut findings);
    if let Some(snapshot) = snapshot {
        server(snapshot, "snapshot", &mut findings).await?;
        if same_database(live, snapshot).await? {
            findings.add(
                Level::Problem,
                "both",
                "live and snapshot are the same database".into(),
                Some("check the two connection strings"),
            );
            return Ok(findings);
        }
        both(&introspect(snapshot).await?, &live_schema, &mut findings);
    }
    Ok(findings)
}

async fn server(
    session: &Session,
    side: &'static str,
    findings: &mut Findings,
) -> Result<(), PgError> {
    let sql = "select current_setting('server_version')::text, r.rolsuper, r.rolbypassrls, r.rolname::text,
                      pg_has_role(current_user, 'pg_read_all_data', 'member'), pg_is_in_recovery()
                 from pg_roles r where r.rolname = current_user";
    let row = session
        .query_one("asking for version and role", sql, &[])
        .await?;
    let major = session.server_version() / 10_000;
    let (level, advice) = if VERSIONS.contains(&major) {
        (Level::Good, None)
    } else {
        (Level::Problem, Some("PostgreSQL 14 to 18 are supported"))
    };
    findings.add(
        level,
        side,
        format!("{}: PostgreSQL {}", session.target(), row.get::<_, &str>(0)),
        advice,
    );
    let (superuser, bypass, reads_all): (bool, bool, bool) = (row.get(1), row.get(2), row.get(4));
    let rights = match (superuser, reads_all) {
        (true, _) => "is a superuser",
        (false, true) => "may read all data (pg_read_all_data)",
        (false, false) => "has the rights that were granted to it",
    };
    let bypass = if superuser || bypass {
        ""
    } else {
        "; it obeys row-level security"
    };
    findings.add(
        Level::Note,
        side,
        format!("role {} {rights}{bypass}", row.get::<_, &str>(3)),
        None,
    );
    if row.get(5) {
        let (level, text, advice) = match side {
            "live" => (
                Level::Warning,
                "is a standby: it can be compared, not restored into",
                "give the primary to restore",
            ),
            _ => (
                Level::Warning,
                "replays another server's WAL: it may lose the very rows again",
                "promote it (pg_promote) or restore to a point in time",
            ),
        };
        findings.add(level, side, text.to_owned(), Some(advice));
    }
    Ok(())
}

fn names<'a>(tables: impl Iterator<Item = &'a Table>) -> Option<String> {
    let names: Vec<String> = tables.map(|t| t.name.to_string()).collect();
    match names.len() {
        0 => None,
        n if n > 12 => Some(format!("{} and {} more", names[..12].join(", "), n - 12)),
        _ => Some(names.join(", ")),
    }
}

fn tables(side: &'static str, schema: &Schema, findings: &mut Findings) {
    let all = || schema.tables.values();
    findings.add(
        Level::Note,
        side,
        format!("{} tables", schema.tables.len()),
        None,
    );
    let mut about = |level, list: Option<String>, what: &str, advice: &str| {
        if let Some(list) = list {
            findings.add(level, side, format!("{what}: {list}"), Some(advice));
        }
    };
    about(
        Level::Warning,
        names(all().filter(|t| !t.readable)),
        "not readable",
        "GRANT SELECT on them (docs/RIGHTS.md), or leave them out with --exclude-table",
    );
    about(
        Level::Note,
        names(all().filter(|t| t.key.is_empty() && t.kind != TableKind::Foreign)),
        "without a key",
        "compared as bags of rows: content and how often it occurs",
    );
    about(
        Level::Warning,
        names(all().filter(|t| t.triggers.iter().any(|g| g.on_insert))),
        "triggers fire when rows are inserted",
        "restore refuses these tables while the triggers are enabled",
    );
    about(
        Level::Warning,
        names(all().filter(|t| t.row_security)),
        "row-level security",
        "use a role with BYPASSRLS",
    );
    about(
        Level::Note,
        names(all().filter(|t| t.kind == TableKind::Foreign)),
        "foreign tables",
        "their rows live elsewhere; they are skipped",
    );
    about(
        Level::Warning,
        names(all().filter(|t| t.unlogged)),
        "unlogged",
        "empty in every physical backup",
    );
}

async fn writing(live: &Session, schema: &Schema, findings: &mut Findings) -> Result<(), PgError> {
    let cannot = names(
        schema
            .tables
            .values()
            .filter(|t| !t.insertable && t.kind != TableKind::Foreign),
    );
    if let Some(list) = cannot {
        findings.add(
            Level::Note,
            "live",
            format!("this role may not insert into: {list}"),
            Some("restore needs a role that may: docs/RIGHTS.md"),
        );
    }
    let silent: Vec<String> = schema
        .foreign_keys
        .iter()
        .filter(|k| k.on_delete == OnDelete::Refuse)
        .map(|k| format!("{}.{}", k.child, k.name))
        .collect();
    if !silent.is_empty() {
        findings.add(
            Level::Note,
            "live",
            format!("{} foreign keys without ON DELETE: the application deleted children itself", silent.len()),
            Some("what belongs to a deleted row is found along these keys and [[relation]]s of reinstate.toml"),
        );
    }
    let sql = "select pubname::text from pg_publication where puballtables order by 1";
    for row in live.query("looking at publications", sql, &[]).await? {
        findings.add(
            Level::Warning,
            "live",
            format!("publication {} is FOR ALL TABLES", row.get::<_, &str>(0)),
            Some("the journal's tables must exist on the subscribers first: docs/JOURNAL.md"),
        );
    }
    Ok(())
}

/// Columns named like a reference (`thing_id`) to a table (`things`) that no foreign key states.
fn undeclared(schema: &Schema, findings: &mut Findings) {
    for table in schema.tables.values() {
        for column in &table.columns {
            let Some(stem) = column.name.strip_suffix("_id").filter(|s| !s.is_empty()) else {
                continue;
            };
            let stated = schema
                .foreign_keys
                .iter()
                .any(|k| k.child == table.name && k.child_columns.contains(&column.name));
            if stated {
                continue;
            }
            if table.column(&format!("{stem}_type")).is_some() {
                findings.add(
                    Level::Warning,
                    "live",
                    format!(
                        "{}.{} looks polymorphic (beside {stem}_type)",
                        table.name, column.name
                    ),
                    Some("declare a [[relation]] with `when` for each table it points at"),
                );
                continue;
            }
            let plurals = [
                format!("{stem}s"),
                stem.to_owned(),
                format!("{stem}es"),
                plural_y(stem),
            ];
            let parent = schema.tables.values().find(|t| {
                t.name != table.name && plurals.contains(&t.name.name) && t.key.len() == 1
            });
            if let Some(parent) = parent {
                findings.add(
                    Level::Warning,
                    "live",
                    format!(
                        "{}({}) looks like a reference that no foreign key states",
                        table.name, column.name
                    ),
                    Some(&format!(
                        "if so: [[relation]] from = \"{}({})\" to = \"{}({})\"",
                        table.name, column.name, parent.name, parent.key[0]
                    )),
                );
            }
        }
    }
}

fn plural_y(stem: &str) -> String {
    stem.strip_suffix('y')
        .map_or_else(|| stem.to_owned(), |s| format!("{s}ies"))
}

fn both(snapshot: &Schema, live: &Schema, findings: &mut Findings) {
    let pairs = crate::catalog::compare(snapshot, live);
    let mut common = 0;
    for (name, pair) in &pairs {
        match pair {
            Ok(pair) => {
                common += 1;
                if let Some(drift) = pair.drift.sentence() {
                    findings.add(Level::Note, "both", format!("{name}: {drift}"), None);
                }
            }
            Err(crate::catalog::Drift::OnlyInSnapshot) => findings.add(
                Level::Warning,
                "both",
                format!("{name} exists only in the snapshot"),
                Some("a dropped table must be created again before its rows can come back"),
            ),
            Err(crate::catalog::Drift::OnlyInLive) => {
                findings.add(
                    Level::Note,
                    "both",
                    format!("{name} exists only in live"),
                    None,
                );
            }
            Err(crate::catalog::Drift::Skipped(reason)) => {
                findings.add(
                    Level::Note,
                    "both",
                    format!("{name} is not compared: {reason}"),
                    None,
                );
            }
        }
    }
    if common == 0 {
        findings.add(
            Level::Problem,
            "both",
            "snapshot and live have no table in common".into(),
            Some("is one of them the wrong database, or still empty?"),
        );
    } else {
        findings.add(
            Level::Good,
            "both",
            format!("{common} tables can be compared"),
            None,
        );
    }
}
