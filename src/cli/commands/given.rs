//! Options that several commands take: what they mean, and how they are typed again.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cli::args::{self, TriggersArg};
use crate::cli::error::Failure;
use crate::restore::{Triggers, accepting};

/// A time such as `50ms`; the default where none was given. `name` is the option's.
pub(super) fn time(
    name: &str,
    text: Option<&String>,
    default: Duration,
) -> Result<Duration, Failure> {
    match text {
        None => Ok(default),
        Some(text) => duration(text).ok_or_else(|| {
            Failure::usage(format!(
                "{name}: `{text}` is not a time; write it like 50ms or 5s"
            ))
        }),
    }
}

/// What was said about triggers; each that is accepted once, in one order: the same wish gives the same plan.
pub(super) fn triggers(args: &args::Triggers) -> Result<(Option<Triggers>, Vec<String>), Failure> {
    let accepted: BTreeSet<String> = args.accept_trigger.iter().cloned().collect();
    if !accepted.is_empty() && args.triggers == Some(TriggersArg::Fire) {
        return Err(Failure::usage(
            "--accept-trigger goes with --triggers suppress: with --triggers fire all of them fire",
        ));
    }
    let how = args.triggers.map(|how| match how {
        TriggersArg::Fire => Triggers::Fire,
        TriggersArg::Suppress => Triggers::Suppress,
    });
    Ok((how, accepted.into_iter().collect()))
}

/// The options that say the same about triggers.
pub(super) fn triggers_again(how: Option<Triggers>, accepted: &[String]) -> Vec<String> {
    let how = how.map(|how| match how {
        Triggers::Fire => "--triggers fire".to_owned(),
        Triggers::Suppress => "--triggers suppress".to_owned(),
    });
    let accepted = accepted.iter().map(|name| accepting(name));
    how.into_iter().chain(accepted).collect()
}

/// The option that says the same about a unit's time, where it is not the default.
pub(super) fn unit_time_again(time: Duration, default: Duration) -> Option<String> {
    (time != default).then(|| format!("--max-unit-time {}ms", time.as_millis()))
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok().filter(|n| *n > 0)?;
    match text[digits..].trim() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "min" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(duration("50ms"), Some(Duration::from_millis(50)));
        assert_eq!(duration("2 s"), Some(Duration::from_secs(2)));
        assert_eq!(duration("1min"), Some(Duration::from_secs(60)));
        for wrong in ["", "5", "0s", "-1s", "5h"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
