//! The settings that every session pins, so that the same value is always written the same way and nothing waits
//! without a bound.
//!
//! All of them exist in PostgreSQL 14 to 18 and may be set by any role, but for those marked as newer, which are set
//! where they exist. One round trip sets them and asks for version and process.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::Access;

/// Where our own statements look for names.
pub(super) const SEARCH_PATH: &str = "pg_catalog, pg_temp";

/// Name and value, as `SET` takes them.
const PINNED: &[(&str, &str)] = &[
    ("default_transaction_isolation", "'read committed'"),
    ("default_transaction_deferrable", "off"),
    // A row that a policy hides must be an error, never a difference.
    ("row_security", "off"),
    ("search_path", SEARCH_PATH),
    ("synchronous_commit", "on"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("statement_timeout", "0"),
    // How values are written.
    ("client_encoding", "'UTF8'"),
    ("DateStyle", "'ISO, YMD'"),
    ("IntervalStyle", "'postgres'"),
    ("TimeZone", "'UTC'"),
    ("extra_float_digits", "3"),
    ("bytea_output", "'hex'"),
    ("lc_monetary", "'C'"),
    ("xmlbinary", "'base64'"),
    ("xmloption", "'content'"),
    // How statements are read.
    ("standard_conforming_strings", "on"),
    ("array_nulls", "on"),
    ("transform_null_equals", "off"),
    ("quote_all_identifiers", "off"),
    ("jit", "off"),
];

/// Settings of newer servers: name, value.
const PINNED_WHERE_KNOWN: &[(&str, &str)] = &[("transaction_timeout", "0")];

/// What the server said of itself.
pub(super) struct Pinned {
    pub(super) server_version: u32,
    pub(super) backend_pid: i32,
}

/// Pins everything in the session of `client`.
pub(super) async fn pin(client: &Client, access: Access) -> Result<Pinned, tokio_postgres::Error> {
    let answer = client.simple_query(&statements(access)).await?;
    let row = answer.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let said = |column| row.and_then(|row| row.get(column)).unwrap_or_default();
    Ok(Pinned {
        server_version: said(0).parse().unwrap_or_default(),
        backend_pid: said(1).parse().unwrap_or_default(),
    })
}

fn statements(access: Access) -> String {
    let (read_only, lock_timeout) = match access {
        Access::Reading => ("on", "5s"),
        Access::Writing => ("off", "400ms"),
    };
    let mut sql = format!(
        "set default_transaction_read_only = {read_only};\nset lock_timeout = '{lock_timeout}';\n"
    );
    for (name, value) in PINNED {
        sql.push_str(&format!("set {name} = {value};\n"));
    }
    for (name, value) in PINNED_WHERE_KNOWN {
        sql.push_str(&format!(
            "select set_config('{name}', '{value}', false) where current_setting('{name}', true) is not null;\n"
        ));
    }
    sql + "select current_setting('server_version_num'), pg_backend_pid()"
}
