//! The architecture, checked: which room may use which, and how long a file may be.
//!
//! Reads every file under `src/` as tokens (comments and strings do not count) and collects the rooms it mentions, by
//! `crate::room`, by `use crate::{room, …}`, and by a chain of `super::` that leads out of its own room.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::tokens::tokens;

/// Rooms that know nothing of the flow, each with what it may use.
const GROUND: &[(&str, &[&str])] = &[
    ("ident", &[]),
    ("clock", &[]),
    ("event", &["ident"]),
    ("pg", &["ident", "event"]),
    ("cluster", &["ident", "clock"]),
];

/// The flow, in order: each room may use the ground and every room before it.
const FLOW: &[&str] = &[
    "catalog",
    "diff",
    "evidence",
    "closure",
    "bundle",
    "attachments",
    "extract",
    "contacts",
    "blobs",
    "journal",
    "flag",
    "hold",
    "restore",
    "verify",
    "doctor",
];

/// Rooms that may use less than their place in the flow allows: they plan and do no I/O.
const PURE: &[(&str, &[&str])] = &[("closure", &["ident", "catalog"])];

/// Lines that a file may have.
const LONGEST: usize = 500;

/// What `room` may use besides itself; `None` for a room that is in none of the tables.
fn allowed(room: &str) -> Option<BTreeSet<&'static str>> {
    let of =
        |table: &'static [(&str, &'static [&str])]| table.iter().find(|(name, _)| *name == room);
    if let Some((_, rooms)) = of(PURE).or_else(|| of(GROUND)) {
        return Some(rooms.iter().copied().collect());
    }
    let ground = GROUND.iter().map(|(name, _)| *name);
    if let Some(place) = FLOW.iter().position(|name| *name == room) {
        return Some(ground.chain(FLOW[..place].iter().copied()).collect());
    }
    let everything = ground.chain(FLOW.iter().copied());
    match room {
        "lib" => Some(everything.collect()),
        "cli" | "main" => Some(everything.chain(["cli"]).collect()),
        _ => None,
    }
}

fn known(room: &str) -> bool {
    allowed(room).is_some() && !matches!(room, "lib" | "main")
}

