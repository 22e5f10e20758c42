//! Commands and options of the design that this version does not have: a person who knows them from the documentation
//! is told so, instead of being told that they mistyped.

use clap::error::{ContextKind, ContextValue};

use super::error::Failure;

const COMMANDS: &[&str] = &[
    "rehearse",
    "status",
    "pause",
    "unpause",
    "report",
    "close",
    "completions",
    "man",
];

const OPTIONS: &[&str] = &["--wal", "--max-unit-rows"];

/// What to say where the command line was refused for something that only a later version has.
pub(super) fn failure(error: &clap::Error) -> Option<Failure> {
    let word = |kind: ContextKind| match error.get(kind)? {
        ContextValue::String(word) => word.split('=').next(),
        _ => None,
    };
    let command = word(ContextKind::InvalidSubcommand).filter(|w| COMMANDS.contains(w));
    let option = word(ContextKind::InvalidArg).filter(|w| OPTIONS.contains(w));
    let name = command.or(option)?;
    let hint = match command {
        Some(_) => "`reinstate --help` lists the commands that there are",
        None => "`reinstate COMMAND --help` lists the options that there are",
    };
    Some(
        Failure::usage(format!(
            "`{name}` does not exist here in this version; nothing was done"
        ))
        .hint(hint),
    )
}
