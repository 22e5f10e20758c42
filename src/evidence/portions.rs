//! Keys that a query or a file names, a few thousand at a time: a list can be longer than memory, and whoever reads it
//! asks servers about it in between.

use crate::ident::{Key, quote_ident};
use crate::pg::{PgError, Session};

use super::listing::{ROWS_A_QUESTION, trimmed};

/// A query's keys, read through a cursor in a read-only transaction of its own. Between two portions the session can be
/// asked other things, but for what would begin or end a transaction.
pub struct Portions<'a> {
    session: &'a Session,
    doing: String,
}

impl<'a> Portions<'a> {
    /// Begins to read `key`'s columns of a query that somebody wrote, each as text. Its names are looked for as the role does.
    pub async fn open(
        session: &'a Session,
        doing: &str,
        sql: &str,
        key: &[String],
    ) -> Result<Self, PgError> {
        let texts: Vec<String> = key
            .iter()
            .map(|name| format!("a.{}::text", quote_ident(name)))
            .collect();
        session.search_as_role(true).await?;
        let declare = format!(
            "begin read only;
             declare reinstate_portions no scroll cursor for
              select array[{}] from (\n{}\n) a",
            texts.join(", "),
            trimmed(sql)
        );
        session.batch(doing, &declare).await?;
        Ok(Self {
            session,
            doing: doing.to_owned(),
        })
    }

    /// The next few thousand, those with a NULL passed over; none at the end.
    pub async fn next(&self) -> Result<Option<Vec<Key>>, PgError> {
        let fetch = format!("fetch {ROWS_A_QUESTION} from reinstate_portions");
        // A function of the query looks for its names when it runs.
        self.session.search_as_role(true).await?;
        let rows = self.session.ask(&self.doing, &fetch, &[]).await?;
        self.session.search_as_role(false).await?;
        if rows.is_empty() {
            self.session.batch(&self.doing, "commit").await?;
            return Ok(None);
        }
        let key = |fields: Vec<Option<String>>| fields.into_iter().collect::<Option<Vec<_>>>();
        let keys = rows.iter().filter_map(|row| key(row.get(0)).map(Key));
        Ok(Some(keys.collect()))
    }
}

/// Keys as people write them.
pub enum Keys<'a> {
    /// Of a query.
    Query(Portions<'a>),
    /// Of a file, which has been read.
    File(Vec<Key>),
}

impl Keys<'_> {
    /// The next few thousand; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Key>>, PgError> {
        match self {
            Self::Query(portions) => portions.next().await,
            Self::File(keys) => {
                let rest = keys.split_off(keys.len().min(ROWS_A_QUESTION));
                let portion = std::mem::replace(keys, rest);
                Ok((!portion.is_empty()).then_some(portion))
            }
        }
    }
}
