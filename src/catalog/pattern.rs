//! Patterns that choose tables, as `pg_dump` takes them.
//!
//! Source: PostgreSQL manual, psql, "Patterns": `*` any sequence, `?` any character, a dot separates schema and
//! table, letters fold to lower case unless quoted.

use crate::ident::TableName;

/// Likeness (Jaro and Winkler) beyond which a name may be the one that was meant.
const LIKE: f64 = 0.75;

/// The table whose name comes closest to what was typed, if one is close enough to be what was meant.
pub fn nearest_table<'a>(
    typed: &str,
    tables: impl Iterator<Item = &'a TableName>,
) -> Option<&'a TableName> {
    let likeness = |name: &TableName| {
        strsim::jaro_winkler(&name.name, typed).max(strsim::jaro_winkler(&name.to_string(), typed))
    };
    tables
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness > LIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// A pattern that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a table pattern: write table, schema.table, with * and ? as wildcards")]
pub struct PatternError(String);

/// What `--schema`, `--table` and `--exclude-table` choose. Empty: every table.
#[derive(Debug, Clone, Default)]
pub struct TablePatterns {
    schemas: Vec<Glob>,
    tables: Vec<(Option<Glob>, Glob)>,
    excluded: Vec<(Option<Glob>, Glob)>,
}

impl TablePatterns {
    /// Reads the patterns of the three options.
    pub fn parse(
        schemas: &[String],
        tables: &[String],
        excluded: &[String],
    ) -> Result<Self, PatternError> {
        let pairs = |texts: &[String]| {
            texts
                .iter()
                .map(|t| qualified(t))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            schemas: schemas
                .iter()
                .map(|t| match qualified(t)? {
                    (None, schema) => Ok(schema),
                    _ => Err(PatternError(t.clone())),
                })
                .collect::<Result<_, _>>()?,
            tables: pairs(tables)?,
            excluded: pairs(excluded)?,
        })
    }

    /// Whether a table is chosen.
    pub fn chooses(&self, table: &TableName) -> bool {
        let hit = |patterns: &[(Option<Glob>, Glob)]| {
            patterns.iter().any(|(schema, name)| {
                schema.as_ref().is_none_or(|s| s.matches(&table.schema))
                    && name.matches(&table.name)
            })
        };
        let by_schema =
            self.schemas.is_empty() || self.schemas.iter().any(|s| s.matches(&table.schema));
        let by_table = self.tables.is_empty() || hit(&self.tables);
        by_schema && by_table && !hit(&self.excluded)
    }

    /// Whether every table is chosen.
    pub fn is_everything(&self) -> bool {
        self.schemas.is_empty() && self.tables.is_empty() && self.excluded.is_empty()
    }
}

/// One pattern: characters, and wildcards where they were not quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Glob(Vec<Piece>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Char(char),
    Any,
    One,
}

impl Glob {
    fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        // Row by row over the pattern: reachable[i] says that text[..i] is matched so far.
        let mut reachable = vec![false; text.len() + 1];
        reachable[0] = true;
        for piece in &self.0 {
            let mut next = vec![false; text.len() + 1];
            for i in 0..=text.len() {
                next[i] = match piece {
                    Piece::Any => reachable[i] || (i > 0 && next[i - 1]),
                    Piece::One => i > 0 && reachable[i - 1],
                    Piece::Char(c) => i > 0 && reachable[i - 1] && text[i - 1] == *c,
                };
            }
            reachable = next;
        }
        reachable[text.len()]
    }
}

fn qualified(text: &str) -> Result<(Option<Glob>, Glob), PatternError> {
    let wrong = || PatternError(text.to_owned());
    let mut parts = vec![Vec::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let piece = match (quoted, c) {
            (true, '"') if chars.peek() == Some(&'"') => {
                chars.next();
                Piece::Char('"')
            }
            (_, '"') => {
                quoted = !quoted;
                continue;
            }
            (false, '.') => {
                parts.push(Vec::new());
                continue;
            }
            (false, '*') => Piece::Any,
            (false, '?') => Piece::One,
            (false, c) => Piece::Char(c.to_ascii_lowercase()),
            (true, c) => Piece::Char(c),
        };
        if let Some(part) = parts.last_mut() {
            part.push(piece);
        }
    }
    if quoted || parts.iter().any(Vec::is_empty) {
        return Err(wrong());
    }
    let mut parts = parts.into_iter().map(Glob);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(table), None, _) => Ok((None, table)),
        (Some(schema), Some(table), None) => Ok((Some(schema), table)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(tables: &[&str], excluded: &[&str], name: &str) -> bool {
        let own = |t: &[&str]| t.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let patterns = TablePatterns::parse(&[], &own(tables), &own(excluded)).unwrap();
        patterns.chooses(&name.parse().unwrap())
    }

    #[test]
    fn patterns_choose_as_pg_dump_does() {
        assert!(chosen(&[], &[], "public.users"));
        assert!(chosen(&["users"], &[], "app.users"));
        assert!(chosen(&["App.U*s"], &[], "app.users"));
        assert!(!chosen(&["\"U*\""], &[], "app.users"));
        assert!(chosen(&["\"Big Table\""], &[], "public.\"Big Table\""));
        assert!(!chosen(&["*"], &["user?"], "public.users"));
        assert!(TablePatterns::parse(&[], &["a..b".into()], &[]).is_err());
    }
}
