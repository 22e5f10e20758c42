//! Servers that a provider manages: what is not possible there, and what to do instead.

use crate::pg::{PgError, Session};

use super::{Findings, Level, Side};

/// A provider, told by a role that only its servers have, or by the beginning of its settings' names.
struct Provider {
    name: &'static str,
    role: &'static str,
    settings: &'static str,
    clone: &'static str,
}

/// Sources: the providers' pages on their administrator's role and on point-in-time recovery.
const PROVIDERS: &[Provider] = &[
    Provider {
        name: "Amazon RDS or Aurora",
        role: "rds_superuser",
        settings: "rds.",
        clone: "restore to a point in time makes a new instance",
    },
    Provider {
        name: "Google AlloyDB",
        role: "alloydbsuperuser",
        settings: "alloydb.",
        clone: "a point-in-time restore makes a new cluster",
    },
    Provider {
        name: "Google Cloud SQL",
        role: "cloudsqlsuperuser",
        settings: "cloudsql.",
        clone: "a clone to a point in time makes a new instance",
    },
    Provider {
        name: "Azure Database for PostgreSQL",
        role: "azure_pg_admin",
        settings: "azure.",
        clone: "a point-in-time restore makes a new server",
    },
    Provider {
        name: "Supabase",
        role: "supabase_admin",
        settings: "supautils.",
        clone: "restore to a new project makes a copy; restoring in place would overwrite production",
    },
    Provider {
        name: "Neon",
        role: "neon_superuser",
        settings: "neon.",
        clone: "a branch from a point in time is a copy, at once",
    },
    Provider {
        name: "DigitalOcean",
        role: "doadmin",
        settings: "doadmin.",
        clone: "a fork from a point in time makes a new cluster",
    },
    Provider {
        name: "Aiven",
        role: "avnadmin",
        settings: "aiven.",
        clone: "a fork from a point in time makes a new service",
    },
    Provider {
        name: "Scaleway",
        role: "_rdb_superadmin",
        settings: "scaleway.",
        clone: "a backup is restored, or a snapshot cloned, to a new instance",
    },
];

pub(super) async fn look(live: &Session, findings: &mut Findings) {
    let outcome = ask(live, findings).await;
    findings.unless_seen(live, Side::Live, "who runs the server", outcome);
}

async fn ask(live: &Session, findings: &mut Findings) -> Result<(), PgError> {
    let roles: Vec<&str> = PROVIDERS.iter().map(|p| p.role).collect();
    let prefixes: Vec<&str> = PROVIDERS.iter().map(|p| p.settings).collect();
    let sql = "select array(select rolname::text from pg_roles where rolname = any($1)),
                      array(select p from unnest($2::text[]) p
                             where exists (select from pg_settings where starts_with(name, p)))";
    let row = live
        .query_one("asking who runs the server", sql, &[&roles, &prefixes])
        .await?;
    let (roles, prefixes): (Vec<String>, Vec<String>) = (row.get(0), row.get(1));
    let is = |p: &&Provider| {
        roles.iter().any(|r| r == p.role) || prefixes.iter().any(|s| s == p.settings)
    };
    let Some(provider) = PROVIDERS.iter().find(is) else {
        return Ok(());
    };
    let text = format!(
        "is managed by {}: no superuser, and neither pg_wal, the archive nor the pages of tables can be reached",
        provider.name
    );
    findings
        .add(Level::Note, Side::Live, "managed", text)
        .advice(format!(
            "so neither WAL nor dead rows can be evidence, and hold saves nothing that you could read. Instead: raise the \
             retention of backups now, and bracket the incident with two copies, one from just before and one from just \
             after it ({}): the first is --snapshot, the second --after",
            provider.clone
        ));
    Ok(())
}
