//! Which files are wanted: those of a bundle, or all that live's rows point at.

use crate::attachments::{AttachmentsError, Meaning, Owners, each_file};
use crate::blobs::{CheckError, StoreConfig, Wanted};
use crate::bundle::{AttachmentOwner, AttachmentRecord, Bundle};
use crate::catalog::introspect;
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::cli::output::counted;
use crate::ident::{Key, TableName};
use crate::pg::Access;

/// Why an entry's rows could not be taken.
enum Refused {
    Attachments(AttachmentsError),
    Check(CheckError),
}

impl From<AttachmentsError> for Refused {
    fn from(error: AttachmentsError) -> Self {
        Self::Attachments(error)
    }
}

impl From<CheckError> for Refused {
    fn from(error: CheckError) -> Self {
        Self::Check(error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Attachments(e) => e.into(),
            Refused::Check(e) => e.into(),
        }
    }
}

/// The files of a bundle.
pub(super) fn of_bundle(
    context: &Context,
    bundle: &Bundle,
    stores: &[StoreConfig],
) -> Result<Wanted, Failure> {
    if bundle.manifest.attachment_sources.is_empty() {
        return Err(Failure::usage(format!(
            "the bundle in {} does not say which files its rows point at: there was no [[attachments]] when it was made",
            bundle.dir.display()
        ))
        .hint(match context.config.attachments.is_empty() {
            true => "describe them in reinstate.toml ([[attachments]] preset = \"active_storage\", say) and extract again, \
                     into another directory (-o)",
            false => "extract again, into another directory (-o): the configuration has [[attachments]] by now",
        }));
    }
    let mut wanted = Wanted::new(&context.case, stores);
    for record in bundle.attachments()? {
        let record = record?;
        let unit = Some(record.unit);
        wanted.add(record, unit)?;
    }
    Ok(wanted)
}

/// The files of all of live.
pub(super) async fn of_live(context: &Context, stores: &[StoreConfig]) -> Result<Wanted, Failure> {
    if context.config.attachments.is_empty() {
        return Err(Failure::usage("no [[attachments]] in the configuration").hint(
            "say in reinstate.toml which rows point at files: [[attachments]] preset = \"active_storage\", or sql = \"…\"",
        ));
    }
    let conninfo = context.live()?;
    let session = context.open(&conninfo, Access::Reading, "blobs").await?;
    super::super::refuse_snapshot(context, &session).await?;
    let schema = introspect(&session).await?;
    let mut owners = Owners::new(&schema);
    let mut wanted = Wanted::new(&context.case, stores);
    session.search_as_role(true).await?;
    for (i, source) in context.config.attachments.iter().enumerate() {
        let (entry, mut unknown) = (i + 1, 0);
        each_file::<Refused>(&session, entry, source, |row| {
            let table = match owners.meaning(entry, &source.classes, &row.owner_table) {
                Meaning::Table(table) => table.clone(),
                // Whose it is need not be known to see whether it is there.
                Meaning::Unknown => {
                    unknown += 1;
                    TableName::new("", &row.owner_table)
                }
                Meaning::Several(tables) => {
                    return Err(AttachmentsError::Ambiguous {
                        entry,
                        name: row.owner_table,
                        tables: tables.clone(),
                    }
                    .into());
                }
            };
            let record = AttachmentRecord {
                unit: 0,
                owner: AttachmentOwner {
                    table,
                    key: Key(vec![row.owner_key]),
                    name: row.name,
                    filename: row.filename,
                    content_type: row.content_type,
                },
                store: row.store,
                key: row.key,
                byte_size: row.byte_size,
                size_tolerance: source.size_tolerance,
                checksum: row.checksum,
                checksum_algorithm: row.algorithm.map(|a| a.to_string()),
                derived: row.derived,
            };
            Ok(wanted.add(record, None)?)
        })
        .await?;
        if unknown > 0 {
            context.ui.warning(&format!(
                "[[attachments]] {entry}: of {} owner_table is no table of live; they are checked all the same (classes = {{ … }} \
                 says which table a class has)",
                counted(unknown, "file")
            ));
        }
    }
    Ok(wanted)
}
