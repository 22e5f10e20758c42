//! Slices of a table's pages, so that no statement reads all of a large one.

use super::model::Table;

/// Page ranges of a table; the last is open-ended, since a table grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSlices {
    count: u64,
    pages: u64,
}

impl PageSlices {
    /// Slices of about `pages` pages (8 KiB). One of a partitioned table takes the same pages of every partition, as many
    /// as of all together were asked for.
    pub fn of(table: &Table, pages: u64) -> Self {
        let partitions = table.all_pages.div_ceil(table.pages.max(1)).max(1);
        let pages = (pages / partitions).max(1);
        Self {
            count: table.pages / pages + 1,
            pages,
        }
    }

    /// The slice of that number, from 0, as a condition on `alias`; none beyond the last.
    pub fn condition(&self, slice: u64, alias: &str) -> Option<String> {
        let lower = format!("{alias}.ctid >= '({},0)'", slice * self.pages);
        let upper = format!("{alias}.ctid < '({},0)'", (slice + 1) * self.pages);
        match (slice + 1).cmp(&self.count) {
            std::cmp::Ordering::Less => Some(format!("{lower} and {upper}")),
            std::cmp::Ordering::Equal => Some(lower),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// All of them, in order.
    pub fn conditions(&self, alias: &str) -> impl Iterator<Item = String> {
        (0..self.count).filter_map(move |slice| self.condition(slice, alias))
    }
}
