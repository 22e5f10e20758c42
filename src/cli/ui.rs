//! What a person sees while a command runs: status and progress on stderr, data on stdout.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the one place that prints"
)]

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::Event;

use super::bars::Bars;
use super::error::{Code, Failure};
use super::output::without;
use super::secrets::Secrets;

/// Units left out that are shown one by one; what they have in common is seen by then, and the file has them all.
const SHOWN: u64 = 12;

/// The terminal.
#[derive(Clone)]
pub(crate) struct Ui {
    quiet: bool,
    verbose: bool,
    shared: Arc<Shared>,
}

struct Shared {
    bars: Bars,
    secrets: Secrets,
    left_out: AtomicU64,
    /// Why stdout could not be written to.
    output_failed: Mutex<Option<String>>,
}

impl Ui {
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        let shared = Shared {
            bars: Bars::new(!quiet && std::io::stderr().is_terminal()),
            secrets: Secrets::of_process(),
            left_out: AtomicU64::new(0),
            output_failed: Mutex::default(),
        };
        Self {
            quiet,
            verbose,
            shared: Arc::new(shared),
        }
    }

    /// Prints data.
    pub(crate) fn data(&self, text: &str) {
        self.shared.bars.aside(|| {
            let mut out = std::io::stdout().lock();
            let written =
                writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
            match written {
                // A reader that has seen enough (`| head`) is no failure of ours.
                Err(e) if e.kind() != ErrorKind::BrokenPipe => {
                    if let Ok(mut failed) = self.shared.output_failed.lock() {
                        *failed = Some(e.to_string());
                    }
                }
                _ => {}
            }
        });
    }

    /// Data that did not arrive must not look like data that is not there.
    pub(crate) fn check_output(&self, code: Code) -> Result<Code, Failure> {
        let failed = self
            .shared
            .output_failed
            .lock()
            .ok()
            .and_then(|f| f.clone());
        match failed {
            Some(cause) if matches!(code, Code::Done | Code::Found) => {
                Err(Failure::usage(format!(
                    "the command did its work, but its result could not be written to stdout: {cause}"
                )))
            }
            _ => Ok(code),
        }
    }

    /// Says what is going on.
    pub(crate) fn status(&self, text: &str) {
        if !self.quiet {
            self.plain(text);
        }
    }

    /// Says what only a curious reader wants to know.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.plain(text);
        }
    }

    /// Says what must not be missed.
    pub(crate) fn warning(&self, text: &str) {
        self.plain(&format!("warning: {text}"));
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        self.end_of_run();
        self.plain(&format!("error: {}", failure.message));
        if let Some(hint) = &failure.hint {
            self.plain(&format!("hint: {hint}"));
        }
    }

    /// Prints on stderr, above the bars.
    pub(crate) fn plain(&self, text: &str) {
        let text = self.shared.secrets.hide(text);
        self.shared.bars.aside(|| {
            let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end_matches('\n'));
        });
    }

    /// Shows an event.
    pub(crate) fn event(&self, event: &Event) {
        let bars = &self.shared.bars;
        match event {
            Event::TableStarted { table, rows } => bars.start_table(table, *rows),
            Event::TableProgress { table, rows } => bars.advance_table(table, *rows),
            Event::TableFinished { table } => bars.end_table(table),
            Event::RunStarted { rows, .. } => bars.start_run(*rows),
            Event::BatchCommitted {
                batch,
                units,
                rows,
                milliseconds,
            } => {
                bars.advance_run(*rows);
                self.detail(&format!(
                    "batch {batch}: {units} units, {rows} rows in {milliseconds} ms"
                ));
            }
            Event::BatchRetried { reason, units } => {
                self.detail(&format!(
                    "rolled back ({reason}); trying again with {units} units"
                ));
            }
            Event::UnitQuarantined {
                unit,
                root,
                reason,
                sqlstate,
            } => {
                let code = sqlstate.as_deref().map(|s| format!(" [{s}]"));
                let code = code.unwrap_or_default();
                self.left_out(&format!(
                    "unit {unit} ({root}) left out{code}: {}",
                    without(root, reason)
                ));
            }
            Event::RowsChanged { .. } | Event::SequenceMoved { .. } => {}
            Event::RowKept {
                table, key, state, ..
            } => self.detail(&format!("{table} {key}: {}", state.replace('_', " "))),
            Event::UnitKept { unit, reason, .. } => {
                self.warning(&format!("unit {unit} is kept: {reason}"));
            }
            Event::ReferenceRefused {
                table,
                key,
                reason,
                sqlstate,
            } => {
                let code = sqlstate
                    .as_deref()
                    .map(|s| format!(" [{s}]"))
                    .unwrap_or_default();
                self.detail(&format!(
                    "{table} {key}: its reference is left{code}: {reason}"
                ));
            }
            Event::LargeObjectKept { loid, reason, .. } => {
                self.detail(&format!("large object {loid} is kept: {reason}"));
            }
            Event::RunFinished { .. } => self.end_of_run(),
            Event::FilesStarted { files } => bars.start_files(*files),
            Event::FilesChecked { files } => bars.advance_run(*files),
            Event::FileBack { store, key, means } => {
                self.detail(&format!("{store} `{key}`: {}", means.replace('_', " ")));
            }
            Event::FileLeft { store, key, reason } => {
                self.detail(&format!("{store} `{key}` is not back: {reason}"));
            }
            Event::Note { text } => self.status(text),
        }
    }

    fn left_out(&self, text: &str) {
        let before = self.shared.left_out.fetch_add(1, Ordering::Relaxed);
        if before < SHOWN || self.verbose {
            self.warning(text);
        } else if before == SHOWN {
            self.warning("more units are left out; they are counted at the end");
        }
    }

    /// Takes the bars away, and says how many units were left out without a line of their own.
    fn end_of_run(&self) {
        self.shared.bars.end();
        let units = self.shared.left_out.swap(0, Ordering::Relaxed);
        if units > SHOWN && !self.verbose {
            self.warning(&format!("{} more units were left out", units - SHOWN));
        }
    }
}
