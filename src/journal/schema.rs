//! The journal's tables.

use crate::pg::Session;

use super::JournalError;

/// The version this build writes.
///
/// - 1: the first.
/// - 2: table `hold`. A journal of version 1 serves every command but `hold`, which adds the table.
/// - 3: table `undo_rows`. A journal of an earlier version serves every command but `undo`, which adds the table.
/// - 4: table `moved_sequence`. A journal of an earlier version gets it from the first restore that moves a sequence.
/// - 5: table `resolved`. A journal of an earlier version serves every command but `restore --on-conflict remap` and `skip`,
///   which add the table.
/// - 6: tables `relinked` and `unlinked`. A journal of an earlier version gets them from the first restore that fills a reference.
/// - 7: tables `unit_part` and `postponed`. A journal of an earlier version gets them from the first restore that splits a unit.
/// - 8: tables `large_object` and `large_object_undone`. A journal of an earlier version gets them from the first restore of a bundle
///   that has large objects.
/// - 9: table `flagged_record`. A journal of an earlier version gets it from the first `flag`.
const VERSION: i32 = 9;

/// The statement that creates the schema; see [`creation`].
const SCHEMA: &str = "create schema if not exists reinstate;";

/// The tables, each with a primary key.
pub(super) const TABLES: &str = "
create schema if not exists reinstate;
create table if not exists reinstate.version (version int4 primary key);
create table if not exists reinstate.run (
    run text primary key,
    kind text not null,
    bundle text not null,
    state text not null,
    started timestamptz not null default now(),
    ended timestamptz,
    tool text not null,
    settings jsonb not null,
    unrehearsed text,
    os_user text not null,
    host text not null,
    command text not null
);
create table if not exists reinstate.batch (
    run text not null references reinstate.run,
    batch int8 not null,
    units int8[] not null,
    began timestamptz not null default clock_timestamp(),
    primary key (run, batch)
);
create table if not exists reinstate.batch_rows (
    run text not null,
    batch int8 not null,
    table_name text not null,
    inserted int8 not null,
    already_present int8 not null,
    gone_since int8 not null,
    units int8[] not null,
    keys text[] not null,
    xmins xid8[] not null,
    primary key (run, batch, table_name),
    foreign key (run, batch) references reinstate.batch
);
create table if not exists reinstate.quarantined (
    run text not null references reinstate.run,
    unit int8 not null,
    root_table text not null,
    root_key text not null,
    reason text not null,
    sqlstate text,
    rows jsonb not null,
    primary key (run, unit)
);
create table if not exists reinstate.hold (
    hold text primary key,
    slot text not null,
    restart_lsn pg_lsn,
    began timestamptz not null default now(),
    ended timestamptz,
    reason text,
    max_wal int8 not null,
    margin int8 not null,
    free_space int8 not null,
    os_user text not null,
    host text not null,
    command text not null
);
create table if not exists reinstate.undo_rows (
    run text not null,
    batch int8 not null,
    of_batch int8 not null,
    table_name text not null,
    removed int8 not null,
    kept_changed int8 not null,
    kept_referenced int8 not null,
    already_gone int8 not null,
    units int8[] not null,
    keys text[] not null,
    states text[] not null,
    primary key (run, batch, table_name),
    foreign key (run, batch) references reinstate.batch
);
create table if not exists reinstate.moved_sequence (
    run text not null references reinstate.run,
    sequence text not null,
    before int8 not null,
    key int8 not null,
    after int8,
    began timestamptz not null default clock_timestamp(),
    primary key (run, sequence)
);
create table if not exists reinstate.resolved (
    run text not null,
    batch int8 not null,
    n int8 not null,
    unit int8 not null,
    table_name text not null,
    key text not null,
    state text not null,
    live_key text,
    reason text not null,
    primary key (run, batch, n),
    foreign key (run, batch) references reinstate.batch
);
create table if not exists reinstate.relinked (
    run text not null,
    batch int8 not null,
    n int8 not null,
    unit int8 not null,
    parent_table text not null,
    parent_key text not null,
    table_name text not null,
    key text not null,
    columns text[] not null,
    before text[] not null,
    after text[] not null,
    proof text not null,
    written_before int8 not null,
    written_by int8 not null,
    primary key (run, batch, n),
    foreign key (run, batch) references reinstate.batch
);
create table if not exists reinstate.unlinked (
    run text not null,
    batch int8 not null,
    n int8 not null,
    of_run text not null,
    of_batch int8 not null,
    of_n int8 not null,
    state text not null,
    reason text,
    written_before int8,
    written_by int8,
    primary key (run, batch, n),
    foreign key (run, batch) references reinstate.batch
);
create table if not exists reinstate.unit_part (
    run text not null,
    batch int8 not null,
    unit int8 not null,
    part int8 not null,
    first_row int8 not null,
    rows int8 not null,
    last boolean not null,
    primary key (run, batch),
    foreign key (run, batch) references reinstate.batch
);
create table if not exists reinstate.postponed (
    run text not null,
    batch int8 not null,
    n int8 not null,
    table_name text not null,
    columns text[] not null,
    keys text[] not null,
    filled boolean not null default false,
    primary key (run, batch, n),
    foreign key (run, batch) references reinstate.batch
);
create table if not exists reinstate.large_object (
    run text not null,
    batch int8 not null,
    n int8 not null,
    unit int8 not null,
    loid oid not null,
    size int8 not null,
    pieces_sha256 text not null,
    owner text not null,
    written_by int8 not null,
    primary key (run, batch, n),
    foreign key (run, batch) references reinstate.batch
);
create table if not exists reinstate.large_object_undone (
    run text not null,
    batch int8 not null,
    n int8 not null,
    of_run text not null,
    of_batch int8 not null,
    of_n int8 not null,
    state text not null,
    primary key (run, batch, n),
    foreign key (run, batch) references reinstate.batch
);
create table if not exists reinstate.flagged_record (
    owner_table text not null,
    owner_key text not null,
    attachment text not null,
    blob_key text not null,
    filename text,
    state text not null,
    notice jsonb not null,
    flagged_at timestamptz not null default now(),
    primary key (owner_table, owner_key, attachment, blob_key)
);
";

