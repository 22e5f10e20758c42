//! Keys in listings: asked for in URL encoding, because XML cannot hold every character of a key.

/// The key that a listing means.
pub(super) fn key(text: &str, encoded: bool) -> String {
    match encoded {
        true => decoded(text),
        false => text.to_owned(),
    }
}

/// Takes URL encoding back; `+` is a blank, as AWS writes it.
pub(in crate::blobs) fn decoded(text: &str) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match (
            bytes[at],
            digits.and_then(|d| u8::from_str_radix(d, 16).ok()),
        ) {
            (_, Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', None) => out.push(b' '),
            (byte, None) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back() {
        for (text, expected) in [
            ("a/b", "a/b"),
            ("a+b%2Bc%25%20d", "a b+c% d"),
            ("%C3%A9", "é"),
            ("50%", "50%"),
            ("%zz", "%zz"),
        ] {
            assert_eq!(decoded(text), expected, "{text}");
        }
    }
}
