//! The universal oracle: random schemas, random rows, random losses; what comes back is what `pg_dump` saw before.
//!
//! For each seed: a schema (types of keys, references of every kind, circles, partitions, bags, odd names), its rows, a
//! snapshot, a loss. Then the program as a user runs it: diff, extract, plan, restore, verify, undo, restore again; and
//! after each the dump is what it must be. The generator and the oracle use no code of the program.
//!
//! Now and then the backup is from before a migration that renamed tables and columns (`renamed`).
//!
//! What deletion does by SET NULL and SET DEFAULT stays as it is, for nothing proves that it was the deletion; but for `relinks`,
//! which fills it all.
//!
//! `REINSTATE_SEED=17 cargo test --test it random::` plays one seed; `REINSTATE_SEEDS=1000` (`scripts/test --seeds 1000`)
//! so many.

mod ddl;
mod expected;
mod kinds;
mod loss;
mod relinks;
mod renamed;
mod rows;
mod schema;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::{Dice, Output, copy_database, database, dump, dump_restore, long};

use super::{Incident, Ledger, difference};
use expected::{Difference, compare, holds, with};
use loss::World;
use rows::Row;
use schema::{Action, Table};

/// Seeds played at the same time.
const PLAYERS: usize = 2;

/// What happens besides a loss and a restore.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// Nothing.
    Quiet,
    /// People edit and add rows after the loss.
    LivedOn,
    /// They take the places of rows that are lost.
    Conflicts,
    /// They work with what came back, and then it is taken back.
    Touched,
}

/// One seed's databases, and what it takes to tell of them.
struct Scene {
    tables: Vec<Table>,
    rows: Vec<Vec<Row>>,
    turn: Turn,
    incident: Incident,
    /// References without a foreign key that point at nothing after the loss.
    orphans: i64,
}

impl Scene {
    fn new(dice: &mut Dice, told: &mut String) -> Self {
        let tables = schema::invent(dice);
        let rows = rows::fill(dice, &tables);
        let turn = *dice.pick(&[Turn::Quiet, Turn::LivedOn, Turn::Conflicts, Turn::Touched]);
        let world = World {
            tables: &tables,
            rows: &rows,
        };
        let live = database();
        let mut run = |sql: String| {
            told.push_str(&sql);
            live.run(&sql);
        };
        run(ddl::create(&tables, &|t, c| default(&world, t, c)));
        run(rows::insert(&tables, &rows));
        run(ddl::constrain(&tables));
        let snapshot = match dice.chance(50) {
            true => copy_database(&live),
            false => dump_restore(&live),
        };
        let before = dump(&live);
        run(loss::lose(dice, &world));
        while dump(&live) == before {
            run(loss::truncate(dice, &world));
        }
        if turn == Turn::LivedOn {
            run(loss::live_on(dice, &world));
        }
        let orphans = live.count(&loss::dangling(&world));
        let mut incident = Incident::between(snapshot, live, before);
        // Often units come in parts.
        if dice.chance(40) {
            let rows = (1 + dice.below(6)).to_string();
            incident.restore_args = vec!["--max-unit-rows".to_owned(), rows];
        }
        let mut config = ddl::declared(&tables);
        if dice.chance(50) {
            let (sql, entries) = renamed::rename(dice, &tables);
            told.push_str(&sql);
            incident.snapshot.run(&sql);
            config.push_str(&entries);
        }
        told.push_str(&config);
        incident.case.write("reinstate.toml", &config);
        Self {
            turn,
            incident,
            orphans,
            tables,
            rows,
        }
    }

    fn world(&self) -> World<'_> {
        World {
            tables: &self.tables,
            rows: &self.rows,
        }
    }

    fn run(&self, told: &mut String, sql: String) {
        told.push_str(&sql);
        self.incident.live.run(&sql);
    }

    /// What live lacks of what was before.
    fn lost(&self) -> Difference {
        let incident = &self.incident;
        compare(&self.tables, &incident.before, &incident.after_loss)
    }
}

/// The default of a column whose reference falls back on it: the first parent.
fn default(world: &World<'_>, t: usize, c: usize) -> String {
    let falls_back = world.tables[t].references.iter().find_map(|r| {
        let at = r.columns.iter().position(|own| *own == c)?;
        let value = &world.rows[r.parent][0][r.parent_columns[at]];
        (r.action == Action::ForeignKey("set default")).then(|| rows::literal(value.as_ref()))
    });
    falls_back.map_or_else(String::new, |value| format!(" default {value}"))
}

