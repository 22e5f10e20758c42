//! Takes out of a text what differs from run to run, so that the rest can be compared word by word.

use super::story::Story;

/// The text with names in place of paths, databases, ids and times.
pub(super) fn normal(text: &str, story: &Story) -> String {
    let server = crate::support::cluster();
    let mut text = text.to_owned();
    for (value, name) in [
        (story.case.path().display().to_string(), "‹case›"),
        (server.socket_directory().display().to_string(), "‹host›"),
        (format!("‹host›:{}", server.port()), "‹host›"),
        (format!("database {}", story.live.name), "database ‹live›"),
        (
            format!("database {}", story.snapshot.name),
            "database ‹snapshot›",
        ),
    ] {
        text = text.replace(&value, name);
    }
    let word = |c: char| c.is_ascii_alphanumeric() || "-:.".contains(c);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find(word) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
        out.push_str(&named(&rest[..end]));
        rest = &rest[end..];
    }
    out + rest
}

/// What a word stands for, if it is an id, a time or a version.
fn named(word: &str) -> String {
    let trimmed = word.trim_end_matches([':', '.', '-']);
    let end = &word[trimmed.len()..];
    let hex = |w: &str| w.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    let name = match trimmed {
        w if w.len() >= 8 && hex(w) => "‹id›",
        w if w.len() == 21 && w.as_bytes()[8] == b'T' && w.as_bytes()[15] == b'Z' => "‹run›",
        w if w.len() >= 20 && w.as_bytes()[4] == b'-' && w.as_bytes()[10] == b'T' => "‹time›",
        w => w,
    };
    // Ours, and PostgreSQL's.
    let digits = |w: &str| {
        w.split('.')
            .all(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_digit()))
    };
    if name == trimmed && trimmed.contains('.') && digits(trimmed) {
        return format!("‹version›{end}");
    }
    format!("{name}{end}")
}

#[test]
fn ids_and_times_have_no_place_in_a_snapshot() {
    for (word, expected) in [
        ("22ad5b220c79", "‹id›"),
        ("20261122T192630Z-35ac:", "‹run›:"),
        ("2026-11-22T19:26:30.12Z", "‹time›"),
        ("15.18", "‹version›"),
        ("dossiers", "dossiers"),
        ("public.users", "public.users"),
        ("12", "12"),
    ] {
        assert_eq!(named(word), expected);
    }
}
