//! Finds the sequences: of identity columns, owned by a column, or drawn from by a default.
//!
//! Source: PostgreSQL manual, the catalogs `pg_depend`, `pg_attrdef`, `pg_sequence`.

use crate::ident::{TableName, array_literal};
use crate::pg::{PgError, Row, Session};

use super::{Numbered, Rights, Sequence, Targets};

/// Reads the sequences that number columns which are written. One that several columns share is one.
pub(crate) async fn find(session: &Session, targets: &Targets) -> Result<Vec<Sequence>, PgError> {
    // A default that is `nextval` and nothing else, but for a cast. An owned sequence without a default is called by the
    // application itself.
    let sql = r"
        select t.n, a.attname::text, sn.nspname::text, s.relname::text,
               q.seqincrement, q.seqmin, q.seqmax, q.seqcycle, q.seqcache, bool_or(u.alone),
               has_schema_privilege(sn.oid, 'USAGE') and has_sequence_privilege(s.oid, 'SELECT'),
               has_schema_privilege(sn.oid, 'USAGE') and has_sequence_privilege(s.oid, 'USAGE'),
               has_schema_privilege(sn.oid, 'USAGE') and has_sequence_privilege(s.oid, 'UPDATE'),
               case a.atttypid when 'int2'::regtype then 32767 when 'int4'::regtype then 2147483647
                               else 9223372036854775807 end::int8
          from unnest($1::text[]) with ordinality as t(name, n)
          join (select d.refobjid as rel, d.refobjsubid as attnum, d.objid as sequence,
                       d.deptype = 'i' or not exists (
                           select from pg_attrdef f where f.adrelid = d.refobjid and f.adnum = d.refobjsubid) as alone
                  from pg_depend d
                 where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
                   and d.refobjsubid > 0 and d.deptype in ('i', 'a')
                union all
                select f.adrelid, f.adnum, d.refobjid,
                       pg_get_expr(f.adbin, f.adrelid) ~ '^\(?nextval\(''([^'']|'''')*''::regclass\)\)?(::[a-z ]+)?$'
                  from pg_attrdef f
                  join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid
                                  and d.refclassid = 'pg_class'::regclass) u on u.rel = t.name::regclass
          join pg_sequence q on q.seqrelid = u.sequence
          join pg_class s on s.oid = u.sequence join pg_namespace sn on sn.oid = s.relnamespace
          join pg_attribute a on a.attrelid = u.rel and a.attnum = u.attnum and not a.attisdropped
         group by t.n, a.attname, a.attnum, a.atttypid, sn.oid, sn.nspname, s.oid, s.relname,
                  q.seqincrement, q.seqmin, q.seqmax, q.seqcycle, q.seqcache
         order by s.oid, t.n, a.attnum";
    let names: Vec<String> = targets.tables.iter().map(|t| t.name.sql()).collect();
    let names = array_literal(names.iter().map(|n| Some(n.as_str())));
    let mut found: Vec<Sequence> = Vec::new();
    for row in session.ask("reading the sequences", sql, &[&names]).await? {
        let Some(numbered) = numbered(targets, &row) else {
            continue;
        };
        let (sequence, known) = (sequence(&row), found.last_mut());
        match known.filter(|known| known.name == sequence.name) {
            Some(known) => known.share(sequence, numbered),
            None => found.push(Sequence {
                columns: vec![numbered],
                ..sequence
            }),
        }
    }
    Ok(found)
}

/// The column, where the bundle holds values for it.
fn numbered(targets: &Targets, row: &Row) -> Option<Numbered> {
    let table = usize::try_from(row.get::<_, i64>(0)).ok()?.checked_sub(1)?;
    let column: String = row.get(1);
    let target = targets.tables.get(table)?;
    Some(Numbered {
        table,
        field: target.field(&column)?,
        shown: format!("{} ({})", target.name, crate::ident::shown(&column)),
    })
}

fn sequence(row: &Row) -> Sequence {
    let (increment, min, max): (i64, i64, i64) = (row.get(4), row.get(5), row.get(6));
    let of_type: i64 = row.get(13);
    let descending = increment < 0;
    let (min, max) = (
        i128::from(min.max(-of_type - 1)),
        i128::from(max.min(of_type)),
    );
    Sequence {
        name: TableName::new(row.get::<_, String>(2), row.get::<_, String>(3)),
        columns: Vec::new(),
        increment: i128::from(increment).abs(),
        descending,
        least: if descending { -max } else { min },
        greatest: if descending { -min } else { max },
        cycles: row.get(7),
        cache: row.get(8),
        computed: !row.get::<_, bool>(9),
        rights: Rights {
            select: row.get(10),
            usage: row.get(11),
            update: row.get(12),
        },
        reach: None,
        beyond: None,
    }
}

impl Sequence {
    /// Another column draws from it too: the narrower type ends it for both.
    fn share(&mut self, other: Self, numbered: Numbered) {
        self.columns.push(numbered);
        self.computed |= other.computed;
        self.least = self.least.max(other.least);
        self.greatest = self.greatest.min(other.greatest);
    }
}
