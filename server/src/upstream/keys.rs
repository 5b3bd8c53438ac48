//! The keys that things are sealed with: those of a variable, or those of a file, which is read again when it changes.
//!
//! There is one, but for the time in which it is changed: then the new one comes first, and what the old one has sealed still opens.

use super::files::{self, PRIVATE};
use super::sealed::SealedError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::KeyInit;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const KEY: usize = 32;
/// The variable that has the key, when it is not in a file.
pub(super) const VARIABLE: &str = "EXUVIA_KEY";

pub(super) struct Keys {
    source: Source,
    held: Mutex<Held>,
}

enum Source {
    Variable,
    File(PathBuf),
}

struct Held {
    stamp: Option<Stamp>,
    keys: Arc<[XChaCha20Poly1305]>,
}

/// What changes when a file is replaced: inode, size, and time of the last change.
type Stamp = (u64, u64, i64, i64);

impl Keys {
    /// Those of [`VARIABLE`], or else those of a file, which is made with a new one when there is none.
    pub(super) fn open(file: &Path) -> Result<Self, SealedError> {
        match std::env::var(VARIABLE) {
            Ok(text) => {
                let keys = parse(&text).ok_or_else(|| SealedError::Key(Source::Variable.to_string()))?;
                Ok(Self { source: Source::Variable, held: Mutex::new(Held { stamp: None, keys }) })
            }
            Err(_) => Self::of_file(file),
        }
    }

    pub(super) fn of_file(path: &Path) -> Result<Self, SealedError> {
        if !path.exists() {
            match files::create(path, format!("{}\n", generate()?).as_bytes()) {
                // Another process was first; its key counts.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.map_err(failed("write", path))?,
            }
        }
        let held = Mutex::new(read(path)?);
        Ok(Self { source: Source::File(path.into()), held })
    }

    /// Those that there are now, the one to seal with first. While the file is wrong, those that were there before.
    pub(super) fn now(&self) -> Arc<[XChaCha20Poly1305]> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Source::File(path) = &self.source {
            let found = fs::metadata(path).ok().map(|metadata| stamp(&metadata));
            if found != held.stamp {
                match read(path) {
                    Ok(read) => *held = read,
                    Err(error) => tracing::warn!(%error, "the key has changed, and cannot be read"),
                }
            }
        }
        Arc::clone(&held.keys)
    }

    /// The file that has them, if one does.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.source {
            Source::Variable => None,
            Source::File(path) => Some(path),
        }
    }

    /// Where they came from, for errors.
    pub(super) fn origin(&self) -> String {
        self.source.to_string()
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable => f.write_str(VARIABLE),
            Self::File(path) => write!(f, "that in `{}`", path.display()),
        }
    }
}

/// A new key, as a file or a variable has it.
pub(super) fn generate() -> Result<String, SealedError> {
    let mut key = [0; KEY];
    getrandom::fill(&mut key).map_err(SealedError::Random)?;
    Ok(STANDARD.encode(key))
}

/// The keys of a file that its owner alone may read, as they are written there.
pub(super) fn text_of(path: &Path) -> Result<String, SealedError> {
    let mode = fs::metadata(path).map_err(failed("read", path))?.permissions().mode();
    if mode & 0o777 & !PRIVATE != 0 {
        return Err(SealedError::Exposed(path.to_owned()));
    }
    fs::read_to_string(path).map_err(failed("read", path))
}

/// None when one of them is no key, or there is none.
pub(super) fn parse(text: &str) -> Option<Arc<[XChaCha20Poly1305]>> {
    let key = |text: &str| {
        let key = STANDARD.decode(text).ok()?;
        Some(XChaCha20Poly1305::new(&<[u8; KEY]>::try_from(key).ok()?.into()))
    };
    let keys: Option<Vec<_>> = text.split_whitespace().map(key).collect();
    keys.filter(|keys| !keys.is_empty()).map(Arc::from)
}

fn read(path: &Path) -> Result<Held, SealedError> {
    let metadata = fs::metadata(path).map_err(failed("read", path))?;
    let keys = parse(&text_of(path)?).ok_or_else(|| SealedError::Key(Source::File(path.into()).to_string()))?;
    Ok(Held { stamp: Some(stamp(&metadata)), keys })
}

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec())
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SealedError {
    let path = path.to_owned();
    move |source| SealedError::File { doing, path, source }
}