/// The modules that a file stands for: `diff/chunks.rs` is `[diff, chunks]`, `diff/mod.rs` is `[diff]`.
fn modules(relative: &Path) -> Vec<String> {
    let mut parts: Vec<String> = relative
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if parts.len() > 1 && parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The first names of the paths that start at the crate's root.
fn mentions(modules: &[String], source: &str) -> BTreeSet<String> {
    let tokens = tokens(source);
    let at = |i: usize| tokens.get(i).map_or("", String::as_str);
    // For every open brace, whether it opens a module.
    let mut braces: Vec<bool> = Vec::new();
    let mut found = BTreeSet::new();
    let mut i = 0;
    while i < tokens.len() {
        match at(i) {
            "{" => braces.push(i >= 2 && at(i - 2) == "mod"),
            "}" => {
                braces.pop();
            }
            "crate" if at(i + 1) == "::" => first_names(&tokens, i + 2, &mut found),
            "super" if at(i + 1) == "::" && (i == 0 || at(i - 1) != "::") => {
                let depth = modules.len() + braces.iter().filter(|b| **b).count();
                let mut steps = 0;
                while at(i) == "super" && at(i + 1) == "::" {
                    steps += 1;
                    i += 2;
                }
                if steps == depth && at(i) != "super" {
                    first_names(&tokens, i, &mut found);
                }
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    found
}

/// The name at `start`, or in a group every name that begins one of its paths.
fn first_names(tokens: &[String], start: usize, found: &mut BTreeSet<String>) {
    let name = |token: &str| token.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let Some(first) = tokens.get(start) else {
        return;
    };
    if first != "{" {
        found.insert(first.clone());
        return;
    }
    let mut depth = 0;
    let mut begins = true;
    for token in &tokens[start..] {
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => return,
            "}" => depth -= 1,
            "," => begins = depth == 1,
            "self" => {}
            other if begins => {
                assert!(name(other) || other == "*", "not understood: {other}");
                found.insert(other.to_owned());
                begins = false;
            }
            _ => {}
        }
    }
}

/// What is wrong with one file's mentions, a line for each.
fn violations(relative: &Path, source: &str) -> Vec<String> {
    let modules = modules(relative);
    let room = modules[0].as_str();
    let shown = relative.display();
    let Some(allowed) = allowed(room) else {
        return vec![format!(
            "src/{shown}: room {room} is not in the tables of tests/it/edges.rs"
        )];
    };
    let mut wrong = Vec::new();
    for used in mentions(&modules, source) {
        if used == room || allowed.contains(used.as_str()) {
            continue;
        }
        wrong.push(if known(&used) {
            format!("src/{shown}: {room} may not use {used}")
        } else {
            format!("src/{shown}: crate::{used} is no known room")
        });
    }
    wrong
}

/// What a pure room mentions of the world outside, a line for each.
fn reaching_out(relative: &Path, source: &str) -> Vec<String> {
    let room = &modules(relative)[0];
    if !PURE.iter().any(|(name, _)| name == room) {
        return Vec::new();
    }
    let tokens = tokens(source);
    let outside = |path: &[String]| match path[0].as_str() {
        "tokio" | "tokio_postgres" | "async" => true,
        "std" => matches!(path[2].as_str(), "env" | "fs" | "net" | "process"),
        _ => false,
    };
    tokens
        .windows(3)
        .filter(|path| outside(path))
        .map(|path| {
            let shown = relative.display();
            format!("src/{shown}: {room} is pure, but says {}", path.concat())
        })
        .collect()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn rooms_use_only_what_they_may_and_files_stay_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(
        files.len() > 10,
        "no sources found below {}",
        root.display()
    );
    files.sort();
    let mut wrong = Vec::new();
    for path in files {
        let source = std::fs::read_to_string(&path).unwrap();
        let relative = path.strip_prefix(&root).unwrap();
        wrong.extend(violations(relative, &source));
        wrong.extend(reaching_out(relative, &source));
        let lines = source.lines().count();
        if lines > LONGEST {
            wrong.push(format!(
                "src/{}: {lines} lines; divide it, {LONGEST} is the limit",
                relative.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn of(file: &str, source: &str) -> Vec<String> {
    violations(Path::new(file), source)
}

#[test]
fn a_forbidden_edge_is_caught_in_every_spelling() {
    for source in [
        "use crate::restore::Plan;",
        "use crate::{ident::TableName, restore::{plan::Plan, self}};",
        "pub use crate :: restore;",
        "fn f() { crate::restore::run(); }",
        "use super::super::restore;",
        "use super::super::{catalog, restore};",
        "mod tests { use super::super::super::restore; }",
        "const A: char = '\"'; /* \" */ const B: &str = \"//\"; use crate::restore;",
    ] {
        let expected = ["src/diff/chunks.rs: diff may not use restore"];
        assert_eq!(of("diff/chunks.rs", source), expected, "{source}");
    }
}

#[test]
fn what_is_allowed_or_only_said_passes() {
    for source in [
        "use crate::{catalog::Table, ident::{self, quote_ident}, pg};",
        "use crate::diff::other; use super::restore; use super::super::catalog;",
        "mod tests { use super::super::restore; }",
        "// use crate::restore;\n/* crate::restore /* crate::cli */ crate::cli */",
        "const A: &str = \"crate::restore\"; const B: &str = r#\"\"crate::restore\"#; const C: char = '\\'';",
        "fn f<'a>(x: &'a str) -> &'a str { x } pub(crate) struct S;",
    ] {
        assert_eq!(of("diff/chunks.rs", source), [""; 0], "{source}");
    }
    assert_eq!(
        of("cli/commands/restore.rs", "use crate::restore;"),
        [""; 0]
    );
}

#[test]
fn the_special_places_hold() {
    let wrong = |file, source: &str| of(file, source).join("; ");
    assert_eq!(
        wrong("closure/mod.rs", "use crate::{catalog, diff};"),
        "src/closure/mod.rs: closure may not use diff"
    );
    assert_eq!(
        wrong("closure/mod.rs", "use crate::pg::Session;"),
        "src/closure/mod.rs: closure may not use pg"
    );
    let outside = reaching_out(Path::new("closure/mod.rs"), "use std::fs; use std::fmt;");
    assert_eq!(
        outside,
        ["src/closure/mod.rs: closure is pure, but says std::fs"]
    );
    assert_eq!(
        wrong("verify.rs", "use crate::cli::Ui;"),
        "src/verify.rs: verify may not use cli"
    );
    assert_eq!(
        wrong("verify.rs", "use super::doctor;"),
        "src/verify.rs: verify may not use doctor"
    );
    assert_eq!(
        wrong("attic.rs", ""),
        "src/attic.rs: room attic is not in the tables of tests/it/edges.rs"
    );
    assert_eq!(
        wrong("verify.rs", "use crate::attic;"),
        "src/verify.rs: crate::attic is no known room"
    );
}
