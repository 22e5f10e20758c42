//! One piece, one transaction.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::catalog::Locator;
use crate::ident::{Key, RunId, quote_ident};
use crate::journal::{Store, UndoneRows, Undos};
use crate::pg::{PgError, Session};
use crate::restore::insert;

use super::decide::Fate;
use super::look::{Looked, at_spot, lock, look, spot_list};
use super::piece::Piece;
use super::scope::{Reference, Scope};
use super::triggers::DeleteTriggers;

/// How an attempt at a piece ended.
pub(super) enum Attempt {
    /// Committed: what became of the rows, by table.
    Committed(Vec<UndoneRows>),
    /// An earlier attempt had committed after all.
    DoneBefore,
    /// Rolled back: what refers to a row may still go.
    HeldBack,
    /// Rolled back: something came to refer to a row at the last moment.
    Moved,
    /// Rolled back: a trigger did not let a row go, or wrote it again.
    Stayed,
    /// Rolled back: it took longer than it may.
    TooSlow,
}

/// Where pieces are taken back.
pub(super) struct Remover<'a> {
    pub(super) session: &'a Session,
    pub(super) scope: &'a Scope,
    pub(super) triggers: &'a DeleteTriggers,
    pub(super) run: &'a RunId,
    /// How long a piece may usually take.
    pub(super) usual: Duration,
}

