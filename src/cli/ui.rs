//! What a person sees while a command runs: status and progress on stderr, data on stdout.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the one place that prints"
)]

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::Event;
use crate::ident::TableName;

use super::error::Failure;

/// The terminal.
#[derive(Clone)]
pub(crate) struct Ui {
    quiet: bool,
    verbose: bool,
    bars: Arc<Bars>,
}

struct Bars {
    multi: MultiProgress,
    by_table: Mutex<HashMap<TableName, ProgressBar>>,
    batches: Mutex<Option<ProgressBar>>,
}

impl Ui {
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        let draw = !quiet && std::io::stderr().is_terminal();
        let target = if draw {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = Bars {
            multi: MultiProgress::with_draw_target(target),
            by_table: Mutex::default(),
            batches: Mutex::default(),
        };
        Self {
            quiet,
            verbose,
            bars: Arc::new(bars),
        }
    }

    /// Prints data.
    pub(crate) fn data(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A reader that has seen enough (`| head`) is no failure of ours.
        let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
    }

    /// Says what is going on.
    pub(crate) fn status(&self, text: &str) {
        if !self.quiet {
            self.above_bars(text);
        }
    }

    /// Says what only a curious reader wants to know.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.above_bars(text);
        }
    }

    /// Says what must not be missed.
    pub(crate) fn warning(&self, text: &str) {
        self.above_bars(&format!("warning: {text}"));
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        self.above_bars(&format!("error: {}", failure.message));
        if let Some(hint) = &failure.hint {
            self.above_bars(&format!("hint: {hint}"));
        }
    }

    fn above_bars(&self, text: &str) {
        self.bars.multi.suspend(|| {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        });
    }

    /// Shows an event.
    pub(crate) fn event(&self, event: &Event) {
        match event {
            Event::TableStarted { table, rows } => self.start_bar(table, *rows),
            Event::TableProgress { table, rows } => {
                self.with_bar(table, |bar| bar.inc(*rows));
            }
            Event::TableFinished { table } => {
                if let Ok(mut bars) = self.bars.by_table.lock()
                    && let Some(bar) = bars.remove(table)
                {
                    bar.finish_and_clear();
                }
            }
            Event::RunStarted { rows, .. } => self.start_batches(*rows),
            Event::BatchCommitted {
                batch,
                units,
                rows,
                milliseconds,
            } => {
                self.with_batches(|bar| bar.inc(*rows));
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
                let code = sqlstate
                    .as_deref()
                    .map(|s| format!(" [{s}]"))
                    .unwrap_or_default();
                self.warning(&format!("unit {unit} ({root}) left out{code}: {reason}"));
            }
            Event::RunFinished { .. } => {
                if let Ok(mut bar) = self.bars.batches.lock()
                    && let Some(bar) = bar.take()
                {
                    bar.finish_and_clear();
                }
            }
            Event::Note { text } => self.status(text),
        }
    }

    fn start_bar(&self, table: &TableName, rows: u64) {
        let bar = self.bars.multi.add(styled(rows));
        bar.set_prefix(table.to_string());
        if let Ok(mut bars) = self.bars.by_table.lock() {
            bars.insert(table.clone(), bar);
        }
    }

    fn start_batches(&self, rows: u64) {
        let bar = self.bars.multi.add(styled(rows));
        bar.set_prefix("restoring");
        if let Ok(mut batches) = self.bars.batches.lock() {
            *batches = Some(bar);
        }
    }

    fn with_bar(&self, table: &TableName, f: impl FnOnce(&ProgressBar)) {
        if let Ok(bars) = self.bars.by_table.lock()
            && let Some(bar) = bars.get(table)
        {
            f(bar);
        }
    }

    fn with_batches(&self, f: impl FnOnce(&ProgressBar)) {
        if let Ok(bar) = self.bars.batches.lock()
            && let Some(bar) = bar.as_ref()
        {
            f(bar);
        }
    }
}

/// Rows, rate and time left; a spinner where the number of rows is not known.
fn styled(rows: u64) -> ProgressBar {
    let (bar, template) = if rows > 0 {
        (
            ProgressBar::new(rows),
            "{prefix:<30} {bar:24} {human_pos}/{human_len} rows {per_sec} {eta} left",
        )
    } else {
        (
            ProgressBar::new_spinner(),
            "{prefix:<30} {spinner} {human_pos} rows {per_sec}",
        )
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
