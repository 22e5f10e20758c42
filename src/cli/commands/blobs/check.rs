//! `blobs check`: where every file is.

use super::look::look;
use super::report;
use crate::cli::args::BlobsCheck;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};

pub(super) async fn run(context: &Context, args: BlobsCheck) -> Result<Code, Failure> {
    let looked = look(context, &args.look, args.inventory.as_deref()).await?;
    report::checked(context, &args.look, &looked);
    Ok(match looked.tally.trouble() {
        true => Code::Found,
        false => Code::Done,
    })
}
