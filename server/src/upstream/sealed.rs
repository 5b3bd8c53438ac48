//! Encryption of what is kept on disk: tokens and headers of MCP servers, and the secrets of programs.

use super::keys::{self, Keys};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead, Payload};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::{fmt, io};

const NONCE: usize = 24;
const FILE: &str = "key";
const LOCK: &str = "key.lock";

/// Seals texts with a key that is in a file or in the environment. What is sealed for one place opens at no other.
pub(crate) struct Sealed {
    keys: Keys,
    lock: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SealedError {
    #[error("could not {doing} `{}`", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{0} is no key: it must be 32 bytes in base64, as `openssl rand -base64 32` prints")]
    Key(String),
    #[error("others may read the key `{}`: run `chmod 600` on it", .0.display())]
    Exposed(PathBuf),
    #[error("there is no randomness: {0}")]
    Random(getrandom::Error),
    #[error("it was sealed with another key than {0}, or has been changed: remove it, and set it up again")]
    Opened(String),
}

impl fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sealed({})", self.keys.origin())
    }
}

impl Sealed {
    /// The key of `EXUVIA_KEY`, or else that of the file `key` in `folder`, which is made when there is none.
    pub(crate) fn open(folder: &Path) -> Result<Self, SealedError> {
        Ok(Self { keys: Keys::open(&folder.join(FILE))?, lock: folder.join(LOCK) })
    }

    /// As [`Self::open`], for those who only read: none when there is no key.
    pub(crate) fn existing(folder: &Path) -> Result<Option<Self>, SealedError> {
        let is_there = std::env::var_os(keys::VARIABLE).is_some() || folder.join(FILE).exists();
        is_there.then(|| Self::open(folder)).transpose()
    }

    /// The key of a file, which is made when there is none.
    #[cfg(test)]
    pub(crate) fn of_file(path: &Path) -> Result<Self, SealedError> {
        Ok(Self { keys: Keys::of_file(path)?, lock: path.with_extension("lock") })
    }

    /// Where the key came from, for errors.
    pub(crate) fn origin(&self) -> String {
        self.keys.origin()
    }

    /// The file that has the key, if one does.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.keys.file()
    }

    /// What a file of a key has, which its owner alone may read.
    pub(crate) fn key_in(file: &Path) -> Result<String, SealedError> {
        Ok(keys::text_of(file)?.trim().to_owned())
    }

    pub(crate) fn new_key() -> Result<String, SealedError> {
        keys::generate()
    }

    /// One key as it is written, if it is one.
    pub(crate) fn check_key(text: &str, origin: &str) -> Result<String, SealedError> {
        let one = keys::parse(text).filter(|keys| keys.len() == 1);
        one.map(|_| text.to_owned()).ok_or_else(|| SealedError::Key(origin.into()))
    }

    /// How many keys open what is sealed: more than one while the key is changed.
    pub(crate) fn keys(&self) -> usize {
        self.keys.now().len()
    }

    /// Held while something sealed is changed on the disk: not while the key is, nor by two at a time.
    pub(crate) fn lock(&self) -> Result<File, SealedError> {
        let failed = |source| SealedError::File { doing: "lock", path: self.lock.clone(), source };
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.lock);
        let file = file.map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    /// `plain` as a text that only `unseal` with the same `place` can read.
    pub(crate) fn seal(&self, place: &str, plain: &[u8]) -> Result<String, SealedError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(SealedError::Random)?;
        let payload = Payload { msg: plain, aad: place.as_bytes() };
        let keys = self.keys.now();
        // It fails only for texts of 256 GiB.
        let sealed = keys.first().and_then(|key| key.encrypt(&XNonce::from(nonce), payload).ok());
        let sealed = sealed.ok_or_else(|| SealedError::Opened(self.origin()))?;
        Ok(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    pub(crate) fn unseal(&self, place: &str, sealed: &str) -> Result<Vec<u8>, SealedError> {
        let failed = || SealedError::Opened(self.origin());
        let bytes = STANDARD.decode(sealed.trim()).map_err(|_| failed())?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or_else(failed)?;
        let nonce = <[u8; NONCE]>::try_from(nonce).map_err(|_| failed())?;
        let open = |key: &chacha20poly1305::XChaCha20Poly1305| {
            key.decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: place.as_bytes() }).ok()
        };
        self.keys.now().iter().find_map(open).ok_or_else(failed)
    }

    /// The same text, sealed with the first key.
    pub(crate) fn renewed(&self, place: &str, sealed: &str) -> Result<String, SealedError> {
        self.seal(place, &self.unseal(place, sealed)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::files;
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_sealed_opens_only_with_its_key_at_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = Sealed::of_file(&folder.path().join("key")).unwrap();
        let text = sealed.seal("a", b"token").unwrap();
        assert!(!text.contains("token"));
        assert_ne!(text, sealed.seal("a", b"token").unwrap());
        let again = Sealed::of_file(&folder.path().join("key")).unwrap();
        assert_eq!(again.unseal("a", &text).unwrap(), b"token");
        assert!(matches!(again.unseal("b", &text), Err(SealedError::Opened(_))));
        let other = Sealed::of_file(&folder.path().join("other")).unwrap();
        assert!(matches!(other.unseal("a", &text), Err(SealedError::Opened(_))));
        for damaged in ["", "!", "AAAA", text.strip_suffix('=').unwrap_or("AAAA")] {
            assert!(matches!(sealed.unseal("a", damaged), Err(SealedError::Opened(_))), "{damaged}");
        }
    }

    /// Seen to fail with the mode of the file not looked at.
    #[test]
    fn the_key_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        Sealed::of_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Sealed::of_file(&path), Err(SealedError::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        assert!(matches!(Sealed::of_file(&path), Err(SealedError::Key(_))));
        fs::write(&path, "A".repeat(44)).unwrap();
        assert!(matches!(Sealed::of_file(&path), Err(SealedError::Key(_))));
    }

    /// What opens is what one of the keys sealed, and what is sealed is so with the first.
    #[test]
    fn a_changed_file_of_keys_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let sealed = Sealed::of_file(&path).unwrap();
        let (old, text) = (fs::read_to_string(&path).unwrap(), sealed.seal("a", b"token").unwrap());
        let new = keys::generate().unwrap();
        files::replace(&path, format!("{new}\n{old}").as_bytes()).unwrap();
        assert_eq!((sealed.unseal("a", &text).unwrap(), sealed.keys()), (b"token".to_vec(), 2));
        let renewed = sealed.renewed("a", &text).unwrap();
        files::replace(&path, new.as_bytes()).unwrap();
        assert_eq!(sealed.unseal("a", &renewed).unwrap(), b"token");
        assert!(matches!(sealed.unseal("a", &text), Err(SealedError::Opened(_))));
        // One that is wrong changes nothing.
        files::replace(&path, b"no key").unwrap();
        assert_eq!(sealed.unseal("a", &renewed).unwrap(), b"token");
    }
}
