//! Columns that have another type in live, whose values the server casts: as `ALTER TABLE … TYPE` did with those that were in live.
//!
//! Only where the cast depends on no setting (a `timestamp` without its zone stays out: of which zone?), and cuts nothing off
//! silently; never keys, nor columns that references use, whose texts the units name. What [`super::retype`] knows to
//! rewrite needs no server. A value that the server does not cast is left as it is: it is refused when its row comes.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;

use crate::bundle::{Bundle, ManifestTable, Overlay, OverlayWriter, Recast};
use crate::catalog::{Column, Schema, introspect};
use crate::ident::{array_literal, quote_literal};
use crate::pg::copy::{CopyLines, raw_fields, unescape};
use crate::pg::{PgError, Session};

use super::RestoreError;
use super::look::numbered;
use super::retype::rewrite;

/// Rows cast at once, at most, and their bytes.
const ROWS_AT_ONCE: usize = 2_000;
const BYTES_AT_ONCE: usize = 4 << 20;

const DOING: &str = "looking at casts between types";

/// Whether each pair of types has a cast that depends on no setting; one over text counts.
const CASTS: &str = "
    select f.type is not null and t.type is not null and coalesce(
             (select case c.castmethod
                       when 'b' then true
                       when 'f' then (select provolatile from pg_proc where oid = c.castfunc) = 'i'
                       else x.texts end
                from pg_cast c where c.castsource = f.type and c.casttarget = t.type),
             'S' in (f.category, t.category) and x.texts, false)
      from unnest($1::text[], $2::text[]) with ordinality p(source, target, n)
      left join lateral (select y.oid as type, y.typcategory as category, y.typoutput as text from pg_type y
                          where y.oid = to_regtype(p.source) and y.typtype = 'b') f on true
      left join lateral (select y.oid as type, y.typcategory as category, y.typinput as text from pg_type y
                          where y.oid = to_regtype(p.target) and y.typtype = 'b') t on true
      cross join lateral (select count(*) = 2 as texts from pg_proc q where q.oid in (f.text, t.text) and q.provolatile = 'i') x
     order by p.n";

/// Types to which an explicit cast cuts what is too long, where `ALTER TABLE` refuses it.
const CUTTING: &[&str] = &["character", "character varying", "bit", "bit varying"];

/// The bundle with such columns in live's types.
///
/// Errors: `Pg`; `Bundle` where it cannot be read, or there is no room for scratch files.
pub async fn recast(session: &Session, bundle: Bundle) -> Result<Bundle, RestoreError> {
    if !retyped(session, &bundle).await? {
        return Ok(bundle);
    }
    let live = introspect(session).await?;
    let found = castable(session, asked(&bundle, &live)).await?;
    let tables: BTreeSet<usize> = found.iter().map(|r| r.table).collect();
    let mut bundle = bundle;
    for table in tables {
        let columns: Vec<Recast> = found.iter().filter(|r| r.table == table).cloned().collect();
        let overlay = overlay(session, &bundle, table, &columns).await?;
        bundle = bundle.recast(table, overlay, columns);
    }
    Ok(bundle)
}

/// The values of a table's columns in their new types.
async fn overlay(
    session: &Session,
    bundle: &Bundle,
    table: usize,
    columns: &[Recast],
) -> Result<Overlay, RestoreError> {
    let manifest = &bundle.manifest.tables[table];
    let place = |r: &Recast| manifest.stored_columns().position(|c| c.name == r.column);
    let fields: Vec<usize> = columns.iter().filter_map(place).collect();
    let mut writer = OverlayWriter::create(fields.clone())?;
    let mut rows = bundle.lines_of(table)?;
    loop {
        let lines = rows.take(ROWS_AT_ONCE, BYTES_AT_ONCE)?;
        if lines.is_empty() {
            return Ok(writer.finish()?);
        }
        let mut cast = Vec::with_capacity(columns.len());
        for (recast, field) in columns.iter().zip(&fields) {
            let stored = |line: &Bytes| match raw_fields(line).nth(*field) {
                Some(value) => line.slice_ref(value),
                None => Bytes::from_static(b"\\N"),
            };
            let values: Vec<Bytes> = lines.iter().map(stored).collect();
            cast.push(cast_all(session, recast, values).await?);
        }
        for n in 0..lines.len() {
            let row: Vec<Bytes> = cast.iter().map(|column| column[n].clone()).collect();
            writer.row(&row)?;
        }
    }
}

