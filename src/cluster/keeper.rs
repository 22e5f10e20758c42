//! Ends a server whose owner is gone.
//!
//! A destructor does not run when a process is killed, nor for a `static`. So a tiny shell stands beside each server,
//! under the same account and in a process group of its own (Ctrl-C does not reach it). It reads from a pipe whose other
//! end only we hold, closed on exec; however we end, the kernel closes it, and the shell stops the server by its data
//! directory and removes the directory. A poll of our process id would not do: an unprivileged account may not signal
//! root, and ids are used again. The ordinary end takes the same way, so that it is the one that is always tested.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use super::account::Account;
use super::{ClusterError, Programs};

const SCRIPT: &str = r#"
trap '' HUP INT
while read -r _; do :; done
"$1" stop -D "$2/data" -m immediate -w -t 60
rm -rf "$2"
"#;

/// The shell beside one server, and our end of its pipe.
#[derive(Debug)]
pub(super) struct Keeper {
    shell: Child,
    lifeline: Option<ChildStdin>,
    directory: PathBuf,
}

impl Keeper {
    /// Starts the shell for the server in `directory`, before there is a server.
    pub(super) fn start(
        programs: &Programs,
        account: Option<&Account>,
        directory: &Path,
    ) -> Result<Self, ClusterError> {
        let mut command = Command::new("/bin/sh");
        if let Some(account) = account {
            account.apply(&mut command);
        }
        let spawned = command
            .arg("-c")
            .arg(SCRIPT)
            .arg("reinstate-keeper")
            .arg(programs.dir.join("pg_ctl"))
            .arg(directory)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut shell = spawned.map_err(|e| ClusterError::Unusable {
            program: "/bin/sh".into(),
            cause: e.to_string(),
        })?;
        Ok(Self {
            lifeline: shell.stdin.take(),
            shell,
            directory: directory.to_owned(),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // Nothing can be done here about a failure; what it left behind is below the temporary directory.
        let _ = self.shell.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
