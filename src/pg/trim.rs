//! A query that people wrote, without the comments and semicolons that end it: what is put around it still holds.
//!
//! Source: PostgreSQL manual, 4.1 "Lexical Structure".

/// The query up to its last token. What lies before that (a semicolon between two statements) is left to the server.
pub fn trimmed(sql: &str) -> &str {
    let (mut at, mut end) = (0, 0);
    while let Some(first) = sql[at..].chars().next() {
        let (length, counts) = piece(&sql[..at], &sql[at..], first);
        at += length;
        if counts {
            end = at;
        }
    }
    sql[..end].trim_start()
}

/// The length of what `rest` begins with, and whether it belongs to a statement.
fn piece(before: &str, rest: &str, first: char) -> (usize, bool) {
    match first {
        ';' => (1, false),
        '-' if rest.starts_with("--") => (until(rest, 2, "\n"), false),
        '/' if rest.starts_with("/*") => (comment(rest), false),
        '\'' if escapes(before) => (escaped(rest), true),
        '\'' => (until(rest, 1, "'"), true),
        '"' => (until(rest, 1, "\""), true),
        '$' if !before.ends_with(of_name) => (dollars(rest), true),
        c => (c.len_utf8(), !c.is_whitespace()),
    }
}

/// Up to and with the first `end` after `from` bytes, or all of it. A doubled quote is two literals in a row: as good.
fn until(rest: &str, from: usize, end: &str) -> usize {
    let found = rest[from..].find(end);
    found.map_or(rest.len(), |n| from + n + end.len())
}

/// Comments nest.
fn comment(rest: &str) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 {
        let Some(n) = rest[at..].find(['*', '/']) else {
            return rest.len();
        };
        at += n;
        let (step, change) = match &rest[at..] {
            r if r.starts_with("/*") => (2, 1),
            r if r.starts_with("*/") => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
    }
    at
}

/// Whether a literal that follows has backslashes that escape: `E'…'`.
fn escapes(before: &str) -> bool {
    let name = before.strip_suffix(['e', 'E']);
    name.is_some_and(|b| !b.ends_with(of_name))
}

fn escaped(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '\'' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `$tag$…$tag$`; else the sign alone, as in `$1`.
fn dollars(rest: &str) -> usize {
    let Some(n) = rest[1..].find('$') else {
        return 1;
    };
    let (tag, whole) = (&rest[1..=n], &rest[..n + 2]);
    let is_tag = !tag.starts_with(|c: char| c.is_ascii_digit()) && tag.chars().all(of_name);
    match is_tag && !tag.contains('$') {
        true => until(rest, whole.len(), whole),
        false => 1,
    }
}

/// Whether a character can belong to a name.
fn of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_ends_a_query_is_taken_away() {
        for (sql, left) in [
            (" select 1 ", "select 1"),
            ("select 1;", "select 1"),
            ("select 1; ; \n", "select 1"),
            ("select 1; -- why; not", "select 1"),
            ("select 1 -- why\n;\n-- so\n", "select 1"),
            ("select 1; /* a /* b; */ c */ ;", "select 1"),
            ("select 1 /* never ended;", "select 1"),
            ("-- before\nselect 1;", "-- before\nselect 1"),
            ("select 1; select 2;", "select 1; select 2"),
            // What looks like a comment, and is none.
            ("select '-- a;'", "select '-- a;'"),
            ("select 'it''s -- a';", "select 'it''s -- a'"),
            ("select \"a -- b\"; -- c", "select \"a -- b\""),
            (
                r"select e'\' -- a;', E'\\'; -- b",
                r"select e'\' -- a;', E'\\'",
            ),
            (r"select some'\'; -- b", r"select some'\'"),
            ("select $$ -- a; $$; -- b", "select $$ -- a; $$"),
            (
                "select $x$ $$ ; $y$ /* $x$ /* c */;",
                "select $x$ $$ ; $y$ /* $x$",
            ),
            ("select a$b$c; -- $b$", "select a$b$c"),
            ("select $1; -- $1", "select $1"),
            ("select 1 - -1 / 2 * 3;", "select 1 - -1 / 2 * 3"),
            ("select 'never ended; --", "select 'never ended; --"),
            ("select 'é' as \"ü\"; -- ñ", "select 'é' as \"ü\""),
            (" ; -- nothing", ""),
            ("", ""),
        ] {
            assert_eq!(trimmed(sql), left, "{sql}");
        }
    }

    proptest! {
        /// Nothing that counts is lost, and there is nothing left to take away.
        #[test]
        fn once_is_enough(sql in "[-a;e$'\"\\\\/*\n é1]{0,24}") {
            let once = trimmed(&sql);
            prop_assert!(sql.contains(once));
            prop_assert_eq!(trimmed(once), once);
            prop_assert_eq!(trimmed(&format!("{once}\n; -- more")).len() >= once.len(), true);
        }
    }
}
