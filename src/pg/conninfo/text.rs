//! Keyword/value connection strings: `host=db port=5432 password='it''s'`, by libpq's rules.
//!
//! No message quotes the text: any part of a string that was not understood may be part of a password.

use super::keywords::{self, Keyword, Treatment};

/// Keywords with their values, in the order written.
pub(super) type Pairs = Vec<(&'static Keyword, String)>;

/// Reads a connection string of either form.
pub(super) fn pairs(text: &str) -> Result<Pairs, String> {
    let trimmed = text.trim();
    for scheme in ["postgresql://", "postgres://"] {
        if let Some(rest) = trimmed.strip_prefix(scheme) {
            return super::uri::pairs(rest, scheme.len());
        }
    }
    let scheme = trimmed.split('=').next().unwrap_or_default();
    if scheme.contains("://") {
        return Err("a URI must start with postgres:// or postgresql://".to_owned());
    }
    Scanner {
        chars: text.chars().collect(),
        at: 0,
    }
    .pairs()
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
}

impl Scanner {
    fn pairs(mut self) -> Result<Pairs, String> {
        let mut found = Pairs::new();
        loop {
            self.skip_blanks();
            if self.at == self.chars.len() {
                return Ok(found);
            }
            let start = self.at;
            let name = self.name();
            if self.peek() != Some('=') {
                return Err(missing_equals(&name, start, self.chars.len()));
            }
            self.at += 1;
            let keyword = known(&name, start)?;
            self.skip_blanks();
            let value = self.value(keyword)?;
            accept(&mut found, keyword, value)?;
        }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Up to the `=` or a blank; blanks before the `=` are allowed.
    fn name(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|c| c != '=' && !c.is_whitespace()) {
            self.at += 1;
        }
        let name = self.chars[start..self.at].iter().collect();
        self.skip_blanks();
        name
    }

    fn value(&mut self, keyword: &Keyword) -> Result<String, String> {
        let quoted = self.peek() == Some('\'');
        if quoted {
            self.at += 1;
        }
        let mut value = String::new();
        loop {
            match self.peek() {
                None if quoted => {
                    return Err(format!(
                        "the quote that opens the value of \"{}\" is never closed",
                        keyword.name
                    ));
                }
                None => break,
                Some('\'') if quoted => {
                    self.at += 1;
                    break;
                }
                Some(c) if !quoted && c.is_whitespace() => break,
                Some('\\') => {
                    self.at += 1;
                    value.extend(self.peek());
                }
                Some(c) => value.push(c),
            }
            self.at = (self.at + 1).min(self.chars.len());
        }
        if !quoted && keyword.name != "password" && starts_with_keyword(&value) {
            // libpq would take `host= user=x` as a host called "user=x".
            return Err(format!("the value of \"{}\" is missing", keyword.name));
        }
        Ok(value)
    }
}

fn missing_equals(name: &str, start: usize, length: usize) -> String {
    if start == 0 && name.chars().count() == length {
        return "a bare word is no connection string; for a database of that name write dbname=…"
            .to_owned();
    }
    format!(
        "there is no \"=\" after the word at character {}; a value with blanks needs quotes",
        start + 1
    )
}

fn starts_with_keyword(value: &str) -> bool {
    value
        .split_once('=')
        .is_some_and(|(name, _)| keywords::find(name).is_some())
}

/// The keyword called `name`, which stands at `start` (from 0); otherwise a message that offers the nearest one.
pub(super) fn known(name: &str, start: usize) -> Result<&'static Keyword, String> {
    keywords::find(name).ok_or_else(|| {
        let offer = keywords::nearest(name)
            .map(|near| format!("; did you mean \"{near}\"?"))
            .unwrap_or_default();
        format!("unknown keyword at character {}{offer}", start + 1)
    })
}

/// Stores a pair, unless it is of no use or asks for something this program cannot give.
pub(super) fn accept(
    found: &mut Pairs,
    keyword: &'static Keyword,
    value: String,
) -> Result<(), String> {
    if keyword.name != "password" && value.to_ascii_lowercase().contains("password=") {
        // A misplaced quote; the password would be shown as a host or a database from here on.
        return Err(format!(
            "the value of \"{}\" has swallowed a password: a quote is misplaced",
            keyword.name
        ));
    }
    match keyword.treatment {
        Treatment::Read => found.push((keyword, value)),
        Treatment::Ignored => {}
        Treatment::Refused(harmless, _)
            if value.is_empty() || harmless.contains(&value.as_str()) => {}
        Treatment::Refused(_, reason) => {
            return Err(format!("\"{}\" is not accepted: {reason}", keyword.name));
        }
    }
    Ok(())
}
