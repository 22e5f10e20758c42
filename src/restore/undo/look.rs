//! Looks at what became of a piece's rows, and at what refers to them.

use std::collections::{HashMap, HashSet};

use crate::catalog::TableKind;
use crate::ident::{UnitId, quote_literal};
use crate::pg::{PgError, Session};

use super::decide::{Fate, Place, Refers, decide};
use super::piece::Piece;
use super::scope::{Reference, Scope};

/// Where a row lies: the table's (or partition's) oid, and its place there.
pub(super) type Spot = (String, String);

/// What was seen, and what follows.
pub(super) struct Looked {
    /// By table and row.
    pub(super) fates: Vec<Vec<Fate>>,
    /// Where the rows that are still ours lie.
    pub(super) spots: Vec<Vec<Option<Spot>>>,
}

impl Looked {
    /// Where the rows of a table that go lie.
    pub(super) fn going(&self, table: usize) -> Vec<(usize, &Spot)> {
        let rows = self.fates[table].iter().zip(&self.spots[table]).enumerate();
        rows.filter(|(_, (fate, _))| **fate == Fate::Remove)
            .filter_map(|(n, (_, spot))| Some((n, spot.as_ref()?)))
            .collect()
    }

    /// Whether a row stays because of what refers to it.
    pub(super) fn holds_back(&self) -> bool {
        self.fates.iter().flatten().any(|f| *f == Fate::Referenced)
    }
}

/// Locks the rows of a piece against everybody, in key order and without waiting (SQLSTATE 55P03 where somebody holds one).
pub(super) async fn lock(session: &Session, scope: &Scope, piece: &Piece) -> Result<(), PgError> {
    for (table, rows) in scope.tables.iter().zip(&piece.rows) {
        if rows.is_empty() {
            continue;
        }
        // A place may have been taken by somebody else's row, which is left alone.
        let ours = match table.keyed {
            true => String::new(),
            false => {
                let xmins: Vec<String> = rows.iter().map(|r| r.xmin.to_string()).collect();
                format!(
                    " and t.xmin::text::int8 = ('{{{}}}'::int8[])[k.n]",
                    xmins.join(",")
                )
            }
        };
        let sql = format!(
            "select k.n from {} join {} t on {}{ours} order by {} for update of t nowait",
            table.locator.list(rows.iter().map(|r| &r.key)),
            table.live.from_sql(),
            table.locator.matches("t"),
            table.locator.columns("t").join(", "),
        );
        let doing = format!("locking rows of {}", table.name);
        session.ask(&doing, &sql, &[]).await?;
    }
    Ok(())
}

/// What a plan would have done by then.
#[derive(Debug, Default)]
pub(super) struct Foreseen {
    /// Spots that count as empty.
    pub(super) going: HashSet<Spot>,
    /// Columns that count as NULL.
    pub(super) emptied: HashMap<Spot, Vec<String>>,
}

impl Foreseen {
    /// Whether a row would not refer any more.
    fn frees(&self, spot: &Spot, reference: &Reference) -> bool {
        let columns = &reference.relation.child_columns;
        let emptied = self.emptied.get(spot);
        self.going.contains(spot) || emptied.is_some_and(|e| columns.iter().any(|c| e.contains(c)))
    }
}

/// Looks, in new statements, and decides. A plan keeps in mind what it would have done by then.
pub(super) async fn look(
    session: &Session,
    scope: &Scope,
    piece: &Piece,
    foreseen: &[&Foreseen],
) -> Result<Looked, PgError> {
    let (mut alone, mut spots) = (Vec::new(), Vec::new());
    for table in 0..scope.tables.len() {
        let (fates, of_table) = by_itself(session, scope, piece, table).await?;
        alone.push(fates);
        spots.push(of_table);
    }
    let mut at: HashMap<&Spot, Place> = HashMap::new();
    for (table, of_table) in spots.iter().enumerate() {
        let found = of_table.iter().enumerate();
        at.extend(found.filter_map(|(row, spot)| Some((spot.as_ref()?, (table, row)))));
    }
    let mut references = Vec::new();
    for reference in &scope.references {
        let of_parent = &spots[reference.parent];
        for (row, spot) in referring(session, scope, reference, of_parent).await? {
            let frees = |s| foreseen.iter().any(|f| f.frees(s, reference));
            if !spot.as_ref().is_some_and(frees) {
                references.push(Refers {
                    to: (reference.parent, row),
                    from: spot.and_then(|s| at.get(&s).copied()),
                });
            }
        }
    }
    Ok(Looked {
        fates: decide(alone, &references, &together(scope, piece)),
        spots,
    })
}

