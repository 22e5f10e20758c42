//! A bundle in the names and types that live has by now.

use crate::bundle::Bundle;
use crate::catalog::introspect;
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::ident::TableName;
use crate::journal;
use crate::pg::Session;
use crate::restore::recast;

use super::declared;

/// The same with its columns in live's types, as far as the server can cast them.
pub(super) async fn as_live_is(
    context: &Context,
    live: &Session,
    bundle: Bundle,
) -> Result<Bundle, Failure> {
    let bundle = renamed(context, live, bundle).await?;
    Ok(recast(live, bundle).await?)
}

/// Renames what the configuration says was renamed since the bundle was made. Refuses what the journal still has under the old
/// names, and declared relations of tables or columns that live has not.
pub(super) async fn renamed(
    context: &Context,
    live: &Session,
    bundle: Bundle,
) -> Result<Bundle, Failure> {
    let config = &context.config;
    if config.renames.is_empty() && config.relations.is_empty() {
        return Ok(bundle);
    }
    let schema = introspect(live).await?;
    let bundle = bundle.renamed(&config.renames, &schema)?;
    let by_now = |table: &TableName| bundle.by_now(table).unwrap_or_default();
    declared::relations(context, ("live", &schema), by_now)?;
    if config.renames.is_empty() {
        return Ok(bundle);
    }
    let (tables, columns) = (bundle.renames.tables(), bundle.renames.columns());
    let old = journal::OldNames::new(tables, columns);
    if let Some(found) = old.in_journal(live, &bundle.id).await? {
        return Err(Failure::refused(found.to_string()).hint(found.way_out()));
    }
    Ok(bundle)
}
