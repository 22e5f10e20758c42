//! Under which account a server runs: PostgreSQL refuses root, and containers often run as nothing else.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User};

use super::{ClusterError, Programs};

/// An unprivileged account that stands in for root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// Gives a file or directory to this account.
    pub(super) fn own(&self, path: &Path) -> std::io::Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
    }

    /// Makes `command` run under this account; its supplementary groups are dropped by the standard library.
    pub(super) fn apply(&self, command: &mut Command) {
        command.gid(self.gid).uid(self.uid);
    }
}

/// Gives `directory` to the account that the server will run under; `None` means ours, which is not root.
pub(super) fn choose(
    programs: &Programs,
    directory: &Path,
) -> Result<Option<Account>, ClusterError> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let mut tried = Vec::new();
    for account in candidates() {
        account
            .own(directory)
            .map_err(|source| ClusterError::Directory {
                doing: "give away",
                path: directory.to_owned(),
                source,
            })?;
        if usable(&account, programs, directory) {
            return Ok(Some(account));
        }
        tried.push(account.name);
    }
    Err(ClusterError::NoAccount {
        tried,
        programs: programs.dir.clone(),
        directory: directory.to_owned(),
    })
}

/// `postgres`, `nobody`, then the first ordinary user of the machine.
fn candidates() -> Vec<Account> {
    let named = ["postgres", "nobody"]
        .into_iter()
        .filter_map(|name| User::from_name(name).ok().flatten())
        .map(|user| Account {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        });
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut accounts: Vec<Account> = named.chain(first_ordinary(&passwd)).collect();
    accounts.retain(|account| account.uid != 0);
    accounts
}

/// The first entry with a user id from 1000 up that is not `nobody`.
///
/// Source: passwd(5).
fn first_ordinary(passwd: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (1000..65534)
            .contains(&uid)
            .then_some(Account { name, uid, gid })
    })
}

/// Whether the account can enter the directory and start the server's program: tried, not guessed from mode bits.
fn usable(account: &Account, programs: &Programs, directory: &Path) -> bool {
    let mut command = Command::new(programs.dir.join("postgres"));
    account.apply(&mut command);
    command
        .arg("--version")
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_user_is_neither_a_system_account_nor_nobody() {
        let passwd = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nbroken\n\
                      ann:x:1001:1002::/home/ann:/bin/sh\n";
        let expected = Account {
            name: "ann".into(),
            uid: 1001,
            gid: 1002,
        };
        assert_eq!(first_ordinary(passwd), Some(expected));
    }
}
