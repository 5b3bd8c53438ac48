//! The name of a session, as a client chose it.

use serde::{Deserialize, Serialize};

/// Most characters of a name.
const LONGEST: usize = 200;

/// A checked name. It is a key in the store, and never the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Name(String);

impl Name {
    /// Reads a `session_id`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        if length == 0 || length > LONGEST || text.chars().any(char::is_control) {
            return Err(format!(
                "`session_id` has {length} characters: give 1 to {LONGEST}, and no control characters"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_length_and_can_be_printed() {
        assert_eq!(Name::parse("größe/1").unwrap().as_str(), "größe/1");
        for wrong in ["", "a\0b", "a\nb", &"x".repeat(201)] {
            assert!(Name::parse(wrong).unwrap_err().ends_with("give 1 to 200, and no control characters"), "{wrong:?}");
        }
    }
}
