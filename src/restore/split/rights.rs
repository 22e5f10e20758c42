//! Parts of a unit leave references NULL: what fills them takes a right of its own, asked for before the first part is there.

use std::collections::{BTreeMap, BTreeSet};

use super::Splitting;
use crate::bundle::Bundle;
use crate::ident::quote_ident;
use crate::journal::History;
use crate::pg::Session;
use crate::restore::{RestoreError, Targets};

impl Splitting {
    /// Refuses a role that could not fill what the units still to come in parts would leave NULL. Reads only.
    ///
    /// Errors: `Table`, with the GRANT.
    pub(in crate::restore) async fn rights(
        &self,
        session: &Session,
        bundle: &Bundle,
        (targets, history): (&Targets, &History),
    ) -> Result<(), RestoreError> {
        let sql = "select has_column_privilege($1::regclass, $2, 'UPDATE')";
        for (child, columns) in self.postponing(bundle, history)? {
            let table = &targets.tables[child].name;
            let (name, doing) = (table.sql(), "looking at the right to fill references");
            let mut lacking = Vec::new();
            for column in columns {
                let rows = session.ask(doing, sql, &[&name, column]).await?;
                if rows.first().is_some_and(|row| !row.get::<_, bool>(0)) {
                    lacking.push(quote_ident(column));
                }
            }
            if !lacking.is_empty() {
                let (role, lacking) = (&session.target().role, lacking.join(", "));
                return Err(RestoreError::Table {
                    table: table.clone(),
                    reason: format!(
                        "parts of large units leave {lacking} NULL until what it refers to is there, and filling it takes a \
                         right that role {role} lacks: GRANT UPDATE ({lacking}) ON {} TO {role} (docs/RIGHTS.md). Or let the \
                         units come whole: --max-unit-rows",
                        table.sql()
                    ),
                });
            }
        }
        Ok(())
    }

    /// The columns that parts may leave NULL, by table.
    fn postponing(
        &self,
        bundle: &Bundle,
        history: &History,
    ) -> Result<BTreeMap<usize, BTreeSet<&str>>, RestoreError> {
        let mut columns: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
        if self.breaks.is_empty() {
            return Ok(columns);
        }
        let whole = |unit| history.done.contains(&unit) || history.earlier.contains(&unit);
        let open = |unit| history.postponed.iter().any(|p| p.part.unit == unit);
        for unit in bundle.units()? {
            let unit = unit?;
            let rows = unit.rows.iter().map(|(_, rows)| rows).sum();
            if !self.splits(rows) || (whole(unit.unit) && !open(unit.unit)) {
                continue;
            }
            let holds = |table| unit.rows.iter().any(|(of, _)| *of == table);
            for broken in self
                .breaks
                .iter()
                .filter(|b| holds(b.child) && holds(b.parent))
            {
                let of_table = columns.entry(broken.child).or_default();
                of_table.extend(broken.nullable.iter().map(|(_, name)| name.as_str()));
            }
        }
        Ok(columns)
    }
}
