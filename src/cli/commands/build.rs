//! This build, and who runs it: what bundles and journals record, so that what was rehearsed and what runs can be
//! compared by a machine.

use sha2::{Digest, Sha256};

use crate::bundle::ToolBuild;

/// Version, commit and digest of the running executable.
pub(super) fn tool() -> ToolBuild {
    ToolBuild {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("REINSTATE_COMMIT")
            .unwrap_or("unknown")
            .to_owned(),
        sha256: executable_digest(),
    }
}

fn executable_digest() -> Option<String> {
    let mut file = std::fs::File::open(std::env::current_exe().ok()?).ok()?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).ok()? {
            0 => break,
            n => digest.update(&buffer[..n]),
        }
    }
    Some(
        digest
            .finalize()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect(),
    )
}

/// The operating system user.
pub(super) fn os_user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::current())
        .ok()
        .flatten();
    user.map_or_else(|| "unknown".to_owned(), |u| u.name)
}

/// The host.
pub(super) fn host() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|h| h.into_string().ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The command line, without the values of connection strings: they may hold passwords.
pub(super) fn command_line() -> String {
    let mut words = Vec::new();
    let mut secret = false;
    for word in std::env::args() {
        let (flag, inline) = word
            .split_once('=')
            .map_or((word.as_str(), false), |(flag, _)| (flag, true));
        let names_connection = matches!(flag, "--live" | "--snapshot" | "--after" | "--on");
        if secret {
            words.push("…".to_owned());
        } else if names_connection && inline {
            words.push(format!("{flag}=…"));
        } else {
            words.push(word.clone());
        }
        secret = !secret && names_connection && !inline;
    }
    words.join(" ")
}
