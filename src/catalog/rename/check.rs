//! Entries that cannot be followed are refused, each by name and with the way out: a misspelt one would compare nothing with
//! nothing.

use crate::ident::{TableName, shown};

use super::{Names, Rename, RenameError, Renames, new_name, old_name};

impl Renames {
    /// Whether every entry can be followed from the backup to live.
    ///
    /// Errors: the first one that names what is not there, or what two would be.
    pub fn check(
        entries: &[Rename],
        snapshot: &impl Names,
        live: &impl Names,
    ) -> Result<Self, RenameError> {
        collisions(entries)?;
        let renames = Self::of(entries, snapshot);
        // What becomes of a column is only clear once its table is.
        let (tables, columns): (Vec<&Rename>, Vec<&Rename>) = entries
            .iter()
            .partition(|e| matches!(e, Rename::Table { .. }));
        for entry in tables.into_iter().chain(columns) {
            let fault = match entry {
                Rename::Table { from, to } => renames.table_fault(from, to, snapshot, live),
                Rename::Column { table, from, to } => {
                    let place = renames.place(entries, table);
                    renames.column_fault(&place, (from, to), snapshot, live)
                }
            };
            if let Some(reason) = fault {
                let entry = entry.to_string();
                return Err(RenameError { entry, reason });
            }
        }
        Ok(renames)
    }

    /// What `entries` come to for a bundle, whose names are live's of the time when it was made: only what was renamed since.
    /// `known` says of an entry, with its table as in the backup, that the bundle has the new name already.
    ///
    /// Errors: an entry that leads nowhere in live; one of which nobody can say what in live is what the bundle has.
    pub fn check_since(
        entries: &[Rename],
        bundle: &impl Names,
        live: &impl Names,
        known: impl Fn(&Rename) -> bool,
    ) -> Result<Self, RenameError> {
        collisions(entries)?;
        let since = Since {
            bundle,
            live,
            entries,
        };
        let new: Vec<Rename> = entries
            .iter()
            .map(|entry| since.by_old_name(entry))
            .filter(|entry| !known(entry))
            .map(|entry| since.by_name_in_bundle(entry, &known))
            .collect();
        let renames = Self::of(&new, bundle);
        for entry in &new {
            let fault = match entry {
                Rename::Table { from, to } => since.table_fault(from, to),
                Rename::Column { table, from, to } => {
                    since.column_fault(&renames.place(&new, table), table, (from, to))
                }
            };
            if let Some(reason) = fault {
                let entry = entry.to_string();
                return Err(RenameError { entry, reason });
            }
        }
        Ok(renames)
    }

    fn table_fault(
        &self,
        from: &TableName,
        to: &TableName,
        snapshot: &impl Names,
        live: &impl Names,
    ) -> Option<String> {
        if !live.has(to) {
            return Some(no_table(to));
        }
        if self.tables.contains_key(from) {
            return None;
        }
        Some(match (snapshot.has(from), snapshot.has(to)) {
            (false, true) => format!(
                "the snapshot has {to} already, and no {from}: the backup was made after it was renamed; take the entry out"
            ),
            (false, false) => format!(
                "the snapshot has no table {from}; `table` is the table's name in the backup"
            ),
            (true, _) => format!(
                "the snapshot has {from} and {to}, so that nobody can say which of the two is {to} in live; say to what the \
                 other was renamed, too, or leave one out with --exclude-table and take the entry out"
            ),
        })
    }

