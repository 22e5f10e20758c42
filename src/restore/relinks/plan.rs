//! What a restore would do with the references, without doing it.

use super::decide::{Verdict, Window};
use super::fill::Filler;
use super::look::Looker;
use super::outcome::{AS_BEFORE, RELINKED};
use super::{Links, Parents, Past, RelinkOutcome, Relinking};
use crate::bundle::Bundle;
use crate::ident::RunId;
use crate::pg::Session;
use crate::restore::{RestoreError, Targets};

/// What foreseeing takes.
pub(in crate::restore) struct Foreseeing<'a> {
    pub(in crate::restore) session: &'a Session,
    pub(in crate::restore) bundle: &'a Bundle,
    pub(in crate::restore) targets: &'a Targets,
    pub(in crate::restore) links: &'a Links,
    pub(in crate::restore) parents: &'a Parents,
    pub(in crate::restore) past: &'a Past,
}

impl Foreseeing<'_> {
    /// Every reference of the bundle, by what would become of it; reads only.
    pub(in crate::restore) async fn all(
        &self,
        mode: Relinking,
    ) -> Result<RelinkOutcome, RestoreError> {
        let mut outcome = RelinkOutcome::new(mode);
        let (window, nobody) = (Window::of(self.bundle), RunId(String::new()));
        let mut chunks = self.links.chunks(self.bundle)?;
        while let Some(chunk) = chunks.next()? {
            let link = &self.links.all[chunk.link];
            let filler = Filler {
                looker: Looker {
                    session: self.session,
                    targets: self.targets,
                    link,
                    parents: self.parents,
                    timed: self.links.timed,
                },
                run: &nobody,
                mode,
                window: &window,
                past: self.past,
                usual: std::time::Duration::ZERO,
            };
            let verdicts = match link.barred(&chunk, mode) {
                None => filler.foresee(&chunk).await?,
                Some(verdicts) => verdicts,
            };
            for (record, verdict) in chunk.records.iter().zip(verdicts) {
                match verdict {
                    Verdict::Fill(_) => outcome.add(&record.table, RELINKED, 1),
                    Verdict::AsBefore => outcome.add(&record.table, AS_BEFORE, 1),
                    Verdict::Left(reason) => outcome.leave(record, &reason),
                }
            }
        }
        Ok(outcome)
    }
}
