//! Every connection keyword libpq knows (up to PostgreSQL 18), its variable, and what becomes of it here.
//!
//! A keyword that asks for a protection this program cannot give is refused, never dropped silently.
//!
//! Source: PostgreSQL manual, "Parameter Key Words" and "Environment Variables" of libpq.

/// What becomes of a keyword.
#[derive(Debug, Clone, Copy)]
pub(super) enum Treatment {
    /// Read and obeyed.
    Read,
    /// Makes no difference here.
    Ignored,
    /// Refused, with the reason, unless its value is empty or one of the harmless ones.
    Refused(&'static [&'static str], &'static str),
}

/// One keyword of a connection string.
#[derive(Debug)]
pub(super) struct Keyword {
    /// As written in a connection string.
    pub(super) name: &'static str,
    /// The environment variable that stands in for it.
    pub(super) variable: Option<&'static str>,
    /// What becomes of it.
    pub(super) treatment: Treatment,
}

const fn read(name: &'static str, variable: Option<&'static str>) -> Keyword {
    Keyword {
        name,
        variable,
        treatment: Treatment::Read,
    }
}

const fn ignored(name: &'static str) -> Keyword {
    Keyword {
        name,
        variable: None,
        treatment: Treatment::Ignored,
    }
}

const fn refused(
    name: &'static str,
    variable: Option<&'static str>,
    harmless: &'static [&'static str],
    reason: &'static str,
) -> Keyword {
    Keyword {
        name,
        variable,
        treatment: Treatment::Refused(harmless, reason),
    }
}

const NO_CRL: &str = "revocation lists are not checked here";
const NO_GSS: &str = "GSSAPI is not supported here";
const NO_OAUTH: &str = "OAuth is not supported here";
const NO_RELAYED_SCRAM: &str = "SCRAM keys are for foreign servers' own connections";

/// All of them.
pub(super) const KEYWORDS: &[Keyword] = &[
    read("host", Some("PGHOST")),
    read("hostaddr", Some("PGHOSTADDR")),
    read("port", Some("PGPORT")),
    read("dbname", Some("PGDATABASE")),
    read("user", Some("PGUSER")),
    read("password", Some("PGPASSWORD")),
    read("passfile", Some("PGPASSFILE")),
    read("service", Some("PGSERVICE")),
    read("servicefile", Some("PGSERVICEFILE")),
    read("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    read("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    read("channel_binding", Some("PGCHANNELBINDING")),
    read("sslmode", Some("PGSSLMODE")),
    read("sslnegotiation", Some("PGSSLNEGOTIATION")),
    read("sslrootcert", Some("PGSSLROOTCERT")),
    read("sslcert", Some("PGSSLCERT")),
    read("sslkey", Some("PGSSLKEY")),
    read("sslsni", Some("PGSSLSNI")),
    read("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION")),
    read("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION")),
    read("keepalives", None),
    read("keepalives_idle", None),
    read("keepalives_interval", None),
    read("keepalives_count", None),
    read("tcp_user_timeout", None),
    // Sessions say themselves who they are, in UTF-8.
    ignored("application_name"),
    ignored("fallback_application_name"),
    ignored("client_encoding"),
    ignored("load_balance_hosts"),
    ignored("min_protocol_version"),
    ignored("max_protocol_version"),
    ignored("sslcompression"),
    ignored("krbsrvname"),
    ignored("gsslib"),
    ignored("gssdelegation"),
    ignored("requiressl"),
    ignored("authtype"),
    ignored("tty"),
    refused(
        "gssencmode",
        Some("PGGSSENCMODE"),
        &["disable", "prefer"],
        NO_GSS,
    ),
    refused(
        "options",
        None,
        &[],
        "every session sets its settings itself; set what the role needs with ALTER ROLE",
    ),
    refused(
        "require_auth",
        Some("PGREQUIREAUTH"),
        &[],
        "the method of authentication cannot be required here; use sslmode=verify-full",
    ),
    refused(
        "requirepeer",
        Some("PGREQUIREPEER"),
        &[],
        "the owner of the server's process is not checked here",
    ),
    refused(
        "replication",
        None,
        &["false", "off", "no", "0"],
        "this program speaks no replication protocol",
    ),
    refused("sslcrl", Some("PGSSLCRL"), &[], NO_CRL),
    refused("sslcrldir", Some("PGSSLCRLDIR"), &[], NO_CRL),
    refused(
        "sslcertmode",
        Some("PGSSLCERTMODE"),
        &["allow"],
        "leave out sslcert and sslkey to send no certificate",
    ),
    refused(
        "sslpassword",
        None,
        &[],
        "encrypted key files are not read here",
    ),
    refused(
        "sslkeylogfile",
        None,
        &[],
        "session keys are never written to a file",
    ),
    refused("scram_client_key", None, &[], NO_RELAYED_SCRAM),
    refused("scram_server_key", None, &[], NO_RELAYED_SCRAM),
    refused("oauth_issuer", None, &[], NO_OAUTH),
    refused("oauth_client_id", None, &[], NO_OAUTH),
    refused("oauth_client_secret", None, &[], NO_OAUTH),
    refused("oauth_scope", None, &[], NO_OAUTH),
];

/// The keyword of that name.
pub(super) fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

/// The known keyword closest to `name`, if one is close enough to be what was meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    // What other drivers call the same thing.
    let elsewhere = match name.to_ascii_lowercase().as_str() {
        "database" | "db" => Some("dbname"),
        "username" => Some("user"),
        "server" => Some("host"),
        "ssl" | "ssl_mode" => Some("sslmode"),
        "pass" | "passwd" | "pwd" => Some("password"),
        _ => None,
    };
    let close = || {
        KEYWORDS
            .iter()
            .map(|keyword| (distance(name, keyword.name), keyword.name))
            .min()
            .filter(|(distance, known)| *distance <= 2 && *distance < known.len() / 2)
            .map(|(_, known)| known)
    };
    elsewhere.or_else(close)
}

/// Edit distance (Levenshtein), ignoring case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(!x.eq_ignore_ascii_case(y));
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_keyword_is_found() {
        for (typed, meant) in [
            ("sslmod", Some("sslmode")),
            ("pasword", Some("password")),
            ("databse", None),
            ("database", Some("dbname")),
            ("HOST", Some("host")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(typed), meant, "{typed}");
        }
    }
}
