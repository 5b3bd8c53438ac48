//! Keys: made here, shown once, and kept as a hash.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Random bytes of a key.
const RANDOM: usize = 32;

/// A new key, and its hash. It begins with `prefix`, so that a leaked one is recognised.
pub(super) fn new(prefix: &str) -> Result<(String, String), getrandom::Error> {
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random)?;
    let key = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random));
    let hash = hash(&key);
    Ok((key, hash))
}

/// The hash of a key. Keys are random and long, so a plain hash cannot be searched.
pub(super) fn hash(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Whether two hashes are the same, in a time that does not tell where they differ.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_another_and_fits_its_hash_alone() {
        let (one, other) = (new("exv_").unwrap(), new("exv_").unwrap());
        assert_ne!(one.0, other.0);
        assert!(one.0.len() > 40 && one.0.starts_with("exv_"));
        assert!(is_same(&hash(&one.0), &one.1));
        assert!(!is_same(&hash(&one.0), &other.1));
    }
}
