//! Killed, and cut off, at every write to the journal and around every commit: before the server has the statement, when
//! it has it but its answer is lost, and when the answer has come back. Run again, it ends where an undisturbed run ends.
//!
//! The ordinary suite takes a few points of some stories, `scripts/test --long` all of them, and some of every other story. A
//! point that fails is printed; `REINSTATE_STORY=cascade` plays the points of one story.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::support::proxy::{Deed, Moment, Point, Proxy, writes_or_commits};
use crate::support::{Dice, Output, TestDb, cluster, copy_database, dump, long};

use super::Incident;
use super::stories::directories;
use super::story::Story;

/// Small stories, each with something of its own: cascades, circles, rows without a key, identity, partitions, units
/// that depend on each other, references that only the configuration states, references that are filled, large objects, keys and values of every awkward kind.
const STORIES: &[&str] = &[
    "cascade",
    "cycle",
    "cycle_not_deferrable",
    "hard_values",
    "identity",
    "large_objects",
    "no_key",
    "partitioned_bag",
    "parts",
    "polymorphic",
    "self_reference",
    "set_null",
    "shared_parent",
];
/// Stories played at the same time.
const PLAYERS: usize = 2;
/// Points of each story and command in the ordinary suite.
const FEW: usize = 3;
/// Points of every other story and command in the long tests.
const SOME: usize = 8;

/// What is disturbed: a command, where it starts, and what tells how it ended.
struct Stage<'a> {
    name: &'a str,
    incident: &'a mut Incident,
    /// Live before the command.
    from: TestDb,
    command: &'a dyn Fn(&Incident) -> Command,
    /// The journal's account of what was done, whatever the number of runs.
    account: &'static str,
    /// Whether every run says the same statements; not so where the number of batches follows the time that they take.
    steady: bool,
}

const RESTORED: &str = "select table_name, unit, sum(n), sum(inserted) from (
      select table_name, u as unit, count(*) as n, 0 as inserted from reinstate.batch_rows, unnest(units) u group by 1, 2
      union all select table_name, null, 0, sum(inserted) from reinstate.batch_rows group by 1) s
     group by 1, 2 order by 1, 2; select distinct state from reinstate.run";
const TAKEN_BACK: &str =
    "select table_name, sum(removed) from reinstate.undo_rows group by 1 order by 1;
     select distinct state from reinstate.run";

/// What was filled and emptied again, each once.
const RELINKED: &str = "select r.kind, l.table_name, l.key, l.columns, l.after, count(*) from reinstate.relinked l
      join reinstate.run r using (run) group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4;
    select state, count(*), count(distinct (of_run, of_batch, of_n)) from reinstate.unlinked group by 1 order by 1";

/// What was created and removed again, each once.
const OBJECTS: &str = "select r.kind, l.loid, l.size, count(*) from reinstate.large_object l join reinstate.run r using (run)
     group by 1, 2, 3 order by 1, 2;
    select state, count(*), count(distinct (of_run, of_batch, of_n)) from reinstate.large_object_undone group by 1 order by 1";

impl Stage<'_> {
    /// A run over a wire, from the state at which the command starts; an undisturbed one where there is no point.
    fn run(&mut self, point: Option<Point>) -> (Output, Proxy) {
        self.incident.live = copy_database(&self.from);
        let port = cluster().port();
        let proxy = Proxy::start(port, writes_or_commits, point);
        let live = proxy.conninfo(&self.incident.live.tcp_conninfo(), port);
        let mut command = (self.command)(self.incident);
        command.env("REINSTATE_LIVE", live);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        proxy.program(child.id());
        (child.wait_with_output().unwrap().into(), proxy)
    }

    fn end(&self) -> (String, String) {
        let live = &self.incident.live;
        let mut account = live.query_text(self.account);
        if live.count("select count(to_regclass('reinstate.unlinked'))") > 0 {
            account.push_str(&live.query_text(RELINKED));
        }
        if live.count("select count(to_regclass('reinstate.large_object_undone'))") > 0 {
            account.push_str(&live.query_text(OBJECTS));
        }
        (dump(live), account)
    }

    /// Disturbs it at the chosen points; the end is that of an undisturbed run.
    fn disturb(&mut self, dice: &mut Dice, few: usize) {
        let (output, proxy) = self.run(None);
        let code = output.code;
        // Some stories leave rows out, or keep them.
        assert!([0, 4].contains(&code), "{output:#?}");
        let (statements, end) = (proxy.seen(), self.end());
        for point in points(dice, &statements, few) {
            let tried = catch_unwind(AssertUnwindSafe(|| self.disturb_at(point, (code, &end))));
            if tried.is_err() {
                panic!(
                    "{}: {point:?}, which is `{}`",
                    self.name, statements[point.nth]
                );
            }
        }
    }

    fn disturb_at(&mut self, point: Point, (code, end): (i32, &(String, String))) {
        let (mut output, mut proxy) = self.run(Some(point));
        // Batches follow the time that they take: on a busy machine one run has a few statements more than another.
        for _ in 0..2 {
            if self.steady && !proxy.struck() {
                (output, proxy) = self.run(Some(point));
            }
        }
        if self.steady && !proxy.struck() {
            let (output, proxy) = self.run(None);
            output.ok();
            assert!(
                proxy.seen().len() <= point.nth,
                "the point was never reached"
            );
            return;
        }
        if point.deed == Deed::Kill && proxy.struck() {
            assert_eq!(output.code, -1, "{output:#?}");
        }
        if output.code != code {
            let again: Output = (self.command)(self.incident).output().unwrap().into();
            again.expect_code(code);
        }
        let (rows, account) = self.end();
        let differs = super::difference(&end.0, &rows);
        assert_eq!(differs, (Vec::new(), Vec::new()), "rows lost, rows doubled");
        assert_eq!(account, end.1, "the journal's account");
    }
}

