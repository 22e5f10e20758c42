//! The harness: an incident from the state before to the second restore, every step checked.

use std::collections::BTreeMap;

use crate::support::{Case, Output, TestDb, copy_database, database, dump, dump_restore};

use super::ledger::Ledger;
use super::story::{Backup, Story};

/// An incident: two databases, a case, and what live held at each stage.
pub(crate) struct Incident {
    pub(crate) snapshot: TestDb,
    pub(crate) live: TestDb,
    pub(crate) case: Case,
    /// Live before the loss.
    pub(crate) before: String,
    /// Live after the loss: where undo must lead back to.
    pub(crate) after_loss: String,
    /// Arguments of every `restore`, plan and deed.
    pub(crate) restore_args: Vec<String>,
    /// Arguments of every `undo`, plan and deed.
    pub(crate) undo_args: Vec<String>,
}

impl Incident {
    /// Builds the state before, makes a physical snapshot of it, and loses data.
    pub(crate) fn new(setup: &str, loss: &str) -> Self {
        let live = database();
        live.run(setup);
        let snapshot = copy_database(&live);
        Self::lost(snapshot, live, loss)
    }

    /// The incident that a story tells.
    pub(super) fn told(story: &Story) -> Self {
        let live = database();
        live.run(&story.file("schema.sql"));
        live.run(&story.file("data.sql"));
        let snapshot = match story.backup {
            Backup::Physical => copy_database(&live),
            Backup::Dumped => dump_restore(&live),
        };
        if let Some(sql) = story.optional("snapshot.sql") {
            snapshot.run(&sql);
        }
        if let Some(sql) = story.optional("live.sql") {
            live.run(&sql);
        }
        let mut incident = Self::lost(snapshot, live, &story.file("loss.sql"));
        incident.restore_args.clone_from(&story.restore_args);
        incident.undo_args.clone_from(&story.undo_args);
        if let Some(text) = story.optional("reinstate.toml") {
            incident.case.write("reinstate.toml", &text);
        }
        incident
    }

    fn lost(snapshot: TestDb, live: TestDb, loss: &str) -> Self {
        let before = dump(&live);
        live.run(loss);
        Self::between(snapshot, live, before)
    }

    /// The incident between what live held before and what it holds now.
    pub(crate) fn between(snapshot: TestDb, live: TestDb, before: String) -> Self {
        let after_loss = dump(&live);
        assert_ne!(before, after_loss, "nothing was lost");
        Self {
            snapshot,
            live,
            case: Case::new(),
            before,
            after_loss,
            restore_args: Vec::new(),
            undo_args: Vec::new(),
        }
    }

    /// The same with arguments of every `restore`.
    pub(crate) fn with(mut self, args: &[&str]) -> Self {
        self.restore_args = args.iter().map(|a| (*a).to_owned()).collect();
        self
    }

    /// A command with both connection strings and JSON output.
    pub(crate) fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.case.command(args);
        command
            .env("REINSTATE_LIVE", self.live.conninfo())
            .env("REINSTATE_SNAPSHOT", self.snapshot.conninfo())
            .args(["--format", "json"]);
        command
    }

    /// A command as people run it, with its output for them.
    pub(crate) fn for_people(&self, args: &[&str]) -> Output {
        let mut command = self.case.command(args);
        command
            .env("REINSTATE_LIVE", self.live.conninfo())
            .env("REINSTATE_SNAPSHOT", self.snapshot.conninfo());
        command.output().expect("reinstate starts").into()
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args)
            .output()
            .expect("reinstate starts")
            .into()
    }

    /// `extract` with further arguments.
    #[track_caller]
    pub(crate) fn extract(&self, args: &[&str]) -> Ledger {
        Ledger::of(&self.run(&[&["extract"], args].concat()).ok())
    }

    /// `restore`: the plan. Nothing may change, and no journal may appear. `rows` is what live holds.
    #[track_caller]
    pub(crate) fn plan_over(&self, rows: &str) -> Ledger {
        let journal = journal_of(&self.live);
        let mut command = self.command(&["restore"]);
        let output = command.args(&self.restore_args).output();
        let plan = Ledger::of(&Output::from(output.expect("reinstate starts")).ok());
        assert_eq!(plan.get("plan"), true);
        assert!(plan.get("run").is_null());
        assert_eq!(dump(&self.live), rows, "a plan changed rows");
        assert_eq!(journal_of(&self.live), journal, "a plan wrote a journal");
        plan
    }

    /// The plan, over whatever live holds now.
    #[track_caller]
    pub(crate) fn plan(&self) -> Ledger {
        self.plan_over(&dump(&self.live))
    }

    /// `restore --execute`, not yet started.
    pub(crate) fn restore_command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.command(&["restore", "--execute", "--unrehearsed", "a test"]);
        command.args(&self.restore_args).args(args);
        command
    }

    /// `restore --execute` with further arguments.
    pub(crate) fn restore_with(&self, args: &[&str]) -> Output {
        self.restore_command(args)
            .output()
            .expect("reinstate starts")
            .into()
    }

    /// `restore --execute`, undisturbed.
    pub(crate) fn restore(&self) -> Output {
        self.restore_with(&[])
    }

    /// `undo` with further arguments: the plan.
    pub(crate) fn undo_plan(&self, args: &[&str]) -> Output {
        let said: Vec<&str> = self.undo_args.iter().map(String::as_str).collect();
        self.run(&[&["undo"], &said[..], args].concat())
    }

    /// `undo --execute`, not yet started.
    pub(crate) fn undo_command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.command(&["undo", "--execute"]);
        command.args(&self.undo_args).args(args);
        command
    }

    /// `undo --last --execute`, undisturbed.
    pub(crate) fn undo(&self) -> Output {
        self.undo_with(&["--last"])
    }

    /// `undo --execute` with further arguments.
    pub(crate) fn undo_with(&self, args: &[&str]) -> Output {
        let mut command = self.undo_command(args);
        command.output().expect("reinstate starts").into()
    }

    /// `verify` with further arguments.
    pub(crate) fn verify(&self, args: &[&str]) -> Output {
        self.run(&[&["verify"], args].concat())
    }

    /// `quarantine.jsonl`, a value a line.
    pub(crate) fn quarantine(&self) -> Vec<serde_json::Value> {
        let text = self.case.read("quarantine.jsonl");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a JSON line"))
            .collect()
    }
}

