//! Keys of fixed width, and the hashes of their rows, in two byte strings: no message a row, which is what a stream of
//! keys mostly costs.

use crate::catalog::Table;
use crate::ident::{Key, quote_ident};
use crate::pg::{PgError, Session};

use super::Change;
use super::bounds::KeyRange;
use super::set::{compare_sets, merge};

/// A key of fixed width: an integer (with its sign flipped, so that bytes sort as numbers) or a uuid.
type Packed = u128;

/// How a key of fixed width travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Integer,
    Uuid,
}

impl Packing {
    /// The packing of a built-in type, if it has one.
    pub(super) fn of(builtin: Option<&str>) -> Option<Self> {
        match builtin? {
            "int2" | "int4" | "int8" | "oid" => Some(Self::Integer),
            "uuid" => Some(Self::Uuid),
            _ => None,
        }
    }

    fn send(self, column: &str) -> String {
        match self {
            Self::Integer => format!("int8send({column}::int8)"),
            Self::Uuid => format!("uuid_send({column})"),
        }
    }

    /// Reads one key, eight or sixteen bytes long.
    fn pack(self, bytes: &[u8]) -> Packed {
        match self {
            Self::Integer => Packed::from(be64(bytes) ^ (1 << 63)),
            Self::Uuid => bytes.try_into().map_or(0, Packed::from_be_bytes),
        }
    }

    fn width(self) -> usize {
        match self {
            Self::Integer => 8,
            Self::Uuid => 16,
        }
    }

    /// The key as text.
    fn unpack(self, key: Packed) -> Key {
        match self {
            // The lower 64 bits, with the sign flipped back.
            Self::Integer => Key(vec![((key as u64 ^ (1 << 63)) as i64).to_string()]),
            Self::Uuid => {
                let hex = format!("{key:032x}");
                let parts = [
                    &hex[..8],
                    &hex[8..12],
                    &hex[12..16],
                    &hex[16..20],
                    &hex[20..],
                ];
                Key(vec![parts.join("-")])
            }
        }
    }
}

/// Rows of a range as the server packed them.
pub(super) struct PackedRows {
    packing: Packing,
    keys: Vec<u8>,
    /// Empty where no hashes were asked for.
    hashes: Vec<u8>,
}

impl PackedRows {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len() / self.packing.width()
    }

    /// Keys with hashes (zero where there are none), in the order in which they came.
    fn rows(&self) -> impl Iterator<Item = (Packed, u64)> {
        let mut hashes = self.hashes.chunks_exact(8).map(be64);
        self.keys
            .chunks_exact(self.packing.width())
            .map(move |k| (self.packing.pack(k), hashes.next().unwrap_or(0)))
    }

    /// Whether they came in the order of the key, as an index scan delivers them.
    fn is_sorted(&self) -> bool {
        self.rows().is_sorted_by_key(|row| row.0)
    }
}

/// What differs between two sides, packed alike.
pub(super) fn compare(snapshot: &PackedRows, live: &PackedRows) -> Vec<(Change, Key)> {
    let found = if snapshot.is_sorted() && live.is_sorted() {
        merge(snapshot.rows(), live.rows())
    } else {
        compare_sets(snapshot.rows().collect(), live.rows().collect())
    };
    let packing = snapshot.packing;
    found
        .into_iter()
        .map(|(change, key)| (change, packing.unpack(key)))
        .collect()
}

/// What travels of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Travel {
    Keys,
    /// The keys, and one XOR of the hashes of all rows' content.
    KeysAndSum,
    /// The keys, each with its row's hash.
    Hashes,
}

/// Fetches a range; the sum is zero where it was not asked for. `asked` is how keys are packed, their column, what
/// travels, and the expression that hashes a row's content.
pub(super) async fn fetch(
    session: &Session,
    table: &Table,
    range: &KeyRange,
    asked: (Packing, &str, Travel, &str),
) -> Result<(PackedRows, i64), PgError> {
    let (packing, column, travel, hash) = asked;
    let key = table.column(column).into_iter().collect::<Vec<_>>();
    let condition = range.condition(&key);
    let keys = packing.send(&format!("t.{}", quote_ident(column)));
    let (hashes, sum) = match travel {
        Travel::Keys => ("null::bytea".to_owned(), "0::int8".to_owned()),
        Travel::KeysAndSum => ("null::bytea".to_owned(), format!("bit_xor({hash})")),
        Travel::Hashes => (
            format!("string_agg(int8send({hash}), null)"),
            "0::int8".to_owned(),
        ),
    };
    let sql = format!(
        "select string_agg({keys}, null), {hashes}, {sum} from {} t where {condition}",
        table.from_sql()
    );
    let answer = session
        .ask(&format!("reading the keys of {}", table.name), &sql, &[])
        .await?;
    let row = answer.first();
    let bytes = |column: usize| {
        row.and_then(|row| row.get::<_, Option<Vec<u8>>>(column))
            .unwrap_or_default()
    };
    let rows = PackedRows {
        packing,
        keys: bytes(0),
        hashes: bytes(1),
    };
    Ok((rows, row.and_then(|row| row.get(2)).unwrap_or(0)))
}

fn be64(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_keys_come_back_and_sort() {
        let numbers = [i64::MIN, -1, 0, 1, i64::MAX];
        let packed: Vec<Packed> = numbers
            .iter()
            .map(|n| Packing::Integer.pack(&n.to_be_bytes()))
            .collect();
        assert!(packed.is_sorted());
        for (n, p) in numbers.iter().zip(packed) {
            assert_eq!(Packing::Integer.unpack(p), Key(vec![n.to_string()]));
        }
        let uuid = 0x0123_4567_89ab_cdef_0011_2233_4455_6677_u128;
        let packed = Packing::Uuid.pack(&uuid.to_be_bytes());
        assert_eq!(
            Packing::Uuid.unpack(packed).0,
            ["01234567-89ab-cdef-0011-223344556677"]
        );
    }
}
