//! `timeline`: when the missing rows were deleted; `timeline.json` and `contradictions.jsonl` in the case.

mod document;
mod shown;

use jiff::SignedDuration;

use crate::cli::args::{self, Format};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::diff::Sides;
use crate::event::Event;
use crate::evidence::timeline::{MOST_BUCKETS, Timeline, timeline};
use crate::evidence::{Selection, date};

use super::select::{EXCLUDE, Schemas, patterns, refuse_unreadable, schemas};
use super::{open_both, sources, undecided};

use shown::Shown;

pub(super) async fn run(context: &Context, args: args::Timeline) -> Result<Code, Failure> {
    let width = bucket(&args.bucket)?;
    let patterns = patterns(&args.tables)?;
    let snapshot_time = sources::snapshot_time(context, &args.evidence)?;
    let both = open_both(context).await?;
    let Schemas {
        snapshot,
        mut pairs,
        ..
    } = schemas(&both, &context.config.renames, &args.tables).await?;
    pairs.retain(|(t, _)| patterns.chooses(t));
    refuse_unreadable(&both, &pairs, EXCLUDE)?;
    let mut evidence =
        sources::open(context, &args.evidence, &both, &snapshot, &pairs, true).await?;
    let sides = Sides::open(&both.snapshot, &both.live, usize::from(args.jobs)).await?;
    let sink = |event: Event| context.ui.event(&event);
    let everything = Selection::default();
    let dated = date(
        &sides,
        pairs,
        &mut evidence.sources,
        snapshot_time,
        &everything,
        &sink,
    )
    .await?;
    let contradictions = undecided::contradictions(context, &dated)?;
    let drawn = timeline(&dated.findings, width, |node| {
        dated.candidates.place(node).0
    });
    if too_many(&drawn, width) {
        return Err(Failure::usage(format!(
            "--bucket {} gives more than {MOST_BUCKETS} lines between the first deletion and the last",
            args.bucket
        ))
        .hint("choose a wider one, such as 1h"));
    }
    let shown = Shown {
        dated: &dated,
        drawn: &drawn,
        width,
    };
    let json = shown.json(&evidence.missing, contradictions);
    let text = format!("{json:#}");
    context.write("timeline.json", text.as_bytes())?;
    match context.format {
        Format::Json => context.ui.data(&text),
        Format::Text => shown.print(context),
    }
    if evidence.sources.is_empty() && dated.rows > 0 {
        let missing = evidence.missing.join("; ");
        context
            .ui
            .status(&format!("nothing tells when; what would: {missing}"));
    }
    Ok(Code::Done)
}

fn bucket(text: &str) -> Result<SignedDuration, Failure> {
    text.parse::<SignedDuration>()
        .ok()
        .filter(|d| *d >= SignedDuration::from_millis(1))
        .ok_or_else(|| {
            Failure::usage(format!("--bucket `{text}` is no length of time"))
                .hint("write it like 10s, 1m or 1h")
        })
}

fn too_many(drawn: &Timeline, width: SignedDuration) -> bool {
    let span = drawn.span.and_then(|s| Some(s.to.duration_since(s.from?)));
    span.is_some_and(|s| s.as_micros() / width.as_micros().max(1) > i128::from(MOST_BUCKETS))
}
