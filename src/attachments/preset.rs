//! Adapters: what asks an application's database for its files. They are data, one file each.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::checksum::Algorithm;

/// Adapters by name.
const SHIPPED: [(&str, &str); 2] = [
    (
        "active_storage",
        include_str!("presets/active_storage.toml"),
    ),
    (
        "gitlab_uploads",
        include_str!("presets/gitlab_uploads.toml"),
    ),
];

/// An adapter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Gives a row for each record and file.
    pub sql: String,
    /// How recorded checksums are computed.
    #[serde(default)]
    checksum: Option<String>,
    /// Tables of classes.
    #[serde(default)]
    pub classes: BTreeMap<String, String>,
    /// By how many bytes a file's size may differ from what is recorded.
    #[serde(default)]
    pub size_tolerance: u64,
}

impl Preset {
    /// The adapter of that name.
    ///
    /// Errors: for people, naming those that there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let Some((_, text)) = SHIPPED.iter().find(|(n, _)| *n == name) else {
            let names: Vec<&str> = SHIPPED.iter().map(|(n, _)| *n).collect();
            return Err(format!(
                "there is no preset `{name}`; there are {}, or write sql = \"…\"",
                names.join(" and ")
            ));
        };
        toml::from_str(text).map_err(|e| format!("preset {name}: {e}"))
    }

    /// How recorded checksums are computed, where the adapter knows.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_deref().and_then(|c| c.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_shipped_can_be_read() {
        for (name, _) in SHIPPED {
            let preset = Preset::named(name).unwrap();
            assert_eq!(preset.algorithm().is_some(), preset.checksum.is_some());
        }
        let unknown = Preset::named("activestorage").unwrap_err();
        assert!(
            unknown.contains("active_storage and gitlab_uploads"),
            "{unknown}"
        );
    }
}
