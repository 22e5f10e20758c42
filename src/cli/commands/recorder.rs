//! `runs/<run>.jsonl`: every event of a run, with who ran what where.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::event::Event;

use super::build;

/// Writes events as they come. The file is named when the run has its id, and appended to when it is resumed.
pub(super) struct Recorder {
    directory: PathBuf,
    header: Value,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    file: Option<File>,
    failed: Option<String>,
}

impl Recorder {
    /// Of a run on `target`; nothing is written before the run begins.
    pub(super) fn new(context: &Context, target: &str) -> Self {
        let header = json!({
            "schema_version": 1,
            "user": build::os_user(),
            "host": build::host(),
            "command": build::command_line(),
            "target": target,
            "tool": build::tool(),
        });
        Self {
            directory: context.case.join("runs"),
            header,
            state: Mutex::default(),
        }
    }

    /// Records one event.
    pub(super) fn record(&self, event: &Event) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        if let Event::RunStarted { run, .. } = event {
            match self.open(run) {
                Ok(file) => state.file = Some(file),
                Err(e) => state.failed = Some(e),
            }
            self.write(&mut state, self.header.clone());
        }
        if let Ok(line) = serde_json::to_value(event) {
            self.write(&mut state, line);
        }
    }

    fn open(&self, run: &str) -> Result<File, String> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(|e| format!("{}: {e}", self.directory.display()))?;
        let path = self.directory.join(format!("{run}.jsonl"));
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| format!("{}: {e}", path.display()))
    }

    fn write(&self, state: &mut State, mut line: Value) {
        let Some(file) = &mut state.file else { return };
        if let Some(object) = line.as_object_mut() {
            object.insert("at".into(), json!(jiff::Timestamp::now().to_string()));
        }
        if let Err(e) = writeln!(file, "{line}") {
            state.failed = Some(e.to_string());
        }
    }

    /// Whether the files of the case are whole: `written` is what became of the others, `ended` how the run ended, `hint` what
    /// running the same command again does. The run itself is not stopped for a file, the journal has it all.
    pub(super) fn whole(
        &self,
        written: Result<(), Failure>,
        ended: &str,
        hint: &str,
    ) -> Result<(), Failure> {
        let failed = self.state.lock().ok().and_then(|s| s.failed.clone());
        let failed = match (written, failed) {
            (Err(failure), _) => failure.message,
            (Ok(()), Some(cause)) => format!("its record could not be written: {cause}"),
            (Ok(()), None) => return Ok(()),
        };
        Err(
            Failure::usage(format!("{ended} in the database, but {failed}"))
                .with_code(Code::Partly)
                .hint(format!("mend that and run the same command again: {hint}")),
        )
    }
}
