//! What a program holds in the place of a secret: a text that looks like a key, is of no use anywhere, and is the same
//! whenever the same execution is run again.

use crate::executions::Id;
use crate::sessions::Name;

/// Neither a grant's key (`exv_`) nor the operator's (`exo_`).
const PREFIX: &str = "exs_";
/// Digits after it: 160 bits.
const DIGITS: usize = 40;
pub(super) const LENGTH: usize = PREFIX.len() + DIGITS;

/// For whom a placeholder stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    Execution(Id),
    /// What one call of a session puts away, the next finds as it is.
    Session {
        grant: &'a str,
        id: &'a Name,
    },
}

/// Makes placeholders. From what the server alone has, not from the guest's randomness: that is the program's to read.
pub(super) struct Maker([u8; 32]);

impl Maker {
    /// `root`: the same gives the same placeholders.
    pub(super) fn of(root: &[u8]) -> Self {
        Self(blake3::derive_key("exuvia 2026-11 placeholders of secrets", root))
    }

    pub(super) fn make(&self, scope: Scope<'_>, name: &str) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        match scope {
            Scope::Execution(id) => field(id.as_bytes()),
            Scope::Session { grant, id } => {
                field(grant.as_bytes());
                field(id.as_str().as_bytes());
            }
        }
        field(name.as_bytes());
        let digits = hasher.finalize().to_hex();
        format!("{PREFIX}{}", digits.get(..DIGITS).unwrap_or_default())
    }
}

/// The first placeholder in `bytes`, whoever's it is: where it begins.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    let is_one = |window: &[u8]| {
        window.strip_prefix(PREFIX.as_bytes()).is_some_and(|digits| digits.iter().all(|digit| is_digit(*digit)))
    };
    bytes.windows(LENGTH).position(is_one)
}

/// The first place at or after `from` whence on `bytes` is the beginning of a placeholder, as far as it goes.
pub(super) fn open(bytes: &[u8], from: usize) -> usize {
    let first = from.max(bytes.len().saturating_sub(LENGTH - 1));
    let begins = |tail: &[u8]| {
        let (prefix, digits) = tail.split_at_checked(PREFIX.len()).unwrap_or((tail, &[]));
        PREFIX.as_bytes().starts_with(prefix) && digits.iter().all(|digit| is_digit(*digit))
    };
    (first..bytes.len()).find(|start| bytes.get(*start..).is_some_and(begins)).unwrap_or(bytes.len())
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_for_one_secret_of_one_execution() {
        let maker = Maker::of(b"root");
        let (one, other) = (Id::new(), Id::new());
        let made = maker.make(Scope::Execution(one), "KEY");
        assert_eq!(made.len(), LENGTH);
        let again = Maker::of(b"root");
        assert_eq!(again.make(Scope::Execution(one), "KEY"), made, "a replay has the same");
        assert_ne!(maker.make(Scope::Execution(other), "KEY"), made);
        assert_ne!(maker.make(Scope::Execution(one), "KEY2"), made);
        let elsewhere = Maker::of(b"another root");
        assert_ne!(elsewhere.make(Scope::Execution(one), "KEY"), made);
        let text = format!("Bearer {made}!");
        assert_eq!(find(text.as_bytes()), Some(7));
        assert_eq!(find(text.replace("exs_", "exv_").as_bytes()), None);
        assert_eq!(find(text.get(..text.len() - 2).unwrap_or_default().as_bytes()), None);
    }

    #[test]
    fn names_cannot_be_moved_into_each_other() {
        let maker = Maker::of(b"root");
        let made = |grant: &str, id: &str, name: &str| {
            maker.make(Scope::Session { grant, id: &Name::parse(id).unwrap() }, name)
        };
        assert_ne!(made("ab", "c", "K"), made("a", "bc", "K"));
        assert_ne!(made("a", "bK", "K"), made("a", "b", "KK"));
    }
}
