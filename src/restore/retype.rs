//! Columns that have another type in live than in the backup: which values mean the same in both, and how they are
//! written in live's.
//!
//! COPY reads whatever text the new type takes, and would read some of it as another value: a `timestamp` as if it had been
//! UTC, a `real` with digits that it never had. So only conversions pass in which each value has one form in the new type,
//! namely the one that `ALTER TABLE … TYPE` gives it. What is not known here the server may cast ([`super::recast`]); the rest is
//! refused by name. A value that the new type has no room for is the server's to refuse.

use std::borrow::Cow;

use serde::Serialize;

use crate::bundle::Recast;
use crate::catalog::Column;
use crate::pg::copy::unescape;

/// A column with another type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retyped {
    /// Column.
    pub column: String,
    /// Type in the backup.
    pub from: String,
    /// Type in live.
    pub to: String,
    /// Each of its values has one form in live's type.
    pub restorable: bool,
}

impl From<&Recast> for Retyped {
    fn from(recast: &Recast) -> Self {
        Self {
            column: recast.column.clone(),
            from: recast.from.clone(),
            to: recast.to.clone(),
            restorable: true,
        }
    }
}

impl Retyped {
    /// For people.
    pub fn describe(&self) -> String {
        let Self {
            column, from, to, ..
        } = self;
        format!("{column} is {from} in the backup and {to} in live")
    }
}

/// What makes a field of a COPY line the one that live's type writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rewrite {
    /// Nothing.
    AsWritten,
    /// Zeros up to this many digits after the point.
    Scale(usize),
    /// Blanks up to this many characters.
    Pad(usize),
    /// No trailing blanks.
    Strip,
    /// A day's first moment.
    Midnight,
}

impl Rewrite {
    /// The field as live's type writes it.
    pub(super) fn apply<'a>(&self, field: &'a [u8]) -> Cow<'a, [u8]> {
        if field == b"\\N" {
            return Cow::Borrowed(field);
        }
        match self {
            Self::AsWritten => Cow::Borrowed(field),
            Self::Strip => {
                let end = field.iter().rposition(|b| *b != b' ').map_or(0, |p| p + 1);
                Cow::Borrowed(&field[..end])
            }
            Self::Pad(width) => {
                let have = unescape(field).map_or(0, |text| text.chars().count());
                padded(field, width.saturating_sub(have), b' ')
            }
            Self::Scale(digits) => scaled(field, *digits),
            Self::Midnight => midnight(field),
        }
    }
}

fn padded(field: &[u8], count: usize, with: u8) -> Cow<'_, [u8]> {
    let mut out = field.to_vec();
    out.resize(field.len() + count, with);
    Cow::Owned(out)
}

fn scaled(field: &[u8], digits: usize) -> Cow<'_, [u8]> {
    // NaN and the infinities have no digits.
    if digits == 0 || !field.last().is_some_and(u8::is_ascii_digit) {
        return Cow::Borrowed(field);
    }
    match field.iter().position(|b| *b == b'.') {
        Some(point) => {
            let have = field.len() - point - 1;
            padded(field, digits.saturating_sub(have), b'0')
        }
        None => {
            let with_point = [field, b"."].concat();
            Cow::Owned(padded(&with_point, digits, b'0').into_owned())
        }
    }
}

fn midnight(field: &[u8]) -> Cow<'_, [u8]> {
    const ZERO: &[u8] = b" 00:00:00";
    match field.strip_suffix(b" BC") {
        Some(day) => Cow::Owned([day, ZERO, b" BC"].concat()),
        None if field.ends_with(b"infinity") => Cow::Borrowed(field),
        None => Cow::Owned([field, ZERO].concat()),
    }
}

