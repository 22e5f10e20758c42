//! One reference, the rows that referred by it, and what live has of them.

use std::collections::BTreeMap;

use crate::catalog::{Relation, Table};
use crate::closure::Node;
use crate::ident::Key;

/// A row that pointed at one that comes back.
pub(super) struct Child {
    pub(super) parent: Node,
    pub(super) key: Key,
    pub(super) content: Option<String>,
    pub(super) values: Vec<String>,
}

/// One reference, as both databases have it.
pub(super) struct Reference<'a> {
    pub(super) relation: &'a Relation,
    pub(super) parent: usize,
    pub(super) child: usize,
    pub(super) live: &'a Table,
    /// The columns of the reference, and those that say which table it means.
    pub(super) columns: Vec<String>,
    /// All others that both have.
    pub(super) compared: Vec<String>,
    /// What the deletion would set each column to, as SQL, where that is no NULL.
    pub(super) defaults: BTreeMap<String, String>,
    /// Live keeps commit timestamps.
    pub(super) timed: bool,
}

/// What live has of a child.
pub(super) struct Now {
    pub(super) xmin: Option<u32>,
    pub(super) committed: Option<String>,
    /// By column: the text, and whether that is its default.
    pub(super) values: Vec<(Option<String>, bool)>,
}

impl Reference<'_> {
    /// Whether a child's reference was set to NULL (`false`) or to its default (`true`); none where it still is what it was, or
    /// is something else.
    pub(super) fn emptied(&self, child: &Child, now: &Now) -> Option<bool> {
        let width = self.relation.child_columns.len();
        let pairs = || now.values.iter().zip(&child.values).take(width);
        if pairs().any(|((text, _), _)| text.is_none()) {
            return Some(false);
        }
        let kept =
            |((text, _), was): &(&(Option<String>, bool), &String)| text.as_ref() == Some(*was);
        let fits = pairs().all(|pair| kept(&pair) || pair.0.1);
        (fits && !pairs().all(|pair| kept(&pair))).then_some(true)
    }
}
