//! The sources of evidence that a command uses, and what to say where there are none.

use jiff::Timestamp;

use crate::catalog::{Comparable, Drift, Schema};
use crate::cli::args::{self, SourceArg};
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::evidence::audit::Audit;
use crate::evidence::bracket::{After, Bracket};
use crate::evidence::dead_tuples::{self, DeadTuples};
use crate::evidence::{EvidenceSource, now};
use crate::ident::TableName;
use crate::pg::{Access, Session, same_database};

use super::Both;

/// Sources, and why others are not among them.
pub(super) struct Sources {
    pub(super) sources: Vec<Box<dyn EvidenceSource>>,
    /// What each source that is not used would take.
    pub(super) missing: Vec<String>,
}

/// A difference of clocks that is worth a word.
const CLOCKS_DIFFER: i64 = 2;

/// Opens the sources that were asked for; without a word on that, all that can be used. `dating` is whether anything
/// depends on times: otherwise the pages of dead tuples are not read.
pub(super) async fn open(
    context: &Context,
    args: &args::Evidence,
    both: &Both,
    snapshot: &Schema,
    pairs: &[(TableName, Result<Box<Comparable>, Drift>)],
    dating: bool,
) -> Result<Sources, Failure> {
    if args.evidence.contains(&SourceArg::Wal) {
        return Err(
            Failure::usage("this version does not read WAL as evidence").hint(
                "use --after, [[audit]] or dead tuples; keep the WAL archive, a later version reads it",
            ),
        );
    }
    let asked = |source| args.evidence.contains(&source);
    let wanted = |source| args.evidence.is_empty() || asked(source);
    let mut found = Sources {
        sources: Vec::new(),
        missing: Vec::new(),
    };
    if wanted(SourceArg::DeadTuples) && (dating || asked(SourceArg::DeadTuples)) {
        let explicit = asked(SourceArg::DeadTuples);
        found.dead_tuples(context, both, pairs, explicit).await?;
    }
    if wanted(SourceArg::Bracket) {
        found.bracket(context, args, both, snapshot).await?;
    }
    if wanted(SourceArg::Audit) {
        found.audit(context, both, asked(SourceArg::Audit)).await?;
    }
    clocks(context, both).await?;
    Ok(found)
}

impl Sources {
    async fn dead_tuples(
        &mut self,
        context: &Context,
        both: &Both,
        pairs: &[(TableName, Result<Box<Comparable>, Drift>)],
        asked: bool,
    ) -> Result<(), Failure> {
        let live = evidence_session(context, both, true).await?;
        if let (Some(reason), false) = (dead_tuples::obstacle(&live).await?, asked) {
            self.missing.push(format!("dead-tuples: {reason}"));
            return Ok(());
        }
        let tables = pairs.iter().filter_map(|(_, p)| p.as_deref().ok());
        let snapshot = evidence_session(context, both, false).await?;
        let source = DeadTuples::new(live, snapshot, tables).await?;
        self.sources.push(Box::new(source));
        Ok(())
    }

    async fn bracket(
        &mut self,
        context: &Context,
        args: &args::Evidence,
        both: &Both,
        snapshot: &Schema,
    ) -> Result<(), Failure> {
        if args.after.len() != args.after_time.len() {
            return Err(Failure::usage(format!(
                "{} --after, but {} --after-time: they go in pairs",
                args.after.len(),
                args.after_time.len()
            ))
            .hint("the time is that of the state it holds: the target of a point-in-time clone, the start of a dump"));
        }
        if args.after.is_empty() {
            let how = "bracket: restore a second backup, from after the incident, or clone one to a point in time just \
                       before it and one just after, and give --after and --after-time for each";
            self.missing.push(how.to_owned());
            return match args.evidence.contains(&SourceArg::Bracket) {
                true => Err(Failure::usage(
                    "--evidence bracket needs --after and --after-time",
                )),
                false => Ok(()),
            };
        }
        let mut afters = Vec::new();
        for (text, time) in args.after.iter().zip(&args.after_time) {
            let time = moment("--after-time", time)?;
            let conninfo = context.after(text)?;
            let session = context
                .open(&conninfo, Access::Reading, "evidence")
                .await
                .map_err(|e| e.about("after"))?;
            for (side, other) in [
                ("live", &both.live_session),
                ("snapshot", &both.snapshot_session),
            ] {
                if same_database(&session, other).await? {
                    return Err(Failure::refused(format!(
                        "--after and --{side} reach the same database ({})",
                        other.target()
                    ))
                    .hint(
                        "an after-snapshot is a database of its own, restored from a later backup",
                    ));
                }
            }
            let after = After::new(session, time, snapshot, &context.config.renames).await?;
            if after.is_stranger() {
                return Err(Failure::usage(format!(
                    "the after-snapshot of {time} ({}) has no table in common with the snapshot",
                    after.target()
                ))
                .hint("is it the wrong database, or still empty?"));
            }
            afters.push(after);
        }
        let own = evidence_session(context, both, false).await?;
        self.sources.push(Box::new(Bracket::new(own, afters)));
        Ok(())
    }

