//! A seed's data, its loss, and how it is restored; and the acts: a command, with the application at work around it.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::memory::Memory;
use super::script::{self, DOSSIERS, NOTES, SESSIONS, USERS, WILD, WILD_USERS};
use super::session;
use super::stage::Stage;
use super::tally::Tally;
use super::watch::watch;
use crate::restore::Incident;
use crate::support::{Dice, Output};

/// One seed.
pub(super) struct Scene {
    pub(super) incident: Incident,
    /// Dossiers that were lost.
    pub(super) lost: BTreeSet<u64>,
    /// Units come in parts, and need not be whole where they were left out.
    pub(super) parts: bool,
    /// What becomes of rows in conflict.
    pub(super) on_conflict: &'static str,
    /// Which references that the deletion set to NULL come back.
    pub(super) relinks: &'static str,
    /// No upsert can be decided by the constraint on e-mails.
    deferred: bool,
}

/// What became of an act.
pub(super) struct Act {
    pub(super) output: Output,
    pub(super) memories: Vec<Memory>,
    pub(super) met: Tally,
    /// What must not have been seen.
    pub(super) surprises: Vec<String>,
}

impl Scene {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let (deferred, parts) = (dice.chance(30), dice.chance(25));
        let mut lost: BTreeSet<u64> = (1..=DOSSIERS).filter(|_| dice.chance(60)).collect();
        lost.insert(1 + dice.below(DOSSIERS));
        let list: Vec<String> = lost.iter().map(u64::to_string).collect();
        let loss = format!(
            "begin;
             insert into deletions select id from dossiers where id in ({0}) or id < 0;
             delete from dossiers where id in ({0}) or id < 0;
             commit",
            list.join(", ")
        );
        let mut incident = Incident::new(&setup(deferred, !parts), &loss);
        incident.case.write(
            "reinstate.toml",
            "[restore]\ntarget_batch = \"1ms\"\n
             [[audit]]\ntable = 'dossiers'\nlive_sql = 'select of_id as id, at as deleted_at, xmin as xid from deletions'\n",
        );
        let on_conflict = *dice.pick(&["quarantine", "quarantine", "remap", "skip"]);
        let relinks = *dice.pick(&["proven", "all", "none"]);
        let mut args = vec!["--on-conflict", on_conflict, "--relinks", relinks];
        if parts {
            args.extend(["--max-unit-rows", "4"]);
        }
        if dice.chance(30) {
            args.extend(["--max-unit-time", *dice.pick(&["1s", "3s"])]);
        }
        incident.restore_args = args.into_iter().map(str::to_owned).collect();
        Self {
            incident,
            lost,
            parts,
            on_conflict,
            relinks,
            deferred,
        }
    }

    /// An act. The command is killed so many milliseconds after its first batch, if it is to be, and given again.
    pub(super) fn act(
        &self,
        dice: &mut Dice,
        command: &(dyn Fn() -> Command + Sync),
        undoing: bool,
        kill: Option<u64>,
    ) -> Act {
        let arbiter = !self.deferred;
        let scripts: Vec<_> = (0..SESSIONS)
            .map(|s| script::invent(dice, s, u64::from(undoing), arbiter))
            .collect();
        let late = dice.below(100);
        let conninfo = self.incident.live.conninfo();
        let stage = &Stage::new(conninfo, self.lost.clone(), undoing);
        std::thread::scope(|scope| {
            let play = |(steps, s)| scope.spawn(move || session::play(stage, s, steps));
            let at_work: Vec<_> = scripts.into_iter().zip(0..).map(play).collect();
            let looking = scope.spawn(|| watch(stage));
            std::thread::sleep(Duration::from_millis(late));
            let mut met = Tally::default();
            let output = match kill {
                Some(after) => killed(command, after, stage, &mut met),
                None => start(command).wait_with_output().unwrap().into(),
            };
            stage.end();
            let memories: Vec<Memory> = at_work.into_iter().map(|p| p.join().unwrap()).collect();
            let seen = looking.join().unwrap();
            met.extend(&seen.met);
            Act {
                output,
                memories,
                met,
                surprises: seen.surprises,
            }
        })
    }
}

fn start(command: &dyn Fn() -> Command) -> Child {
    let mut command = command();
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("reinstate starts")
}

/// Kills the command after its first batch and gives it again, at once, unless it has ended before.
fn killed(command: &dyn Fn() -> Command, after: u64, stage: &Stage, met: &mut Tally) -> Output {
    let mut child = start(command);
    while !stage.begun() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(after));
    if child.try_wait().unwrap().is_some() {
        return child.wait_with_output().unwrap().into();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    met.met(match stage.undoing {
        true => "undo killed half way",
        false => "killed half way",
    });
    start(command).wait_with_output().unwrap().into()
}

/// The schema and its rows. `fillers`: units, first of all, that are so large that those behind them come in small batches: the number
/// of rows follows the time that the batches before have taken.
fn setup(deferred: bool, fillers: bool) -> String {
    let deferred = match deferred {
        true => "deferrable initially deferred",
        false => "",
    };
    let columns: Vec<String> = (0..SESSIONS).map(|s| format!("v{s} int")).collect();
    let columns = columns.join(", ");
    let users = USERS + WILD_USERS;
    let fillers = match fillers {
        true => {
            "insert into dossiers select -n, 0, 'filler' from generate_series(1, 6) n;
                 insert into champs select 1000 + n, -1, n, 'value' from generate_series(1, 20) n;
                 insert into champs select 2000 + n, -2, n, 'value' from generate_series(1, 40) n;
                 insert into champs select 3000 + n, -3, n, 'value' from generate_series(1, 60) n;
                 insert into champs select 4000 + n, -4, n, 'value' from generate_series(1, 120) n;
                 insert into champs select 5000 + n, -5, n, 'value' from generate_series(1, 240) n;
                 insert into champs select 6000 + n, -6, n, 'value' from generate_series(1, 490) n;"
        }
        false => "",
    };
    format!(
        "create table users (id int primary key, name text, {columns});
         create table dossiers (id int primary key, user_id int not null references users, title text, email text, {columns},
                                constraint one_email unique (email) {deferred});
         create table champs (id int primary key, dossier_id int not null references dossiers on delete cascade, no int,
                              value text, unique (dossier_id, no));
         create table comments (id int primary key, champ_id int not null references champs on delete cascade,
                                answers int references comments on delete cascade);
         create table log (dossier_id int not null references dossiers on delete cascade, what text);
         create table notes (id int primary key, dossier_id int references dossiers on delete set null, text text);
         create table deletions (of_id int, at timestamptz default now());
         create index on dossiers (user_id); create index on comments (champ_id); create index on comments (answers);
         create index on log (dossier_id); create index on notes (dossier_id);
         insert into users select n, 'user ' || n from generate_series(0, {users}) n;
         insert into dossiers
         select n, case (n - 1) % {SESSIONS} when {WILD} then {USERS} + 1 + n / {SESSIONS} % {WILD_USERS} else 1 + n % {USERS} end, 'dossier ' || n, 'mail ' || n
           from generate_series(1, {DOSSIERS}) n;
         {fillers}
         insert into champs select n, 1 + n % {DOSSIERS}, n, 'value' from generate_series(1, 4 * {DOSSIERS}) n;
         insert into comments select n, n, case when n > 30 then n - 24 end from generate_series(1, 4 * {DOSSIERS}) n;
         insert into log select 1 + n % {DOSSIERS}, 'seen' from generate_series(1, 3 * {DOSSIERS}) n;
         insert into notes select n, 1 + n % {DOSSIERS}, 'note' from generate_series(1, {NOTES}) n"
    )
}
