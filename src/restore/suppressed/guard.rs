//! One constraint that is asked in the server's place, with the operators that the server itself would use.

use crate::catalog::Locator;
use crate::ident::quote_ident;
use crate::pg::{Row, Session};

use crate::restore::{RestoreError, TargetTable};

/// A constraint of a table, or of one of its partitions.
pub(super) struct Guard {
    /// Its name.
    pub(super) name: String,
    /// The table or partition that it is of, as SQL.
    pub(super) relation: String,
    /// The same as a FROM item.
    from: String,
    kind: Kind,
}

enum Kind {
    Foreign(Reference),
    /// No two rows have elements that all answer to their operators.
    Distinct(Vec<Element>, Distinct),
}

struct Reference {
    parent: String,
    parent_from: String,
    columns: Vec<String>,
    /// Equality of parent `p` and child `t`, column by column.
    equal: Vec<String>,
    /// MATCH FULL.
    full: bool,
}

struct Element {
    /// Column or expression, over columns without an alias.
    expression: String,
    operator: String,
}

struct Distinct {
    /// Of a partial one.
    predicate: Option<String>,
    nulls_are_equal: bool,
    exclusion: bool,
}

impl Guard {
    /// Whether rows that others have not committed yet can violate it unseen.
    pub(super) fn waits(&self) -> bool {
        matches!(self.kind, Kind::Distinct(..))
    }

    pub(super) fn sqlstate(&self) -> &'static str {
        match &self.kind {
            Kind::Foreign(_) => "23503",
            Kind::Distinct(_, d) if d.exclusion => "23P01",
            Kind::Distinct(..) => "23505",
        }
    }

    /// What a row does that violates it.
    pub(super) fn violated(&self) -> String {
        let name = &self.name;
        match &self.kind {
            Kind::Foreign(r) => format!(
                "has no row of {} to refer to by {} (foreign key {name})",
                r.parent,
                r.columns.join(", ")
            ),
            Kind::Distinct(_, d) if d.exclusion => {
                format!("is excluded by another row of live (deferrable constraint {name})")
            }
            Kind::Distinct(..) => {
                format!("has values that another row of live has (deferrable unique {name})")
            }
        }
    }

    /// The SQL that gives the number (from 1) of each row of `list` that violates it.
    pub(super) fn question(&self, list: &str, locator: &Locator) -> String {
        match &self.kind {
            Kind::Foreign(reference) => self.unmatched(reference, list, locator),
            Kind::Distinct(elements, distinct) => self.doubled(elements, distinct, list, locator),
        }
    }

    /// Parents are locked as a foreign key's own check locks them; where somebody holds one, we give way.
    fn unmatched(&self, reference: &Reference, list: &str, locator: &Locator) -> String {
        let columns = reference.columns.iter();
        let null = |is: &str, and: &str| {
            let each = columns
                .clone()
                .map(|c| format!("t.{} {is}", quote_ident(c)));
            each.collect::<Vec<_>>().join(and)
        };
        let checked = match reference.full {
            true => null("is not null", " or "),
            false => null("is not null", " and "),
        };
        format!(
            "select k.n from {list} join {} t on {}
               left join lateral (select true as there from {} p where {} for key share of p nowait) x on true
              where ({checked}) and x.there is null order by 1",
            self.from,
            locator.matches("t"),
            reference.parent_from,
            reference.equal.join(" and "),
        )
    }

    fn doubled(
        &self,
        elements: &[Element],
        distinct: &Distinct,
        list: &str,
        locator: &Locator,
    ) -> String {
        let shown = elements.iter().enumerate();
        let shown: Vec<String> = shown
            .map(|(i, e)| format!("({}) as reinstate_{i}", e.expression))
            .collect();
        let predicate = distinct.predicate.as_deref().unwrap_or("true");
        let of = |columns: &str| {
            let (from, shown) = (&self.from, shown.join(", "));
            format!(
                "(select {columns}, tableoid as reinstate_table, ctid as reinstate_place, {shown} from {from} as t where {predicate})"
            )
        };
        let answers = |(i, element): (usize, &Element)| {
            let (a, b) = (format!("a.reinstate_{i}"), format!("b.reinstate_{i}"));
            let answer = format!("{a} {} {b}", element.operator);
            match distinct.nulls_are_equal {
                true => format!("({answer} or ({a} is null and {b} is null))"),
                false => answer,
            }
        };
        let answer: Vec<String> = elements.iter().enumerate().map(answers).collect();
        format!(
            "select distinct k.n from {list} join {} a on {} join {} b on {}
              where (a.reinstate_table, a.reinstate_place) <> (b.reinstate_table, b.reinstate_place) order by 1",
            of(&locator.columns("t").join(", ")),
            locator.matches("a"),
            of("null as reinstate_key"),
            answer.join(" and "),
        )
    }
}

