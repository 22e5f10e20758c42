//! What usually helps against what a server refuses.

use crate::ident::quote_ident;
use crate::pg::{PgError, ServerError};

/// What usually helps, by SQLSTATE.
pub(super) fn of(error: &PgError) -> Option<String> {
    let hint = match error {
        PgError::Server(server) => match server.sqlstate.as_str() {
            "42501" => missing_right(server),
            "25006" => "the server is a standby or read-only; connect to the primary".to_owned(),
            "57014" => {
                "the statement ran into a time limit set for this role or database".to_owned()
            }
            "42601" if server.doing.contains("--where") => {
                "--where takes a condition, as it would stand after WHERE in SQL: state = 'draft'"
                    .to_owned()
            }
            state if state.starts_with("42") && is_theirs(&server.doing) => format!(
                "names are found as by role {} in that database, by its search_path; write schema.name for others",
                role_of(&server.target)
            ),
            "42P01" | "42703" | "42704" | "42883" => UNQUALIFIED.to_owned(),
            "53100" => "the server's disk is full; free space there, then run again".to_owned(),
            _ => return None,
        },
        PgError::Lost { .. } => "run the same command again".to_owned(),
        _ => return None,
    };
    Some(hint)
}

/// Whether the statement holds SQL that people wrote.
fn is_theirs(doing: &str) -> bool {
    doing.contains("--where") || doing.contains("[[")
}

/// Our own statements write every name with its schema; what cannot be found then is named by something that the server
/// runs for them.
const UNQUALIFIED: &str = "if nobody dropped it just now: an index, default or check of the table calls a function that names \
                           this one without its schema, and sessions of ours look in pg_catalog only. ALTER FUNCTION … SET \
                           search_path = … cures that; or leave the table out with --exclude-table";

/// The statement that gives a role the right it lacks, as far as the refusal tells.
fn missing_right(error: &ServerError) -> String {
    let role = role_of(&error.target);
    let message = error.message.as_str();
    if let Some(database) = message.strip_prefix("permission denied for database ") {
        return format!(
            "GRANT CREATE ON DATABASE {} TO {role}: the journal is kept in a schema of its own (docs/RIGHTS.md)",
            quote_ident(database)
        );
    }
    if error.doing == "adding a table to the journal" {
        return format!(
            "another role made the journal: GRANT CREATE ON SCHEMA reinstate TO {role}, or let its owner create \
             tables reinstate.hold and reinstate.undo_rows (docs/JOURNAL.md)"
        );
    }
    if message == "permission denied for schema reinstate"
        || (error.doing.contains("journal") && message.starts_with("permission denied for"))
    {
        return format!(
            "another role made the journal: GRANT USAGE ON SCHEMA reinstate TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA reinstate TO {role} (docs/RIGHTS.md)"
        );
    }
    if let Some(schema) = message.strip_prefix("permission denied for schema ") {
        return format!("GRANT USAGE ON SCHEMA {} TO {role}", quote_ident(schema));
    }
    format!(
        "grant {role} what docs/RIGHTS.md lists for it, or leave the table out with --exclude-table"
    )
}

/// The role of a session's target as it is shown, as SQL.
fn role_of(target: &str) -> String {
    let role = target.rsplit_once(" as ").map_or(target, |(_, role)| role);
    quote_ident(role)
}
