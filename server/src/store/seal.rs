//! A hash before each value, so that a damaged one is found and never believed.

/// Bytes of the hash that are kept: enough against accident, which is what it is for.
const SEAL: usize = 8;

pub(super) fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(SEAL + value.len());
    sealed.extend_from_slice(&hash(key, value));
    sealed.extend_from_slice(value);
    sealed
}

/// The value, if it is what was sealed under `key`.
pub(super) fn open<'a>(key: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (seal, value) = sealed.split_at_checked(SEAL)?;
    (seal == hash(key, value)).then_some(value)
}

fn hash(key: &[u8], value: &[u8]) -> [u8; SEAL] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(value);
    hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_was_sealed_under_the_same_key_and_nothing_else() {
        let sealed = seal(b"key", b"value");
        assert_eq!(open(b"key", &sealed), Some(&b"value"[..]));
        assert_eq!(open(b"keyv", &seal(b"key", b"valu")), None);
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(open(b"key", &damaged), None, "byte {at}");
            assert_eq!(open(b"key", &sealed[..at]), None, "cut at {at}");
        }
    }
}
