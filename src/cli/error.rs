//! Turns the rooms' errors into one message, a hint, and an exit code.

use crate::attachments::AttachmentsError;
use crate::blobs::CheckError;
use crate::bundle::BundleError;
use crate::catalog::RenameError;
use crate::contacts::ContactsError;
use crate::diff::DiffError;
use crate::evidence::EvidenceError;
use crate::extract::ExtractError;
use crate::flag::FlagError;
use crate::hold::HoldError;
use crate::journal::JournalError;
use crate::pg::PgError;
use crate::restore::RestoreError;
use crate::restore::undo::UndoError;
use crate::verify::VerifyError;

use super::pg_hint;

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

    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Code::Interrupted, message)
    }

    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::new(Code::Bug, message)
    }

    /// Says which side it happened on, where there are two.
    pub(crate) fn about(mut self, side: &str) -> Self {
        self.message = format!("{side}: {}", self.message);
        self
    }

    /// With another exit code, for what is worse, or better, where it happened.
    pub(crate) fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
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
        let hint = error.hint().or_else(|| pg_hint::of(&error));
        Self {
            code,
            message: error.to_string(),
            hint,
        }
    }
}

impl From<RenameError> for Failure {
    fn from(error: RenameError) -> Self {
        Self::usage(error.to_string())
    }
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
        let code = match &error {
            BundleError::Rename(_) => Code::Usage,
            BundleError::NotABundle { .. }
            | BundleError::Full { .. }
            | BundleError::NoScratch { .. }
            | BundleError::Io { .. } => Code::Usage,
            BundleError::Rejected { .. } => Code::Bug,
            _ => Code::Refused,
        };
        Self::new(code, error.to_string())
    }
}

impl From<EvidenceError> for Failure {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Pg(e) => e.into(),
            EvidenceError::Diff(e) => e.into(),
            EvidenceError::TooMany => Self::refused(error.to_string()),
            other => Self::usage(other.to_string()),
        }
    }
}

impl From<ExtractError> for Failure {
    fn from(error: ExtractError) -> Self {
        match error {
            ExtractError::Pg(e) => e.into(),
            ExtractError::Evidence(e) => e.into(),
            ExtractError::Bundle(e) => e.into(),
            ExtractError::Attachments(e) => e.into(),
            ExtractError::SnapshotMoves { .. }
            | ExtractError::LargeObjects { .. }
            | ExtractError::LargeObjectsMove => Self::refused(error.to_string()),
            ExtractError::Undetermined { .. } => Self::refused(error.to_string()).hint(
                "undetermined.jsonl lists them. --undetermined include takes them, --undetermined exclude leaves them \
                 deleted; more evidence (--after, [[audit]]) decides more of them",
            ),
            ExtractError::Nothing { .. } => Self::usage(error.to_string()).hint(
                "reinstate diff shows what is missing; check --from, --to, --root, --where, --keys and --table",
            ),
            other => Self::usage(other.to_string()),
        }
    }
}

