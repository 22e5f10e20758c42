//! Tables of which an after-snapshot says nothing, and why: the others still count.

use std::collections::HashMap;

use crate::catalog::{Comparable, Drift};
use crate::ident::{TableName, quote_ident, quote_literal};
use crate::pg::{PgError, Session};

/// Tables of the snapshot that cannot be looked at there.
pub(super) struct Unseen {
    reasons: HashMap<TableName, String>,
    /// No table of the snapshot is there at all.
    pub(super) stranger: bool,
}

/// Tables of the snapshot and an after-snapshot, by name.
type Pairs = HashMap<TableName, Comparable>;

/// Tells the tables that can be looked at from the others.
pub(super) async fn split(
    session: &Session,
    all: Vec<(TableName, Result<Box<Comparable>, Drift>)>,
) -> Result<(Pairs, Unseen), PgError> {
    let mut pairs = Pairs::new();
    let (mut reasons, mut stranger) = (HashMap::new(), true);
    let role = quote_ident(&session.target().role);
    for (name, pair) in all {
        let only_one = matches!(pair, Err(Drift::OnlyInSnapshot | Drift::OnlyInLive));
        stranger &= only_one;
        let reason = match pair {
            Ok(pair) if hidden(session, &pair).await? => {
                format!(
                    "row-level security hides rows of it from role {role}, which needs BYPASSRLS"
                )
            }
            Ok(pair) => {
                pairs.insert(name, *pair);
                continue;
            }
            Err(Drift::OnlyInSnapshot) => "it does not have that table".to_owned(),
            Err(Drift::OnlyInLive) => continue,
            Err(Drift::Unreadable { live, .. }) => {
                format!(
                    "role {role} may not read it (GRANT SELECT ON {} TO {role})",
                    live.as_ref().unwrap_or(&name).sql()
                )
            }
            Err(Drift::Skipped(reason)) => reason,
        };
        reasons.insert(name, reason);
    }
    Ok((pairs, Unseen { reasons, stranger }))
}

/// Whether reading all rows would be refused.
async fn hidden(session: &Session, pair: &Comparable) -> Result<bool, PgError> {
    let table = &pair.live;
    if !table.row_security {
        return Ok(false);
    }
    let doing = format!("asking for the row-level security of {}", table.name);
    let name = quote_literal(&table.stored_name().sql());
    let sql = format!("select row_security_active({name}::regclass)");
    Ok(session.query_one(&doing, &sql, &[]).await?.get(0))
}

impl Unseen {
    /// Why nothing is said of a table whose rows have this key, if that is so.
    pub(super) fn reason(&self, pairs: &Pairs, name: &TableName, key: &[String]) -> Option<String> {
        let Some(pair) = pairs.get(name) else {
            return self.reasons.get(name).cloned();
        };
        let missing = key.iter().find(|k| pair.live.column(k).is_none())?;
        Some(format!(
            "it has no column {} there, by which rows are told apart: it was renamed or dropped",
            quote_ident(missing)
        ))
    }
}
