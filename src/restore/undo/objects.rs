//! Large objects that the restore created go last, once the rows that came with them are gone.
//!
//! One is removed where it is still what was created, by its `xmin` and its content, and where no row of live points at it, in any
//! column of type `oid` or of a domain over it, of any table. Others are kept and listed. Transactions of their own: several units can
//! point at one object, and looking for rows that do reads whole tables, for such columns have seldom an index. So live is asked once
//! for all objects, without any lock; and again within each transaction where that is quick. What is not seen is a row that comes to
//! point at an object in the moment in which it goes; nothing in the database guards such a number.
//!
//! An object that an earlier restore of the bundle brought counts too, once the unit that brought it is taken back: another unit that
//! pointed at it can have kept it until now.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::UndoError;
use super::look::Spot;
use super::run::Worker;
use crate::bundle::Bundle;
use crate::catalog::{Schema, TableKind, pieces_sql, readable_sql};
use crate::event::Event;
use crate::ident::quote_ident;
use crate::journal::{CreatedObjects, JournalError, ObjectPlace, RecordedObject, Store, Undos};
use crate::pg::{PgError, Session};
use crate::restore::insert;
use crate::restore::large_objects::as_role;

/// How many objects are in which state: `removed`, `kept_changed`, `kept_referenced`, `kept`, `already_gone`.
pub type ObjectTotals = BTreeMap<String, u64>;

/// Objects of one transaction: the server has a lock for each that goes, and room for some thousands in all.
const OBJECTS_A_BATCH: usize = 200;
/// Objects of one question about what points at them.
const OBJECTS_A_QUESTION: usize = 10_000;
const LOOKING: &str = "looking at large objects";

/// The columns of live that can point at a large object: a FROM item, and the column.
pub(super) struct Columns(Vec<(String, String)>);

impl Columns {
    /// Of all tables of live; none where the bundle has no large objects.
    ///
    /// Errors: `Tables` for those that this role may not read.
    pub(super) fn of(
        bundle: &Bundle,
        live: &Schema,
        role: &str,
    ) -> Result<Option<Self>, UndoError> {
        if bundle.manifest.totals.large_objects == 0 {
            return Ok(None);
        }
        let (mut all, mut hidden) = (Vec::new(), Vec::new());
        // What a foreign table holds are numbers of another database's objects.
        let tables = live.tables.values();
        for table in tables.filter(|t| t.kind != TableKind::Foreign) {
            let columns: Vec<String> = table
                .large_object_columns()
                .map(|c| quote_ident(&c.name))
                .collect();
            if !columns.is_empty() && !table.readable {
                let reason = format!(
                    "its {} can point at large objects that the restore created, and role {role} may not read it: GRANT SELECT ON {} \
                     TO {role} (docs/RIGHTS.md)",
                    columns.join(", "),
                    table.name.sql(),
                );
                hidden.push((table.name.clone(), reason));
            }
            all.extend(columns.into_iter().map(|c| (table.from_sql(), c)));
        }
        match hidden.is_empty() {
            true => Ok(Some(Self(all))),
            false => Err(UndoError::Tables(hidden)),
        }
    }

    /// Those of the objects that a row points at which is not at one of the spots that are `going`.
    async fn pointed_at(
        &self,
        session: &Session,
        loids: &[u32],
        going: &HashSet<Spot>,
    ) -> Result<HashSet<u32>, PgError> {
        let mut found = HashSet::new();
        for chunk in loids.chunks(OBJECTS_A_QUESTION) {
            for (from, column) in &self.0 {
                let select = match going.is_empty() {
                    true => format!("distinct t.{column}::oid, null::text, null::text"),
                    false => format!("t.{column}::oid, t.tableoid::text, t.ctid::text"),
                };
                let sql =
                    format!("select {select} from {from} t where t.{column} = any ($1::oid[])");
                for row in session
                    .query(
                        "looking for rows that point at large objects",
                        &sql,
                        &[&chunk],
                    )
                    .await?
                {
                    let spot: Option<Spot> = row.get::<_, Option<String>>(1).zip(row.get(2));
                    if spot.is_none_or(|spot| !going.contains(&spot)) {
                        found.insert(row.get(0));
                    }
                }
            }
        }
        Ok(found)
    }
}

/// The objects that this undo has to deal with: those of the restore, and those of earlier ones of the bundle that were brought by a
/// unit that is taken back.
async fn candidates(
    session: &Session,
    (bundle, restore): (&str, &str),
) -> Result<Vec<RecordedObject>, UndoError> {
    let mut all = CreatedObjects::new(session).standing(bundle).await?;
    if !all.is_empty() {
        let undone = Undos::new(session).undone(bundle).await?;
        let taken_back = |o: &RecordedObject| undone.took_back(&o.of.0, o.object.unit);
        all.retain(|o| o.of.0 == restore || taken_back(o));
    }
    Ok(all)
}

