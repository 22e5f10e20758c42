//! What was typed and may hold a password: kept out of messages, of run records and of the journal, whatever part of
//! the command line it landed in by mistake.

/// What stands in a secret's place.
const HIDDEN: &str = "…";

/// Parts of the command line that look like connection strings with a password.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Looks for them among the words of a command line.
    pub(crate) fn among<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found: Vec<String> = words.into_iter().flat_map(parts).collect();
        // The longest first: a part of a secret must not be replaced before the whole.
        found.sort_by_key(|part| std::cmp::Reverse(part.len()));
        Self(found)
    }

    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let words: Vec<String> = std::env::args_os()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        Self::among(words.iter().map(String::as_str))
    }

    /// The text without them.
    pub(crate) fn hide(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
}

/// The word without its flag, and the URI in it, where they may hold a password.
fn parts(word: &str) -> Vec<String> {
    let value = match word.strip_prefix("--") {
        Some(long) => long.split_once('=').map_or(long, |(_, value)| value),
        None if word.starts_with('-') => word.get(2..).unwrap_or(word),
        None => word,
    };
    let uri = value.find("://").map(|at| {
        let scheme = value[..at].trim_end_matches(|c: char| c.is_ascii_alphanumeric());
        &value[scheme.len()..]
    });
    let mut parts = Vec::new();
    if has_password(value) {
        parts.push(value.to_owned());
    }
    if let Some(uri) = uri.filter(|u| has_password(u) && *u != value) {
        parts.push(uri.to_owned());
    }
    parts
}

fn has_password(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let in_uri = lower
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains('@'));
    let as_keyword = lower
        .match_indices("password")
        .any(|(at, found)| lower[at + found.len()..].trim_start().starts_with('='));
    in_uri || as_keyword
}

/// The command line as it is recorded: without connection strings, whether they hold a password or not.
pub(crate) fn command_line<'a>(words: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let secrets = Secrets::among(words.clone());
    let mut shown = Vec::new();
    let mut connection_follows = false;
    for word in words {
        let (flag, inline) = match word.split_once('=') {
            Some((flag, _)) => (flag, true),
            None => (word, false),
        };
        let connection = matches!(flag, "--live" | "--snapshot" | "--after" | "--on");
        shown.push(match (connection_follows, connection && inline) {
            (true, _) => HIDDEN.to_owned(),
            (false, true) => format!("{flag}={HIDDEN}"),
            (false, false) => secrets.hide(word),
        });
        connection_follows = !connection_follows && connection && !inline;
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_are_hidden_wherever_they_stand() {
        for (word, said) in [
            (
                "postgres://u:s3cr3t@h/db",
                "no file postgres://u:s3cr3t@h/db here",
            ),
            (
                "--format=postgres://u:s3cr3t@h/db",
                "invalid postgres://u:s3cr3t@h/db",
            ),
            ("-Cpostgres://u:s3cr3t@h/db", "no postgres://u:s3cr3t@h/db"),
            (
                "host=h password = s3cr3t",
                "no file host=h password = s3cr3t",
            ),
            (
                "--root=host=h password=s3cr3t",
                "no table host=h password=s3cr3t",
            ),
            (
                "postgresql://h/db?password=s3cr3t",
                "no postgresql://h/db?password=s3cr3t",
            ),
        ] {
            let hidden = Secrets::among([word]).hide(said);
            assert!(
                !hidden.contains("s3cr3t") && hidden.contains('…'),
                "{hidden}"
            );
        }
    }

    #[test]
    fn ordinary_words_stay() {
        let words = [
            "-C",
            "case",
            "--unrehearsed",
            "the password table was checked",
        ];
        let text = "the password table was checked in case";
        assert_eq!(Secrets::among(words).hide(text), text);
        assert_eq!(command_line(words), words.join(" "));
    }

    #[test]
    fn a_recorded_command_line_has_no_connection_string() {
        let words = [
            "reinstate",
            "--live",
            "service=prod",
            "--snapshot=host=b",
            "restore",
            "postgres://u:x@h",
        ];
        assert_eq!(
            command_line(words),
            "reinstate --live … --snapshot=… restore …"
        );
        assert_eq!(command_line(["--live", "--live", "x"]), "--live … x");
    }
}
