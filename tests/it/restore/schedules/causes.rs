//! Why the application was refused: an error that a promise names is still wrong where nothing caused it.

use std::time::Instant;

use super::memory::Memory;
use super::script::Deed;
use super::session::Player;
use super::stage::Span;

/// A refusal, of a transaction that is rolled back by now.
pub(super) struct Refusal {
    /// The server's code, and the constraint that it names.
    code: String,
    constraint: String,
    /// The statement, and the server's words.
    words: String,
    /// What the statements before it returned.
    before: Vec<String>,
    /// When the transaction began.
    from: Instant,
}

/// What is to be thought of a refusal.
enum Verdict {
    /// It is right, and is counted under this name.
    Right(&'static str),
    /// It is right if the owner of the dossier was deleting it meanwhile.
    IfDeleted(&'static str, u64),
    Wrong,
}
use Verdict::{IfDeleted, Right, Wrong};

impl Refusal {
    pub(super) fn new(
        sql: &str,
        before: Vec<String>,
        error: &tokio_postgres::Error,
        from: Instant,
    ) -> Self {
        let code = error.code().map(|c| c.code().to_owned());
        let constraint = error.as_db_error().and_then(|e| e.constraint());
        Self {
            code: code.unwrap_or_default(),
            constraint: constraint.unwrap_or_default().to_owned(),
            words: format!("{sql}: {error:?}"),
            before,
            from,
        }
    }
}

impl Player<'_> {
    /// Judges a refusal by what live holds now.
    pub(super) async fn refused(&mut self, deed: &Deed, refusal: Refusal) {
        let verdict = match (refusal.code.as_str(), refusal.constraint.as_str(), deed) {
            ("23503", "champs_dossier_id_fkey", Deed::AddChamp { dossier, .. }) => {
                self.childless(*dossier, &refusal).await
            }
            // It has locked the dossier, if there was one.
            ("23503", "notes_dossier_id_fkey", Deed::Point { .. }) => {
                match refusal.before.is_empty() {
                    true => Right("child refused"),
                    false => Wrong,
                }
            }
            (
                "23505",
                "dossiers_pkey",
                Deed::Recreate { dossier }
                | Deed::LockAndClaim { dossier, .. }
                | Deed::ClaimAndLock { dossier, .. },
            ) => self.key_held(*dossier).await,
            ("23505", "one_email", Deed::TakeEmail { of, .. }) => self.email_held(*of).await,
            ("40001", _, Deed::Serial { dossier, .. }) => self.overtaken(*dossier, &refusal).await,
            _ => Wrong,
        };
        let span = Span::since(refusal.from);
        let undoing = self.stage.undoing;
        let words = format!("{deed:?} (undo: {undoing}): {}", refusal.words);
        match verdict {
            Right(what) => self.memory.met.met(what),
            IfDeleted(what, dossier) => {
                self.memory.met.met(what);
                self.memory.doubts.push((dossier, span, words));
            }
            Wrong => self.memory.surprises.push(words),
        }
    }

    /// No champ without a dossier: it was not there before, or not all the time.
    async fn childless(&self, dossier: u64, refusal: &Refusal) -> Verdict {
        if refusal.before.is_empty() {
            return Right("child refused");
        }
        match self.title(dossier).await {
            // An undo takes away what the restore gave back; what is there now is then another.
            Some(title) if self.stage.restored(dossier, &title) => {
                IfDeleted("child refused: deleted meanwhile", dossier)
            }
            _ if self.undone(dossier) => Right("child refused: undone"),
            _ => IfDeleted("child refused: deleted meanwhile", dossier),
        }
    }

    /// A key is held by a row that is there: only this session deletes it, and has not.
    async fn key_held(&self, dossier: u64) -> Verdict {
        match self.title(dossier).await {
            Some(title) if self.stage.restored(dossier, &title) => Right("key refused: returned"),
            Some(_) => Right("key refused: never lost, or its own"),
            None if self.undone(dossier) => Right("key refused: undone since"),
            None => Wrong,
        }
    }

    async fn email_held(&self, of: u64) -> Verdict {
        let sql = format!("select id || ':' || title from dossiers where email = 'mail {of}'");
        let found = self.ask(&sql).await.unwrap();
        match found.first().and_then(|row| row.split_once(':')) {
            Some((_, title)) if self.stage.restored(of, title) => Right("e-mail refused: returned"),
            Some(_) => Right("e-mail refused: never lost, or the application's"),
            None if self.undone(of) => Right("e-mail refused: undone since"),
            None => IfDeleted("e-mail refused: deleted since", of),
        }
    }

    /// The row was in the snapshot, and is another version now or gone.
    async fn overtaken(&self, dossier: u64, refusal: &Refusal) -> Verdict {
        let sql = format!("select 's:' || xmin from dossiers where id = {dossier}");
        let now = self.ask(&sql).await.unwrap();
        match refusal.before.first() {
            Some(then) if now.first() != Some(then) => Right("snapshot refused"),
            _ => Wrong,
        }
    }

    async fn title(&self, dossier: u64) -> Option<String> {
        let sql = format!("select title from dossiers where id = {dossier}");
        self.ask(&sql).await.unwrap().into_iter().next()
    }

    /// Whether an undo may have taken the dossier away.
    fn undone(&self, dossier: u64) -> bool {
        self.stage.undoing && self.stage.lost.contains(&dossier)
    }
}

/// The doubts that no deletion of any session explains.
pub(super) fn unexplained(memories: &[Memory]) -> Vec<&str> {
    let explained = |dossier: u64, span: &Span| {
        let mut deletions = memories.iter().flat_map(|m| &m.deletions);
        deletions.any(|(of, when)| *of == dossier && when.meets(span))
    };
    let doubts = memories.iter().flat_map(|m| &m.doubts);
    doubts
        .filter(|(dossier, span, _)| !explained(*dossier, span))
        .map(|(_, _, words)| words.as_str())
        .collect()
}
