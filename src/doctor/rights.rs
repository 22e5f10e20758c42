//! What the role given for live may write, and what a restore will meet there.

use crate::catalog::{Schema, TableKind};
use crate::ident::quote_ident;
use crate::pg::{PgError, Session};

use super::finding::listed;
use super::{Findings, Level, Side};

pub(super) async fn look(
    live: &Session,
    schema: &Schema,
    findings: &mut Findings,
) -> Result<(), PgError> {
    let cannot = schema
        .tables
        .values()
        .filter(|t| !t.insertable && t.kind != TableKind::Foreign && t.extension.is_none())
        .map(|t| t.name.clone())
        .collect();
    findings.about_tables(
        Level::Note,
        Side::Live,
        "not_writable",
        "this role may not insert into",
        cannot,
        "to compare, that is as it should be; restore needs a role that may (docs/RIGHTS.md)",
    );
    journal(live, findings).await?;
    publications(live, findings).await
}

/// Subscribers get restored rows too; the journal's own tables are a danger to those of ALL TABLES.
async fn publications(live: &Session, findings: &mut Findings) -> Result<(), PgError> {
    let sql = "select pubname::text, puballtables, to_regclass('reinstate.run') is not null
                 from pg_publication order by 1";
    let mut others = Vec::new();
    for row in live.query("looking at publications", sql, &[]).await? {
        let name: String = row.get(0);
        match (row.get(1), row.get(2)) {
            (true, false) => {
                findings
                    .add(
                        Level::Warning,
                        Side::Live,
                        "publication",
                        format!("publication {name} is FOR ALL TABLES: a subscriber would stop at the journal's new tables"),
                    )
                    .advice("create the journal's tables on the subscribers first (docs/JOURNAL.md)");
            }
            (true, true) => others.push(format!(
                "{name} (FOR ALL TABLES; the journal is there already)"
            )),
            (false, _) => others.push(name),
        }
    }
    if !others.is_empty() {
        findings
            .add(
                Level::Note,
                Side::Live,
                "publications",
                format!("publications: {}", listed(&others)),
            )
            .advice("their subscribers get every restored row as an insertion");
    }
    Ok(())
}

/// The journal is made by the first restore.
async fn journal(live: &Session, findings: &mut Findings) -> Result<(), PgError> {
    let sql = "select (select has_schema_privilege(oid, 'USAGE') from pg_namespace where nspname = 'reinstate'),
                      has_database_privilege(current_database(), 'CREATE')";
    let row = live
        .query_one("asking for rights on the journal", sql, &[])
        .await?;
    let (uses, creates): (Option<bool>, bool) = (row.get(0), row.get(1));
    let target = live.target();
    let role = quote_ident(&target.role);
    let (text, advice) = match uses {
        Some(true) => return Ok(()),
        Some(false) => (
            "there is a journal (schema reinstate) that this role may not use",
            format!(
                "to restore or verify: GRANT USAGE ON SCHEMA reinstate TO {role}; GRANT SELECT, INSERT, UPDATE, \
                 DELETE ON ALL TABLES IN SCHEMA reinstate TO {role}"
            ),
        ),
        None if creates => return Ok(()),
        None => (
            "this role may not create the journal (schema reinstate)",
            format!(
                "to restore: GRANT CREATE ON DATABASE {} TO {role}",
                quote_ident(&target.database)
            ),
        ),
    };
    findings
        .add(Level::Note, Side::Live, "journal", text)
        .advice(advice);
    Ok(())
}
