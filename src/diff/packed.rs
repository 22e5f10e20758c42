//! Keys of fixed width, and the hashes of their rows, in two byte strings: no message a row, which is what a stream of
//! keys mostly costs.

use crate::catalog::Table;
use crate::ident::{Key, quote_ident};
use crate::pg::{PgError, Session};

use super::bounds::KeyRange;

/// A key of fixed width: an integer (with its sign flipped, so that bytes sort as numbers) or a uuid.
pub(super) type Packed = u128;

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
            Self::Uuid => bytes.iter().fold(0, |n, b| (n << 8) | Packed::from(*b)),
        }
    }

    fn width(self) -> usize {
        match self {
            Self::Integer => 8,
            Self::Uuid => 16,
        }
    }

    /// The key as text.
    pub(super) fn unpack(self, key: Packed) -> Key {
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

/// Fetches the keys of a range, with the rows' hashes where an expression for them is given (zero otherwise).
pub(super) async fn fetch(
    session: &Session,
    table: &Table,
    column: &str,
    packing: Packing,
    range: &KeyRange,
    hash: Option<&str>,
) -> Result<Vec<(Packed, u64)>, PgError> {
    let key = table.column(column).into_iter().collect::<Vec<_>>();
    let condition = range.condition(&key);
    let keys = packing.send(&format!("t.{}", quote_ident(column)));
    let hashes = hash.map_or("null::bytea".to_owned(), |h| {
        format!("string_agg(int8send({h}), '')")
    });
    let sql = format!(
        "select string_agg({keys}, ''), {hashes} from {} t where {condition}",
        table.from_sql()
    );
    let rows = session
        .ask(&format!("reading the keys of {}", table.name), &sql, &[])
        .await?;
    let Some(row) = rows.first() else {
        return Ok(Vec::new());
    };
    let keys: &[u8] = row.get::<_, Option<&[u8]>>(0).unwrap_or_default();
    let hashes: &[u8] = row.get::<_, Option<&[u8]>>(1).unwrap_or_default();
    let mut hashes = hashes.chunks_exact(8).map(be64);
    Ok(keys
        .chunks_exact(packing.width())
        .map(|k| (packing.pack(k), hashes.next().unwrap_or(0)))
        .collect())
}

fn be64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| (n << 8) | u64::from(*b))
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