    async fn audit(&mut self, context: &Context, both: &Both, asked: bool) -> Result<(), Failure> {
        if context.config.audits.is_empty() {
            let how = "audit: if the application logs deletions, say where: [[audit]] in reinstate.toml, with table and \
                       live_sql or file";
            self.missing.push(how.to_owned());
            return match asked {
                true => Err(Failure::usage(
                    "--evidence audit needs [[audit]] in reinstate.toml",
                )),
                false => Ok(()),
            };
        }
        let snapshot = evidence_session(context, both, false).await?;
        let live = evidence_session(context, both, true).await?;
        let source = Audit::new(context.config.audits.clone(), snapshot, live);
        self.sources.push(Box::new(source));
        Ok(())
    }

    /// Adds to a failure for want of evidence what would help.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        if self.missing.is_empty() || failure.hint.is_some() {
            return failure;
        }
        failure.hint(format!("what would tell: {}", self.missing.join("; ")))
    }
}

async fn evidence_session(context: &Context, both: &Both, live: bool) -> Result<Session, Failure> {
    let conninfo = if live { &both.live } else { &both.snapshot };
    context.open(conninfo, Access::Reading, "evidence").await
}

/// Windows and audits speak by live's clock; people, by theirs.
async fn clocks(context: &Context, both: &Both) -> Result<(), Failure> {
    let before = context.clock.now();
    let live = now(&both.live_session).await?;
    let asked = (before, context.clock.now());
    if let Some(warning) = clocks_differ(live, asked) {
        context.ui.warning(&warning);
    }
    Ok(())
}

/// What to say of live's clock, read at some moment between two of this machine's clock.
fn clocks_differ(live: Timestamp, (before, after): (Timestamp, Timestamp)) -> Option<String> {
    let (seconds, how) = if live < before {
        (before.duration_since(live).as_secs(), "behind")
    } else {
        (live.duration_since(after).as_secs(), "ahead of")
    };
    (seconds >= CLOCKS_DIFFER).then(|| {
        format!(
            "live's clock is {seconds} s {how} this machine's: times of the window and of the evidence are by live's clock"
        )
    })
}

/// Reads a time that was typed.
pub(super) fn moment(option: &str, text: &str) -> Result<Timestamp, Failure> {
    text.parse::<Timestamp>().map_err(|_| {
        Failure::usage(format!(
            "{option} `{text}` is not an RFC 3339 time with an offset"
        ))
        .hint("write it like 2020-01-21T03:00:00+01:00, or with Z for UTC")
    })
}

/// The time of the backup, from the command line or the configuration.
pub(super) fn snapshot_time(
    context: &Context,
    args: &args::Evidence,
) -> Result<Option<Timestamp>, Failure> {
    let text = args
        .snapshot_time
        .as_ref()
        .or(context.config.snapshot_time.as_ref());
    text.map(|t| moment("snapshot time", t)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told_apart_from_a_slow_answer() {
        let at = |s: i64| Timestamp::from_second(1_579_620_000 + s).unwrap();
        let asked = (at(0), at(10));
        for live in [-1, 0, 5, 10, 11] {
            assert_eq!(clocks_differ(at(live), asked), None, "{live}");
        }
        let behind = clocks_differ(at(-3_600), asked).unwrap();
        assert!(behind.contains("3600 s behind this machine's"), "{behind}");
        let ahead = clocks_differ(at(12), asked).unwrap();
        assert!(ahead.contains("2 s ahead of this machine's"), "{ahead}");
    }
}
