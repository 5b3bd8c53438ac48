//! Values that no log, error or `Debug` may show.

use std::fmt;

/// Shorter values are not looked for in texts: every text would be full of them.
const SHORTEST_REDACTED: usize = 6;

/// A header value, an environment value, or what a variable of `mcp.json` stood for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that hands it to the server it is meant for.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// `text` without any of `secrets`. Servers print their environment, and HTTP errors name whole URLs.
pub(crate) fn redact(text: &str, secrets: &[Secret]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        let mut parts = vec![secret.expose()];
        // `Bearer TOKEN` is one value, yet a server may print the token alone.
        parts.extend(secret.expose().split_whitespace());
        for part in parts.into_iter().filter(|part| part.len() >= SHORTEST_REDACTED) {
            if text.contains(part) {
                text = text.replace(part, "***");
            }
        }
    }
    text
}

/// `text` as one printable piece of at most `most` bytes: no control characters, so that what a server wrote cannot drive
/// the terminal that shows it.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let mut clean = String::new();
    let mut characters = text.trim().chars().peekable();
    while let Some(character) = characters.next() {
        if clean.len() >= most {
            clean.push('…');
            break;
        }
        match character {
            '\n' => clean.push('\n'),
            '\t' => clean.push(' '),
            // A colour sequence ends with its first letter.
            '\u{1b}' => while characters.next_if(|next| !next.is_ascii_alphabetic()).is_some() {},
            character if character.is_control() => {}
            character => clean.push(character),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_shown_nowhere() {
        let secrets = [Secret::new("Bearer abcdef123"), Secret::new("x")];
        assert_eq!(format!("{secrets:?}"), "[***, ***]");
        assert_eq!(redact("token abcdef123 of Bearer abcdef123, x", &secrets), "token *** of ***, x");
    }

    #[test]
    fn a_terminal_cannot_be_driven() {
        assert_eq!(printable("\u{1b}[31mred\u{7}\r\n", 100), "mred");
        assert_eq!(printable("abcdef", 3), "abc…");
    }
}