/// What would become of objects, or becomes of them, by what they are and what points at them.
async fn states(
    session: &Session,
    objects: &[RecordedObject],
    pointed_at: &HashSet<u32>,
) -> Result<Vec<&'static str>, PgError> {
    let loids: Vec<u32> = objects.iter().map(|o| o.object.loid).collect();
    let sizes: Vec<i64> = objects
        .iter()
        .map(|o| i64::try_from(o.object.size).unwrap_or(i64::MAX))
        .collect();
    let xmins: Vec<i64> = objects.iter().map(|o| i64::from(o.xmin)).collect();
    let sql = format!(
        "select m.oid, case when m.xmin::text::int8 = k.xmin and {} then {} end
           from unnest($1::oid[], $2::int8[], $3::int8[]) as k(oid, size, xmin)
           join pg_largeobject_metadata m on m.oid = k.oid",
        readable_sql(),
        pieces_sql("m.oid", "k.size"),
    );
    let rows = session
        .query(LOOKING, &sql, &[&loids, &sizes, &xmins])
        .await?;
    let there: HashMap<u32, Option<Vec<u8>>> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
    let state = |o: &RecordedObject| match there.get(&o.object.loid) {
        None => "already_gone",
        Some(digest) if digest.as_deref() != Some(o.object.pieces_sha256.as_slice()) => {
            "kept_changed"
        }
        Some(_) if pointed_at.contains(&o.object.loid) => "kept_referenced",
        Some(_) => "removed",
    };
    Ok(objects.iter().map(state).collect())
}

/// What would become of the objects once the rows at these spots are gone. Reads only.
pub(super) async fn foresee(
    session: &Session,
    (bundle, restore): (&str, &str),
    columns: &Columns,
    going: &HashSet<Spot>,
) -> Result<ObjectTotals, UndoError> {
    let objects = candidates(session, (bundle, restore)).await?;
    let loids: Vec<u32> = objects.iter().map(|o| o.object.loid).collect();
    let pointed_at = columns.pointed_at(session, &loids, going).await?;
    let mut totals = ObjectTotals::new();
    for chunk in objects.chunks(OBJECTS_A_BATCH) {
        for state in states(session, chunk, &pointed_at).await? {
            *totals.entry(state.to_owned()).or_default() += 1;
        }
    }
    Ok(totals)
}

/// How an attempt at some objects ended.
enum Attempt {
    /// Committed: what became of each.
    Done(Vec<&'static str>),
    /// Rolled back: rows have come to point at these.
    PointedAt(HashSet<u32>),
}

impl Worker<'_> {
    /// Removes what the restore created; true when it was stopped before the end.
    pub(super) async fn remove_objects(&mut self) -> Result<bool, UndoError> {
        let Some(columns) = self.objects.take() else {
            return Ok(false);
        };
        loop {
            match self.remove_all(&columns).await {
                Err(UndoError::Pg(e) | UndoError::Journal(JournalError::Pg(e)))
                    if self.lost(&e) =>
                {
                    self.reconnect(e).await?;
                }
                other => return other,
            }
        }
    }

    async fn remove_all(&mut self, columns: &Columns) -> Result<bool, UndoError> {
        let of = (self.bundle_id().to_owned(), self.restore_id().to_owned());
        let mut objects = candidates(&self.session, (&of.0, &of.1)).await?;
        let done = CreatedObjects::new(&self.session);
        let done = done.dealt_with(&self.run).await?;
        let done: HashSet<ObjectPlace> = done.into_iter().collect();
        objects.retain(|o| !done.contains(&o.of));
        if objects.is_empty() {
            return Ok(false);
        }
        // A connection that was lost may have committed a batch whose number is taken.
        self.last_batch = Undos::new(&self.session).progress(&self.run).await?.1;
        let loids: Vec<u32> = objects.iter().map(|o| o.object.loid).collect();
        let started = Instant::now();
        // Whole tables may have to be read: that takes as long as it takes.
        self.session.give_up_after(None);
        let going = HashSet::new();
        let pointed_at = columns.pointed_at(&self.session, &loids, &going);
        let mut pointed_at = pointed_at.await?;
        self.session.give_up_after(Some(self.patience()));
        let again = Some(columns).filter(|_| started.elapsed() < self.limit / 4);
        let mut queue: VecDeque<Vec<RecordedObject>> =
            objects.chunks(OBJECTS_A_BATCH).map(<[_]>::to_vec).collect();
        while let Some(mut chunk) = queue.pop_front() {
            if self.interrupt.asked() {
                return Ok(true);
            }
            let limit = match chunk.len() {
                1 => self.settings.max_unit_time.max(self.limit),
                _ => self.limit,
            };
            match self.try_objects(&chunk, &pointed_at, again, limit).await {
                Ok(Attempt::Done(states)) => self.tell_objects(&chunk, &states),
                Ok(Attempt::PointedAt(found)) => {
                    pointed_at.extend(found);
                    queue.push_front(chunk);
                }
                // A right that is lacking for one owner's objects is no reason to give up the others.
                Err(e) if self.lost(&e) || (e.is_general() && e.sqlstate() != Some("42501")) => {
                    return Err(e.into());
                }
                Err(_) if chunk.len() > 1 => {
                    let second = chunk.split_off(chunk.len() / 2);
                    queue.push_front(second);
                    queue.push_front(chunk);
                }
                Err(error) => self.keep_object(&chunk[0], &error).await?,
            }
        }
        Ok(false)
    }

