//! `restore`: prints the plan; with `--execute`, carries it out.

mod asked;
mod carry_out;
mod conflicts;
mod drift;
pub(super) mod files;
mod prediction;
mod relinks;
pub(super) mod sequences;
mod show_plan;

pub(super) use carry_out::listen_for_signals;

use std::path::{Path, PathBuf};

use super::given;
use super::renamed::as_live_is;
use crate::bundle::Bundle;
use crate::cli::args::{self, ConflictArg, RelinksArg};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::ident::RunId;
use crate::pg::Access;
use crate::restore::{OnConflict, Relinking, RestoreError, Settings, plan};

pub(super) async fn run(context: &Context, args: args::Restore) -> Result<Code, Failure> {
    let settings = settings(context, &args)?;
    let conninfo = context.live()?;
    let bundle = open_bundle(&context.bundle(args.bundle.as_deref())).await?;
    if args.execute && args.unrehearsed.is_none() {
        return Err(Failure::refused("this bundle was not rehearsed, and this version cannot rehearse; nothing was changed")
            .hint("give the reason for going ahead with --unrehearsed REASON; it is recorded in the journal"));
    }
    let session = context.open(&conninfo, Access::Reading, "plan").await?;
    super::refuse_snapshot(context, &session).await?;
    let bundle = as_live_is(context, &session, bundle).await?;
    if !args.execute {
        let plan = plan(&session, &bundle, &settings).await?;
        return show_plan::show(context, session.target(), &bundle, &plan, &settings);
    }
    // The plan that was agreed upon is what the outcome is compared with. Planning anew only to compare would read all of the
    // bundle's rows in live once more.
    let mut agreed = None;
    if let Some(asked) = args.plan.clone() {
        let fresh = plan(&session, &bundle, &settings).await?;
        if fresh.id != asked {
            let fresh = fresh.id;
            return Err(RestoreError::PlanChanged { asked, fresh }.into());
        }
        agreed = Some(fresh);
    }
    drop(session);
    carry_out::carry_out(
        context,
        &args,
        &conninfo,
        &bundle,
        &settings,
        agreed.as_ref(),
    )
    .await
}

/// Opens a bundle; reading every file once can take a while.
pub(super) async fn open_bundle(path: &Path) -> Result<Bundle, Failure> {
    if !path.exists() {
        return Err(
            Failure::usage(format!("there is no bundle at {}", path.display()))
                .hint("reinstate extract makes one; another place is named after the verb"),
        );
    }
    let owned: PathBuf = path.to_path_buf();
    let opened = tokio::task::spawn_blocking(move || Bundle::open(&owned)).await;
    Ok(opened.map_err(|e| Failure::bug(e.to_string()))??)
}

/// The flag, else the configuration.
fn on_conflict(context: &Context, args: &args::Restore) -> Result<OnConflict, Failure> {
    match (args.on_conflict, context.config.on_conflict.as_deref()) {
        (Some(ConflictArg::Quarantine), _) | (None, None | Some("quarantine")) => {
            Ok(OnConflict::Quarantine)
        }
        (Some(ConflictArg::Remap), _) | (None, Some("remap")) => Ok(OnConflict::Remap),
        (Some(ConflictArg::Skip), _) | (None, Some("skip")) => Ok(OnConflict::Skip),
        (None, Some(other)) => Err(Failure::usage(format!(
            "restore.on_conflict: `{other}` is no way to treat conflicts"
        ))
        .hint("quarantine, remap or skip")),
    }
}

fn settings(context: &Context, args: &args::Restore) -> Result<Settings, Failure> {
    let (triggers, accepted_triggers) = given::triggers(&args.triggers)?;
    let defaults = Settings::default();
    Ok(Settings {
        target_batch: given::time(
            "target_batch",
            context.config.target_batch.as_ref(),
            defaults.target_batch,
        )?,
        max_unit_time: given::time(
            "--max-unit-time",
            args.max_unit_time.as_ref(),
            defaults.max_unit_time,
        )?,
        max_units: args.max_units,
        max_unit_rows: args.max_unit_rows.unwrap_or(defaults.max_unit_rows),
        triggers,
        accepted_triggers,
        on_conflict: on_conflict(context, args)?,
        only_quarantined: args.only_quarantined.clone().map(RunId),
        relinks: match args.relinks {
            None | Some(RelinksArg::Proven) => Relinking::Proven,
            Some(RelinksArg::All) => Relinking::All,
            Some(RelinksArg::None) => Relinking::None,
        },
        exclusions: context.config.exclusions.clone(),
        identities: context.config.identities.clone(),
        renames: context.config.renames.clone(),
        fills: context.config.fills.clone(),
        declared: context.config.relations.clone(),
    })
}