/// The constraints of a table and its partitions that the server skips.
///
/// Errors: `Table` for one that cannot be asked, or that asking takes a right.
pub(super) async fn read(
    session: &Session,
    target: &TargetTable,
) -> Result<Vec<Guard>, RestoreError> {
    let mut guards = foreign(session, target).await?;
    guards.extend(distinct(session, target).await?);
    Ok(guards)
}

/// The table with its partitions; constraints that a partition has from its parent are the parent's.
const HERE: &str = "with here as (
        select $1::regclass::oid as oid union select relid::oid from pg_partition_tree($1::regclass))";

/// A relation as SQL, and as a FROM item: `ONLY` keeps inheritance children apart.
const RELATION: &str = "format('%I.%I', n.nspname, c.relname),
               case c.relkind when 'p' then '' else 'only ' end || format('%I.%I', n.nspname, c.relname)";

async fn foreign(session: &Session, target: &TargetTable) -> Result<Vec<Guard>, RestoreError> {
    let version = session.server_version();
    let (period, enforced) = match version >= 180_000 {
        true => ("k.conperiod", "k.conenforced"),
        false => ("false", "true"),
    };
    let sql = format!(
        "{HERE}
         select k.conname::text, {RELATION},
                format('%I.%I', pn.nspname, p.relname),
                case p.relkind when 'p' then '' else 'only ' end || format('%I.%I', pn.nspname, p.relname),
                k.confmatchtype = 'f', {period},
                has_schema_privilege(pn.oid, 'USAGE') and has_table_privilege(p.oid, 'SELECT')
                    and has_any_column_privilege(p.oid, 'UPDATE'),
                row_security_active(p.oid),
                array(select a.attname::text from unnest(k.conkey) with ordinality as u(attnum, n)
                        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum order by u.n),
                array(select a.attname::text from unnest(k.confkey) with ordinality as u(attnum, n)
                        join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum order by u.n),
                array(select format('operator(%I.%s)', s.nspname, o.oprname)
                        from unnest(k.conpfeqop) with ordinality as u(op, n)
                        join pg_operator o on o.oid = u.op join pg_namespace s on s.oid = o.oprnamespace order by u.n),
                array(select case when pa.attcollation <> 0 and pa.attcollation <> a.attcollation
                                  then format(' collate %I.%I', ln.nspname, l.collname) else '' end
                        from unnest(k.conkey, k.confkey) with ordinality as u(attnum, fattnum, n)
                        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
                        join pg_attribute pa on pa.attrelid = k.confrelid and pa.attnum = u.fattnum
                        left join pg_collation l on l.oid = pa.attcollation
                        left join pg_namespace ln on ln.oid = l.collnamespace order by u.n),
                p.oid::regclass::text
           from pg_constraint k join here on here.oid = k.conrelid
           join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
           join pg_class p on p.oid = k.confrelid join pg_namespace pn on pn.oid = p.relnamespace
          where k.contype = 'f' and k.conparentid = 0 and {enforced}
          order by 1, 2"
    );
    let rows = session
        .ask("reading foreign keys", &sql, &[&target.name.sql()])
        .await?;
    rows.iter()
        .map(|row| reference(session, target, row))
        .collect()
}

fn reference(session: &Session, target: &TargetTable, row: &Row) -> Result<Guard, RestoreError> {
    let (name, parent): (String, String) = (row.get(0), row.get(3));
    let columns: Vec<String> = row.get(9);
    let (parent_columns, operators, collations): (Vec<String>, Vec<String>, Vec<String>) =
        (row.get(10), row.get(11), row.get(12));
    let role = &session.target().role;
    let refuse = |reason: String| {
        Err(RestoreError::Table {
            table: target.name.clone(),
            reason: format!(
                "while its triggers are suppressed, its foreign key {name} to {parent} is verified by query, and {reason}"
            ),
        })
    };
    if row.get(6) {
        return refuse(
            "a reference to a period cannot be; let the triggers fire (--triggers fire)".into(),
        );
    }
    if !row.get::<_, bool>(7) {
        let listed: Vec<String> = parent_columns.iter().map(|c| quote_ident(c)).collect();
        return refuse(format!(
            "that takes rights that role {role} lacks: GRANT SELECT, UPDATE ({}) ON {parent} TO {} (docs/RIGHTS.md)",
            listed.join(", "),
            quote_ident(role),
        ));
    }
    if row.get(8) {
        return refuse(format!(
            "row-level security limits what role {role} sees there; use a role with BYPASSRLS"
        ));
    }
    let equal = columns.iter().zip(&parent_columns).enumerate();
    let equal = equal.map(|(i, (column, referenced))| {
        let cast = target
            .live
            .column(column)
            .map(|c| format!("::{}", c.lookup_type));
        format!(
            "p.{} {} t.{}{}{}",
            quote_ident(referenced),
            operators[i],
            quote_ident(column),
            cast.unwrap_or_default(),
            collations[i],
        )
    });
    Ok(Guard {
        kind: Kind::Foreign(Reference {
            equal: equal.collect(),
            parent: row.get(13),
            parent_from: row.get(4),
            full: row.get(5),
            columns,
        }),
        name,
        relation: row.get(1),
        from: row.get(2),
    })
}

