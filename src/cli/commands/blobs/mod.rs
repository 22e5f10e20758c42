//! `blobs`: the files that rows point at.

mod check;
mod copy;
mod gather;
mod look;
mod report;

pub(super) use look::WHOLE;

use crate::blobs::{Location, Side, StoreConfig};
use crate::cli::args::{Asking, Blobs};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};

pub(super) async fn run(context: &Context, args: Blobs) -> Result<Code, Failure> {
    match args {
        Blobs::Check(args) => check::run(context, args).await,
        Blobs::Copy(args) => copy::run(context, args).await,
    }
}

/// The stores of the configuration, with what the command line says of all of them.
fn stores(context: &Context, asking: &Asking) -> Vec<StoreConfig> {
    let said = |side: &Side| {
        let mut side = side.clone();
        if matches!(side.location, Location::S3 { .. }) {
            side.endpoint_url = asking.endpoint_url.clone().or(side.endpoint_url);
            side.region = asking.region.clone().or(side.region);
            side.profile = asking.profile.clone().or(side.profile);
            side.ca_file = asking.ca_file.clone().or(side.ca_file);
        }
        side
    };
    let store = |store: &StoreConfig| StoreConfig {
        name: store.name.clone(),
        primary: said(&store.primary),
        backup: store.backup.as_ref().map(said),
    };
    context.config.stores.iter().map(store).collect()
}
