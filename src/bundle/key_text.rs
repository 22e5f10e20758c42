//! One spelling for each key, whoever wrote it: COPY writes some types otherwise than `::text` does, and an operator's SQL
//! may take a key from a column of another type.

use crate::ident::Key;

/// A key column's value as it is compared, by the type that the bundle names.
pub fn value(type_name: &str, text: &str) -> String {
    let base = type_name.split('(').next().unwrap_or(type_name).trim();
    match base {
        "smallint" | "integer" | "bigint" => text
            .trim()
            .parse::<i64>()
            .map_or_else(|_| text.to_owned(), |n| n.to_string()),
        "uuid" => uuid(text),
        "boolean" => match text {
            "t" => "true".to_owned(),
            "f" => "false".to_owned(),
            other => other.to_owned(),
        },
        // COPY leaves the length out where it is that of one host.
        "inet" => {
            let whole = if text.contains(':') { "/128" } else { "/32" };
            text.strip_suffix(whole).unwrap_or(text).to_owned()
        }
        // COPY pads, `::text` does not.
        "character" => text.trim_end_matches(' ').to_owned(),
        _ => text.to_owned(),
    }
}

/// PostgreSQL takes a uuid in capitals, in braces and without hyphens.
fn uuid(text: &str) -> String {
    let hex: String = text
        .chars()
        .filter(|c| !matches!(c, '-' | '{' | '}'))
        .collect::<String>()
        .to_lowercase();
    match hex.len() == 32 && hex.is_ascii() {
        true => [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ]
        .join("-"),
        false => text.to_owned(),
    }
}

/// The values of a key that an operator's SQL wrote: as they are where the key has one column; otherwise an array, of
/// PostgreSQL (`array[a, b]::text`) or of JSON.
pub fn values(text: &str, width: usize) -> Option<Key> {
    let values = match width {
        1 => vec![text.to_owned()],
        _ => array(text).or_else(|| json(text))?,
    };
    (values.len() == width).then_some(Key(values))
}

fn json(text: &str) -> Option<Vec<String>> {
    let values: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Null => None,
        other => Some(other.to_string()),
    };
    values.into_iter().map(text).collect()
}

/// Source: PostgreSQL manual, 8.15.6 "Array Input and Output Syntax"; one dimension.
fn array(text: &str) -> Option<Vec<String>> {
    let mut chars = text.trim().strip_prefix('{')?.strip_suffix('}')?.chars();
    let (mut values, mut value) = (Vec::new(), String::new());
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?),
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(std::mem::take(&mut value)),
            '{' | '}' if !quoted => return None,
            other => value.push(other),
        }
    }
    values.push(value);
    (!quoted).then_some(values)
}

/// A key as the file shows it: the value, or the JSON array of several.
pub fn shown(key: &Key) -> String {
    match key.0.as_slice() {
        [one] => one.clone(),
        _ => serde_json::to_string(key).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        for (type_name, text, expected) in [
            ("bigint", " 007", "7"),
            ("bigint", "seven", "seven"),
            ("text", " 007", " 007"),
            ("boolean", "t", "true"),
            ("inet", "10.0.0.1/32", "10.0.0.1"),
            ("inet", "10.0.0.0/8", "10.0.0.0/8"),
            ("inet", "::1/128", "::1"),
            ("character(5)", "ab   ", "ab"),
            ("character varying(5)", "ab ", "ab "),
            (
                "uuid",
                "{A0EEBC99-9C0B4EF8-BB6D6BB9BD380A11}",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            ),
            ("uuid", "none", "none"),
        ] {
            assert_eq!(value(type_name, text), expected, "{type_name} {text}");
        }
    }

    #[test]
    fn keys_of_several_columns() {
        let key = |v: &[&str]| Some(Key(v.iter().map(|s| (*s).to_owned()).collect()));
        assert_eq!(values("{1,\"x,y\"}", 2), key(&["1", "x,y"]));
        assert_eq!(values(r#"{1,"a\"b\\"}"#, 2), key(&["1", "a\"b\\"]));
        assert_eq!(values("[1, \"x\"]", 2), key(&["1", "x"]));
        assert_eq!(values("{1}", 1), key(&["{1}"]));
        for wrong in ["1", "{1,2,3}", "{1", "[1]", "{{1},{2}}", "[null, 1]"] {
            assert_eq!(values(wrong, 2), None, "{wrong}");
        }
    }
}
