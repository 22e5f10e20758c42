//! What a session of the application is going to do: invented from a seed, before anything runs.

use crate::support::Dice;

/// Sessions of the application at the same time; each writes to a column of its own, so that the last write is known.
pub(super) const SESSIONS: u64 = 3;
/// Steps of a session in an act.
const STEPS: u64 = 16;
/// Dossiers and users at the beginning.
pub(super) const DOSSIERS: u64 = 24;
pub(super) const USERS: u64 = 6;

/// One step, with the pause before it in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) pause: u64,
    pub(super) deed: Deed,
}

/// A transaction of the application. Rows of several tables are always locked in the same order, users first: two sessions of the
/// application never lock each other out, so that a deadlock is somebody else's doing.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    /// Writes to dossiers, perhaps to users before, and holds them for some milliseconds.
    Edit {
        users: Vec<u64>,
        dossiers: Vec<u64>,
        hold: u64,
    },
    /// Adds a champ to a dossier that may not be there (yet).
    AddChamp { dossier: u64, id: u64 },
    /// Deletes a dossier with all that hangs from it; each session has its own.
    Delete { dossier: u64 },
    /// Creates a dossier under a key that was given before; each session has its own.
    Recreate { dossier: u64 },
    /// Gives somebody the e-mail of a dossier that may be gone.
    TakeEmail { of: u64, id: u64 },
    /// Locks a user for some milliseconds, up to seconds.
    LockParent { user: u64, hold: u64 },
    /// Locks a user for some milliseconds and then claims the key of a dossier, which may be about to come back: what a restore holds
    /// must not be what it waits for.
    LockAndClaim { user: u64, dossier: u64, hold: u64 },
    /// Reads, waits, writes, as one snapshot.
    Serial { dossier: u64, hold: u64 },
    /// Takes what nobody holds.
    Queue,
    /// Locks a table as `create index` does.
    LockTable { hold: u64 },
}

/// The steps of one session.
/// `act` counts from 0: what it adds has numbers of its own.
pub(super) fn invent(dice: &mut Dice, session: u64, act: u64) -> Vec<Step> {
    (1000 * act..1000 * act + STEPS)
        .map(|n| Step {
            pause: dice.below(40),
            deed: deed(dice, session, n),
        })
        .collect()
}

fn deed(dice: &mut Dice, session: u64, n: u64) -> Deed {
    let dossier = 1 + dice.below(DOSSIERS);
    let own = 1 + session + SESSIONS * dice.below(DOSSIERS / SESSIONS);
    let id = 100_000 * (session + 1) + n;
    let hold = match dice.chance(5) {
        true => 300 + dice.below(900),
        false => dice.below(30),
    };
    match dice.below(100) {
        0..30 => Deed::Edit {
            users: some(dice, USERS, 2),
            dossiers: some(dice, DOSSIERS, 3),
            hold: hold.min(60),
        },
        30..50 => Deed::AddChamp { dossier, id },
        50..58 => Deed::Delete { dossier: own },
        58..66 => Deed::Recreate { dossier: own },
        66..72 => Deed::TakeEmail { of: dossier, id },
        72..77 => Deed::LockAndClaim {
            user: 1 + dice.below(USERS),
            dossier: own,
            hold: hold.min(60),
        },
        77..84 => Deed::LockParent {
            user: 1 + dice.below(USERS),
            hold,
        },
        84..92 => Deed::Serial {
            dossier,
            hold: hold.min(60),
        },
        92..97 => Deed::Queue,
        _ => Deed::LockTable {
            hold: dice.below(200),
        },
    }
}

/// Up to `most` different numbers from 1, in order.
fn some(dice: &mut Dice, of: u64, most: u64) -> Vec<u64> {
    let mut all: Vec<u64> = (0..dice.below(most + 1))
        .map(|_| 1 + dice.below(of))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}
