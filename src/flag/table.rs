//! `reinstate.flagged_record`: the marks, which the application may read.

use std::collections::BTreeMap;

use crate::pg::{PgError, Session, ToSql, trimmed};

use super::{FlagError, Mark};

/// Marks as arrays, one a column, each a parameter.
const GIVEN: &str = "given as materialized (
    select g.owner_table, case jsonb_array_length(g.key::jsonb)
             when 1 then g.key::jsonb ->> 0
             else (select array_agg(e order by n)::text from jsonb_array_elements_text(g.key::jsonb) with ordinality x (e, n))
           end as owner_key, g.attachment, g.blob_key, g.filename, g.state, g.notice::jsonb as notice
      from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
           as g (owner_table, key, attachment, blob_key, filename, state, notice))";

const KEY: &str = "owner_table, owner_key, attachment, blob_key";
const COLUMNS: &str = "owner_table, owner_key, attachment, blob_key, filename, state, notice";

/// A mark and what people are told.
pub(super) type Told = (Mark, BTreeMap<String, String>);

/// One array a column.
struct Arrays {
    texts: [Vec<Option<String>>; 7],
}

impl Arrays {
    fn of<'a>(
        marks: impl Iterator<Item = (&'a Mark, Option<&'a BTreeMap<String, String>>)>,
    ) -> Self {
        let mut texts: [Vec<Option<String>>; 7] = Default::default();
        for (mark, notice) in marks {
            let row = [
                Some(mark.table.to_string()),
                serde_json::to_string(&mark.key).ok(),
                Some(mark.attachment.clone()),
                Some(mark.blob_key.clone()),
                mark.filename.clone(),
                Some(mark.state.name().to_owned()),
                notice.and_then(|n| serde_json::to_string(n).ok()),
            ];
            for (column, value) in texts.iter_mut().zip(row) {
                column.push(value);
            }
        }
        Self { texts }
    }

    fn told(marks: &[Told]) -> Self {
        Self::of(marks.iter().map(|(m, n)| (m, Some(n))))
    }

    fn plain(marks: &[Mark]) -> Self {
        Self::of(marks.iter().map(|m| (m, None)))
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 7] {
        std::array::from_fn(|i| &self.texts[i] as &(dyn ToSql + Sync))
    }
}

/// How many of these are marked already.
pub(super) async fn marked(session: &Session, marks: &[Mark]) -> Result<u64, PgError> {
    let sql = format!(
        "with {GIVEN} select count(*) from given join reinstate.flagged_record using ({KEY})"
    );
    let arrays = Arrays::plain(marks);
    let row = session
        .query_one("looking at the marks", &sql, &arrays.params())
        .await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

/// How many marks there are at all.
pub(super) async fn count(session: &Session) -> Result<u64, PgError> {
    let sql = "select count(*) from reinstate.flagged_record";
    let row = session.query_one("looking at the marks", sql, &[]).await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

/// The operator's statement after a list of marks, `flag`.
fn operators(sql: &str, changed: &str) -> String {
    let list =
        format!("with {GIVEN}, changed as ({changed}), flag as (select {COLUMNS} from changed)");
    after(&list, sql)
}

/// The operator's statement after a list of ours. They may begin with a list of their own.
fn after(list: &str, sql: &str) -> String {
    let sql = trimmed(sql);
    let first = sql.split_whitespace().next().unwrap_or_default();
    match first.eq_ignore_ascii_case("with") {
        true => format!("{list}, {}", sql[first.len()..].trim_start()),
        false => format!("{list} {sql}"),
    }
}

/// Marks; how many are new. What changed of an older mark (its state, what is told) is written too.
pub(super) async fn mark(
    session: &Session,
    marks: &[Told],
    sql: Option<&str>,
) -> Result<u64, FlagError> {
    let arrays = Arrays::told(marks);
    let new = "select g.* from given g where not exists (select from reinstate.flagged_record f where \
                       (f.owner_table, f.owner_key, f.attachment, f.blob_key) = (g.owner_table, g.owner_key, g.attachment, g.blob_key))";
    if let Some(sql) = sql {
        let those = marks.iter().map(|(m, _)| m.clone()).collect::<Vec<_>>();
        if marked(session, &those).await? < marks.len() as u64 {
            run(session, "sql", &operators(sql, new), &arrays.params()).await?;
        }
    }
    let put = format!(
        "with {GIVEN}, put as (
           insert into reinstate.flagged_record as f ({COLUMNS}) select {COLUMNS} from given
           on conflict ({KEY}) do update
              set filename = excluded.filename, state = excluded.state, notice = excluded.notice
            where (f.filename, f.state, f.notice) is distinct from (excluded.filename, excluded.state, excluded.notice)
           returning xmax = 0 as new)
         select count(*) from put where new"
    );
    let row = session
        .query_one("marking records", &put, &arrays.params())
        .await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

/// Takes marks off, where there are any; how many.
pub(super) async fn unmark(
    session: &Session,
    marks: &[Mark],
    sql: Option<&str>,
) -> Result<u64, FlagError> {
    let arrays = Arrays::plain(marks);
    let those = format!("select f.* from reinstate.flagged_record f join given using ({KEY})");
    if let Some(sql) = sql
        && marked(session, marks).await? > 0
    {
        run(
            session,
            "unflag_sql",
            &operators(sql, &those),
            &arrays.params(),
        )
        .await?;
    }
    let sql = format!(
        "with {GIVEN} delete from reinstate.flagged_record f using given g
          where (f.owner_table, f.owner_key, f.attachment, f.blob_key) = (g.owner_table, g.owner_key, g.attachment, g.blob_key)"
    );
    Ok(session
        .execute("taking marks off", &sql, &arrays.params())
        .await?)
}

/// Takes all marks off.
pub(super) async fn unmark_all(session: &Session, sql: Option<&str>) -> Result<u64, FlagError> {
    if let Some(sql) = sql {
        let list = format!("with flag as (select {COLUMNS} from reinstate.flagged_record)");
        run(session, "unflag_sql", &after(&list, sql), &[]).await?;
    }
    let sql = "delete from reinstate.flagged_record";
    Ok(session.execute("taking marks off", sql, &[]).await?)
}

/// Runs the operator's statement, which need not name schemas.
async fn run(
    session: &Session,
    key: &'static str,
    statement: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<(), FlagError> {
    session.search_as_role(true).await?;
    let done = session
        .execute("running the SQL of [flag]", statement, params)
        .await;
    done.map_err(|cause| FlagError::Sql { key, cause })?;
    Ok(session.search_as_role(false).await?)
}