/// Whether a column has another type than in the bundle: mostly none has, and then nothing else is asked.
async fn retyped(session: &Session, bundle: &Bundle) -> Result<bool, RestoreError> {
    let sql = "select exists (
        select from unnest($1::text[], $2::text[], $3::text[]) x(name, col, type)
          join pg_attribute a on a.attrelid = to_regclass(x.name) and a.attname = x.col and not a.attisdropped
         where format_type(a.atttypid, a.atttypmod) <> x.type)";
    let (mut tables, mut columns, mut types) = (Vec::new(), Vec::new(), Vec::new());
    for table in &bundle.manifest.tables {
        for column in table.stored_columns() {
            tables.push(table.table.sql());
            columns.push(column.name.clone());
            types.push(column.type_name.clone());
        }
    }
    let list = |of: &[String]| array_literal(of.iter().map(|s| Some(s.as_str())));
    let (tables, columns, types) = (list(&tables), list(&columns), list(&types));
    let found = session
        .ask(DOING, sql, &[&tables, &columns, &types])
        .await?;
    Ok(found.iter().any(|row| row.get(0)))
}

/// Columns that only the server could cast, if it can.
fn asked(bundle: &Bundle, live: &Schema) -> Vec<Recast> {
    let mut asked = Vec::new();
    for (place, table) in bundle.manifest.tables.iter().enumerate() {
        let Some(found) = live.tables.get(&table.table) else {
            continue;
        };
        let named = named(bundle, table);
        for column in table
            .stored_columns()
            .filter(|c| !named.contains(c.name.as_str()))
        {
            let to = found.column(&column.name).filter(|to| !to.generated);
            let Some(to) = to.filter(|to| to.type_name != column.type_name) else {
                continue;
            };
            if rewrite(&column.type_name, to).is_none() && !cuts(to) {
                asked.push(Recast {
                    table: place,
                    column: column.name.clone(),
                    from: column.type_name.clone(),
                    to: to.type_name.clone(),
                });
            }
        }
    }
    asked
}

/// Columns whose texts units, references and large objects name.
fn named<'b>(bundle: &'b Bundle, table: &'b ManifestTable) -> BTreeSet<&'b str> {
    let relations = &bundle.manifest.relations;
    let child = relations.iter().filter(|r| r.child == table.table);
    let child = child.flat_map(|r| r.child_columns.iter().chain(r.when.iter().map(|w| &w.0)));
    let parent = relations.iter().filter(|r| r.parent == table.table);
    let parent = parent.flat_map(|r| r.parent_columns.iter());
    let own = table.key.iter().chain(&table.large_objects);
    own.chain(child).chain(parent).map(String::as_str).collect()
}

fn cuts(to: &Column) -> bool {
    let name = to.type_name.split('(').next().unwrap_or_default();
    CUTTING.contains(&name.trim_matches('"')) && to.type_name.contains('(')
}

async fn castable(session: &Session, asked: Vec<Recast>) -> Result<Vec<Recast>, RestoreError> {
    if asked.is_empty() {
        return Ok(asked);
    }
    let list = |of: &dyn Fn(&Recast) -> &str| {
        let each: Vec<&str> = asked.iter().map(of).collect();
        array_literal(each.into_iter().map(Some))
    };
    let (from, to) = (list(&|r| &r.from), list(&|r| &r.to));
    let answers = session.ask(DOING, CASTS, &[&from, &to]).await?;
    let able = answers.iter().map(|row| row.get::<_, bool>(0));
    let able: Vec<bool> = able.collect();
    let pairs = asked.into_iter().zip(able);
    Ok(pairs.filter(|(_, able)| *able).map(|(r, _)| r).collect())
}

/// The fields, cast; those that the server does not cast as they were.
async fn cast_all(
    session: &Session,
    recast: &Recast,
    mut fields: Vec<Bytes>,
) -> Result<Vec<Bytes>, PgError> {
    let whole: Range<usize> = 0..fields.len();
    let mut parts = vec![whole];
    while let Some(part) = parts.pop() {
        match cast(session, recast, &fields[part.clone()]).await {
            Ok(cast) => {
                for (field, cast) in fields[part].iter_mut().zip(cast) {
                    *field = cast;
                }
            }
            Err(error) if error.sqlstate().is_some_and(|s| s.starts_with("22")) => {
                if part.len() > 1 {
                    let middle = part.start + part.len() / 2;
                    parts.extend([part.start..middle, middle..part.end]);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(fields)
}

async fn cast(session: &Session, recast: &Recast, fields: &[Bytes]) -> Result<Vec<Bytes>, PgError> {
    let texts: Vec<Option<String>> = fields.iter().map(|f| unescape(f)).collect();
    let list = array_literal(texts.iter().map(Option::as_deref));
    let sql = format!(
        "copy (select k.n, k.v::{}::{} from unnest({}::text[]) with ordinality k(v, n) order by k.n) to stdout",
        recast.from,
        recast.to,
        quote_literal(&list)
    );
    let doing = format!(
        "casting {} from {} to {}",
        recast.column, recast.from, recast.to
    );
    let mut lines = CopyLines::start(session, &doing, &sql).await?;
    let mut cast = Vec::with_capacity(fields.len());
    while let Some(line) = lines.next().await? {
        cast.extend(numbered(&line).map(|(_, rest)| rest));
    }
    Ok(cast)
}
