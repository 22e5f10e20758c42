//! Fields of a COPY line, changed.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use crate::pg::copy::raw_fields;

/// The line with other values in some of its fields.
pub(super) fn with_fields(line: &Bytes, fields: &[usize], values: &[String]) -> Bytes {
    let mut out = BytesMut::with_capacity(line.len() + 16);
    for (n, field) in raw_fields(line).enumerate() {
        if n > 0 {
            out.put_u8(b'\t');
        }
        match fields.iter().position(|f| *f == n) {
            Some(at) => out.put_slice(&escape(values.get(at).map_or("", String::as_str))),
            None => out.put_slice(field),
        }
    }
    out.freeze()
}

/// A value as COPY TO writes it.
fn escape(value: &str) -> Cow<'_, [u8]> {
    let letter = |b: u8| match b {
        8 => Some(b'b'),
        12 => Some(b'f'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        11 => Some(b'v'),
        b'\\' => Some(b'\\'),
        _ => None,
    };
    if value.bytes().all(|b| letter(b).is_none()) {
        return Cow::Borrowed(value.as_bytes());
    }
    let mut out = Vec::with_capacity(value.len() + 8);
    for b in value.bytes() {
        match letter(b) {
            Some(letter) => out.extend([b'\\', letter]),
            None => out.push(b),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::copy::unescape;

    #[test]
    fn other_fields_stay_as_they_are() {
        let line = Bytes::from_static(b"1\ta\\tb\t\\N\t7");
        let new = with_fields(&line, &[3, 0], &["9".into(), "x".into()]);
        assert_eq!(new, Bytes::from_static(b"x\ta\\tb\t\\N\t9"));
    }

    #[test]
    fn what_is_escaped_is_read_back() {
        for value in ["plain", "a\tb\\N\n\r\u{8}\u{b}\u{c}", "\\N", ""] {
            assert_eq!(unescape(&escape(value)).as_deref(), Some(value));
        }
    }
}
