//! The result: units in an order in which they can be restored.
//!
//! Guarantees flat storage: a unit is a view into arrays shared by all of them, and looking one up allocates nothing.

use super::graph::Arcs;
use super::{NONE, Node};
use crate::ident::UnitId;

/// Units in order: each comes after those it depends on; of those that could come next, the one with the smallest root.
#[derive(Debug)]
pub struct Units {
    /// Per node the position of its unit, [`NONE`] where the node does not come.
    pub(super) unit_of: Vec<u32>,
    pub(super) roots: Vec<Node>,
    pub(super) needed: Vec<bool>,
    pub(super) rows: Arcs,
    /// Where a unit's dependencies begin in `depends`, and after the last unit their end.
    pub(super) depends_from: Vec<u32>,
    pub(super) depends: Vec<UnitId>,
}

/// One deleted root row with its dependents, restored in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit<'a> {
    /// Its number: its place in the order, from 1.
    pub number: UnitId,
    /// The row that the others hang from.
    pub root: Node,
    /// All its rows, the root among them, ascending.
    pub rows: &'a [Node],
    /// The numbers of the units that must be there first, ascending, each once, all smaller than this unit's.
    pub depends_on: &'a [UnitId],
    /// Whether nobody asked for it: it holds deleted parents that other units need.
    pub needed: bool,
}

impl Units {
    /// The number of units.
    pub fn len(&self) -> usize {
        self.roots.len()
    }

    /// Whether there is no unit at all.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// All units, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Unit<'_>> {
        (0..self.len()).map(|position| self.at(position))
    }

    /// The unit of that number; none for 0 and for numbers beyond the last.
    pub fn get(&self, number: UnitId) -> Option<Unit<'_>> {
        let position = usize::try_from(number).ok()?.checked_sub(1)?;
        (position < self.len()).then(|| self.at(position))
    }

    /// The number of the unit that a row belongs to; none where the row stays deleted or does not exist.
    pub fn unit_of(&self, node: Node) -> Option<UnitId> {
        let position = *self.unit_of.get(node as usize)?;
        (position != NONE).then(|| UnitId::from(position) + 1)
    }

    fn at(&self, position: usize) -> Unit<'_> {
        let first = self.depends_from[position] as usize;
        let last = self.depends_from[position + 1] as usize;
        Unit {
            number: position as UnitId + 1,
            root: self.roots[position],
            rows: self.rows.of(position as u32),
            depends_on: &self.depends[first..last],
            needed: self.needed[position],
        }
    }
}