/// So many of all statements, moments and deeds, but always the first commit whose answer is lost.
fn points(dice: &mut Dice, statements: &[String], few: usize) -> Vec<Point> {
    let mut all = Vec::new();
    for nth in 0..statements.len() {
        for moment in [Moment::Before, Moment::Sent, Moment::Answered] {
            for deed in [Deed::Kill, Deed::Cut] {
                all.push(Point { nth, moment, deed });
            }
        }
    }
    let lost = |p: &Point| p.moment == Moment::Sent && statements[p.nth] == "commit";
    let mut chosen = Vec::new();
    for deed in [Deed::Cut, Deed::Kill] {
        let first = all.iter().position(|p| lost(p) && p.deed == deed);
        chosen.extend(first.map(|first| all.swap_remove(first)));
    }
    while chosen.len() < few && !all.is_empty() {
        chosen.push(all.swap_remove(dice.index(all.len())));
    }
    chosen
}

/// A restore and its undo, disturbed.
fn disturb(name: &str, incident: &mut Incident, few: usize, steady: bool) {
    let mut dice = Dice::new(name.bytes().map(u64::from).sum());
    let from = copy_database(&incident.live);
    Stage {
        name: &format!("{name}, restored"),
        incident,
        from,
        command: &|incident| incident.restore_command(&[]),
        account: RESTORED,
        steady,
    }
    .disturb(&mut dice, few);
    let run = super::undo::last_run(incident);
    let from = copy_database(&incident.live);
    Stage {
        name: &format!("{name}, taken back"),
        incident,
        from,
        command: &|incident| incident.undo_command(&[&run]),
        account: TAKEN_BACK,
        steady,
    }
    .disturb(&mut dice, few);
}

/// The stories, and how many points of each.
fn chosen() -> Vec<(String, usize)> {
    let number = |name: &str| match (STORIES.contains(&name), long()) {
        (true, true) => usize::MAX,
        (true, false) => FEW,
        (false, true) => SOME,
        (false, false) => 0,
    };
    let wanted = std::env::var("REINSTATE_STORY").ok();
    let names = directories().into_iter();
    let names = names.filter_map(|d| Some(d.file_name()?.to_string_lossy().into_owned()));
    match wanted {
        Some(wanted) => vec![(wanted.clone(), number(&wanted).max(FEW))],
        None => names.map(|name| (name.clone(), number(&name))).collect(),
    }
}

#[test]
fn stories_disturbed_at_every_point() {
    let mut chosen = chosen();
    chosen.retain(|(_, points)| *points > 0);
    let stories = Mutex::new(chosen.into_iter());
    let failed = Mutex::new(Vec::new());
    let next = || stories.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                while let Some((name, few)) = next() {
                    let played = catch_unwind(AssertUnwindSafe(|| {
                        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
                        let story = Story::read(&fixtures.join(&name));
                        let mut incident = Incident::told(&story);
                        let args = story.optional("args").unwrap_or_default();
                        incident.extract(&args.lines().collect::<Vec<_>>());
                        disturb(&name, &mut incident, few, true);
                        if STORIES.contains(&name.as_str()) {
                            assert_eq!(dump(&incident.live), incident.after_loss);
                        }
                    }));
                    if played.is_err() {
                        failed.lock().unwrap().push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "stories that failed (each said why above): {failed:?}"
    );
}

/// Several batches, of rows with and without a key.
#[test]
fn many_batches_disturbed_at_every_point() {
    let mut incident = Incident::new(
        "create table sensors (id int primary key);
         create table events (sensor_id int not null references sensors on delete cascade, what text);
         create index on events (sensor_id);
         insert into sensors select n from generate_series(1, 300) n;
         insert into events select 1 + n % 300, 'same' from generate_series(1, 3000) n",
        "delete from sensors where id <= 200",
    );
    incident.extract(&[]);
    let few = if long() { usize::MAX } else { 3 * FEW };
    disturb("many batches", &mut incident, few, false);
    assert_eq!(dump(&incident.live), incident.after_loss);
}
