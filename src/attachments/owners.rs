//! Which table a record's owner is in: SQL gives a table's name, or that of an application's class.

use std::collections::BTreeMap;

use crate::catalog::Schema;
use crate::ident::TableName;

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// This table.
    Table(TableName),
    /// Several.
    Several(Vec<TableName>),
    /// None.
    Unknown,
}

/// The tables of a database, by the names that SQL gives.
pub struct Owners<'a> {
    schema: &'a Schema,
    known: BTreeMap<(usize, String), Meaning>,
}

impl<'a> Owners<'a> {
    /// Of a schema, which may have other names than the database that gives them.
    pub fn new(schema: &'a Schema) -> Self {
        Self {
            schema,
            known: BTreeMap::new(),
        }
    }

    /// What `name` means to the source of that number, whose classes have these tables.
    pub fn meaning(
        &mut self,
        source: usize,
        classes: &BTreeMap<String, String>,
        name: &str,
    ) -> &Meaning {
        let schema = self.schema;
        self.known
            .entry((source, name.to_owned()))
            .or_insert_with(|| find(schema, classes, name))
    }
}

fn find(schema: &Schema, classes: &BTreeMap<String, String>, name: &str) -> Meaning {
    if let Some(said) = classes.get(name) {
        return named(schema, said);
    }
    match named(schema, name) {
        Meaning::Unknown => {
            conventional(name).map_or(Meaning::Unknown, |table| named(schema, &table))
        }
        found => found,
    }
}

fn named(schema: &Schema, name: &str) -> Meaning {
    let tables = schema.tables.iter();
    let meant =
        tables.filter(|(now, t)| now.is_meant_by(name) || t.stored_name().is_meant_by(name));
    let mut meant: Vec<TableName> = meant.map(|(now, _)| now.clone()).collect();
    match meant.len() {
        0 => Meaning::Unknown,
        1 => Meaning::Table(meant.swap_remove(0)),
        _ => Meaning::Several(meant),
    }
}

/// `Blog::PostImage` is `blog_post_images`. Source: Rails, `ActiveSupport::Inflector#tableize`, its rules for regular nouns.
fn conventional(class: &str) -> Option<String> {
    if !class.starts_with(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    let mut out = String::new();
    let plain = class.replace("::", "_");
    let chars: Vec<char> = plain.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| chars.get(i));
        let after = chars.get(i + 1);
        let begins = before.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            || (before.is_some_and(char::is_ascii_uppercase)
                && after.is_some_and(char::is_ascii_lowercase));
        if c.is_ascii_uppercase() && begins {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    Some(plural(&out))
}

fn plural(noun: &str) -> String {
    let vowel = |c: char| "aeiou".contains(c);
    match noun {
        n if n.ends_with('s') || n.ends_with('x') || n.ends_with("ch") || n.ends_with("sh") => {
            format!("{n}es")
        }
        n if n.ends_with('y') && !n.trim_end_matches('y').ends_with(vowel) => {
            format!("{}ies", &n[..n.len() - 1])
        }
        n => format!("{n}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_tables() {
        for (class, table) in [
            ("Dossier", "dossiers"),
            ("UserProfile", "user_profiles"),
            ("Blog::PostImage", "blog_post_images"),
            ("HTMLPage", "html_pages"),
            ("Category", "categories"),
            ("Essay", "essays"),
            ("Address", "addresses"),
            (
                "ActiveStorage::VariantRecord",
                "active_storage_variant_records",
            ),
        ] {
            assert_eq!(conventional(class).as_deref(), Some(table));
        }
        assert_eq!(conventional("dossiers"), None);
    }
}