    fn column_fault(
        &self,
        old: &TableName,
        (from, to): (&str, &str),
        snapshot: &impl Names,
        live: &impl Names,
    ) -> Option<String> {
        let new = self.table(old);
        let (from_shown, to_shown) = (shown(from), shown(to));
        if !snapshot.has(old) {
            return Some(format!(
                "the snapshot has no table {old}; `table` is its name in the backup, or in live where an entry of its own says \
                 how it was renamed"
            ));
        }
        if !live.has(new) {
            return Some(format!(
                "live has no table {new}; where that was renamed too, say so in an entry of its own"
            ));
        }
        if !live.has_column(new, to) {
            return Some(no_column(new, to));
        }
        if self.columns.get(old).is_some_and(|c| c.contains_key(from)) {
            return None;
        }
        Some(
            match (snapshot.has_column(old, from), snapshot.has_column(old, to)) {
                (false, true) => format!(
                    "the snapshot's {old} has {to_shown} already, and no {from_shown}: the backup was made after it was \
                     renamed; take the entry out"
                ),
                (false, false) => format!(
                    "the snapshot's {old} has no column {from_shown}; `column` is its name in the backup"
                ),
                (true, _) => format!(
                    "the snapshot's {old} has {from_shown} and {to_shown}, so that nobody can say which of the two is \
                     {to_shown} in live; say to what the other was renamed, too, or take the entry out"
                ),
            },
        )
    }
}

/// A bundle and live, and what was renamed since the backup.
struct Since<'a, B, L> {
    bundle: &'a B,
    live: &'a L,
    entries: &'a [Rename],
}

impl<B: Names, L: Names> Since<'_, B, L> {
    fn by_old_name(&self, entry: &Rename) -> Rename {
        let mut entry = entry.clone();
        if let Rename::Column { table, .. } = &mut entry {
            *table = old_name(self.entries, table).clone();
        }
        entry
    }

    /// The bundle calls a table as live does where it knows that it was renamed.
    fn by_name_in_bundle(&self, mut entry: Rename, known: impl Fn(&Rename) -> bool) -> Rename {
        if let Rename::Column { table, .. } = &mut entry {
            let renamed = Rename::Table {
                from: table.clone(),
                to: new_name(self.entries, table).clone(),
            };
            if let (Rename::Table { to, .. }, true) = (&renamed, known(&renamed)) {
                *table = to.clone();
            }
        }
        entry
    }

    fn table_fault(&self, from: &TableName, to: &TableName) -> Option<String> {
        if !self.live.has(to) {
            return Some(no_table(to));
        }
        let doubt = self.bundle.has(from) && (self.live.has(from) || self.bundle.has(to));
        doubt.then(|| doubtful(&from.to_string(), &to.to_string()))
    }

    /// `place` is what the bundle calls the table.
    fn column_fault(
        &self,
        place: &TableName,
        table: &TableName,
        (from, to): (&str, &str),
    ) -> Option<String> {
        let now = new_name(self.entries, table);
        if !self.live.has_column(now, to) {
            return Some(no_column(now, to));
        }
        let doubt = self.bundle.has_column(place, from)
            && (self.live.has_column(now, from) || self.bundle.has_column(place, to));
        doubt.then(|| doubtful(&shown(from), &shown(to)))
    }
}

fn no_table(to: &TableName) -> String {
    format!("live has no table {to}; `to` is the table's name in live")
}

fn no_column(table: &TableName, to: &str) -> String {
    let to = shown(to);
    format!("live's {table} has no column {to}; `to` is the column's name in live")
}

fn doubtful(from: &str, to: &str) -> String {
    format!(
        "the bundle was made without this entry and has {from}, and so has live, beside {to}: nobody can say which of the two \
         takes what the bundle has; extract again with this entry"
    )
}

/// Refuses two entries for one old name, or one new name.
fn collisions<'e>(entries: &'e [Rename]) -> Result<(), RenameError> {
    let names = |entry: &'e Rename| match entry {
        Rename::Table { from, to } => (None, from.to_string(), to.to_string()),
        Rename::Column { table, from, to } => {
            (Some(old_name(entries, table)), shown(from), shown(to))
        }
    };
    for (i, entry) in entries.iter().enumerate() {
        let (of, from, to) = names(entry);
        for other in &entries[..i] {
            let (of_other, from_other, to_other) = names(other);
            let reason = match (from == from_other, to == to_other) {
                _ if of != of_other => continue,
                (true, _) => format!("another entry renames {from} too; take one of them out"),
                (_, true) => format!(
                    "another entry renames {from_other} to {to} too, and both cannot be; take one of them out"
                ),
                _ => continue,
            };
            let entry = entry.to_string();
            return Err(RenameError { entry, reason });
        }
    }
    Ok(())
}
