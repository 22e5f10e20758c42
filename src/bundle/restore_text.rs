//! `RESTORE.txt`.

use super::format::{ManifestDraft, ManifestTable};

pub(super) fn render(_tables: &[ManifestTable], _draft: &ManifestDraft) -> String {
    String::new()
}
