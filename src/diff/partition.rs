//! Compares what the bucket strategy set aside, a partition at a time.

use std::hash::{DefaultHasher, Hasher};

use super::DiffError;
use super::lines::key_of_line;
use super::recheck::count_again;
use super::set::{Surplus, compare_bags, compare_sets};
use super::spill::Spill;
use super::table::Work;

/// Bytes of a partition that are compared at once, a side, for each row of a chunk: 8 MB for the usual 50,000. In memory
/// they take two or three times as much.
const ROUND_BYTES: u64 = 160;

/// Compares one partition, in as many rounds as memory asks for: a round takes the keys (or contents) of one hash.
pub(super) async fn compare(
    work: &Work<'_>,
    a: &mut Spill,
    b: &mut Spill,
    partition: usize,
    surplus: &mut Vec<Surplus<Box<[u8]>>>,
) -> Result<(), DiffError> {
    let keyed = !work.table.key.is_empty();
    let failed = |cause| DiffError::Spill {
        table: work.table.snapshot.name.clone(),
        cause,
    };
    let rounds = a
        .bytes(partition)
        .max(b.bytes(partition))
        .div_ceil(ROUND_BYTES * work.options.chunk_rows.max(1));
    for round in 0..rounds {
        let wanted = |key: &[u8], hash: u64| {
            let mut hasher = DefaultHasher::new();
            if keyed {
                hasher.write(key);
            } else {
                hasher.write_u64(hash);
            }
            hasher.finish() % rounds == round
        };
        let rows_a = a.read(partition, wanted).map_err(failed)?;
        let rows_b = b.read(partition, wanted).map_err(failed)?;
        if !keyed {
            surplus.extend(compare_bags(rows_a, rows_b));
            continue;
        }
        let found = compare_sets(rows_a, rows_b)
            .into_iter()
            .map(|(c, k)| (c, key_of_line(&k)))
            .collect();
        if let (Some(snapshot), Some(live)) = (work.sides.snapshot.first(), work.sides.live.first())
        {
            work.confirm(snapshot, live, found).await?;
        }
    }
    a.clear(partition);
    b.clear(partition);
    Ok(())
}

/// Counts again, and hands on, what was found in a table without a key.
pub(super) async fn hand_on_surplus(
    work: &Work<'_>,
    surplus: &mut Vec<Surplus<Box<[u8]>>>,
) -> Result<(), DiffError> {
    if let Some(live) = work.sides.live.first() {
        count_again(work, live, surplus).await?;
    }
    let found = surplus
        .drain(..)
        .flat_map(|s| s.places.into_iter().map(move |p| (s.change, p)))
        .map(|(change, place)| (change, key_of_line(&place)));
    work.hand_on(found.collect());
    Ok(())
}
