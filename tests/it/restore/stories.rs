//! Plays every story under `fixtures/`. One at a time by name: `REINSTATE_STORY=cascade cargo test --test it stories`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use crate::support::{Output, long};

use super::harness::{Deed, Incident, play};
use super::story::{Backup, Story};

/// Stories played at the same time.
const PLAYERS: usize = 3;

#[test]
fn every_story_ends_as_it_began() {
    play_all(&as_told, &Incident::restore, &Incident::undo);
}

#[test]
fn every_story_from_a_dump() {
    if long() {
        play_all(&dumped, &Incident::restore, &Incident::undo);
    }
}

/// What parts can matter to: circles, trees, rows without a key, references that nothing guards, units that depend on each other.
const IN_PARTS: &[&str] = &[
    "cascade",
    "cycle",
    "cycle_not_deferrable",
    "excluded",
    "filled",
    "no_key",
    "parts",
    "polymorphic",
    "renamed",
    "self_reference",
    "set_null",
    "shared_parent",
    "signed_up_again",
];

/// Units of more than two rows come in parts, which must not matter to the end; all stories do with `--long`.
#[test]
fn stories_in_parts() {
    let tell = |story: &mut Story| {
        if !story.restore_args.iter().any(|a| a == "--max-unit-rows") {
            let args = ["--max-unit-rows", "2"].map(str::to_owned);
            story.restore_args.extend(args);
        }
    };
    let chosen = |name: &str| long() || IN_PARTS.contains(&name);
    play_chosen(&chosen, &tell, &Incident::restore, &Incident::undo);
}

#[test]
fn every_story_killed_on_the_way() {
    if long() {
        let restore = |incident: &Incident| killed_on_the_way(|| incident.restore_command(&[]));
        let undo = |incident: &Incident| {
            let run = super::undo::last_run(incident);
            killed_on_the_way(|| incident.undo_command(&[&run]))
        };
        play_all(&as_told, &restore, &undo);
    }
}

/// Kills it later and later, until one comes to its end.
fn killed_on_the_way(command: impl Fn() -> std::process::Command) -> Output {
    for milliseconds in (20..).step_by(7) {
        let mut child = command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.code().is_some() {
            return output.into();
        }
    }
    unreachable!("one comes to its end")
}

fn as_told(_: &mut Story) {}

fn dumped(story: &mut Story) {
    story.backup = Backup::Dumped;
}

/// Plays them, each told in this way, and names those that fail.
fn play_all(tell: &(dyn Fn(&mut Story) + Sync), deed: Deed<'_>, undo: Deed<'_>) {
    play_chosen(&|_| true, tell, deed, undo);
}

/// The same, of those chosen by name.
fn play_chosen(
    chosen: &dyn Fn(&str) -> bool,
    tell: &(dyn Fn(&mut Story) + Sync),
    deed: Deed<'_>,
    undo: Deed<'_>,
) {
    let mut directories = directories();
    directories.retain(|d| chosen(&d.file_name().unwrap_or_default().to_string_lossy()));
    let stories = Mutex::new(directories);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                while let Some(directory) = stories.lock().unwrap().pop() {
                    let name = directory
                        .file_name()
                        .unwrap()
                        .to_string_lossy()
                        .into_owned();
                    let played = catch_unwind(AssertUnwindSafe(|| {
                        let mut story = Story::read(&directory);
                        tell(&mut story);
                        play(&story, deed, undo);
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

/// Where they are told.
pub(super) fn directories() -> Vec<PathBuf> {
    let all = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    let wanted = std::env::var("REINSTATE_STORY").ok();
    let mut directories: Vec<PathBuf> = std::fs::read_dir(all)
        .expect("fixtures")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .filter(|path| {
            wanted
                .as_ref()
                .is_none_or(|w| path.file_name().unwrap().to_string_lossy() == w.as_str())
        })
        .collect();
    assert!(!directories.is_empty(), "no story to play");
    directories.sort();
    directories.reverse();
    directories
}