/// Plays one seed from the schema to the last restore; `told` gets all SQL that was run.
fn play(seed: u64, told: &mut String) {
    let mut dice = Dice::new(seed);
    let mut scene = Scene::new(&mut dice, told);
    let lost = scene.lost();
    compare_sides(&scene.incident, &lost);
    let extracted = scene.incident.extract(&[]);
    let bundle = lost.deleted.len() as u64;
    assert_eq!(extracted.total("rows"), bundle, "rows in the bundle");
    if bundle == 0 {
        return;
    }
    if scene.turn == Turn::Conflicts {
        let sql = loss::take_places(&mut dice, &scene.world());
        scene.run(told, sql);
        scene.incident.after_loss = dump(&scene.incident.live);
    }
    let incident = &scene.incident;
    let args = incident.restore_args.iter().map(String::as_str);
    let asked: Vec<&str> = ["restore"].into_iter().chain(args).collect();
    let plan = Ledger::of(&incident.run(&asked).ok());
    let done = restore(&mut dice, incident);
    for state in ["inserted", "already_present", "quarantined", "pending"] {
        assert_eq!(
            plan.total(state),
            done.total(state),
            "{state}: plan and deed"
        );
    }
    let after = dump(&incident.live);
    came_back(&scene, &done, &after);
    let left = done.total("quarantined");
    let verified = incident.verify(&["--strict"]);
    Ledger::of(&verified.expect_code(i32::from(left > 0)))
        .expect(&[("identical", bundle - left), ("quarantined", left)]);

    if scene.turn == Turn::Touched {
        let sql = loss::live_on(&mut dice, &scene.world());
        scene.run(told, sql);
    }
    let touched = dump(&incident.live);
    if done.total("inserted") > 0 {
        take_back(&scene, &after, &touched);
    }
    Ledger::of(&incident.restore());
    assert_eq!(dump(&incident.live), touched, "restored after an undo");
    let again = Ledger::of(&incident.restore());
    again.expect(&[("already_present", bundle - left), ("quarantined", left)]);
    assert_eq!(dump(&incident.live), touched, "restored twice");
}

/// `diff` sees what the dumps say.
fn compare_sides(incident: &Incident, lost: &Difference) {
    let found = incident.run(&["diff"]).expect_code(1).json();
    let totals = &found["totals"];
    let counts = [
        ("deleted", lost.deleted.len() as u64),
        ("changed", lost.changed),
        ("inserted", lost.inserted),
    ];
    for (change, rows) in counts {
        assert_eq!(totals[change], rows, "diff: {change}: {found:#}");
    }
}

/// To its end, now and then in two portions.
fn restore(dice: &mut Dice, incident: &Incident) -> Ledger {
    let ended = |output: Output| {
        assert!([0, 4].contains(&output.code), "{output:#?}");
        Ledger::of(&output)
    };
    if dice.chance(40) {
        let units = (1 + dice.below(5)).to_string();
        let first = ended(incident.restore_with(&["--max-units", &units]));
        if first.total("pending") == 0 {
            return first;
        }
    }
    ended(incident.restore())
}

/// All that was lost, but for what was left out.
fn came_back(scene: &Scene, done: &Ledger, after: &str) {
    let after_loss = &scene.incident.after_loss;
    let lost = scene.lost().deleted;
    let all = with(after_loss, &lost);
    if scene.turn != Turn::Conflicts {
        done.expect(&[("inserted", lost.len() as u64)]);
        same(after, &all, "what was lost is back");
        return;
    }
    assert!(holds(after, after_loss), "people's own rows");
    assert!(holds(&all, after), "nothing else than what was lost");
    let back = after.lines().count() - after_loss.lines().count();
    assert_eq!(back as u64, done.total("inserted"), "rows that came back");
}

/// Back to the loss, but for what people have touched and what that stands on.
fn take_back(scene: &Scene, after: &str, touched: &str) {
    let incident = &scene.incident;
    let planned = Ledger::of(&incident.undo_plan(&["--last"]).ok());
    let undone = Ledger::of(&incident.undo());
    for state in ["removed", "kept_changed", "kept_referenced", "already_gone"] {
        assert_eq!(
            planned.total(state),
            undone.total(state),
            "{state}: plan and deed of undo"
        );
    }
    let now = dump(&incident.live);
    // A child that the loss left without its parent keeps the parent that came back.
    if touched == after && scene.orphans == 0 {
        same(&now, &incident.after_loss, "taken back");
    }
    let (_, people) = super::difference(after, touched);
    assert!(holds(&now, &people.join("\n")), "what people wrote stays");
    assert!(holds(touched, &now), "undo adds nothing");
    let dangling = incident.live.count(&loss::dangling(&scene.world()));
    assert!(dangling <= scene.orphans, "a reference points at nothing");
}

#[track_caller]
fn same(now: &str, expected: &str, what: &str) {
    let (missing, new) = super::difference(expected, now);
    assert!(
        missing.is_empty() && new.is_empty(),
        "{what}: missing {missing:#?}, new {new:#?}"
    );
}

/// The seeds asked for.
fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    if let Some(one) = number("REINSTATE_SEED") {
        return vec![one];
    }
    let usual = if long() { 500 } else { 50 };
    (0..number("REINSTATE_SEEDS").unwrap_or(usual)).collect()
}

#[test]
fn what_was_lost_comes_back_and_can_be_taken_back() {
    play_all(&seeds(), &play);
}

#[test]
fn what_was_emptied_is_filled_and_can_be_emptied_again() {
    let filled = AtomicU64::new(0);
    let seeds = seeds();
    play_all(&seeds, &|seed, told| {
        filled.fetch_add(relinks::play(seed, told), Ordering::SeqCst);
    });
    let filled = filled.into_inner();
    assert!(
        filled > 0 || seeds.len() < 50,
        "no seed had a reference to fill"
    );
}

/// Plays each seed, and names those that fail.
fn play_all(seeds: &[u64], play: &(dyn Fn(u64, &mut String) + Sync)) {
    let seeds = Mutex::new(seeds.iter().copied());
    let failed = Mutex::new(Vec::new());
    let next = || seeds.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                while let Some(seed) = next() {
                    let mut told = String::new();
                    if catch_unwind(AssertUnwindSafe(|| play(seed, &mut told))).is_err() {
                        failed.lock().unwrap().push((seed, told));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let numbers: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    if let Some((first, told)) = failed.first() {
        panic!(
            "seeds {numbers:?} failed (each said why above); REINSTATE_SEED={first} plays this one again:\n{told}"
        );
    }
}