impl Remover<'_> {
    /// Tries a piece. With `patient`, other units wait, and a row that something refers to is not decided on. On an error
    /// the transaction is rolled back.
    pub(super) async fn attempt(
        &self,
        number: i64,
        piece: &Piece,
        limit: Duration,
        patient: bool,
    ) -> Result<Attempt, PgError> {
        let attempt = self.transaction(number, piece, limit, patient).await;
        self.end(attempt).await
    }

    /// Records that a piece is kept as it is, for nobody could look at it.
    pub(super) async fn keep(&self, number: i64, piece: &Piece) -> Result<Attempt, PgError> {
        let attempt = self.keep_all(number, piece).await;
        self.end(attempt).await
    }

    async fn end(&self, attempt: Result<Attempt, PgError>) -> Result<Attempt, PgError> {
        if !matches!(attempt, Ok(Attempt::Committed(_))) && !self.session.is_closed() {
            self.session.batch("rolling back", "rollback").await?;
        }
        attempt
    }

    async fn transaction(
        &self,
        number: i64,
        piece: &Piece,
        limit: Duration,
        patient: bool,
    ) -> Result<Attempt, PgError> {
        let started = Instant::now();
        let late = || started.elapsed() > limit;
        if !self.claim(number, piece, limit).await? {
            return Ok(Attempt::DoneBefore);
        }
        lock(self.session, self.scope, piece).await?;
        let looked = look(self.session, self.scope, piece, &[]).await?;
        if patient && looked.holds_back() {
            return Ok(Attempt::HeldBack);
        }
        if late() {
            return Ok(Attempt::TooSlow);
        }
        let values = self.values(&looked).await?;
        self.triggers.before(self.session).await?;
        let all = self.delete(piece, &looked).await?;
        self.triggers.after(self.session).await?;
        if self.triggers.fire() && (!all || self.there_again(piece, &looked).await?) {
            return Ok(Attempt::Stayed);
        }
        if !all || self.referred(&values).await? {
            return Ok(Attempt::Moved);
        }
        let done = outcome(self.scope, piece, &looked.fates);
        self.journal(number, piece, &done).await?;
        if late() {
            return Ok(Attempt::TooSlow);
        }
        self.session.batch("committing a batch", "commit").await?;
        Ok(Attempt::Committed(done))
    }

    async fn keep_all(&self, number: i64, piece: &Piece) -> Result<Attempt, PgError> {
        if !self.claim(number, piece, self.usual).await? {
            return Ok(Attempt::DoneBefore);
        }
        let rows = piece.rows.iter();
        let fates: Vec<Vec<Fate>> = rows.map(|r| vec![Fate::Referenced; r.len()]).collect();
        let done = outcome(self.scope, piece, &fates);
        self.journal(number, piece, &done).await?;
        self.session.batch("committing a batch", "commit").await?;
        Ok(Attempt::Committed(done))
    }

    /// Begins, and claims the piece in the journal; false where an earlier attempt has done it.
    async fn claim(&self, number: i64, piece: &Piece, limit: Duration) -> Result<bool, PgError> {
        let begin = insert::begin(self.session, limit, self.usual);
        self.session.batch("beginning a batch", &begin).await?;
        let claim = Store::claim_batch(self.run, number, &piece.claims());
        let claimed = self
            .session
            .ask("claiming a batch in the journal", &claim, &[]);
        Ok(!claimed.await?.is_empty())
    }

    /// Deletes in one statement: references among the rows are checked at its end, and no cascade meets one of them. False
    /// where a row was not deleted: a trigger can keep it.
    async fn delete(&self, piece: &Piece, looked: &Looked) -> Result<bool, PgError> {
        let (mut parts, mut counts, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (t, table) in self.scope.tables.iter().enumerate() {
            let going = looked.going(t);
            if going.is_empty() {
                continue;
            }
            let xmins: BTreeSet<u32> = going.iter().map(|(n, _)| piece.rows[t][*n].xmin).collect();
            let xmins: Vec<String> = xmins.iter().map(u32::to_string).collect();
            parts.push(format!(
                "d{t} as (delete from {} t using {} where {} and t.xmin::text = any ('{{{}}}'::text[]) returning 1)",
                table.live.from_sql(),
                spot_list(&going),
                at_spot("t"),
                xmins.join(","),
            ));
            counts.push(format!("(select count(*) from d{t})"));
            expected.push(going.len() as i64);
        }
        if parts.is_empty() {
            return Ok(true);
        }
        let sql = format!(
            "with {}\nselect {}",
            parts.join(",\n     "),
            counts.join(", ")
        );
        let rows = self.session.ask("deleting rows", &sql, &[]).await?;
        let deleted = |row: &crate::pg::Row| (0..expected.len()).map(|i| row.get(i)).collect();
        Ok(rows.first().map(deleted) == Some(expected))
    }

    /// Whether a row that has just been deleted is there again, under its key.
    async fn there_again(&self, piece: &Piece, looked: &Looked) -> Result<bool, PgError> {
        let tables = self.scope.tables.iter().enumerate();
        for (t, table) in tables.filter(|(_, table)| table.keyed) {
            let going = looked.going(t);
            if going.is_empty() {
                continue;
            }
            let keys = going.iter().map(|(n, _)| &piece.rows[t][*n].key);
            let sql = format!(
                "select from {} join {} t on {} limit 1",
                table.locator.list(keys),
                table.live.from_sql(),
                table.locator.matches("t"),
            );
            let doing = format!(
                "looking whether triggers wrote rows of {} again",
                table.name
            );
            if !self.session.ask(&doing, &sql, &[]).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The values by which relations that nothing guards refer to rows that go; where rows are deleted as a replica does, nothing does.
    async fn values(&self, looked: &Looked) -> Result<Vec<(&Reference, Vec<Key>)>, PgError> {
        let mut all = Vec::new();
        let guarded = |r: &&Reference| r.guarded && !self.triggers.as_replica;
        for reference in self.scope.references.iter().filter(|r| !guarded(r)) {
            let going = looked.going(reference.parent);
            if going.is_empty() {
                continue;
            }
            let parent = &self.scope.tables[reference.parent];
            let locator = Locator::by_names(&parent.live, &reference.relation.parent_columns);
            let there = locator
                .columns("p")
                .iter()
                .map(|c| format!("{c} is not null"))
                .collect::<Vec<_>>();
            let sql = format!(
                "select array[{}] from {} join {} p on {} where {}",
                locator.texts("p").join(", "),
                spot_list(&going),
                parent.live.from_sql(),
                at_spot("p"),
                there.join(" and "),
            );
            let doing = format!("reading what refers to {}", parent.name);
            let rows = self.session.ask(&doing, &sql, &[]).await?;
            all.push((reference, rows.iter().map(|r| Key(r.get(0))).collect()));
        }
        Ok(all)
    }

    /// Whether something refers to rows that have just been deleted.
    async fn referred(&self, values: &[(&Reference, Vec<Key>)]) -> Result<bool, PgError> {
        for (reference, keys) in values.iter().filter(|(_, keys)| !keys.is_empty()) {
            let parent = &self.scope.tables[reference.parent].live;
            let columns = &reference.relation.parent_columns;
            let as_parent: Vec<String> = columns
                .iter()
                .filter_map(|c| parent.column(c))
                .enumerate()
                .map(|(i, c)| format!("k.k{i}::{} as {}", c.lookup_type, quote_ident(&c.name)))
                .collect();
            let sql = format!(
                "select from (select {} from {}) p join {} c on {} limit 1",
                as_parent.join(", "),
                Locator::by_names(parent, columns).list(keys.iter()),
                reference.child_table.from_sql(),
                reference.relation.refers(&reference.child_table, parent),
            );
            let doing = format!("looking once more at {}", reference.child_table.name);
            if !self.session.ask(&doing, &sql, &[]).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn journal(
        &self,
        number: i64,
        piece: &Piece,
        done: &[UndoneRows],
    ) -> Result<(), PgError> {
        for (t, rows) in done
            .iter()
            .enumerate()
            .filter(|(t, _)| !piece.rows[*t].is_empty())
        {
            let name = self.scope.tables[t].name.to_string();
            let sql = Undos::record(self.run, number, piece.of_batch, &name, rows);
            self.session
                .batch(&format!("journalling rows of {name}"), &sql)
                .await?;
        }
        Ok(())
    }
}

/// What became of a piece's rows, by table.
pub(super) fn outcome(scope: &Scope, piece: &Piece, fates: &[Vec<Fate>]) -> Vec<UndoneRows> {
    let tables = scope.tables.iter().zip(&piece.rows).zip(fates);
    tables
        .map(|((table, rows), fates)| {
            let mut done = UndoneRows::default();
            for (row, fate) in rows.iter().zip(fates) {
                match fate {
                    Fate::Remove => done.removed += 1,
                    Fate::Changed => done.kept_changed += 1,
                    Fate::Referenced => done.kept_referenced += 1,
                    Fate::Gone => done.already_gone += 1,
                }
                if *fate != Fate::Remove && !table.only_counted() {
                    done.left.push((row.unit, row.key.clone(), fate.name()));
                }
            }
            // They stay, or go, as one; to whom they belong is not known.
            if let Some(fate) = fates
                .iter()
                .find(|f| **f != Fate::Remove && table.only_counted())
            {
                let units = piece.batch_units.iter();
                done.left = units.map(|u| (*u, Key(Vec::new()), fate.name())).collect();
            }
            done
        })
        .collect()
}