/// How values of the type `from`, as the manifest names it, are written in `to`; none where they are not to be.
pub(super) fn rewrite(from: &str, to: &Column) -> Option<Rewrite> {
    let domain = to.builtin.is_none() && !to.is_enum && to.type_name != to.lookup_type;
    if from == to.type_name || (domain && from == to.lookup_type) {
        return Some(Rewrite::AsWritten);
    }
    // A domain's length or precision is not known here: only what no length can change.
    let target = if domain {
        &to.lookup_type
    } else {
        &to.type_name
    };
    let (from_element, to_element) = (from.strip_suffix("[]"), target.strip_suffix("[]"));
    let (from, to_type, nested) = match (from_element, to_element) {
        (None, None) => (from, target.as_str(), domain),
        (Some(from), Some(to)) => (from, to, true),
        _ => return None,
    };
    let (from, shape) = (Shape::of(from), Shape::of(to_type));
    if domain && !shape.is(INTEGERS) && !shape.is(TEXTS) {
        return None;
    }
    let rewrite = between(&from, &shape, to.is_enum)?;
    (!nested || rewrite == Rewrite::AsWritten).then_some(rewrite)
}

/// A type's name without its numbers, and the numbers: `numeric`, 10 and 2.
struct Shape {
    name: String,
    numbers: Vec<usize>,
}

impl Shape {
    fn of(type_name: &str) -> Self {
        let plain = || Self {
            name: type_name.to_owned(),
            numbers: Vec::new(),
        };
        let Some((before, rest)) = type_name.split_once('(') else {
            return plain();
        };
        let Some((inside, after)) = rest.split_once(')') else {
            return plain();
        };
        let numbers: Result<Vec<usize>, _> = inside.split(',').map(str::parse).collect();
        match numbers {
            Ok(numbers) => Self {
                name: format!("{before}{after}"),
                numbers,
            },
            // A negative scale is part of the name, and so equal to nothing else.
            Err(_) => plain(),
        }
    }

    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    /// Sessions search the server's own schema only: the types of others are written with theirs.
    fn users_own(&self) -> bool {
        self.name.contains('.')
    }

    fn unqualified(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

const INTEGERS: &[&str] = &["smallint", "integer", "bigint"];
const TEXTS: &[&str] = &["text", "character varying"];
/// Times of day and of history; their number is that of the digits of a second.
const TIMES: &[&str] = &[
    "timestamp without time zone",
    "timestamp with time zone",
    "time without time zone",
    "time with time zone",
];

fn between(from: &Shape, to: &Shape, to_enum: bool) -> Option<Rewrite> {
    let number = |shape: &Shape, i: usize| shape.numbers.get(i).copied();
    let rewrite = if from.is(INTEGERS) && to.is(INTEGERS) {
        Rewrite::AsWritten
    } else if (from.is(INTEGERS) || from.is(&["numeric"])) && to.is(&["numeric"]) {
        return to_numeric(from, to);
    } else if from.is(TEXTS) && (to.is(TEXTS) || to_enum) {
        Rewrite::AsWritten
    } else if from.is(TEXTS) && to.is(&["character"]) {
        Rewrite::Pad(number(to, 0)?)
    } else if from.is(&["character"]) && to.is(TEXTS) {
        Rewrite::Strip
    } else if from.is(&["character"]) && to.is(&["character"]) {
        let (had, has) = (number(from, 0)?, number(to, 0)?);
        (has >= had).then_some(Rewrite::Pad(has))?
    } else if from.is(&["uuid"]) && to.is(TEXTS) {
        Rewrite::AsWritten
    } else if from.is(&["date"]) && to.is(&TIMES[..1]) {
        Rewrite::Midnight
    } else if from.is(TIMES) && from.name == to.name {
        let digits = |shape| number(shape, 0).unwrap_or(6);
        (digits(to) >= digits(from)).then_some(Rewrite::AsWritten)?
    } else if from.users_own() && (to.is(TEXTS) || to_enum) {
        // An enum's label, an extension's text: written the same.
        Rewrite::AsWritten
    } else if from.users_own() && to.users_own() && from.unqualified() == to.unqualified() {
        // The same extension in another schema.
        Rewrite::AsWritten
    } else {
        return None;
    };
    Some(rewrite)
}

fn to_numeric(from: &Shape, to: &Shape) -> Option<Rewrite> {
    if to.numbers.is_empty() {
        return Some(Rewrite::AsWritten);
    }
    let scale = to.numbers.get(1).copied().unwrap_or(0);
    let had = match (from.is(&["numeric"]), from.numbers.as_slice()) {
        (true, []) => return None,
        (true, [_]) | (false, _) => 0,
        (true, [_, scale, ..]) => *scale,
    };
    (scale >= had).then_some(Rewrite::Scale(scale))
}

#[cfg(test)]
mod tests;