/// Rows without a key: the unit of each.
fn together(scope: &Scope, piece: &Piece) -> HashMap<Place, UnitId> {
    let tables = scope.tables.iter().zip(&piece.rows).enumerate();
    tables
        .filter(|(_, (table, _))| !table.keyed)
        .flat_map(|(t, (_, rows))| rows.iter().enumerate().map(move |(n, r)| ((t, n), r.unit)))
        .collect()
}

/// Whether each row of a table is still the one that the restore wrote, and where it lies if it is.
async fn by_itself(
    session: &Session,
    scope: &Scope,
    piece: &Piece,
    place: usize,
) -> Result<(Vec<Fate>, Vec<Option<Spot>>), PgError> {
    let (table, rows) = (&scope.tables[place], &piece.rows[place]);
    // Of a row without a key that is not in its place, nobody knows whether it was edited or deleted.
    let absent = if table.keyed {
        Fate::Gone
    } else {
        Fate::Changed
    };
    let mut fates = vec![absent; rows.len()];
    let mut spots = vec![None; rows.len()];
    if rows.is_empty() {
        return Ok((fates, spots));
    }
    let sql = format!(
        "select k.n, t.tableoid::text, t.ctid::text, t.xmin::text from {} join {} t on {}",
        table.locator.list(rows.iter().map(|r| &r.key)),
        table.live.from_sql(),
        table.locator.matches("t"),
    );
    let doing = format!("looking at {}", table.name);
    for row in session.ask(&doing, &sql, &[]).await? {
        let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
        if row.get::<_, &str>(3) == rows[n].xmin.to_string() {
            fates[n] = Fate::Remove;
            spots[n] = Some((row.get(1), row.get(2)));
        } else {
            fates[n] = Fate::Changed;
        }
    }
    Ok((fates, spots))
}

/// What refers to the rows at these spots: the row referred to, and where the other lies.
async fn referring(
    session: &Session,
    scope: &Scope,
    reference: &Reference,
    parents: &[Option<Spot>],
) -> Result<Vec<(usize, Option<Spot>)>, PgError> {
    let found: Vec<(usize, &Spot)> = parents
        .iter()
        .enumerate()
        .filter_map(|(n, spot)| Some((n, spot.as_ref()?)))
        .collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let parent = &scope.tables[reference.parent];
    let spot = match reference.child_table.kind {
        // A row elsewhere is nobody's to delete here.
        TableKind::Foreign => "null::text, null::text",
        TableKind::Plain | TableKind::Partitioned => "c.tableoid::text, c.ctid::text",
    };
    let sql = format!(
        "select k.n, {spot} from {} join {} p on {} join {} c on {}",
        spot_list(&found),
        parent.live.from_sql(),
        at_spot("p"),
        reference.child_table.from_sql(),
        reference
            .relation
            .refers(&reference.child_table, &parent.live),
    );
    let doing = format!(
        "looking for rows of {} that refer to {}",
        reference.child_table.name, parent.name
    );
    let rows = session.ask(&doing, &sql, &[]).await?;
    let read = |row: &crate::pg::Row| {
        let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(1) - 1;
        let spot = row.get::<_, Option<String>>(1).zip(row.get(2));
        (found[n].0, spot)
    };
    Ok(rows.iter().map(read).collect())
}

/// Spots as a FROM item `k`, with their position from 1 as `k.n`.
pub(super) fn spot_list(spots: &[(usize, &Spot)]) -> String {
    let oids: Vec<&str> = spots.iter().map(|(_, s)| s.0.as_str()).collect();
    let places: Vec<String> = spots.iter().map(|(_, s)| format!("\"{}\"", s.1)).collect();
    format!(
        "unnest({}::oid[], {}::tid[]) with ordinality as k(o, p, n)",
        quote_literal(&format!("{{{}}}", oids.join(","))),
        quote_literal(&format!("{{{}}}", places.join(",")))
    )
}

/// The condition that joins `alias` to such a list.
pub(super) fn at_spot(alias: &str) -> String {
    format!("{alias}.ctid = k.p and {alias}.tableoid = k.o")
}
