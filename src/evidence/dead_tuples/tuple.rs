//! What a deleted row's bytes on the page say: keys of the types that are the same on every server. Pure.
//!
//! Source: PostgreSQL manual, "Database Page Layout"; varlena headers as `varatt.h` describes them, on little-endian
//! servers.

/// A key column's type, where its bytes can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readable {
    Int2,
    Int4,
    Int8,
    Uuid,
    Text,
}

impl Readable {
    /// Of a built-in type; none for those that are not read here.
    pub(super) fn of(builtin: Option<&str>) -> Option<Self> {
        match builtin? {
            "int2" => Some(Self::Int2),
            "int4" => Some(Self::Int4),
            "int8" => Some(Self::Int8),
            "uuid" => Some(Self::Uuid),
            "text" | "varchar" => Some(Self::Text),
            _ => None,
        }
    }

    /// The value as the server writes it; none where the bytes are not all there, compressed or elsewhere.
    pub(super) fn text(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Int2 => Some(i16::from_le_bytes(bytes.try_into().ok()?).to_string()),
            Self::Int4 => Some(i32::from_le_bytes(bytes.try_into().ok()?).to_string()),
            Self::Int8 => Some(i64::from_le_bytes(bytes.try_into().ok()?).to_string()),
            Self::Uuid => uuid(bytes),
            Self::Text => String::from_utf8(varlena(bytes)?.to_vec()).ok(),
        }
    }
}

fn uuid(bytes: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    Some(text)
}

/// The content of a value of variable length that lies in the row itself, uncompressed.
fn varlena(bytes: &[u8]) -> Option<&[u8]> {
    let first = *bytes.first()?;
    if first == 1 {
        // A pointer to where it really lies.
        return None;
    }
    if first & 1 == 1 {
        return bytes.get(1..usize::from(first >> 1));
    }
    let header = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    let plain = header & 3 == 0;
    bytes.get(4..(header >> 2) as usize).filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_from_their_bytes() {
        assert_eq!(
            Readable::Int4.text(&[0xfe, 0xff, 0xff, 0xff]).unwrap(),
            "-2"
        );
        assert_eq!(
            Readable::Int8.text(&[1, 0, 0, 0, 1, 0, 0, 0]).unwrap(),
            "4294967297"
        );
        assert_eq!(Readable::Int4.text(&[1]), None);
        let bytes: Vec<u8> = (0..16).collect();
        let uuid = Readable::Uuid.text(&bytes).unwrap();
        assert_eq!(uuid, "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }

    #[test]
    fn text_is_read_where_it_lies_in_the_row() {
        // Length with its header: 3, shifted by one, and the mark of a short header.
        assert_eq!(Readable::Text.text(&[0x07, b'a', b'b']).unwrap(), "ab");
        assert_eq!(Readable::Text.text(&[0x03]).unwrap(), "");
        assert_eq!(
            Readable::Text.text(&[0x18, 0, 0, 0, b'a', b'b']).unwrap(),
            "ab"
        );
        // Elsewhere, compressed, cut, no UTF-8.
        assert_eq!(Readable::Text.text(&[0x01, 0x12, 0, 0]), None);
        assert_eq!(Readable::Text.text(&[0x1a, 0, 0, 0, b'a', b'b']), None);
        assert_eq!(Readable::Text.text(&[0x0f, b'a']), None);
        assert_eq!(Readable::Text.text(&[0x05, 0xff]), None);
    }
}
