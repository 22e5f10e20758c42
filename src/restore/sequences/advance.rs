//! Moves sequences forward while others draw from them.
//!
//! The journal has the intention first and the outcome afterwards: what `nextval` and `setval` do comes back with no
//! transaction. Killed in between, the next run looks where the sequence stands and goes on from there.
//!
//! A number that somebody has drawn and not committed yet is the last danger: he would find it taken by our row. So those
//! who hold the sequence when it has been moved are waited for, a while.

use std::time::Duration;

use crate::event::{Event, Sink};
use crate::ident::{RunId, quote_literal};
use crate::journal::SequenceMoves;
use crate::pg::{PgError, Session};
use crate::restore::writers;

use super::{Position, Sequence, SequenceMove};

/// Numbers that one statement draws.
const AT_ONCE: i128 = 10_000;
/// Looks at one sequence before it is given up: each moves it, unless somebody sets it back all the time.
const LOOKS: u32 = 1_000;
/// How long those are waited for who have drawn a number and not ended their transaction.
const PATIENCE: Duration = Duration::from_secs(10);

/// Moves what was decided to be moved; returns all of it with where each stands afterwards.
///
/// A sequence that cannot be moved after all has its reason: it stops nothing. Errors: the connection was lost.
pub(crate) async fn advance(
    session: &Session,
    run: &RunId,
    sequences: &[Sequence],
    decided: Vec<SequenceMove>,
    sink: Sink<'_>,
) -> Result<Vec<SequenceMove>, PgError> {
    let mut all = Vec::with_capacity(decided.len());
    for mut one in decided {
        let sequence = sequences
            .iter()
            .find(|s| s.name.to_string() == one.sequence);
        if let (Some(sequence), Some(_)) = (sequence, one.to) {
            match move_one(session, run, sequence, &one, sink).await {
                Ok(after) => one.to = Some(after),
                Err(error) if error.sqlstate().is_none() => return Err(error),
                Err(error) => {
                    one.to = None;
                    one.reason = Some(error.to_string());
                }
            }
        }
        all.push(one);
    }
    recorded(session, run, sequences, &mut all).await?;
    Ok(all)
}

/// Adds what the same run moved before it was stopped, and completes what it was stopped in.
async fn recorded(
    session: &Session,
    run: &RunId,
    sequences: &[Sequence],
    all: &mut Vec<SequenceMove>,
) -> Result<(), PgError> {
    let moves = SequenceMoves::new(session);
    for moved in moves.of(run).await? {
        let known = |one: &SequenceMove| one.sequence == moved.sequence && one.to.is_some();
        let sequence = sequences
            .iter()
            .find(|s| s.name.to_string() == moved.sequence);
        let Some(sequence) = sequence.filter(|_| !all.iter().any(known)) else {
            continue;
        };
        let mut after = moved.after;
        if let (None, Some(position)) = (after, sequence.position(session).await?) {
            moves.end(run, &moved.sequence, position.last_value).await?;
            after = Some(position.last_value);
        }
        all.push(SequenceMove {
            from: Some(moved.before),
            to: after,
            ..sequence.described(sequence.along(i128::from(moved.key)))
        });
    }
    Ok(())
}

async fn move_one(
    session: &Session,
    run: &RunId,
    sequence: &Sequence,
    decided: &SequenceMove,
    sink: Sink<'_>,
) -> Result<i64, PgError> {
    let moves = SequenceMoves::new(session);
    let key = sequence.along(i128::from(decided.key));
    let before = position(session, sequence).await?;
    moves
        .begin(run, &decided.sequence, before.last_value, decided.key)
        .await?;
    let after = past(session, sequence, key).await?;
    moves.end(run, &decided.sequence, after.last_value).await?;
    sink(Event::SequenceMoved {
        sequence: decided.sequence.clone(),
        from: before.last_value,
        to: after.last_value,
    });
    match writers::ended(session, &sequence.name.sql(), PATIENCE).await {
        Err(error) if error.is_transient() => sink(Event::Note {
            text: format!(
                "somebody has drawn from sequence {} and not ended his transaction for {PATIENCE:?}; what he inserts under \
                 a number drawn before can meet a row that comes back",
                sequence.name
            ),
        }),
        ended => ended?,
    }
    Ok(after.last_value)
}

/// Moves it until nothing at or before `key` is handed out any more, as seen after the last move.
async fn past(session: &Session, sequence: &Sequence, key: i128) -> Result<Position, PgError> {
    for _ in 0..LOOKS {
        let position = position(session, sequence).await?;
        if !sequence.before(position, key) {
            return Ok(position);
        }
        let (goal, steps) = sequence.goal(position, key);
        match steps > sequence.margin() {
            true => leap(session, sequence, goal).await?,
            false => step(session, sequence, steps.clamp(1, AT_ONCE)).await?,
        }
    }
    let doing = format!(
        "moving sequence {}, which is set back again and again",
        sequence.name
    );
    Err(PgError::held(session, &doing))
}

async fn position(session: &Session, sequence: &Sequence) -> Result<Position, PgError> {
    let found = sequence.position(session).await?;
    let doing = format!("looking where sequence {} stands", sequence.name);
    found.ok_or_else(|| PgError::held(session, &doing))
}

/// Draws numbers and throws them away.
async fn step(session: &Session, sequence: &Sequence, steps: i128) -> Result<(), PgError> {
    let sql = format!(
        "select count(nextval({}::regclass)) from generate_series(1, {steps})",
        quote_literal(&sequence.name.sql())
    );
    let doing = format!("drawing from sequence {}", sequence.name);
    session.ask(&doing, &sql, &[]).await?;
    Ok(())
}

/// Sets it, if it is still so far before that nobody can overtake the statement.
async fn leap(session: &Session, sequence: &Sequence, goal: i128) -> Result<(), PgError> {
    let far = sequence.number(goal - sequence.margin() * sequence.increment);
    let still = if sequence.descending { ">" } else { "<" };
    let (name, goal) = (sequence.name.sql(), sequence.number(goal));
    let sql = format!(
        "select setval({}::regclass, {goal}, true) from {name} where last_value {still}= {far}",
        quote_literal(&name)
    );
    let doing = format!("setting sequence {}", sequence.name);
    session.ask(&doing, &sql, &[]).await?;
    Ok(())
}
