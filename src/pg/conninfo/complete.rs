//! Completes what a connection string leaves open: service file, then `PG*` variables.
//!
//! Each value remembers where it came from, so that a message about a refused password can say which one was sent.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::super::Environment;
use super::keywords::{KEYWORDS, Treatment};
use super::service;
use super::text::{Pairs, pairs};

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pg) enum Origin {
    /// The connection string.
    Text,
    /// A service file.
    Service(PathBuf),
    /// An environment variable.
    Variable(&'static str),
    /// A line (from 1) of a password file.
    Passfile(PathBuf, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("the connection string"),
            Self::Service(path) => write!(f, "the service file {}", path.display()),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::Passfile(path, line) => write!(f, "line {line} of {}", path.display()),
        }
    }
}

/// All parameters found, the first source winning.
#[derive(Default)]
pub(super) struct Parameters {
    values: BTreeMap<&'static str, (String, Origin)>,
    /// What the operator should know, as whole sentences without a full stop.
    pub(super) notes: Vec<String>,
}

impl Parameters {
    /// Reads `text` and completes it from the service file and the variables.
    pub(super) fn gather(text: &str, environment: &Environment) -> Result<Self, String> {
        let mut gathered = Self::default();
        gathered.add(pairs(text)?, &Origin::Text);
        let asked = |name| gathered.values.get(name).map(|(value, _)| value.as_str());
        let service = asked("service").or(environment.variable("PGSERVICE"));
        if let Some(service) = service.filter(|service| !service.is_empty()) {
            let file = asked("servicefile").or(environment.variable("PGSERVICEFILE"));
            let (pairs, path) = service::parameters(service, file, environment)?;
            gathered.add(pairs, &Origin::Service(path));
        }
        gathered.add_variables(environment)?;
        Ok(gathered)
    }

    fn add(&mut self, pairs: Pairs, origin: &Origin) {
        // Within one source the last mention wins, as in libpq; between sources the first.
        let mut own: BTreeMap<&'static str, String> = BTreeMap::new();
        for (keyword, value) in pairs {
            own.insert(keyword.name, value);
        }
        for (name, value) in own {
            self.values
                .entry(name)
                .or_insert_with(|| (value, origin.clone()));
        }
    }

    fn add_variables(&mut self, environment: &Environment) -> Result<(), String> {
        for keyword in KEYWORDS {
            let Some(variable) = keyword.variable else {
                continue;
            };
            let Some(value) = environment.variable(variable) else {
                continue;
            };
            match keyword.treatment {
                Treatment::Ignored => {}
                Treatment::Refused(harmless, _) if harmless.contains(&value) => {}
                Treatment::Refused(_, reason) => {
                    return Err(format!("{variable} is not accepted: {reason}"));
                }
                Treatment::Read => {
                    self.values
                        .entry(keyword.name)
                        .or_insert_with(|| (value.to_owned(), Origin::Variable(variable)));
                }
            }
        }
        if environment.variable("PGOPTIONS").is_some() {
            // Unlike `options` in a string, it was hardly set for this program.
            self.notes
                .push("PGOPTIONS is not used: every session sets its settings itself".to_owned());
        }
        Ok(())
    }

    /// A value that is given and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.with_origin(name).map(|(value, _)| value)
    }

    /// A value that is given and not empty, and where it came from.
    pub(super) fn with_origin(&self, name: &str) -> Option<(&str, &Origin)> {
        let (value, origin) = self.values.get(name)?;
        (!value.is_empty()).then_some((value.as_str(), origin))
    }

    /// The value among `choices` whose name it is; the message lists the names.
    pub(super) fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, String> {
        let Some((value, origin)) = self.with_origin(name) else {
            return Ok(None);
        };
        match choices.iter().find(|(known, _)| *known == value) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let known: Vec<_> = choices.iter().map(|(known, _)| *known).collect();
                Err(format!(
                    "\"{name}\" from {origin} must be one of {}",
                    known.join(", ")
                ))
            }
        }
    }

    /// A whole number; negative ones are for the caller to understand.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, String> {
        self.with_origin(name)
            .map(|(value, origin)| {
                value
                    .trim()
                    .parse()
                    .map_err(|_| format!("\"{name}\" from {origin} must be a whole number"))
            })
            .transpose()
    }
}
