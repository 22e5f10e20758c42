//! What was found. Wire format of `doctor --format json`, version 1.

use serde::Serialize;

use crate::ident::{TableName, quote_ident};
use crate::pg::{PgError, Session};

/// Names that a sentence holds; the finding has them all.
const SHOWN: usize = 8;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Needs a decision, or will limit what can be done.
    Warning,
    /// The next command cannot work until it is mended.
    Problem,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The production database.
    Live,
    /// The restored backup.
    Snapshot,
    /// The two of them together.
    Both,
}

impl Side {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Snapshot => "snapshot",
            Self::Both => "both",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What it is about.
    pub about: Side,
    /// Its name, for programs.
    pub code: &'static str,
    /// What was found, for people.
    pub text: String,
    /// The tables concerned: all of them, where the text names only the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableName>,
    /// What to do about it, where there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The next command: of this program (`reinstate hold`), SQL, or a line of configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Finding {
    /// Says what to do about it.
    pub fn advice(&mut self, advice: impl Into<String>) -> &mut Self {
        self.advice = Some(advice.into());
        self
    }

    /// Says what to type.
    pub fn next(&mut self, command: impl Into<String>) -> &mut Self {
        self.next = Some(command.into());
        self
    }
}

/// Findings, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Adds one.
    pub fn add(
        &mut self,
        level: Level,
        about: Side,
        code: &'static str,
        text: impl Into<String>,
    ) -> &mut Finding {
        self.0.push(Finding {
            level,
            about,
            code,
            text: text.into(),
            tables: Vec::new(),
            advice: None,
            next: None,
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// Adds one about tables, unless there are none.
    pub(super) fn about_tables(
        &mut self,
        level: Level,
        about: Side,
        code: &'static str,
        what: &str,
        tables: Vec<TableName>,
        advice: &str,
    ) {
        if tables.is_empty() {
            return;
        }
        let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
        let text = format!("{what}: {}", listed(&names));
        let finding = self.add(level, about, code, text).advice(advice);
        finding.tables = tables;
    }

    /// What could not be looked at is a finding too: a right that is missing, a question that takes too long.
    pub(super) fn unless_seen(
        &mut self,
        session: &Session,
        side: Side,
        what: &str,
        outcome: Result<(), PgError>,
    ) {
        let Err(error) = outcome else { return };
        if matches!(error, PgError::Lost { .. }) {
            let said = |f: &Finding| f.code == "connection_lost" && f.about == side;
            if !self.0.iter().any(said) {
                self.add(Level::Problem, side, "connection_lost", error.to_string())
                    .advice("the rest of this side was not looked at: run it again");
            }
            return;
        }
        let (cause, advice) = match (&error, error.sqlstate()) {
            (PgError::Server(server), Some("42501")) => (
                server.message.clone(),
                format!(
                    "GRANT pg_monitor TO {} lets this role see it",
                    role(session)
                ),
            ),
            (PgError::Server(_), Some("57014" | "55P03")) => (
                "it took longer than doctor waits".to_owned(),
                "the server is busy, or something holds a lock; run it again later".to_owned(),
            ),
            _ => (error.to_string(), String::new()),
        };
        let text = format!("{what} could not be looked at: {cause}");
        let finding = self.add(Level::Note, side, "not_seen", text);
        if !advice.is_empty() {
            finding.advice(advice);
        }
    }

    /// The worst level.
    pub fn worst(&self) -> Level {
        self.0.iter().map(|f| f.level).max().unwrap_or(Level::Good)
    }

    /// How many have this level.
    pub fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|f| f.level == level).count()
    }
}

/// The session's role, as SQL.
pub(super) fn role(session: &Session) -> String {
    quote_ident(&session.target().role)
}

/// The first of many, and how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    match names.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}
