//! Turns the rooms' errors into one message, a hint, and an exit code.

use crate::bundle::BundleError;
use crate::diff::DiffError;
use crate::extract::ExtractError;
use crate::pg::PgError;
use crate::restore::RestoreError;
use crate::verify::VerifyError;

/// Exit codes (DESIGN, command line).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Done, nothing left to do.
    Done,
    /// Differences, losses or problems found.
    Found,
    /// Wrong usage, configuration or environment.
    Usage,
    /// Refused as unsafe; nothing was changed.
    Refused,
    /// Partly done: run again, undo, or decide what is listed.
    Partly,
    /// Interrupted at a safe point.
    Interrupted,
    /// A bug.
    Bug,
}

impl Code {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Found => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Partly => 4,
            Self::Interrupted => 130,
            Self::Bug => 70,
        }
    }
}

/// A failure as a person sees it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// The way out, where the message does not hold it already.
    pub(crate) hint: Option<String>,
}

impl Failure {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Code::Refused, message)
    }

    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::new(Code::Bug, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<PgError> for Failure {
    fn from(error: PgError) -> Self {
        let code = match &error {
            PgError::Pooler { .. } => Code::Refused,
            _ => Code::Usage,
        };
        let hint = error.hint().or_else(|| pg_hint(&error));
        Self {
            code,
            message: error.to_string(),
            hint,
        }
    }
}

/// What usually helps, by SQLSTATE.
fn pg_hint(error: &PgError) -> Option<String> {
    let hint = match error.sqlstate()? {
        "42501" => {
            "grant the role what docs/RIGHTS.md lists for it, or leave the table out with --exclude-table"
        }
        "25006" => "the server is a standby or read-only; connect to the primary",
        "57014" => "the statement ran into a time limit set for this role or database",
        _ => return None,
    };
    Some(hint.to_owned())
}

impl From<DiffError> for Failure {
    fn from(error: DiffError) -> Self {
        match error {
            DiffError::Pg(e) => e.into(),
            DiffError::Spill { .. } => Self::usage(error.to_string()),
            DiffError::Answer { .. } => Self::bug(error.to_string()),
        }
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        Self::refused(error.to_string())
    }
}

impl From<ExtractError> for Failure {
    fn from(error: ExtractError) -> Self {
        match error {
            ExtractError::Pg(e) => e.into(),
            ExtractError::Diff(e) => e.into(),
            ExtractError::Bundle(e) => e.into(),
            other => Self::usage(other.to_string()),
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Pg(e) => e.into(),
            RestoreError::Bundle(e) => e.into(),
            RestoreError::Interrupted { .. } => Self::new(Code::Interrupted, error.to_string()),
            RestoreError::Partly { .. } => Self::new(Code::Partly, error.to_string()),
            RestoreError::Case { .. } => Self::usage(error.to_string()),
            other => Self::refused(other.to_string()),
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Pg(e) => e.into(),
            VerifyError::Restore(e) => e.into(),
        }
    }
}
