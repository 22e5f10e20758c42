//! What cannot be known, in sentences: the same in every command.

use crate::diff::unknowable::{BornAndGone, Dangling, NEVER_SET_BACK, Unknowable};
use crate::ident::Key;

use super::output::{counted, grouped};

/// Tables named in one sentence.
const NAMED: usize = 8;

/// One line for each thing; none for what is known to be nothing.
pub(crate) fn lines(unknowable: &Unknowable) -> Vec<String> {
    let since = match &unknowable.since {
        Some(time) => format!("since the backup of {time}"),
        None => "since the backup".to_owned(),
    };
    let mut lines = Vec::new();
    lines.extend(stale(unknowable, &since));
    lines.extend(bounded(unknowable, &since));
    lines.extend(unbounded(unknowable, &since));
    lines.extend(numbered_earlier(unknowable));
    lines.extend(unknowable.dangling.iter().filter_map(dangling));
    lines
}

fn stale(unknowable: &Unknowable, since: &str) -> Option<String> {
    let rows: u64 = unknowable
        .may_be_stale
        .iter()
        .map(|s| s.rows - s.proven.min(s.rows))
        .sum();
    (rows > 0).then(|| {
        format!(
            "edits that people made to {} {since}, before {} deleted",
            counted(rows, "deleted row"),
            if rows == 1 { "it was" } else { "they were" }
        )
    })
}

/// Bounds, with what they assume: those of zero as well, which assume no less.
fn bounded(unknowable: &Unknowable, since: &str) -> Option<String> {
    let bounds = || {
        let all = unknowable.born_and_gone.iter();
        all.filter_map(|b| Some((b, b.at_most?)))
    };
    let some: Vec<String> = bounds()
        .filter(|(_, n)| *n > 0)
        .map(|(b, n)| format!("{} of {}{}", grouped(n), b.table, after(b)))
        .collect();
    let none: Vec<&str> = bounds()
        .filter(|(_, n)| *n == 0)
        .map(|(b, _)| b.table.as_str())
        .collect();
    let mut parts = Vec::new();
    if !some.is_empty() {
        parts.push(format!("at most {}", listed(&some)));
    }
    match none.as_slice() {
        [] => {}
        [one] => parts.push(format!("none of {one}")),
        several => parts.push(format!("none of {} tables", several.len())),
    }
    (!parts.is_empty()).then(|| {
        format!(
            "rows born {since} and deleted again: {} (numbers drawn and not in live, if {NEVER_SET_BACK})",
            parts.join("; ")
        )
    })
}

fn unbounded(unknowable: &Unknowable, since: &str) -> Option<String> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for born in unknowable
        .born_and_gone
        .iter()
        .filter(|b| b.at_most.is_none())
    {
        let reason = born.reason.as_deref().unwrap_or("unknown");
        match by_reason.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, tables)) => tables.push(born.table.clone()),
            None => by_reason.push((reason, vec![born.table.clone()])),
        }
    }
    let groups: Vec<String> = by_reason
        .iter()
        .map(|(reason, tables)| format!("{reason}: {}", listed(tables)))
        .collect();
    (!groups.is_empty()).then(|| {
        format!(
            "rows born {since} and deleted again, without a bound ({})",
            groups.join("; ")
        )
    })
}

fn numbered_earlier(unknowable: &Unknowable) -> Option<String> {
    let some: Vec<String> = unknowable
        .born_and_gone
        .iter()
        .filter(|b| b.numbered_earlier > 0 && b.at_most.is_some())
        .map(|b| format!("{} of {}", grouped(b.numbered_earlier), b.table))
        .collect();
    (!some.is_empty()).then(|| {
        format!(
            "rows that came and went outside these bounds: live has some that the backup lacks with numbers from before it, \
             drawn earlier and committed later, written by hand, or drawn after the sequence was set back: {}",
            listed(&some)
        )
    })
}
fn after(born: &BornAndGone) -> String {
    match (&born.column, born.after) {
        (Some(column), Some(number)) => format!(" beyond {column} {number}"),
        _ => String::new(),
    }
}

