//! What a plan says of large objects.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::restore::large_objects::Coming;

/// Large objects, as a plan finds them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ObjectPlan {
    /// To be created.
    pub to_create: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// There already, with the same content.
    pub present: u64,
}

/// The same, while units are read: several can point at one.
#[derive(Default)]
pub(super) struct PlannedObjects {
    coming: BTreeSet<u32>,
    pub(super) present: BTreeSet<u32>,
    pub(super) bytes: u64,
}

impl PlannedObjects {
    /// Notes one that is to be created; returns its bytes where no other unit brings it.
    pub(super) fn comes(&mut self, coming: &Coming) -> u64 {
        let new = self.coming.insert(coming.object.loid);
        let bytes = if new { coming.object.size } else { 0 };
        self.bytes += bytes;
        bytes
    }

    /// Those created meanwhile count as if they were still to be created.
    pub(super) fn digested(&self) -> String {
        match self.coming.len() + self.present.len() {
            0 => String::new(),
            n => format!("large objects {n}\n"),
        }
    }

    pub(super) fn plan(&self) -> ObjectPlan {
        ObjectPlan {
            to_create: self.coming.len() as u64,
            bytes: self.bytes,
            present: self.present.len() as u64,
        }
    }
}
