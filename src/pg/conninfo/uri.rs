//! Connection URIs: `postgresql://role:password@host:port,host:port/database?sslmode=require`.
//!
//! Read as libpq reads them, with one refusal more: a bare `@` or `/` in a password, which libpq takes for the start of
//! the host and would then show in its messages.

use super::text::{Pairs, accept, known};

const AT_SIGN: &str = "an \"@\" stands where a host, port or database was expected; in a role, password or database \
                       write \"@\" as %40, \"/\" as %2F and \":\" as %3A";

/// Reads the `rest` of a URI, which follows the `skipped` characters of its scheme.
pub(super) fn pairs(rest: &str, skipped: usize) -> Result<Pairs, String> {
    let mut found = Pairs::new();
    let (head, query) = split_credentials(rest);
    let (place, params) = match query.split_once('?') {
        Some((place, params)) => (place, Some(params)),
        None => (query, None),
    };
    if place.contains('@') {
        return Err(AT_SIGN.to_owned());
    }
    if let Some(credentials) = head {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, password),
            None => (credentials, ""),
        };
        store(&mut found, "user", user)?;
        store(&mut found, "password", password)?;
    }
    let (authority, database) = match place.split_once('/') {
        Some((authority, database)) => (authority, database),
        None => (place, ""),
    };
    hosts(&mut found, authority)?;
    store(&mut found, "dbname", database)?;
    if let Some(params) = params {
        // What a position in a message counts from: the characters before the first parameter.
        let start = skipped + rest.chars().count() - params.chars().count();
        query_parameters(&mut found, params, start)?;
    }
    Ok(found)
}

/// Role and password, where an `@` comes before the first `/`.
fn split_credentials(rest: &str) -> (Option<&str>, &str) {
    match rest.find(['@', '/']) {
        Some(at) if rest[at..].starts_with('@') => (Some(&rest[..at]), &rest[at + 1..]),
        _ => (None, rest),
    }
}

fn hosts(found: &mut Pairs, authority: &str) -> Result<(), String> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for one in authority.split(',') {
        let (host, port) = if let Some(bracketed) = one.strip_prefix('[') {
            let (host, after) = bracketed
                .split_once(']')
                .ok_or("an IPv6 address in the URI has no closing \"]\"")?;
            if host.is_empty() {
                return Err("an IPv6 address in the URI is empty".to_owned());
            }
            match after.strip_prefix(':') {
                Some(port) => (host, port),
                None if after.is_empty() => (host, ""),
                None => {
                    return Err("after \"]\" in the URI, \":\" and a port may follow".to_owned());
                }
            }
        } else {
            one.split_once(':').unwrap_or((one, ""))
        };
        hosts.push(host);
        ports.push(port);
    }
    store(found, "host", &hosts.join(","))?;
    // One host without a port leaves the port to PGPORT; in a list each gap means the default.
    if ports.iter().any(|port| !port.is_empty()) {
        store(found, "port", &ports.join(","))?;
    }
    Ok(())
}

fn query_parameters(found: &mut Pairs, params: &str, mut start: usize) -> Result<(), String> {
    for param in params.split('&').filter(|param| !param.is_empty()) {
        let (name, value) = param
            .split_once('=')
            .filter(|(_, value)| !value.contains('='))
            .ok_or(
                "a parameter after \"?\" in the URI needs exactly one \"=\" (write %3D in a value)",
            )?;
        let name = decode(name)?;
        if name == "ssl" && value == "true" {
            // What JDBC writes; libpq takes it too.
            store(found, "sslmode", "require")?;
        } else {
            accept(found, known(&name, start)?, decode(value)?)?;
        }
        start += param.chars().count() + 1;
    }
    Ok(())
}

/// Stores a percent-encoded part, unless it is empty.
fn store(found: &mut Pairs, name: &str, encoded: &str) -> Result<(), String> {
    if encoded.is_empty() || encoded.chars().all(|c| c == ',') {
        return Ok(());
    }
    accept(found, known(name, 0)?, decode(encoded)?)
}

/// Takes percent-encoding back.
fn decode(encoded: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = after else {
            return Err(BAD_PERCENT.to_owned());
        };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        match (digit(*high), digit(*low)) {
            (Some(0), Some(0)) => return Err("%00 cannot stand in a connection URI".to_owned()),
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => return Err(BAD_PERCENT.to_owned()),
        }
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| "the URI's percent-encoding is not UTF-8".to_owned())
}

const BAD_PERCENT: &str =
    "a \"%\" in the URI is not followed by two hexadecimal digits; write \"%\" itself as %25";
