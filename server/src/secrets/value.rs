//! One value, which no log, error or `Debug` shows, and whose memory is wiped when it is dropped.

use secrecy::{ExposeSecret, SecretString};

/// A shorter value would be found in every text, and taken out of it.
const SHORTEST: usize = 8;
/// Largest value: what it looks like in all encodings is looked for in all output.
const LONGEST: usize = 16 << 10;
/// Of a value this long, the end may be shown to the operator.
const LONG_ENOUGH_TO_SHOW: usize = 24;
/// How much of it, in characters.
const SHOWN: usize = 4;

#[derive(Debug, Clone)]
pub(crate) struct Value(SecretString);

/// Why a text cannot be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error(
        "it has fewer than {SHORTEST} bytes, which are found in too many texts to be taken out of them: use a longer one"
    )]
    Short,
    #[error("it has more than {LONGEST} bytes: keep the key in a secret, and what it opens elsewhere")]
    Long,
    #[error("it is not text in UTF-8: encode it, as with `base64`")]
    NotText,
}

impl Value {
    /// A text, without the line's end that files and `echo` put behind it.
    pub(crate) fn new(text: String) -> Result<Self, Unfit> {
        let value = SecretString::from(text);
        let trimmed = value.expose_secret().trim_end_matches(['\r', '\n']);
        let value = if trimmed.len() == value.expose_secret().len() { value } else { SecretString::from(trimmed) };
        match value.expose_secret().len() {
            0..SHORTEST => Err(Unfit::Short),
            SHORTEST..=LONGEST => Ok(Self(value)),
            _ => Err(Unfit::Long),
        }
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Result<Self, Unfit> {
        String::from_utf8(bytes).map_err(|_| Unfit::NotText).and_then(Self::new)
    }

    /// The value itself, for the place that puts it in or looks for it.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What the operator is shown, to tell one from another.
    pub(crate) fn masked(&self) -> String {
        let value = self.expose();
        let count = value.chars().count();
        if value.len() < LONG_ENOUGH_TO_SHOW {
            return super::MASK.into();
        }
        let end: String = value.chars().skip(count.saturating_sub(SHOWN)).filter(|shown| !shown.is_control()).collect();
        format!("{}{end}", super::MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_a_value() {
        let value = Value::new("correct horse battery".into()).unwrap();
        assert!(!format!("{value:?} {value:#?}").contains("horse"));
        assert_eq!(value.masked(), "********");
        assert_eq!(Value::new("correct horse battery staple".into()).unwrap().masked(), "********aple");
    }

    #[test]
    fn what_cannot_be_scrubbed_is_no_secret() {
        assert_eq!(Value::new("hunter2\n".into()).unwrap_err(), Unfit::Short);
        assert_eq!(Value::new("hunter22\r\n".into()).unwrap().expose(), "hunter22");
        assert_eq!(Value::new("x".repeat(LONGEST + 1)).unwrap_err(), Unfit::Long);
        assert_eq!(Value::from_bytes(vec![0xff; 20]).unwrap_err(), Unfit::NotText);
    }
}