fn dangling(entry: &Dangling) -> Option<String> {
    let condition: Vec<String> = entry
        .when
        .iter()
        .map(|(column, value)| format!("{column} = {value}"))
        .collect();
    let from = match condition.is_empty() {
        true => entry.from.clone(),
        false => format!("{} where {}", entry.from, condition.join(" and ")),
    };
    if let Some(reason) = &entry.reason {
        return Some(format!(
            "whether {from} names rows that are gone: not looked at: {reason}"
        ));
    }
    let kinds = [
        (
            entry.in_snapshot,
            "in the backup",
            &entry.examples_in_snapshot,
        ),
        (
            entry.in_neither,
            "in neither database",
            &entry.examples_in_neither,
        ),
    ];
    let parts: Vec<String> = kinds
        .iter()
        .filter(|(n, _, _)| *n > 0)
        .map(|(n, what, examples)| format!("{} {what}{}", grouped(*n), examples_of(examples, *n)))
        .collect();
    let all = entry.in_snapshot + entry.in_neither;
    (all > 0).then(|| {
        format!(
            "{from} in live names {} that live lacks in {}: {}",
            counted(all, "row"),
            entry.to,
            parts.join(", ")
        )
    })
}

fn examples_of(examples: &[Key], all: u64) -> String {
    let mut shown: Vec<String> = examples.iter().map(ToString::to_string).collect();
    if all > examples.len() as u64 {
        shown.push("…".to_owned());
    }
    match shown.is_empty() {
        true => String::new(),
        false => format!(" ({})", shown.join(", ")),
    }
}

fn listed(items: &[String]) -> String {
    let named = items.iter().take(NAMED).cloned().collect::<Vec<_>>();
    match items.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::unknowable::MayBeStale;

    #[test]
    fn bounds_of_zero_are_summed_up() {
        let zero = |table: &str| BornAndGone {
            table: table.into(),
            at_most: Some(0),
            ..BornAndGone::default()
        };
        let found = Unknowable {
            born_and_gone: vec![zero("a"), zero("b")],
            ..Unknowable::default()
        };
        assert_eq!(
            lines(&found),
            [
                "rows born since the backup and deleted again: none of 2 tables (numbers drawn and not in live, if the sequence \
                 was never set back)"
            ]
        );
    }

    #[test]
    fn only_what_is_not_known_is_said() {
        assert_eq!(lines(&Unknowable::default()), [""; 0]);
        let born = |table: &str, at_most, reason: Option<&str>| BornAndGone {
            table: table.into(),
            at_most,
            column: Some("id".into()),
            after: Some(10),
            reason: reason.map(str::to_owned),
            ..BornAndGone::default()
        };
        let found = Unknowable {
            since: Some("2020-01-21T02:00:00Z".into()),
            born_and_gone: vec![
                born("a", Some(0), None),
                born("b", Some(1_200), None),
                born("c", None, Some("no key")),
                born("d", None, Some("no key")),
            ],
            dangling: vec![Dangling {
                from: "a(b_id)".into(),
                to: "b(id)".into(),
                when: vec![("kind".into(), "B".into())],
                in_snapshot: 0,
                in_neither: 1,
                before: 7,
                examples_in_neither: vec![Key(vec!["12".into()])],
                ..Dangling::default()
            }],
            may_be_stale: vec![
                MayBeStale {
                    table: "a".into(),
                    rows: 3,
                    proven: 2,
                },
                MayBeStale {
                    table: "b".into(),
                    rows: 5,
                    proven: 5,
                },
            ],
        };
        assert_eq!(
            lines(&found),
            [
                "edits that people made to 1 deleted row since the backup of 2020-01-21T02:00:00Z, before it was deleted",
                "rows born since the backup of 2020-01-21T02:00:00Z and deleted again: at most 1,200 of b beyond id 10; \
                 none of a (numbers drawn and not in live, if the sequence was never set back)",
                "rows born since the backup of 2020-01-21T02:00:00Z and deleted again, without a bound (no key: c, d)",
                "a(b_id) where kind = B in live names 1 row that live lacks in b(id): 1 in neither database (12)",
            ]
        );
    }
}
