//! The shell: arguments, configuration, what is printed where, and exit codes. Nothing else reads the environment,
//! the home directory or the terminal.

mod args;
mod bars;
mod case_file;
mod commands;
mod config;
mod context;
mod error;
mod later;
mod output;
mod pg_hint;
mod secrets;
mod ui;
mod unknowable;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Command};
use context::Context;
use error::{Code, Failure};

/// Parses the command line, runs one command and says how it went.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(usage(&error).number()),
    };
    let ui = ui::Ui::new(cli.global.quiet, cli.global.verbose);
    let outcome = Context::new(&cli.global, ui.clone())
        .and_then(|context| run(&context, cli.command))
        .and_then(|code| ui.check_output(code));
    let code = outcome.unwrap_or_else(|failure| {
        ui.failure(&failure);
        failure.code
    });
    ExitCode::from(code.number())
}

fn run(context: &Context, command: Command) -> Result<Code, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::bug(format!("no async runtime: {e}")))?;
    let outcome = runtime.block_on(commands::run(context, command));
    // Whatever still runs only reads: an interrupted command does not wait for it.
    runtime.shutdown_background();
    outcome
}

/// Help and version go to stdout, complaints to stderr, without a password that landed in the wrong place.
fn usage(error: &clap::Error) -> Code {
    let asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if let Some(failure) = later::failure(error) {
        ui::Ui::new(false, false).failure(&failure);
        return failure.code;
    }
    let shown = error.render().to_string();
    let hidden = secrets::Secrets::of_process().hide(&shown);
    if hidden == shown {
        // As it is, with colours where the terminal has them; a closed pipe is no failure of ours.
        let _ = error.print();
    } else {
        ui::Ui::new(false, false).plain(&hidden);
    }
    if asked_for { Code::Done } else { Code::Usage }
}
