//! What a session of the application is going to do: invented from a seed, before anything runs.

use crate::support::Dice;

/// Sessions of the application at the same time; each writes to a column of its own, so that the last write is known.
pub(super) const SESSIONS: u64 = 3;
/// Steps of a session in an act.
const STEPS: u64 = 20;
/// The steps from here on wait until the first batch has come back, or all is over.
pub(super) const LATER: u64 = 6;
/// The last step before those waits until the command is connected: here and there the wild session claims a key for longer than any statement of ours may wait.
pub(super) const CLAIM: u64 = LATER - 1;
/// Dossiers and users at the beginning.
pub(super) const DOSSIERS: u64 = 24;
pub(super) const USERS: u64 = 6;
/// Users after those, whom of all sessions only the wild one touches; the dossiers that are its own belong to them.
pub(super) const WILD_USERS: u64 = 3;
/// The session that takes its rows in any order: nobody else of the application touches them, so that a deadlock is not its own.
pub(super) const WILD: u64 = SESSIONS - 1;
/// Notes, which may refer to a dossier; each session has its own.
pub(super) const NOTES: u64 = 2 * DOSSIERS;

/// One step, with the pause before it in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) pause: u64,
    pub(super) deed: Deed,
}

/// What the wild session does to one of its rows.
#[derive(Debug, Clone)]
pub(super) enum Touch {
    LockUser(u64),
    EditUser(u64),
    EditChamp(u64),
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
    /// The same, unless it is there: then it is written to, or left as it is.
    Upsert { dossier: u64, write: bool },
    /// Gives somebody the e-mail of a dossier that may be gone.
    TakeEmail { of: u64, id: u64 },
    /// The same, unless somebody has it: who is then written to, or left as he is.
    UpsertEmail { of: u64, id: u64, write: bool },
    /// Locks a user for some milliseconds, up to seconds.
    LockParent {
        user: u64,
        strength: &'static str,
        hold: u64,
    },
    /// Locks dossiers, which may have just come back.
    LockRows {
        dossiers: Vec<u64>,
        strength: &'static str,
        hold: u64,
    },
    /// Locks a user for some milliseconds and then claims the key of a dossier, which may be about to come back: what a restore holds
    /// must not be what it waits for.
    LockAndClaim { user: u64, dossier: u64, hold: u64 },
    /// The other way round, which only the wild session may.
    ClaimAndLock { user: u64, dossier: u64, hold: u64 },
    /// Rows in any order, which only the wild session may.
    Wild { touches: Vec<Touch>, hold: u64 },
    /// Points a note at a dossier.
    Point { note: u64, dossier: u64 },
    /// Reads, waits, writes, as one snapshot.
    Serial { dossier: u64, hold: u64 },
    /// Takes what nobody holds.
    Queue,
    /// Locks a table as `create index` does.
    LockTable { hold: u64 },
}

/// The steps of one session. `act` counts from 0: what it adds has numbers of its own. `arbiter`: the constraint on e-mails can decide
/// an upsert, which a deferrable one cannot.
pub(super) fn invent(dice: &mut Dice, session: u64, act: u64, arbiter: bool) -> Vec<Step> {
    (0..STEPS)
        .map(|n| Step {
            pause: dice.below(if n < LATER { 30 } else { 12 }),
            deed: match (session, act, n) {
                (WILD, 0, CLAIM) if dice.chance(35) => claim(dice, 3000),
                _ => deed(dice, session, 1000 * act + n, arbiter),
            },
        })
        .collect()
}

/// The other way round than usual: a key first, which a restore may run into, and then a user whom it may hold.
fn claim(dice: &mut Dice, hold: u64) -> Deed {
    Deed::ClaimAndLock {
        user: USERS + 1 + dice.below(WILD_USERS),
        dossier: own(dice, WILD),
        hold,
    }
}

fn deed(dice: &mut Dice, session: u64, n: u64, arbiter: bool) -> Deed {
    let dossier = 1 + dice.below(DOSSIERS);
    let own = own(dice, session);
    let user = 1 + dice.below(USERS);
    let id = 100_000 * (session + 1) + n;
    let hold = match dice.chance(5) {
        true => 300 + dice.below(900),
        false => dice.below(30),
    };
    let short = hold.min(60);
    let write = dice.chance(50);
    match dice.below(100) {
        0..18 => Deed::Edit {
            users: some(dice, USERS, 2),
            dossiers: some(dice, DOSSIERS, 3),
            hold: short,
        },
        18..32 => Deed::AddChamp { dossier, id },
        32..40 => Deed::Delete { dossier: own },
        40..45 => Deed::Recreate { dossier: own },
        45..51 => Deed::Upsert {
            dossier: own,
            write,
        },
        51..56 => Deed::TakeEmail { of: dossier, id },
        56..60 if arbiter => Deed::UpsertEmail {
            of: dossier,
            id,
            write,
        },
        56..60 => Deed::TakeEmail { of: dossier, id },
        60..63 => Deed::LockAndClaim {
            user,
            dossier: own,
            hold: short,
        },
        63..69 => Deed::LockParent {
            user,
            strength: strength(dice),
            hold: 30 + hold,
        },
        69..75 => Deed::LockRows {
            dossiers: some(dice, DOSSIERS, 4),
            strength: strength(dice),
            hold: short,
        },
        75..84 if session == WILD => wild(dice, hold),
        84..88 if session == WILD => claim(dice, short),
        75..84 => Deed::Point {
            note: 1 + session + SESSIONS * dice.below(NOTES / SESSIONS),
            dossier,
        },
        84..94 => Deed::Serial {
            dossier,
            hold: 20 + short,
        },
        94..98 => Deed::Queue,
        _ => Deed::LockTable {
            hold: dice.below(200),
        },
    }
}

/// One of the dossiers that only this session creates and deletes.
fn own(dice: &mut Dice, session: u64) -> u64 {
    1 + session + SESSIONS * dice.below(DOSSIERS / SESSIONS)
}

fn strength(dice: &mut Dice) -> &'static str {
    dice.pick::<&'static str>(&["update", "update", "no key update", "share", "key share"])
}

/// Some of the wild session's users and of the champs of its dossiers, in any order.
fn wild(dice: &mut Dice, hold: u64) -> Deed {
    let touch = |dice: &mut Dice| {
        let user = USERS + 1 + dice.below(WILD_USERS);
        match dice.below(4) {
            0 => Touch::LockUser(user),
            1 => Touch::EditUser(user),
            // Champ n belongs to dossier 1 + n % DOSSIERS.
            _ => Touch::EditChamp(own(dice, WILD) - 1 + DOSSIERS * dice.below(4)),
        }
    };
    let touches = (0..2 + dice.below(4)).map(|_| touch(dice)).collect();
    let hold = hold.min(200);
    Deed::Wild { touches, hold }
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
