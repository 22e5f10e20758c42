//! The shell: arguments, configuration, what is printed where, and exit codes. Nothing else reads the environment,
//! the home directory or the terminal.

mod args;
mod commands;
mod config;
mod context;
mod error;
mod output;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use context::Context;

/// Parses the command line, runs one command and says how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let ui = ui::Ui::new(cli.global.quiet, cli.global.verbose);
    let outcome = Context::new(&cli.global, ui.clone()).and_then(|context| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = runtime.map_err(|e| error::Failure::bug(format!("no async runtime: {e}")))?;
        runtime.block_on(commands::run(&context, cli.command))
    });
    match outcome {
        Ok(code) => ExitCode::from(code.number()),
        Err(failure) => {
            ui.failure(&failure);
            ExitCode::from(failure.code.number())
        }
    }
}
