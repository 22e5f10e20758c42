//! How a run compares with the plan that it was begun with, for people.

use crate::restore::Prediction;

/// Differences named on the terminal.
const LISTED: usize = 10;

pub(super) fn lines(prediction: &Prediction) -> Vec<String> {
    if prediction.held {
        return vec![format!("as plan {} foretold", prediction.plan)];
    }
    let mut lines = Vec::new();
    for other in &prediction.units {
        lines.push(match (&other.foretold, &other.outcome) {
            (Some(reason), _) => format!(
                "unit {} ({}) came; the plan had left it out: {reason}",
                other.unit, other.root
            ),
            (None, reason) => format!(
                "unit {} ({}) was left out; in the plan it came: {}",
                other.unit,
                other.root,
                reason.as_deref().unwrap_or_default()
            ),
        });
    }
    for other in &prediction.rows {
        lines.push(format!(
            "{}: {} {}, {} in the plan",
            other.table,
            other.outcome,
            other.state.replace('_', " "),
            other.foretold
        ));
    }
    let more = lines.len().saturating_sub(LISTED);
    lines.truncate(LISTED);
    if more > 0 {
        lines.push(format!("… and {more} more; --format json has all"));
    }
    lines.insert(0, format!("other than plan {} foretold:", prediction.plan));
    lines
}
