//! The documentation, checked against the program: statements that people copy are the program's own, commands and
//! options that pages show exist, links lead somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// README and the pages under `docs/`, relative to the root.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![PathBuf::from("README.md")];
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name();
        if Path::new(&name).extension().is_some_and(|e| e == "md") {
            pages.push(Path::new("docs").join(name));
        }
    }
    pages.sort();
    pages
}

/// The lines of fenced blocks in `language`, continued lines joined.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines: Vec<String> = Vec::new();
    for line in page.lines() {
        let line = line.trim_start();
        if let Some(opened) = line.strip_prefix("```") {
            inside = !inside && opened == language;
        } else if inside {
            match lines.last_mut().filter(|last| last.ends_with('\\')) {
                Some(last) => {
                    last.pop();
                    last.push_str(line);
                }
                None => lines.push(line.to_owned()),
            }
        }
    }
    lines
}

/// What stands between two marks.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text
        .find(from)
        .unwrap_or_else(|| panic!("no `{from}` found"))
        + from.len();
    &text[start..start + text[start..].find(to).unwrap()]
}

#[test]
fn the_journal_page_creates_what_the_program_creates() {
    let code = read("src/journal/schema.rs");
    let tables = between(&code, "const TABLES: &str = \"", "\";").trim();
    let version = between(&code, "const VERSION: i32 = ", ";");
    let expected = format!(
        "begin;\n{tables}\ninsert into reinstate.version values ({version}) on conflict do nothing;\ncommit;"
    );
    assert!(
        read("docs/JOURNAL.md").contains(&expected),
        "docs/JOURNAL.md does not hold these statements:\n{expected}"
    );
}

/// The verb and the long options of a command line that runs the program.
fn invocation(line: &str) -> Option<(String, Vec<&str>)> {
    // What follows a comment or a pipe is not ours; what stands in quotes is no option.
    let unquoted: Vec<&str> = line.split(['"', '\'']).step_by(2).collect();
    let mut words = unquoted
        .into_iter()
        .flat_map(str::split_whitespace)
        .take_while(|word| !matches!(*word, "#" | "|" | "&&"));
    let first = words.next()?;
    if first != "reinstate" && (first != "$" || words.next()? != "reinstate") {
        return None;
    }
    let mut words = words.peekable();
    while words.peek() == Some(&"-C") {
        words.nth(1);
    }
    let mut verb = words.next().filter(|verb| *verb != "…")?.to_owned();
    if verb == "blobs" {
        verb = format!("{verb} {}", words.next()?);
    }
    let options = words
        .filter(|word| word.starts_with("--"))
        .map(|word| word.split('=').next().unwrap_or(word))
        .collect();
    Some((verb, options))
}

#[test]
fn commands_that_pages_show_exist() {
    let mut seen = BTreeSet::new();
    for page in pages() {
        let text = read(&page);
        let lines = [blocks(&text, "sh"), blocks(&text, "")].concat();
        for line in &lines {
            let Some((verb, options)) = invocation(line) else {
                continue;
            };
            let help = Command::new(env!("CARGO_BIN_EXE_reinstate"))
                .arg("help")
                .args(verb.split(' '))
                .output()
                .unwrap();
            assert!(
                help.status.success(),
                "{}: no such command: {line}",
                page.display()
            );
            let help = String::from_utf8(help.stdout).unwrap();
            for option in options {
                assert!(
                    help.split_whitespace()
                        .any(|word| word.trim_end_matches(',') == option),
                    "{}: {verb} has no {option}: {line}",
                    page.display()
                );
            }
            seen.insert(verb);
        }
    }
    for verb in [
        "doctor",
        "hold",
        "init",
        "diff",
        "timeline",
        "extract",
        "contacts",
        "restore",
        "verify",
        "undo",
        "blobs check",
    ] {
        assert!(seen.contains(verb), "no page shows `reinstate {verb}`");
    }
}

/// Anchors of a page's headings, as code hosting sites make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    found
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = read(&page);
        for link in text.split("](").skip(1).filter_map(|t| t.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap_or(Path::new("")).join(file),
            };
            if !root().join(&target).exists() {
                wrong.push(format!("{}: {link}", page.display()));
            } else if !anchor.is_empty() && !anchors(&read(&target)).contains(anchor) {
                wrong.push(format!("{}: no such heading: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