async fn distinct(session: &Session, target: &TargetTable) -> Result<Vec<Guard>, RestoreError> {
    let nulls = match session.server_version() >= 150_000 {
        true => "i.indnullsnotdistinct",
        false => "false",
    };
    // A unique constraint's equality is the one of its operator class.
    let sql = format!(
        "{HERE}
         select k.conname::text, {RELATION}, pg_get_expr(i.indpred, i.indrelid), {nulls}, k.contype = 'x',
                array(select pg_get_indexdef(i.indexrelid, u.n::int4, true)
                             || case when l.oid is not null and l.oid is distinct from a.attcollation
                                     then format(' collate %I.%I', ln.nspname, l.collname) else '' end
                        from unnest(i.indkey::int2[], i.indcollation::oid[]) with ordinality as u(attnum, coll, n)
                        left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum and u.attnum > 0
                        left join pg_collation l on l.oid = u.coll
                        left join pg_namespace ln on ln.oid = l.collnamespace
                       where u.n <= i.indnkeyatts order by u.n),
                array(select a.attname::text
                        from unnest(i.indkey::int2[]) with ordinality as u(attnum, n)
                        left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum and u.attnum > 0
                       where u.n <= i.indnkeyatts order by u.n),
                array(select format('operator(%I.%s)', s.nspname, o.oprname)
                        from unnest(i.indclass::oid[], coalesce(k.conexclop, '{{}}')) with ordinality as u(class, op, n)
                        join pg_opclass q on q.oid = u.class
                        join pg_operator o on o.oid = coalesce(u.op, (
                             select m.amopopr from pg_amop m
                              where m.amopfamily = q.opcfamily and m.amopstrategy = 3 and m.amoppurpose = 's'
                                and m.amoplefttype = q.opcintype and m.amoprighttype = q.opcintype))
                        join pg_namespace s on s.oid = o.oprnamespace
                       where u.n <= i.indnkeyatts order by u.n)
           from pg_constraint k join here on here.oid = k.conrelid
           join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
           join pg_index i on i.indexrelid = k.conindid
          where k.contype in ('p', 'u', 'x') and k.condeferrable and k.conparentid = 0
          order by 1, 2"
    );
    let rows = session
        .ask(
            "reading deferrable constraints",
            &sql,
            &[&target.name.sql()],
        )
        .await?;
    rows.iter().map(|row| constraint(target, row)).collect()
}

fn constraint(target: &TargetTable, row: &Row) -> Result<Guard, RestoreError> {
    let name: String = row.get(0);
    let (expressions, columns, operators): (Vec<String>, Vec<Option<String>>, Vec<String>) =
        (row.get(6), row.get(7), row.get(8));
    if operators.len() != expressions.len() {
        return Err(RestoreError::Table {
            table: target.name.clone(),
            reason: format!(
                "while its triggers are suppressed, its constraint {name} is verified by query, and its operators are not \
                 known; let the triggers fire (--triggers fire)"
            ),
        });
    }
    let elements = expressions.into_iter().zip(columns).zip(operators);
    let elements = elements.map(|((expression, column), operator)| {
        // A domain has no operators of its own.
        let found = column.and_then(|c| target.live.column(&c).cloned());
        let domain = found.filter(|c| c.builtin.is_none() && c.collation.is_none());
        Element {
            expression: match domain {
                Some(c) => format!("({expression})::{}", c.lookup_type),
                None => expression,
            },
            operator,
        }
    });
    Ok(Guard {
        kind: Kind::Distinct(
            elements.collect(),
            Distinct {
                predicate: row.get(3),
                nulls_are_equal: row.get(4),
                exclusion: row.get(5),
            },
        ),
        name,
        relation: row.get(1),
        from: row.get(2),
    })
}
