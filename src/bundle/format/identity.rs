//! What tells a row from another one under the same key.

use serde::{Deserialize, Serialize};

use crate::catalog::{Column, Table};
use crate::ident::quote_ident;

/// How rows of one table are told apart. Of a relation: the parents that its units need and that are in none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowIdentity {
    /// Columns: name, and type as `format_type` shows it. [`super::Need::identity`] has a value for each, in this order.
    pub columns: Vec<(String, String)>,
    /// Sets of places in `columns`: a row is the same one while all values of one set are as they were.
    pub same_by: Vec<Vec<usize>>,
}

impl RowIdentity {
    /// By sets of columns of `table`; none where no set tells.
    pub fn of(table: &Table, sets: Vec<Vec<String>>) -> Option<Self> {
        let sets: Vec<Vec<String>> = sets.into_iter().filter(|s| !s.is_empty()).collect();
        let mut columns: Vec<&Column> = sets
            .iter()
            .flatten()
            .filter_map(|c| table.column(c))
            .collect();
        columns.sort_by(|a, b| a.name.cmp(&b.name));
        columns.dedup_by(|a, b| a.name == b.name);
        let place = |name: &String| columns.iter().position(|c| c.name == *name);
        let places = |set: &Vec<String>| set.iter().map(place).collect::<Option<Vec<_>>>();
        let same_by: Vec<Vec<usize>> = sets.iter().filter_map(places).collect();
        let typed = |c: &&Column| (c.name.clone(), c.type_name.clone());
        let columns = columns.iter().map(typed).collect();
        (!same_by.is_empty()).then_some(Self { columns, same_by })
    }

    /// The same by these of its columns alone; the first that it has not is the error.
    pub fn by(&self, names: &[String]) -> Result<Self, String> {
        let place = |name: &String| {
            let found = self.columns.iter().position(|c| c.0 == *name);
            found.ok_or_else(|| name.clone())
        };
        Ok(Self {
            columns: self.columns.clone(),
            same_by: vec![names.iter().map(place).collect::<Result<_, _>>()?],
        })
    }

    /// The places of the columns that say that the row is another one; none where it is the same, or nothing tells.
    pub fn differing(&self, then: &[Option<String>], now: &[Option<String>]) -> Option<Vec<usize>> {
        // NULL says nothing of a row.
        let says = |set: &&Vec<usize>| {
            set.iter()
                .all(|c| then.get(*c).is_some_and(Option::is_some))
        };
        let differs = |c: &&usize| then.get(**c) != now.get(**c);
        let mut differing = Vec::new();
        for set in self.same_by.iter().filter(says) {
            let here: Vec<usize> = set.iter().filter(differs).copied().collect();
            if here.is_empty() {
                return None;
            }
            differing.extend(here);
        }
        differing.sort_unstable();
        differing.dedup();
        (!differing.is_empty()).then_some(differing)
    }

    /// The same by columns that a table has in the same type; none where nothing tells any more. Places stay as they are.
    pub fn within(&self, table: &Table) -> Option<Self> {
        let kept = |c: &usize| {
            let column = self.columns.get(*c);
            column.is_some_and(|(name, type_name)| has(table, name, type_name))
        };
        let sets = self.same_by.iter().filter(|set| set.iter().all(kept));
        let same_by: Vec<Vec<usize>> = sets.cloned().collect();
        (!same_by.is_empty()).then(|| Self {
            columns: self.columns.clone(),
            same_by,
        })
    }

    /// What a row `t` holds in the columns, as an SQL array of texts: NULL for those that its table has not, or in another type.
    pub fn texts(&self, table: &Table) -> String {
        let text = |(name, type_name): &(String, String)| match has(table, name, type_name) {
            true => format!("t.{}::text", quote_ident(name)),
            false => "null::text".to_owned(),
        };
        let texts: Vec<String> = self.columns.iter().map(text).collect();
        format!("array[{}]", texts.join(", "))
    }
}

fn has(table: &Table, name: &str, type_name: &str) -> bool {
    table.column(name).is_some_and(|c| c.type_name == type_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(same_by: &[&[usize]]) -> RowIdentity {
        let columns = ["a", "b", "c"].map(|c| (c.to_owned(), "text".to_owned()));
        RowIdentity {
            columns: columns.into(),
            same_by: same_by.iter().map(|s| s.to_vec()).collect(),
        }
    }

    fn values(texts: [&str; 3]) -> Vec<Option<String>> {
        let value = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        texts.map(value).into()
    }

    #[test]
    fn the_same_while_one_set_is_as_it_was() {
        let two = identity(&[&[0, 1], &[2]]);
        let then = values(["x", "y", "z"]);
        assert_eq!(two.differing(&then, &then), None);
        assert_eq!(two.differing(&then, &values(["1", "y", "z"])), None);
        assert_eq!(two.differing(&then, &values(["x", "y", "3"])), None);
        let other = two.differing(&then, &values(["1", "y", ""]));
        assert_eq!(other, Some(vec![0, 2]));
    }

    #[test]
    fn what_was_null_tells_nothing() {
        let two = identity(&[&[0, 1], &[2]]);
        let then = values(["x", "", "z"]);
        assert_eq!(two.differing(&then, &values(["1", "2", "z"])), None);
        assert_eq!(two.differing(&then, &values(["x", "", "3"])), Some(vec![2]));
        let nothing = values(["", "", ""]);
        assert_eq!(two.differing(&nothing, &values(["1", "2", "3"])), None);
    }
}
