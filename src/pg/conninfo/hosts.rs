//! Hosts, addresses and ports: the lists that belong together, and where a server is looked for if none is named.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::complete::Parameters;

/// The directories that PostgreSQL's builds put their socket into: Debian's and its kin, and the source's own default.
pub(super) const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

const DEFAULT_PORT: u16 = 5432;

/// How one server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pg) enum Address {
    /// A socket directory.
    Socket(PathBuf),
    /// A name to look up.
    Name(String),
    /// An address, and the name its certificate should bear.
    Ip {
        /// Where to connect.
        ip: IpAddr,
        /// The name, if one was given besides the address.
        name: Option<String>,
    },
}

impl Address {
    /// As written in messages.
    pub(in crate::pg) fn shown(&self) -> String {
        match self {
            Self::Socket(path) => path.display().to_string(),
            Self::Name(name)
            | Self::Ip {
                name: Some(name), ..
            } => name.clone(),
            Self::Ip { ip, name: None } => ip.to_string(),
        }
    }

    /// What a password file calls it: `localhost` also stands for the default socket directories.
    pub(super) fn in_passfile(&self) -> String {
        match self {
            Self::Socket(path)
                if SOCKET_DIRECTORIES
                    .iter()
                    .any(|default| Path::new(default) == path) =>
            {
                "localhost".to_owned()
            }
            other => other.shown(),
        }
    }
}

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: Address,
    pub(super) port: u16,
}

/// The servers to try, in order.
pub(super) fn places(parameters: &Parameters) -> Result<Vec<Place>, String> {
    let split = |name| -> Vec<&str> {
        parameters
            .get(name)
            .map(|list| list.split(',').map(str::trim).collect())
            .unwrap_or_default()
    };
    let (hosts, addresses, ports) = (split("host"), split("hostaddr"), split("port"));
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(format!(
            "\"host\" lists {} names and \"hostaddr\" {} addresses",
            hosts.len(),
            addresses.len()
        ));
    }
    let count = hosts.len().max(addresses.len()).max(1);
    if ports.len() > 1 && ports.len() != count {
        return Err(format!(
            "\"port\" lists {} ports for {count} hosts",
            ports.len()
        ));
    }
    (0..count)
        .map(|at| {
            let port = ports.get(at).or(ports.first().filter(|_| ports.len() == 1));
            let port = self::port(port.copied().unwrap_or_default())?;
            let host = hosts.get(at).copied().unwrap_or_default();
            let ip = addresses.get(at).copied().unwrap_or_default();
            let address = address(host, ip, port)?;
            Ok(Place { address, port })
        })
        .collect()
}

fn port(text: &str) -> Result<u16, String> {
    if text.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    text.parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| "\"port\" must be a number from 1 to 65535".to_owned())
}

fn address(host: &str, ip: &str, port: u16) -> Result<Address, String> {
    if !ip.is_empty() {
        let ip = ip
            .parse()
            .map_err(|_| "\"hostaddr\" must be an IPv4 or IPv6 address".to_owned())?;
        let name = (!host.is_empty()).then(|| host.to_owned());
        return Ok(Address::Ip { ip, name });
    }
    if host.starts_with('@') {
        return Err(
            "abstract Unix sockets (\"host\" starting with \"@\") are not supported".into(),
        );
    }
    if host.starts_with('/') {
        return Ok(Address::Socket(PathBuf::from(host)));
    }
    if host.is_empty() {
        return Ok(default_address(&SOCKET_DIRECTORIES.map(Path::new), port));
    }
    Ok(match host.parse() {
        Ok(ip) => Address::Ip { ip, name: None },
        Err(_) => Address::Name(host.to_owned()),
    })
}

/// The first directory with a socket for `port`; `localhost` if there is none.
fn default_address(directories: &[&Path], port: u16) -> Address {
    let socket = format!(".s.PGSQL.{port}");
    directories
        .iter()
        .find(|directory| directory.join(&socket).exists())
        .map_or_else(
            || Address::Name("localhost".to_owned()),
            |directory| Address::Socket(directory.to_path_buf()),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_preferred_where_there_is_one() {
        let directory = tempfile::tempdir().unwrap();
        let none = Path::new("/nonexistent");
        let looked = [none, directory.path()];
        assert_eq!(
            default_address(&looked, 5432),
            Address::Name("localhost".into())
        );
        std::fs::write(directory.path().join(".s.PGSQL.5432"), "").unwrap();
        assert_eq!(
            default_address(&looked, 5432),
            Address::Socket(directory.path().into())
        );
        assert_eq!(
            default_address(&looked, 5433),
            Address::Name("localhost".into())
        );
    }

    #[test]
    fn default_sockets_are_localhost_to_a_password_file() {
        let default = Address::Socket("/var/run/postgresql".into());
        assert_eq!(default.in_passfile(), "localhost");
        assert_eq!(Address::Socket("/run/x".into()).in_passfile(), "/run/x");
    }
}
