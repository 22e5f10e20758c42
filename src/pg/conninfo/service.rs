//! The connection service file: named sets of parameters.
//!
//! Source: PostgreSQL manual, "The Connection Service File".

use std::path::PathBuf;

use super::super::Environment;
use super::text::{Pairs, accept, known};

/// Where Debian and its kin keep it; PostgreSQL built from source has it below its own prefix (`PGSYSCONFDIR`).
const SYSTEM_DIRECTORY: &str = "/etc/postgresql-common";

/// The parameters of `service`, and the file they stand in.
pub(super) fn parameters(
    service: &str,
    named_file: Option<&str>,
    environment: &Environment,
) -> Result<(Pairs, PathBuf), String> {
    let own = match named_file {
        Some(path) => Some(PathBuf::from(path)),
        None => environment.in_home(".pg_service.conf"),
    };
    let system = environment
        .variable("PGSYSCONFDIR")
        .unwrap_or(SYSTEM_DIRECTORY);
    let system = PathBuf::from(system).join("pg_service.conf");
    let mut looked = Vec::new();
    for path in own.iter().chain([&system]) {
        let must_exist = named_file.is_some() && Some(path) == own.as_ref();
        match std::fs::read_to_string(path) {
            Ok(content) => {
                if let Some(pairs) = section(&content, service)
                    .map_err(|reason| format!("{}: {reason}", path.display()))?
                {
                    return Ok((pairs, path.clone()));
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !must_exist => {}
            Err(e) => return Err(format!("cannot read service file {}: {e}", path.display())),
        }
        looked.push(path.display().to_string());
    }
    Err(format!(
        "service \"{service}\" is defined in none of {}",
        looked.join(", ")
    ))
}

/// The parameters of one section, or `None` if there is none of that name.
fn section(content: &str, service: &str) -> Result<Option<Pairs>, String> {
    let mut found: Option<Pairs> = None;
    for (index, line) in content.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if header.strip_suffix(']') == Some(service) {
                found = Some(Pairs::new());
            }
            continue;
        }
        let Some(pairs) = &mut found else { continue };
        let located = |reason: String| format!("line {}: {reason}", index + 1);
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| located("there is no \"=\"".to_owned()))?;
        if matches!(name, "service" | "servicefile") {
            return Err(located("a service cannot refer to a service".to_owned()));
        }
        let keyword = known(name, 0).map_err(located)?;
        // The first mention wins in a file, as the last does in a string.
        if pairs.iter().all(|(known, _)| known.name != keyword.name) {
            accept(pairs, keyword, value.to_owned()).map_err(located)?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let file =
            "# us\n[other]\nhost=no\n\n[shop]\nhost=db1\nport=5433\nport=1\n[later]\nuser=no\n";
        let pairs = section(file, "shop").unwrap().unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| (k.name, v.as_str())).collect();
        assert_eq!(pairs, [("host", "db1"), ("port", "5433")]);
        assert!(section(file, "none").unwrap().is_none());
        assert!(
            section("[s]\nsslmod=require", "s")
                .unwrap_err()
                .contains("line 2")
        );
        assert!(section("[s]\nservice=t", "s").is_err());
    }
}