impl From<AttachmentsError> for Failure {
    fn from(error: AttachmentsError) -> Self {
        match error {
            AttachmentsError::Sql { entry, name, cause } => {
                Self::from(*cause).about(&format!("[[attachments]] {entry} ({name})"))
            }
            other => Self::usage(other.to_string()),
        }
    }
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        let hint = match &error {
            CheckError::Store { cause, .. } => cause.hint(),
            CheckError::NoStore { .. } => Some(
                "write for each: [stores.NAME] primary = \"s3://bucket\" and, where there is a copy, backup = \"s3://…\"".into(),
            ),
            _ => None,
        };
        let failure = Self::usage(error.to_string());
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<ContactsError> for Failure {
    fn from(error: ContactsError) -> Self {
        match error {
            ContactsError::Bundle(e) => e.into(),
            ContactsError::Pg(e) => e.into(),
            ContactsError::Sql { entry, cause } => {
                Self::from(cause).about(&format!("[[contacts]] {entry}"))
            }
            ContactsError::Column { .. } => Self::usage(error.to_string()).hint(
                "it must give owner_table, owner_key and contact; write `u.email as contact`",
            ),
            other => Self::usage(other.to_string()),
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Pg(e) => e.into(),
            JournalError::Illegal(e) => Self::bug(format!("the journal contradicts itself: {e}"))
                .hint("nothing was changed; please report this with the rows of reinstate.run"),
            other => Self::refused(other.to_string()),
        }
    }
}

impl From<FlagError> for Failure {
    fn from(error: FlagError) -> Self {
        match error {
            FlagError::Pg(e) => e.into(),
            FlagError::Journal(e) => e.into(),
            other => Self::usage(other.to_string()),
        }
    }
}

impl From<HoldError> for Failure {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::Pg(e) => e.into(),
            HoldError::Journal(e) => e.into(),
            HoldError::SpaceUnknown { .. } | HoldError::TooMuch { .. } => {
                Self::usage(error.to_string())
            }
            other => Self::refused(other.to_string()),
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Pg(e) => e.into(),
            RestoreError::Bundle(e) => e.into(),
            RestoreError::Exclude(e) => e.into(),
            RestoreError::Journal(e) => e.into(),
            RestoreError::Interrupted { .. } => Self::new(Code::Interrupted, error.to_string()),
            RestoreError::Partly { .. } => Self::new(Code::Partly, error.to_string()),
            RestoreError::Case { .. }
            | RestoreError::NothingLeftOut { .. }
            | RestoreError::NoTrigger { .. }
            | RestoreError::Fill { .. }
            | RestoreError::Identity { .. } => Self::usage(error.to_string()),
            other => Self::refused(other.to_string()),
        }
    }
}

impl From<UndoError> for Failure {
    fn from(error: UndoError) -> Self {
        match error {
            UndoError::Pg(e) => e.into(),
            UndoError::Journal(e) => e.into(),
            UndoError::Restore(e) => e.into(),
            UndoError::Unknown { .. } | UndoError::None { .. } | UndoError::OtherBundle { .. } => {
                Self::usage(error.to_string())
            }
            UndoError::Partly { .. } => Self::new(Code::Partly, error.to_string()),
            UndoError::NoRestore { .. } | UndoError::Tables(_) => Self::refused(error.to_string()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::{ServerError, Target};

    fn refused(message: &str, doing: &str) -> Failure {
        let target = Target {
            host: "db".into(),
            port: 5432,
            database: "app as was".into(),
            role: "Fixer".into(),
        };
        PgError::Server(Box::new(ServerError {
            target: target.to_string(),
            doing: doing.into(),
            sqlstate: "42501".into(),
            message: message.into(),
            detail: None,
            table: None,
            constraint: None,
            function: None,
        }))
        .into()
    }

    #[test]
    fn a_missing_right_is_answered_with_the_grant() {
        let hint = |message, doing| refused(message, doing).hint.unwrap_or_default();
        let said = hint(
            "permission denied for database app as was",
            "creating the journal",
        );
        assert!(
            said.starts_with("GRANT CREATE ON DATABASE \"app as was\" TO \"Fixer\":"),
            "{said}"
        );
        let said = hint(
            "permission denied for schema reinstate",
            "looking for the journal",
        );
        assert!(
            said.contains("GRANT USAGE ON SCHEMA reinstate TO \"Fixer\";"),
            "{said}"
        );
        let said = hint("permission denied for table run", "reading the journal");
        assert!(
            said.contains("ON ALL TABLES IN SCHEMA reinstate TO"),
            "{said}"
        );
        let said = hint("permission denied for schema app", "reading app.t");
        assert_eq!(said, "GRANT USAGE ON SCHEMA \"app\" TO \"Fixer\"");
    }

    #[test]
    fn a_journal_that_cannot_be_reached_is_no_refusal() {
        let lost = PgError::Lost {
            target: "t".into(),
            doing: "d".into(),
            cause: "c".into(),
        };
        let failure = Failure::from(RestoreError::from(JournalError::Pg(lost)));
        assert_eq!(failure.code, Code::Usage);
    }
}
