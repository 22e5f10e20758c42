//! By which means a file comes back.

use serde::{Deserialize, Serialize};

use crate::blobs::Sides;
use crate::blobs::row::BlobRow;

/// By which means a file comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// The delete marker that hides it is taken off.
    Undelete,
    /// An older version is copied on top, by the store itself.
    OlderVersion,
    /// The store copies it from the backup by itself.
    ServerSide,
    /// It is read from the backup and written to the primary, through this machine.
    Streamed,
}

impl Means {
    /// All, the cheapest first.
    pub const ALL: [Self; 4] = [
        Self::Undelete,
        Self::OlderVersion,
        Self::ServerSide,
        Self::Streamed,
    ];

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Undelete => "undelete",
            Self::OlderVersion => "older_version",
            Self::ServerSide => "server_side",
            Self::Streamed => "streamed",
        }
    }

    /// Of a row that has a source; or why it cannot be brought back.
    pub fn of(row: &BlobRow, sides: &Sides) -> Result<Self, String> {
        let Some(source) = &row.source else {
            return Err("no good copy of it is known".to_owned());
        };
        if let Some(class) = &source.archived {
            return Err(format!(
                "its copy in the {} is archived ({class}): have the store bring it back first (RestoreObject), then copy again",
                source.side
            ));
        }
        if source.side == "primary" {
            // Under the name `null` somebody's new object may lie by the time that it is deleted.
            return Ok(match source.marker.as_deref() {
                None | Some("null") => Self::OlderVersion,
                Some(_) => Self::Undelete,
            });
        }
        let Some(backup) = &sides.backup else {
            return Err("there is no backup store any more".to_owned());
        };
        Ok(match sides.primary.serves(backup) {
            true => Self::ServerSide,
            false => Self::Streamed,
        })
    }
}