/// What the journal holds, as text; nothing where there is none.
pub(crate) fn journal_of(db: &TestDb) -> String {
    let there = db.query_text("select count(*) from pg_namespace where nspname = 'reinstate'");
    if there == "0" {
        return String::new();
    }
    db.query_text(
        "select run, kind, state, started, ended from reinstate.run order by 1;
         select b.*, r.* from reinstate.batch b left join reinstate.batch_rows r using (run, batch) order by 1, 2, 5;
         select * from reinstate.quarantined order by 1, 2",
    )
}

/// How a plan is carried out: to its end, whatever happens on the way.
pub(super) type Deed<'a> = &'a (dyn Fn(&Incident) -> Output + Sync);

/// Plays a story from beginning to end.
pub(super) fn play(story: &Story, deed: Deed<'_>, undo: Deed<'_>) {
    let incident = Incident::told(story);
    compare_sides(story, &incident);
    let args = story.optional("args").unwrap_or_default();
    let extracted = incident.extract(&args.lines().collect::<Vec<_>>());
    assert_eq!(extracted.by_table("rows"), story.rows, "rows in the bundle");
    assert_eq!(extracted.total("units"), story.units, "units");

    let (back, out) = (story.back(), story.quarantined);
    // What does not come back is in the same states whenever it is counted.
    let not_back = [
        ("quarantined", out),
        ("remapped", story.remapped),
        ("skipped", story.skipped),
    ];
    let counts = |come: &[(&'static str, u64)]| [come, &not_back[..]].concat();
    let plan = incident.plan_over(&incident.after_loss);
    plan.expect(&counts(&[("inserted", back)]));
    assert_eq!(
        plan.get("relinked"),
        story.relinked,
        "{}",
        plan.get("relinks")
    );
    assert_eq!(journal_of(&incident.live), "", "a plan made a journal");

    let expected_code = if out > 0 { 4 } else { 0 };
    // A run that was killed as it ended leaves everything done to the next.
    let done = |output: Output| {
        let done = Ledger::of(&output.expect_code(expected_code));
        let present = done.total("already_present");
        done.expect(&counts(&[
            ("inserted", back - present),
            ("already_present", present),
        ]));
        assert_eq!(filled(&done), story.relinked, "{}", done.get("relinks"));
    };
    done(deed(&incident));
    let after = dump(&incident.live);
    compare_with_before(story, &incident.before, &after);
    journalled(story, &incident);

    let code = if out > 0 { 1 } else { 0 };
    let verified = Ledger::of(&incident.verify(&["--strict"]).expect_code(code));
    verified.expect(&counts(&[("identical", back)]));

    take_back(&incident, story, undo);
    done(deed(&incident));
    assert_eq!(dump(&incident.live), after, "restored after an undo");

    let again = Ledger::of(&incident.restore().expect_code(expected_code));
    again.expect(&counts(&[("already_present", back)]));
    // The last plan looks at live as well: neither it nor the second restore changed a row.
    let plan = incident.plan_over(&after);
    plan.expect(&counts(&[("already_present", back)]));
}

/// References that are as before, by this run or by the one before it.
fn filled(done: &Ledger) -> u64 {
    let totals = &done.get("relinks")["totals"];
    let of = |state: &str| totals[state].as_u64().unwrap_or(0);
    assert_eq!(done.get("relinked"), of("relinked"));
    of("relinked") + of("as_before")
}

/// Undo leads back to the loss, and finds nothing to do the second time.
fn take_back(incident: &Incident, story: &Story, undo: Deed<'_>) {
    let rows = story.back();
    let before = dump(&incident.live);
    let plan = Ledger::of(&incident.undo_plan(&["--last"]).ok());
    plan.expect(&[("removed", rows)]);
    assert_eq!(plan.get("unlinked"), story.relinked);
    assert_eq!(plan.get("plan"), true);
    assert!(plan.get("run").is_null());
    assert_eq!(
        dump(&incident.live),
        before,
        "the plan of an undo changed rows"
    );
    let run = plan.get("undoes").as_str().unwrap().to_owned();
    let done = Ledger::of(&undo(incident).ok());
    // One that was killed as it ended leaves everything done to the next.
    let gone = done.total("already_gone");
    done.expect(&[("removed", rows - gone), ("already_gone", gone)]);
    if gone == 0 {
        assert_eq!(done.get("unlinked"), story.relinked);
    }
    assert_eq!(dump(&incident.live), incident.after_loss, "after undo");
    let again = Ledger::of(&incident.undo_with(&[&run]).ok());
    again.expect(&[("already_gone", rows)]);
    assert_eq!(dump(&incident.live), incident.after_loss, "undone twice");
}

/// `diff` sees what was lost, and what else differs.
fn compare_sides(story: &Story, incident: &Incident) {
    let found = incident.run(&["diff"]).expect_code(1).json();
    let totals = &found["totals"];
    let deleted = story.total() + story.left;
    let expected = [
        ("deleted", deleted),
        ("changed", story.edited),
        ("inserted", story.born),
    ];
    for (change, rows) in expected {
        assert_eq!(totals[change], rows, "{change}: {found:#}");
        let word = format!("\"change\":\"{change}\"");
        let lines = incident.case.read("diff.jsonl");
        let lines = lines.lines().filter(|l| l.contains(&word)).count() as u64;
        assert_eq!(lines, rows, "{change} in diff.jsonl");
    }
    // The dump, which knows nothing of keys, agrees on how much is gone.
    let (gone, _) = difference(&incident.before, &incident.after_loss);
    let row = |line: &&String| !line.starts_with("large object ");
    if story.edited == 0 && story.gone.is_empty() {
        let gone: Vec<&String> = gone.iter().filter(row).collect();
        assert_eq!(gone.len() as u64, deleted, "{gone:#?}");
    }
}

/// The end is the state before, but for what the story allows.
#[track_caller]
fn compare_with_before(story: &Story, before: &str, after: &str) {
    let (gone, new) = difference(before, after);
    assert_eq!(gone, story.gone, "rows that did not come back as they were");
    assert_eq!(new, story.new, "rows that were not there before");
}

/// The journal holds what undo will need: a key and an `xmin` for each row that came back, exactly once whatever
/// happened on the way, and the unit it came with.
fn journalled(story: &Story, incident: &Incident) {
    let back = story.back();
    let live = &incident.live;
    assert_eq!(
        live.count("select sum(inserted) from reinstate.batch_rows"),
        back as i64
    );
    let partitioned_bag = "select count(*) from pg_class c where relkind = 'p' and not exists (
        select from pg_index where indrelid = c.oid and indisprimary)";
    if live.count(partitioned_bag) > 0 {
        return;
    }
    let incomplete = "select count(*) from reinstate.batch_rows
                       where inserted <> all (array[cardinality(keys), cardinality(xmins), cardinality(units)])";
    assert_eq!(
        live.count(incomplete),
        0,
        "keys, xmins and units of each row"
    );
    let csv = incident.case.read("restored.csv");
    let rows = csv::Reader::from_reader(csv.as_bytes()).records().count() as u64;
    assert_eq!(rows, back, "restored.csv");
}

/// Lines of `a` that `b` lacks and the other way round, by multiplicity.
pub(crate) fn difference(a: &str, b: &str) -> (Vec<String>, Vec<String>) {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for line in a.lines() {
        *counts.entry(line).or_default() += 1;
    }
    for line in b.lines() {
        *counts.entry(line).or_default() -= 1;
    }
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    for (line, count) in counts {
        let side = if count > 0 { &mut gone } else { &mut new };
        side.extend(std::iter::repeat_n(
            line.to_owned(),
            count.unsigned_abs() as usize,
        ));
    }
    (gone, new)
}

#[test]
fn differences_count_equal_lines() {
    let (gone, new) = difference("a\na\nb", "a\nc");
    assert_eq!(
        (gone, new),
        (vec!["a".into(), "b".into()], vec!["c".into()])
    );
}