    async fn try_objects(
        &mut self,
        chunk: &[RecordedObject],
        pointed_at: &HashSet<u32>,
        again: Option<&Columns>,
        limit: Duration,
    ) -> Result<Attempt, PgError> {
        let attempt = self
            .objects_transaction(chunk, pointed_at, again, limit)
            .await;
        self.end_objects(matches!(attempt, Ok(Attempt::Done(_))))
            .await?;
        attempt
    }

    /// After a transaction: its number is taken, or it is rolled back.
    async fn end_objects(&mut self, committed: bool) -> Result<(), PgError> {
        if committed {
            self.last_batch += 1;
            self.reconnects = 0;
        } else if !self.session.is_closed() {
            self.session.batch("rolling back", "rollback").await?;
        }
        Ok(())
    }

    async fn objects_transaction(
        &self,
        chunk: &[RecordedObject],
        pointed_at: &HashSet<u32>,
        again: Option<&Columns>,
        limit: Duration,
    ) -> Result<Attempt, PgError> {
        self.claim_objects(limit).await?;
        let states = states(&self.session, chunk, pointed_at).await?;
        let going = chunk.iter().zip(&states).filter(|(_, s)| **s == "removed");
        let going: Vec<&RecordedObject> = going.map(|(o, _)| o).collect();
        self.unlink_objects(&going).await?;
        if let Some(columns) = again.filter(|_| !going.is_empty()) {
            let loids: Vec<u32> = going.iter().map(|o| o.object.loid).collect();
            let none = HashSet::new();
            let found = columns.pointed_at(&self.session, &loids, &none).await?;
            if !found.is_empty() {
                return Ok(Attempt::PointedAt(found));
            }
        }
        let of = chunk.iter().map(|o| o.of.clone());
        let outcome: Vec<(ObjectPlace, &str)> = of.zip(states.iter().copied()).collect();
        self.commit_objects(&outcome).await?;
        Ok(Attempt::Done(states))
    }

    async fn claim_objects(&self, limit: Duration) -> Result<(), PgError> {
        let begin = insert::begin(&self.session, limit, self.limit);
        self.session.batch("beginning a batch", &begin).await?;
        let claim = Store::claim_batch(&self.run, self.last_batch + 1, &[]);
        let claiming = "claiming a batch in the journal";
        self.session.ask(claiming, &claim, &[]).await?;
        Ok(())
    }

    async fn commit_objects(&self, outcome: &[(ObjectPlace, &str)]) -> Result<(), PgError> {
        CreatedObjects::new(&self.session)
            .record_undone(&self.run, self.last_batch + 1, outcome)
            .await?;
        self.session.batch("committing a batch", "commit").await
    }

    /// In the role of their owners, which made them.
    async fn unlink_objects(&self, objects: &[&RecordedObject]) -> Result<(), PgError> {
        let mut by_owner: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for object in objects {
            let of_owner = by_owner.entry(&object.object.owner).or_default();
            of_owner.push(object.object.loid.to_string());
        }
        for (owner, loids) in by_owner {
            let loids = loids.join(",");
            let sql = format!("select lo_unlink(o) from unnest('{{{loids}}}'::oid[]) o");
            let sql = as_role(&self.session, owner, &sql);
            self.session.batch("removing large objects", &sql).await?;
        }
        Ok(())
    }

    /// Records that an object is kept, for it could not be removed.
    async fn keep_object(
        &mut self,
        object: &RecordedObject,
        error: &PgError,
    ) -> Result<(), UndoError> {
        self.claim_objects(self.limit).await?;
        let kept = self.commit_objects(&[(object.of.clone(), "kept")]).await;
        self.end_objects(kept.is_ok()).await?;
        kept?;
        self.tell_object(object, "kept", &error.refusal());
        Ok(())
    }

    fn tell_objects(&self, objects: &[RecordedObject], states: &[&str]) {
        for (object, state) in objects.iter().zip(states) {
            match *state {
                "kept_changed" => self.tell_object(
                    object,
                    state,
                    "somebody has written to it, or changed its owner or rights, since it was created",
                ),
                "kept_referenced" => self.tell_object(object, state, "a row points at it"),
                _ => {}
            }
        }
    }

    fn tell_object(&self, object: &RecordedObject, state: &str, reason: &str) {
        (self.sink)(Event::LargeObjectKept {
            loid: object.object.loid,
            state: state.to_owned(),
            reason: reason.to_owned(),
        });
    }
}
