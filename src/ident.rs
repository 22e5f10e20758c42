//! Names of tables, columns, keys, units and runs, and the only place that quotes SQL.
//!
//! Guarantees that no name or value reaches SQL text unquoted. Everything else that builds SQL goes through
//! [`quote_ident`], [`quote_literal`] and [`TableName::sql`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Quotes an identifier for SQL, always with double quotes.
///
/// Source: PostgreSQL manual, 4.1.1 "Identifiers and Key Words".
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a string as an SQL literal; backslashes force the `E''` form, which reads the same under every
/// `standard_conforming_strings`.
///
/// Source: PostgreSQL manual, 4.1.2.2 "String Constants with C-Style Escapes".
pub fn quote_literal(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// Joins column names into a quoted, comma-separated list.
pub fn column_list<S: AsRef<str>>(columns: &[S]) -> String {
    columns
        .iter()
        .map(|c| quote_ident(c.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Joins column names of one relation alias into a quoted list: `c."a", c."b"`.
pub fn qualified_list<S: AsRef<str>>(alias: &str, columns: &[S]) -> String {
    columns
        .iter()
        .map(|c| format!("{alias}.{}", quote_ident(c.as_ref())))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Renders values as the text form of a one-dimensional array (`{"a",NULL}`), to be cast by the server.
///
/// Source: PostgreSQL manual, 8.15.6 "Array Input and Output Syntax".
pub fn array_literal<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut out = String::from("{");
    for (i, value) in values.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        match value {
            None => out.push_str("NULL"),
            Some(text) => {
                out.push('"');
                for c in text.chars() {
                    if c == '"' || c == '\\' {
                        out.push('\\');
                    }
                    out.push(c);
                }
                out.push('"');
            }
        }
    }
    out.push('}');
    out
}

fn plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '$')
}

/// A name as people read it: quoted only where it would otherwise be read differently. Not for SQL, which has reserved
/// words.
pub fn shown(name: &str) -> String {
    if plain(name) {
        name.to_owned()
    } else {
        quote_ident(name)
    }
}

/// A table's name with its schema. Shown quoted only where needed (`public.t`, `public."Big Table"`); in JSON as
/// shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// Schema, unquoted.
    pub schema: String,
    /// Table, unquoted.
    pub name: String,
}

impl TableName {
    /// Makes a name from its unquoted parts.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            name: name.into(),
        }
    }

    /// The name as SQL, always quoted.
    pub fn sql(&self) -> String {
        format!("{}.{}", quote_ident(&self.schema), quote_ident(&self.name))
    }

    /// Whether `name`, as an operator may write it in a value, means this table: quoted or not, with a schema or without one,
    /// which means any.
    pub fn is_meant_by(&self, name: &str) -> bool {
        name == self.name
            || name == format!("{}.{}", self.schema, self.name)
            || match name.parse::<Self>() {
                Ok(parsed) if !name.contains('.') => parsed.name == self.name,
                Ok(parsed) => parsed == *self,
                Err(_) => false,
            }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", shown(&self.schema), shown(&self.name))
    }
}

/// What is wrong with a written name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// Not `table`, `schema.table`, or their quoted forms.
    #[error("`{0}` is not a table name: write table, schema.table or \"Schema\".\"Table\"")]
    Table(String),
    /// Not `table(column, …)`.
    #[error("`{0}` is not a column reference: write table(column) or schema.table(column, column)")]
    Columns(String),
}

/// Splits `a."b.c".d` at unquoted dots; `None` where a quote is left open or a part is empty.
fn parts(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut chars = text.trim().chars().peekable();
    let (mut quoted, mut was_quoted) = (false, false);
    while let Some(c) = chars.next() {
        match (quoted, c) {
            (true, '"') if chars.peek() == Some(&'"') => {
                chars.next();
                part.push('"');
            }
            (_, '"') => {
                quoted = !quoted;
                was_quoted = true;
            }
            (false, '.') => {
                if part.is_empty() {
                    return None;
                }
                parts.push(std::mem::take(&mut part));
                was_quoted = false;
            }
            (false, c) if !was_quoted => part.extend(c.to_lowercase()),
            (false, _) => return None,
            (true, c) => part.push(c),
        }
    }
    if quoted || part.is_empty() {
        return None;
    }
    parts.push(part);
    Some(parts)
}

