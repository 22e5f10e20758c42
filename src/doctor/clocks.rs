//! Clocks: a window given by one clock means another time on a server whose clock differs.

use jiff::Timestamp;

use crate::clock::Clock;
use crate::pg::{PgError, Session};

use super::{Findings, Level, Side};

/// Differences that are worth a word, in seconds.
const NOTICED: f64 = 1.0;

/// Compares the server's clock with this machine's. What the answer's way took is not told from a difference.
pub(super) async fn look(
    session: &Session,
    side: Side,
    clock: &dyn Clock,
    findings: &mut Findings,
) -> Result<(), PgError> {
    let sql = "select extract(epoch from clock_timestamp())::float8";
    let before = seconds(clock.now());
    let row = session.query_one("asking for the time", sql, &[]).await?;
    let after = seconds(clock.now());
    let ahead: f64 = row.get::<_, f64>(0) - (before + after) / 2.0;
    let way = (after - before).max(0.0) / 2.0;
    if ahead.abs() <= NOTICED + way {
        return Ok(());
    }
    let word = if ahead > 0.0 { "ahead of" } else { "behind" };
    let text = format!(
        "its clock is {:.1} s {word} this machine's",
        ahead.abs().max(0.1)
    );
    findings.add(Level::Warning, side, "clock", text).advice(
        "--from and --to are times of live's clock; a log of another machine needs the difference as slack",
    );
    Ok(())
}

/// Says that two servers' clocks cannot be compared with each other where one of them is off.
pub(super) fn compare(findings: &mut Findings) {
    let off = findings.0.iter().filter(|f| f.code == "clock").count();
    if off == 0 {
        let text = "the clocks of both servers and of this machine agree within about a second";
        findings.add(Level::Good, Side::Both, "clocks", text);
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_microsecond() as f64 / 1e6
}
