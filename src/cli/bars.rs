//! Progress on a terminal: a bar per table with rows, rate and time left. Without a terminal nothing is drawn.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{
    HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};

use crate::ident::TableName;

use super::output::grouped;

/// Bars shown at the same time: more would push what matters off the screen.
const SHOWN: usize = 8;

/// The bars.
pub(super) struct Bars {
    multi: MultiProgress,
    by_table: Mutex<HashMap<TableName, ProgressBar>>,
    run: Mutex<Option<ProgressBar>>,
}

impl Bars {
    /// Draws on stderr, or not at all.
    pub(super) fn new(draw: bool) -> Self {
        let target = if draw {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            multi: MultiProgress::with_draw_target(target),
            by_table: Mutex::default(),
            run: Mutex::default(),
        }
    }

    /// Takes the bars away while something is printed.
    pub(super) fn aside(&self, print: impl FnOnce()) {
        self.multi.suspend(print);
    }

    /// Takes them away for good.
    pub(super) fn end(&self) {
        if let Ok(mut bars) = self.by_table.lock() {
            bars.drain().for_each(|(_, bar)| bar.finish_and_clear());
        }
        if let Ok(mut bar) = self.run.lock()
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
        }
    }

    /// Work on a table begins.
    pub(super) fn start_table(&self, table: &TableName, rows: u64) {
        let Ok(mut bars) = self.by_table.lock() else {
            return;
        };
        if bars.len() < SHOWN {
            bars.insert(table.clone(), self.add(&table.to_string(), rows));
        }
    }

    /// So many more rows of it are done.
    pub(super) fn advance_table(&self, table: &TableName, rows: u64) {
        if let Ok(bars) = self.by_table.lock()
            && let Some(bar) = bars.get(table)
        {
            bar.inc(rows);
        }
    }

    /// Work on it ended.
    pub(super) fn end_table(&self, table: &TableName) {
        if let Ok(mut bars) = self.by_table.lock()
            && let Some(bar) = bars.remove(table)
        {
            bar.finish_and_clear();
        }
    }

    /// A run over so many rows begins.
    pub(super) fn start_run(&self, rows: u64) {
        if let Ok(mut run) = self.run.lock() {
            *run = Some(self.add("restoring", rows));
        }
    }

    /// A check of so many files begins.
    pub(super) fn start_files(&self, files: u64) {
        if let Ok(mut run) = self.run.lock() {
            *run = Some(self.add("files", files));
        }
    }

    /// So many more rows of it are done.
    pub(super) fn advance_run(&self, rows: u64) {
        if let Ok(run) = self.run.lock()
            && let Some(bar) = run.as_ref()
        {
            bar.inc(rows);
        }
    }

    fn add(&self, name: &str, rows: u64) -> ProgressBar {
        let bar = self.multi.add(styled(rows));
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

/// Rows, rate and time left, within 80 columns; a spinner where the number of rows is not known.
fn styled(rows: u64) -> ProgressBar {
    let (bar, template) = if rows > 0 {
        (ProgressBar::new(rows), COUNTED)
    } else {
        (ProgressBar::new_spinner(), UNCOUNTED)
    };
    // A test reads the templates.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.with_key("rate", rate).with_key("left", left));
    }
    bar
}

const COUNTED: &str = "{prefix:<24!} {bar:12} {human_pos}/{human_len} rows {rate} {left}";
const UNCOUNTED: &str = "{prefix:<24!} {spinner} {human_pos} rows {rate}";

fn rate(state: &ProgressState, to: &mut dyn Write) {
    let _ = write!(to, "{}/s", grouped(state.per_sec().max(0.0).round() as u64));
}

/// Nothing is known before the first rows are through.
fn left(state: &ProgressState, to: &mut dyn Write) {
    let _ = match state.pos() {
        0 => write!(to, "- left"),
        _ => write!(to, "{:#} left", HumanDuration(state.eta())),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_can_be_read() {
        for template in [COUNTED, UNCOUNTED] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
