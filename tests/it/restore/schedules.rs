//! Random schedules: while a restore, and now and then an undo, is at work, sessions of an application insert, update and delete around
//! it: children of rows that have just come back, edits and locks of them, the same keys once more, unique values, parents locked for
//! seconds. The restore is killed half way, stopped early, told to fill references or not.
//!
//! What must hold, by plain SQL and by what each session remembers of its commits: the application never loses a deadlock, nobody
//! waits long for us, none of its writes is lost, it meets no error but those that are promised, each with its cause, and every row of the
//! bundle ends in one state. And those things must have happened: what met what is counted, printed, and required.
//!
//! A seed makes the data, the loss and every script; how they interleave is the server's. `REINSTATE_SEED=17 cargo test --test it
//! schedules` plays one, `REINSTATE_SEEDS=1000` so many.

mod accounts;
mod causes;
mod checks;
mod memory;
mod scene;
mod script;
mod session;
mod stage;
mod statements;
mod tally;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use super::Ledger;
use crate::support::{Dice, dump, long};
use checks::{back_and_whole, nothing_lost, promised, relinked, settled};
use memory::Memory;
use scene::Scene;
use tally::Tally;

/// Seeds played at the same time.
const PLAYERS: usize = 4;
/// Seeds played usually; so many make everything meet.
const USUAL: u64 = 50;

fn play(seed: u64) -> Tally {
    let mut dice = Dice::new(seed);
    let scene = Scene::new(&mut dice);
    let bundle = scene.incident.extract(&[]).total("rows");
    let mut met = Tally::default();
    let mut memories = restored(&scene, &mut dice, bundle, &mut met);
    quiet(&scene, bundle, &memories, &mut met);
    if seed.is_multiple_of(2) {
        undone(&scene, &mut dice, &mut memories, &mut met);
    }
    met
}

/// A restore amid the application.
fn restored(scene: &Scene, dice: &mut Dice, bundle: u64, met: &mut Tally) -> Vec<Memory> {
    let stop = dice.chance(15).then(|| (3 + dice.below(9)).to_string());
    let kill = dice.chance(30).then(|| dice.below(100));
    let args = match &stop {
        Some(units) => vec!["--max-units", units],
        None => Vec::new(),
    };
    let command = || scene.incident.restore_command(&args);
    let act = scene.act(dice, &command, false, kill);
    settled(&act.output, bundle);
    promised(&act, met);
    accounts::of_restore(scene, &act, met);
    nothing_lost(scene, &act.memories);
    act.memories
}

/// With nobody around, what can come comes, and then it is quiet.
fn quiet(scene: &Scene, bundle: u64, memories: &[Memory], met: &mut Tally) {
    let incident = &scene.incident;
    let rest = settled(&incident.restore(), bundle);
    assert_eq!(rest.total("pending"), 0);
    nothing_lost(scene, memories);
    back_and_whole(scene, memories);
    relinked(scene, memories, met);
    let before = dump(&incident.live);
    let last = settled(&incident.restore(), bundle);
    assert_eq!(last.total("inserted"), 0, "nothing is left to come");
    assert_eq!(dump(&incident.live), before, "restored again");
    let verified = incident.verify(&[]);
    assert!([0, 1].contains(&verified.code), "{verified:#?}");
    let verified = Ledger::of(&verified);
    let states = [
        "identical",
        "changed_since",
        "gone_since",
        "remapped",
        "skipped",
        "missing",
        "quarantined",
        "excluded",
    ];
    let sum: u64 = states.iter().map(|s| verified.total(s)).sum();
    assert_eq!(sum, bundle);
}

/// An undo amid the application.
fn undone(scene: &Scene, dice: &mut Dice, memories: &mut [Memory], met: &mut Tally) {
    let run = super::undo::last_run(&scene.incident);
    let kill = dice.chance(40).then(|| dice.below(40));
    let command = || scene.incident.undo_command(&[&run]);
    let act = scene.act(dice, &command, true, kill);
    assert!([0, 4].contains(&act.output.code), "{:#?}", act.output);
    promised(&act, met);
    accounts::of_undo(&act, met);
    for (memory, now) in memories.iter_mut().zip(act.memories) {
        memory.then(now);
    }
    // What was remembered before may have been overwritten since; deleted by an undo it was not.
    nothing_lost(scene, memories);
}

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    if let Some(one) = number("REINSTATE_SEED") {
        return vec![one];
    }
    let usual = if long() { 1000 } else { USUAL };
    (0..number("REINSTATE_SEEDS").unwrap_or(usual)).collect()
}

#[test]
fn an_application_at_work_loses_nothing() {
    let seeds = seeds();
    let next = Mutex::new(seeds.iter().copied());
    let failed = Mutex::new(Vec::new());
    let met = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                loop {
                    let Some(seed) = next.lock().unwrap().next() else {
                        break;
                    };
                    match catch_unwind(AssertUnwindSafe(|| play(seed))) {
                        Ok(more) => met.lock().unwrap().extend(&more),
                        Err(_) => failed.lock().unwrap().push(seed),
                    }
                }
            });
        }
    });
    let (failed, met) = (failed.into_inner().unwrap(), met.into_inner().unwrap());
    say(&met);
    assert!(
        failed.is_empty(),
        "seeds {failed:?} failed (each said why above); REINSTATE_SEED={} plays the first again",
        failed[0]
    );
    if seeds.len() as u64 >= USUAL {
        assert!(met.missing().is_empty(), "never met: {:?}", met.missing());
    }
}

/// To whoever runs the tests with `--nocapture`, or sees them fail.
#[expect(clippy::print_stderr)]
fn say(met: &Tally) {
    eprintln!("schedules: {met}");
}
