//! Whether a type takes values, each asked once: enums and their like have few.

use std::collections::{BTreeSet, HashMap};

use crate::ident::{array_literal, quote_literal};
use crate::pg::{PgError, Session};

/// Bytes of values remembered of a column.
const REMEMBERED: usize = 4 << 20;
/// Refusals looked for by halving in one look, where the server cannot say which value it was.
const HALVED: usize = 64;

/// Values of a column's type: the server's code for those that it refuses.
#[derive(Debug, Default)]
pub(super) struct Judged {
    by_value: HashMap<String, Option<&'static str>>,
    bytes: usize,
}

impl Judged {
    /// Why the type refuses a value; none where it takes it, or was not asked.
    pub(super) fn refused(&self, value: &str) -> Option<&'static str> {
        self.by_value.get(value).copied().flatten()
    }

    /// Asks about those of which nothing is known.
    pub(super) async fn learn<'v>(
        &mut self,
        session: &Session,
        type_name: &str,
        values: impl Iterator<Item = &'v str>,
    ) -> Result<(), PgError> {
        if self.bytes > REMEMBERED {
            *self = Self::default();
        }
        let new: BTreeSet<&str> = values.filter(|v| !self.by_value.contains_key(*v)).collect();
        let new: Vec<&str> = new.into_iter().collect();
        if new.is_empty() {
            return Ok(());
        }
        self.bytes += new.iter().map(|v| v.len()).sum::<usize>();
        let told = match session.server_version() >= 160_000 {
            true => self.at_once(session, type_name, &new).await?,
            false => false,
        };
        match told {
            true => Ok(()),
            false => self.by_halves(session, type_name, &new).await,
        }
    }

    /// In one question, which the server answers for all of them; not so for types of extensions that raise an error.
    async fn at_once(
        &mut self,
        session: &Session,
        type_name: &str,
        values: &[&str],
    ) -> Result<bool, PgError> {
        let sql = format!(
            "select v, (pg_input_error_info(v, {})).sql_error_code from unnest({}::text[]) v",
            quote_literal(type_name),
            list(values)
        );
        match session.ask(&doing(type_name), &sql, &[]).await {
            Ok(rows) => {
                let each = rows
                    .iter()
                    .map(|row| (row.get(0), row.get::<_, Option<&str>>(1).map(code)));
                self.by_value.extend(each);
                Ok(true)
            }
            Err(error) if about_values(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// By casts that fail as a whole.
    async fn by_halves(
        &mut self,
        session: &Session,
        type_name: &str,
        values: &[&str],
    ) -> Result<(), PgError> {
        let (mut parts, mut left) = (vec![values], HALVED);
        while let Some(part) = parts.pop().filter(|_| left > 0) {
            let sql = format!(
                "select count(v::{type_name}) from unnest({}::text[]) v",
                list(part)
            );
            match session.ask(&doing(type_name), &sql, &[]).await {
                Ok(_) => self
                    .by_value
                    .extend(part.iter().map(|v| ((*v).to_owned(), None))),
                Err(error) if about_values(&error) => match part {
                    [one] => {
                        left -= 1;
                        self.by_value
                            .insert((*one).to_owned(), error.sqlstate().map(code));
                    }
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn doing(type_name: &str) -> String {
    format!("asking which values {type_name} takes")
}

fn list(values: &[&str]) -> String {
    quote_literal(&array_literal(values.iter().map(|v| Some(*v))))
}

/// Whether it is about the values, and not about the question.
fn about_values(error: &PgError) -> bool {
    error
        .sqlstate()
        .is_some_and(|s| s.starts_with("22") || s.starts_with("23"))
}

/// The codes that plans name.
fn code(sqlstate: &str) -> &'static str {
    match sqlstate {
        "23502" => "23502",
        "23514" => "23514",
        _ => "22P02",
    }
}
