//! This build, and who runs it: what bundles and journals record, so that what was rehearsed and what runs can be
//! compared by a machine.

use std::sync::LazyLock;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::bundle::ToolBuild;
use crate::cli::context::Context;
use crate::cli::secrets;
use crate::ident::RunId;
use crate::journal::NewRun;

/// Reading a whole executable takes a while: once is enough.
static EXECUTABLE: LazyLock<Option<String>> = LazyLock::new(executable_digest);

/// Version, commit and digest of the running executable.
pub(super) fn tool() -> ToolBuild {
    ToolBuild {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("REINSTATE_COMMIT")
            .unwrap_or("unknown")
            .to_owned(),
        sha256: EXECUTABLE.clone(),
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

/// A run of this build that begins now, of a bundle's id.
pub(super) fn new_run(context: &Context, kind: &str, bundle: &str, settings: Value) -> NewRun {
    let now = context.clock.now();
    let salt = std::process::id() as u16 ^ now.subsec_nanosecond() as u16;
    NewRun {
        run: RunId::new(now, salt),
        kind: kind.to_owned(),
        bundle: bundle.to_owned(),
        tool: serde_json::to_string(&tool()).unwrap_or_default(),
        settings,
        unrehearsed: None,
        os_user: os_user(),
        host: host(),
        command: command_line(),
    }
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

/// The command line, without connection strings: they may hold passwords.
pub(super) fn command_line() -> String {
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    secrets::command_line(words.iter().map(String::as_str))
}
