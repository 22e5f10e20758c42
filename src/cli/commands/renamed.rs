//! A bundle in the names and types that live has by now.

use crate::bundle::Bundle;
use crate::catalog::introspect;
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::journal;
use crate::pg::Session;
use crate::restore::recast;

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
/// names.
pub(super) async fn renamed(
    context: &Context,
    live: &Session,
    bundle: Bundle,
) -> Result<Bundle, Failure> {
    let entries = &context.config.renames;
    if entries.is_empty() {
        return Ok(bundle);
    }
    let bundle = bundle.renamed(entries, &introspect(live).await?)?;
    let (tables, columns) = (bundle.renames.tables(), bundle.renames.columns());
    let old = journal::OldNames::new(tables, columns);
    if let Some(found) = old.in_journal(live, &bundle.id).await? {
        return Err(Failure::refused(found.to_string()).hint(found.way_out()));
    }
    Ok(bundle)
}