/// Splits where a character stands outside of quotes. A quote within quotes is doubled, and so closes and opens them again.
fn unquoted(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == at && !quoted
    })
}

impl FromStr for TableName {
    type Err = NameError;

    /// Reads `table` (schema `public`), `schema.table`, and quoted forms; unquoted letters fold to lower case, as in SQL.
    fn from_str(text: &str) -> Result<Self, NameError> {
        match parts(text).as_deref() {
            Some([name]) => Ok(Self::new("public", name)),
            Some([schema, name]) => Ok(Self::new(schema, name)),
            _ => Err(NameError::Table(text.to_owned())),
        }
    }
}

impl Serialize for TableName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TableName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Columns of a table, written `table(column, column)` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRef {
    /// The table.
    pub table: TableName,
    /// Its columns, unquoted, at least one.
    pub columns: Vec<String>,
}

impl FromStr for ColumnRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::Columns(text.to_owned());
        let table = unquoted(text, '(').next().unwrap_or_default();
        let rest = text[table.len()..].strip_prefix('(').ok_or_else(wrong)?;
        let inner = rest.trim_end().strip_suffix(')').ok_or_else(wrong)?;
        let columns = unquoted(inner, ',')
            .map(|c| match parts(c).as_deref() {
                Some([name]) => Ok(name.clone()),
                _ => Err(wrong()),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            table: table.parse().map_err(|_| wrong())?,
            columns,
        })
    }
}

/// A row's key: the text form of each key column, in key order. Never holds NULL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub Vec<String>);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => f.write_str(one),
            many => write!(f, "({})", many.join(", ")),
        }
    }
}

/// The number of a unit in its bundle, from 1.
pub type UnitId = u64;

/// Bits of a number of the journal that are the unit's own number.
const UNIT_BITS: u32 = 40;

/// The number by which the journal has one part, from 0, of a unit that is too large for one transaction: it is taken back like a
/// unit of its own.
pub fn part_number(unit: UnitId, part: u64) -> UnitId {
    unit | (part + 1) << UNIT_BITS
}

/// The unit that a number of the journal speaks of, whole or in part.
pub fn unit_of(number: UnitId) -> UnitId {
    number & ((1 << UNIT_BITS) - 1)
}

/// A run's id: UTC start time and four random hex digits, so that ids sort by time and never collide in a case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl RunId {
    /// Makes an id for a run that starts at `now`.
    pub fn new(now: jiff::Timestamp, salt: u16) -> Self {
        Self(format!("{}-{salt:04x}", now.strftime("%Y%m%dT%H%M%SZ")))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A word as a shell takes it, for commands that people are told to type.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for text in ["public.t", "app.\"Big Table\"", "\"a.b\".\"c\"\"d\""] {
            let name: TableName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
        }
        assert_eq!(
            "Users".parse::<TableName>().unwrap(),
            TableName::new("public", "users")
        );
        for wrong in ["", "a.b.c", "\"open", "a..b", "\"a\"b"] {
            assert!(wrong.parse::<TableName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn column_refs() {
        let r: ColumnRef = "individuals(dossier_id)".parse().unwrap();
        assert_eq!(
            (r.table.to_string(), r.columns),
            ("public.individuals".into(), vec!["dossier_id".into()])
        );
        let r: ColumnRef = "app.\"T\"(a, \"B c\")".parse().unwrap();
        assert_eq!(
            (r.table.to_string(), r.columns),
            ("app.\"T\"".into(), vec!["a".into(), "B c".into()])
        );
        let r: ColumnRef = "\"Order (old), 1\"(a, \"b, \"\"c\"\" (d)\" )"
            .parse()
            .unwrap();
        assert_eq!(
            (r.table.to_string(), r.columns),
            (
                "public.\"Order (old), 1\"".into(),
                vec!["a".into(), "b, \"c\" (d)".into()]
            )
        );
        assert!("t".parse::<ColumnRef>().is_err());
        assert!("t()".parse::<ColumnRef>().is_err());
    }

    #[test]
    fn quoting() {
        assert_eq!(quote_ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b'"), "E'a\\\\b'''");
        assert_eq!(
            array_literal([Some("a\"\\"), None, Some("")]),
            "{\"a\\\"\\\\\",NULL,\"\"}"
        );
    }
}
