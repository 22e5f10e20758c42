//! Rust source as words and signs, for the tests that read the sources: comments, strings and characters are left out.

/// The identifiers and signs of `source`, in order; `::` is one sign.
pub(crate) fn tokens(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        let next = chars.get(i + 1).copied().unwrap_or('\0');
        match c {
            '/' if next == '/' => i = after_line(&chars, i),
            '/' if next == '*' => i = after_comment(&chars, i),
            '"' => i = after_string(&chars, i),
            '\'' => i = after_quote(&chars, i),
            ':' if next == ':' => {
                found.push("::".to_owned());
                i += 2;
            }
            _ if c.is_alphanumeric() || c == '_' => {
                let word: String = chars[i..]
                    .iter()
                    .take_while(|c| c.is_alphanumeric() || **c == '_')
                    .collect();
                i += word.chars().count();
                match raw_string_end(&chars, i, &word) {
                    Some(end) => i = end,
                    None => found.push(word),
                }
            }
            _ => {
                if !c.is_whitespace() {
                    found.push(c.to_string());
                }
                i += 1;
            }
        }
    }
    found
}

fn after_line(chars: &[char], start: usize) -> usize {
    chars[start..]
        .iter()
        .position(|c| *c == '\n')
        .map_or(chars.len(), |length| start + length)
}

/// Block comments nest.
fn after_comment(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut i = start;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                i += 1;
                continue;
            }
        }
        i += 2;
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn after_string(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// Past a character, or past the sign before a lifetime's name.
fn after_quote(chars: &[char], start: usize) -> usize {
    if chars.get(start + 1) == Some(&'\\') {
        let mut i = start + 3;
        while i < chars.len() && chars[i] != '\'' {
            i += 1;
        }
        return i + 1;
    }
    if chars.get(start + 2) == Some(&'\'') {
        return start + 3;
    }
    start + 1
}

/// Where a raw string ends, if `prefix` (ending before `start`) begins one: `r"…"`, `br#"…"#`.
fn raw_string_end(chars: &[char], start: usize, prefix: &str) -> Option<usize> {
    if !matches!(prefix, "r" | "br" | "cr") {
        return None;
    }
    let hashes = chars[start..].iter().take_while(|c| **c == '#').count();
    if chars.get(start + hashes) != Some(&'"') {
        return None;
    }
    let mut i = start + hashes + 1;
    while i < chars.len() {
        let closed = chars[i] == '"'
            && chars[i + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes;
        if closed {
            return Some(i + 1 + hashes);
        }
        i += 1;
    }
    Some(chars.len())
}

#[test]
fn only_code_is_left() {
    let source = "a::b /* x /* y */ z */ \"s\\\"t\" 'c' '\\'' 'd r#\"q\"\"# r#raw // end";
    assert_eq!(tokens(source), ["a", "::", "b", "d", "r", "#", "raw"]);
}
