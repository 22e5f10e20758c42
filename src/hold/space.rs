//! How much disk is free where live keeps its WAL: measured where the server runs on this machine, else what the operator
//! says.

use std::path::{Path, PathBuf};

use crate::pg::{Session, Size};

use super::HoldError;

/// Free space.
#[derive(Debug, Clone)]
pub struct Space {
    /// How much.
    pub free: Size,
    /// Where it was measured; `None` where it was said.
    pub measured: Option<Measured>,
}

/// Where free space is measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The directory.
    pub directory: PathBuf,
    /// Whether that is `pg_wal` itself, and not only the data directory around it.
    pub is_wal: bool,
}

impl Measured {
    /// Measures again.
    pub fn free(&self) -> std::io::Result<Size> {
        free(&self.directory)
    }
}

fn free(directory: &Path) -> std::io::Result<Size> {
    let stat = nix::sys::statvfs::statvfs(directory)?;
    // What is kept for the superuser does not count.
    Ok(Size(stat.blocks_available() * stat.fragment_size()))
}

/// Finds out. What is said wins over what can be measured.
///
/// Errors: `SpaceUnknown`, with the reason.
pub(super) async fn find(session: &Session, said: Option<Size>) -> Result<Space, HoldError> {
    if let Some(free) = said {
        return Ok(Space {
            free,
            measured: None,
        });
    }
    let unknown = |why: String| HoldError::SpaceUnknown {
        target: session.target().to_string(),
        why,
    };
    let sql = "select setting from pg_settings where name = 'data_directory'";
    let rows = session
        .ask("asking for the data directory", sql, &[])
        .await?;
    let Some(row) = rows.first() else {
        let role = crate::ident::quote_ident(&session.target().role);
        return Err(unknown(format!(
            "the data directory is hidden from this role (GRANT pg_read_all_settings TO {role})"
        )));
    };
    if !runs_here(session) {
        return Err(unknown("the server runs on another machine".to_owned()));
    }
    let data = PathBuf::from(row.get::<_, String>(0));
    // Other users may not look into the data directory, but may ask for the disk around it.
    let places = [(data.join("pg_wal"), true), (data, false)];
    let mut cause = String::new();
    for (directory, is_wal) in places {
        match free(&directory) {
            Ok(free) => {
                return Ok(Space {
                    free,
                    measured: Some(Measured { directory, is_wal }),
                });
            }
            Err(e) => cause = format!("{}: {e}", directory.display()),
        }
    }
    Err(unknown(cause))
}

/// Whether our own server process is a process of this machine: its number here is that of a `postgres` which serves
/// our role and database. An address would not tell, since tunnels and containers have local ones.
fn runs_here(session: &Session) -> bool {
    let process = PathBuf::from(format!("/proc/{}", session.backend_pid()));
    let read = |name: &str| std::fs::read_to_string(process.join(name)).unwrap_or_default();
    let title = read("cmdline");
    let target = session.target();
    read("comm").starts_with("postgres")
        && title.contains(&target.role)
        && title.contains(&target.database)
}