/// Whether the database has a journal. A role that may not look into its schema is refused by the server.
pub async fn exists(session: &Session) -> Result<bool, JournalError> {
    let sql = "select to_regclass('reinstate.run') is not null";
    Ok(session
        .query_one("looking for the journal", sql, &[])
        .await?
        .get(0))
}

/// The statements that create what is missing: a schema made beforehand needs no right to create one.
async fn creation(session: &Session) -> Result<String, JournalError> {
    let sql = "select exists (select from pg_namespace where nspname = 'reinstate')";
    let schema: bool = session
        .query_one("looking for the journal", sql, &[])
        .await?
        .get(0);
    Ok(if schema {
        TABLES.replacen(SCHEMA, "", 1)
    } else {
        TABLES.to_owned()
    })
}

/// Makes sure that the database has a journal of this version.
///
/// Errors: `Version` for one of a newer build; `Publication` where new tables would stop a subscriber.
pub async fn ensure(session: &Session) -> Result<(), JournalError> {
    let target = session.target().to_string();
    if !exists(session).await? {
        refuse_publication(session).await?;
        let create = format!(
            "begin; {} insert into reinstate.version values ({VERSION}) on conflict do nothing; commit",
            creation(session).await?
        );
        if let Err(error) = session
            .batch("creating the journal (schema reinstate)", &create)
            .await
        {
            session.batch("rolling back", "rollback").await?;
            return Err(error.into());
        }
    }
    let sql = "select coalesce(max(version), 0) from reinstate.version";
    let found: i32 = session
        .query_one("reading the journal's version", sql, &[])
        .await?
        .get(0);
    if found > VERSION {
        return Err(JournalError::Version {
            target,
            found,
            known: VERSION,
        });
    }
    Ok(())
}

