//! Encryption of what is kept on disk: tokens and headers of MCP servers, and the secrets of programs.

use super::files::{self, PRIVATE};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

const KEY: usize = 32;
const NONCE: usize = 24;
/// The variable that has the key, when it is not in a file.
const VARIABLE: &str = "EXUVIA_KEY";
/// The file that has it otherwise.
const FILE: &str = "key";

/// Seals texts with a key that is in a file or in the environment. What is sealed for one place opens at no other.
pub(crate) struct Sealed {
    cipher: XChaCha20Poly1305,
    /// What keys for other uses are derived from: of no use to whoever wants to open something.
    root: [u8; KEY],
    /// Where the key came from, for errors.
    origin: String,
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
        write!(formatter, "Sealed({})", self.origin)
    }
}

impl Sealed {
    /// The key of `EXUVIA_KEY`, or else that of the file `key` in `folder`, which is made when there is none.
    pub(crate) fn open(folder: &Path) -> Result<Self, SealedError> {
        match std::env::var(VARIABLE) {
            Ok(key) => Self::with_key(&key, VARIABLE.to_owned()),
            Err(_) => Self::of_file(&folder.join(FILE)),
        }
    }

    /// As [`Self::open`], for those who only read: none when there is no key.
    pub(crate) fn existing(folder: &Path) -> Result<Option<Self>, SealedError> {
        let is_there = std::env::var_os(VARIABLE).is_some() || folder.join(FILE).exists();
        is_there.then(|| Self::open(folder)).transpose()
    }

    /// The key of a file, which is made when there is none.
    pub(crate) fn of_file(path: &Path) -> Result<Self, SealedError> {
        let failed = |doing| move |source| SealedError::File { doing, path: path.to_owned(), source };
        if !path.exists() {
            let key = STANDARD.encode(random::<KEY>()?);
            match files::create(path, format!("{key}\n").as_bytes()) {
                // Another process was first; its key counts.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.map_err(failed("write"))?,
            }
        }
        let mode = fs::metadata(path).map_err(failed("read"))?.permissions().mode();
        if mode & 0o777 & !PRIVATE != 0 {
            return Err(SealedError::Exposed(path.to_owned()));
        }
        let key = fs::read_to_string(path).map_err(failed("read"))?;
        Self::with_key(&key, format!("that in `{}`", path.display()))
    }

    fn with_key(key: &str, origin: String) -> Result<Self, SealedError> {
        let key = STANDARD.decode(key.trim()).ok().and_then(|key| <[u8; KEY]>::try_from(key).ok());
        let Some(key) = key else { return Err(SealedError::Key(origin)) };
        let root = blake3::derive_key("exuvia 2026-11 root of keys for other uses", &key);
        Ok(Self { cipher: XChaCha20Poly1305::new(&key.into()), root, origin })
    }

    /// Another key, for one use, that is the same as long as this one is.
    pub(crate) fn derive(&self, purpose: &'static str) -> [u8; KEY] {
        blake3::derive_key(purpose, &self.root)
    }

    /// Where the key came from, for errors.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// `plain` as a text that only `unseal` with the same `place` can read.
    pub(crate) fn seal(&self, place: &str, plain: &[u8]) -> Result<String, SealedError> {
        let nonce = random::<NONCE>()?;
        let payload = Payload { msg: plain, aad: place.as_bytes() };
        // It fails only for texts of 256 GiB.
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| SealedError::Opened(self.origin.clone()))?;
        Ok(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    pub(crate) fn unseal(&self, place: &str, sealed: &str) -> Result<Vec<u8>, SealedError> {
        let failed = || SealedError::Opened(self.origin.clone());
        let bytes = STANDARD.decode(sealed.trim()).map_err(|_| failed())?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or_else(failed)?;
        let nonce = <[u8; NONCE]>::try_from(nonce).map_err(|_| failed())?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| failed())
    }
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], SealedError> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(SealedError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(matches!(Sealed::with_key(&"A".repeat(44), String::new()), Err(SealedError::Key(_))));
    }
}
