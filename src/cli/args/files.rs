//! Arguments of the commands that are about files: `blobs`, `flag`, `unflag`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::pg::Size;

/// `flag`.
#[derive(Debug, Args)]
pub(crate) struct Flag {
    /// Mark them, instead of printing the plan
    #[arg(long)]
    pub(crate) execute: bool,
}

/// `unflag`.
#[derive(Debug, Args)]
pub(crate) struct Unflag {
    /// Take the marks off, instead of printing the plan
    #[arg(long)]
    pub(crate) execute: bool,
}

/// `blobs`.
#[derive(Debug, Subcommand)]
pub(crate) enum Blobs {
    /// Where every file is: in its store, in an older version, in the backup store, or nowhere
    Check(BlobsCheck),
    /// What would be copied back, and by which means; with --execute, copy it back
    Copy(BlobsCopy),
}

/// `blobs check`.
#[derive(Debug, Args)]
pub(crate) struct BlobsCheck {
    #[command(flatten)]
    pub(crate) look: BlobsLook,
    /// An S3 Inventory: its manifest.json, or a CSV file whose first line names its columns
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
}

/// `blobs copy`.
#[derive(Debug, Args)]
pub(crate) struct BlobsCopy {
    #[command(flatten)]
    pub(crate) look: BlobsLook,
    /// Copy, instead of printing the plan
    #[arg(long)]
    pub(crate) execute: bool,
    /// Overwrite files in the primary store whose bytes are not those recorded, where a good copy is known
    #[arg(long)]
    pub(crate) replace_corrupt: bool,
    /// Files larger than this travel in parts [default: 8MB, and 5GB where the store copies by itself]
    #[arg(long, value_name = "SIZE")]
    pub(crate) parts_above: Option<Size>,
}

/// Which files, and how to look for them.
#[derive(Debug, Args)]
pub(crate) struct BlobsLook {
    /// The bundle [default: bundle, in the case directory]
    #[arg(value_name = "BUNDLE", conflicts_with = "live_all")]
    pub(crate) bundle: Option<PathBuf>,
    /// All files that live's rows point at, instead of the bundle's
    #[arg(long)]
    pub(crate) live_all: bool,
    /// How closely to look
    #[arg(long, value_name = "LEVEL", default_value = "size")]
    pub(crate) level: LevelArg,
    /// How to look for them
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) strategy: StrategyArg,
    /// What vanishes by itself within this time counts as expiring
    #[arg(long, value_name = "TIME", default_value = "720h")]
    pub(crate) expires_within: String,
    /// Begin anew, instead of going on with a check that was interrupted
    #[arg(long)]
    pub(crate) fresh: bool,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// How stores are reached and asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of object stores")]
pub(crate) struct Asking {
    /// Requests at the same time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) concurrency: u16,
    /// Requests a second, at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rps: Option<u32>,
    /// Another S3 endpoint than AWS's, for every store
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
    /// The region, for every store
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// A profile of ~/.aws, for every store
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Certificates to trust beside the system's (PEM), for every store
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// How closely files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelArg {
    /// Is it there?
    Exists,
    /// Has it the recorded size? Where not, it is read
    Size,
    /// Is it the recorded content? What its store says of it is taken where that proves it; otherwise it is read
    Checksum,
}

/// How files are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StrategyArg {
    /// By listing where many neighbours are wanted, otherwise one by one
    Auto,
    /// By listing
    List,
    /// One by one
    Head,
}