/// Makes sure that the journal can record what is held: one of an earlier version lacks the table.
///
/// Errors: as [`ensure`].
pub async fn ensure_holds(session: &Session) -> Result<(), JournalError> {
    ensure_table(session, "reinstate.hold", 2).await
}

/// Makes sure that the journal can record what is taken back: one of an earlier version lacks the table.
///
/// Errors: as [`ensure`].
pub async fn ensure_undos(session: &Session) -> Result<(), JournalError> {
    ensure_table(session, "reinstate.undo_rows", 3).await
}

/// Makes sure that the journal can record which sequences are moved: one of an earlier version lacks the table.
///
/// Errors: as [`ensure`].
pub async fn ensure_sequences(session: &Session) -> Result<(), JournalError> {
    ensure_table(session, "reinstate.moved_sequence", 4).await
}

/// Makes sure that the journal can record rows that do not go in as they are: one of an earlier version lacks the table.
///
/// Errors: as [`ensure`].
pub async fn ensure_resolved(session: &Session) -> Result<(), JournalError> {
    ensure_table(session, "reinstate.resolved", 5).await
}

/// Makes sure that the journal can record which references are filled, and emptied again: one of an earlier version lacks the
/// tables.
///
/// Errors: as [`ensure`].
pub async fn ensure_relinks(session: &Session) -> Result<(), JournalError> {
    ensure_table(session, "reinstate.relinked", 6).await?;
    ensure_table(session, "reinstate.unlinked", 6).await
}

/// Makes sure that the journal can record the parts of units that are split: one of an earlier version lacks the tables.
///
/// Errors: as [`ensure`].
pub async fn ensure_parts(session: &Session) -> Result<(), JournalError> {
    ensure_table(session, "reinstate.unit_part", 7).await?;
    ensure_table(session, "reinstate.postponed", 7).await
}

/// Makes sure that the journal can record which large objects are created, and removed again: one of an earlier version lacks the
/// tables.
///
/// Errors: as [`ensure`].
pub async fn ensure_large_objects(session: &Session) -> Result<(), JournalError> {
    ensure_table(session, "reinstate.large_object", 8).await?;
    ensure_table(session, "reinstate.large_object_undone", 8).await
}

/// Makes sure that the journal can hold marks of records whose files are lost: one of an earlier version lacks the table.
///
/// Errors: as [`ensure`].
pub async fn ensure_flags(session: &Session) -> Result<(), JournalError> {
    ensure_table(session, "reinstate.flagged_record", 9).await
}

/// Whether there is a table of marks.
pub async fn flags_exist(session: &Session) -> Result<bool, JournalError> {
    let sql = "select to_regclass('reinstate.flagged_record') is not null";
    let row = session.query_one("looking for marks", sql, &[]).await?;
    Ok(row.get(0))
}

/// Adds the table with which a version began.
async fn ensure_table(session: &Session, name: &str, version: i32) -> Result<(), JournalError> {
    ensure(session).await?;
    let sql = "select to_regclass($1) is not null";
    let there = session.ask("looking for the journal", sql, &[name]).await?;
    if there.first().is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    refuse_publication(session).await?;
    let table: String = TABLES
        .split_inclusive(";\n")
        .filter(|statement| statement.contains(&format!("{name} (")))
        .collect();
    let add = format!(
        "begin; {table} insert into reinstate.version values ({version}) on conflict do nothing; commit"
    );
    if let Err(error) = session.batch("adding a table to the journal", &add).await {
        session.batch("rolling back", "rollback").await?;
        return Err(error.into());
    }
    Ok(())
}

/// Refuses to create tables that a publication would carry to subscribers which lack them.
///
/// Errors: `Publication`.
pub async fn refuse_publication(session: &Session) -> Result<(), JournalError> {
    let sql = "select pubname::text from pg_publication where puballtables order by 1 limit 1";
    match session
        .query("looking at publications", sql, &[])
        .await?
        .first()
    {
        None => Ok(()),
        Some(row) => Err(JournalError::Publication {
            target: session.target().to_string(),
            publication: row.get(0),
        }),
    }
}
