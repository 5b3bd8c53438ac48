//! The secrets that are kept here: one file, each value sealed for its name. The command line writes it, a running server
//! notices, as with grants.

use super::value::Value;
use crate::upstream::{Sealed, SealedError, replace};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const FILE: &str = "secrets.json";
/// What the file has sealed, so that another key is noticed before something is sealed with it.
const CHECK: &[u8] = b"exuvia secrets";
const CHECK_PLACE: &str = "check of secrets";
const ROOT_PLACE: &str = "root of placeholders";
/// Most secrets, and the longest name of one, in bytes.
const MOST: usize = 1000;
const LONGEST_NAME: usize = 128;

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    check: String,
    /// What placeholders are made from. Here, as it outlives the key: a job goes on with the placeholders that it had.
    #[serde(default)]
    placeholders: String,
    secrets: BTreeMap<String, Entry>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    changed: String,
    sealed: String,
}

/// What changes when the file is replaced: inode, size, and time of the last change.
type Stamp = (u64, u64, i64, i64);

pub(crate) struct Vault {
    folder: PathBuf,
    sealed: Arc<Sealed>,
    read: Mutex<(Option<Stamp>, Arc<Contents>)>,
}

/// One that is kept, as the operator sees it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Kept {
    pub(crate) name: String,
    /// At most its end.
    pub(crate) value: String,
    pub(crate) changed_at: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not {doing} `{}`: {source}", .path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("the secrets in `{}` cannot be read ({source}): restore the file, or remove it and set them anew", .path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    #[error(
        "the secrets in `{}` were sealed with another key than {origin}: give the key that they were sealed with (`EXUVIA_KEY`, \
         or the file `key` beside them), or remove the file and set them anew", .path.display()
    )]
    OtherKey { path: PathBuf, origin: String },
    #[error("the secret `{name}` cannot be opened")]
    Opened { name: String, source: SealedError },
    #[error(
        "`{0}` cannot be a secret's name: give a variable's name of at most {LONGEST_NAME} letters, digits and `_`"
    )]
    Name(String),
    #[error("there is no secret `{0}` here: `exuvia secrets list` shows those that exist")]
    Unknown(String),
    #[error("there are {MOST} secrets already: remove one")]
    Full,
    #[error(transparent)]
    Sealed(#[from] SealedError),
}

impl Vault {
    pub(crate) fn at(folder: &Path, sealed: Arc<Sealed>) -> Self {
        Self { folder: folder.into(), sealed, read: Mutex::default() }
    }

    /// Makes the file if there is none: whoever writes to it later with another key is refused. Gives what placeholders are made from.
    pub(crate) fn prepare(&self) -> Result<Vec<u8>, Error> {
        let _lock = self.sealed.lock()?;
        if let Some(root) = self.root()? {
            return Ok(root);
        }
        self.write((*self.contents()?).clone())?;
        Ok(self.sealed.unseal(ROOT_PLACE, &self.contents()?.placeholders)?)
    }

    /// What placeholders are made from, if there is anything yet. Refuses another key than that of the values.
    pub(crate) fn root(&self) -> Result<Option<Vec<u8>>, Error> {
        let contents = self.contents()?;
        let sealed = Some(&contents.placeholders).filter(|sealed| !sealed.is_empty());
        Ok(sealed.map(|sealed| self.sealed.unseal(ROOT_PLACE, sealed)).transpose()?)
    }

    /// The file, with all that is in it sealed with the first key, and how many values that are. None when there is no file.
    pub(super) fn renewed(&self) -> Result<Option<(PathBuf, Vec<u8>, usize)>, Error> {
        let mut contents = (*self.contents()?).clone();
        if contents.check.is_empty() {
            return Ok(None);
        }
        for (name, entry) in &mut contents.secrets {
            let renewed = self.sealed.renewed(&place(name), &entry.sealed);
            entry.sealed = renewed.map_err(|source| Error::Opened { name: name.clone(), source })?;
        }
        if !contents.placeholders.is_empty() {
            contents.placeholders = self.sealed.renewed(ROOT_PLACE, &contents.placeholders)?;
        }
        let count = contents.secrets.len();
        Ok(Some((self.path(), self.text(contents)?, count)))
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<Value>, Error> {
        let get = || {
            let contents = self.contents()?;
            contents.secrets.get(name).map(|entry| self.opened(name, entry)).transpose()
        };
        // The key may be changed between the two.
        get().or_else(|_| get())
    }

    pub(crate) fn list(&self) -> Result<Vec<Kept>, Error> {
        self.listed().or_else(|_| self.listed())
    }

    fn listed(&self) -> Result<Vec<Kept>, Error> {
        let contents = self.contents()?;
        let all = contents.secrets.iter().map(|(name, entry)| {
            let value = self.opened(name, entry)?.masked();
            Ok(Kept { name: name.clone(), value, changed_at: entry.changed.clone() })
        });
        all.collect()
    }

    /// Keeps a value, in the place of one of the same name. Whether there was none before. It is on the disk when this returns.
    pub(crate) fn set(&self, name: &str, value: &Value) -> Result<bool, Error> {
        if !is_name(name) {
            return Err(Error::Name(name.chars().take(LONGEST_NAME).collect()));
        }
        let _lock = self.sealed.lock()?;
        let mut contents = (*self.contents()?).clone();
        let secrets = &mut contents.secrets;
        if secrets.len() >= MOST && !secrets.contains_key(name) {
            return Err(Error::Full);
        }
        let changed = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        let sealed = self.sealed.seal(&place(name), value.expose().as_bytes())?;
        let is_new = secrets.insert(name.into(), Entry { changed, sealed }).is_none();
        self.write(contents)?;
        Ok(is_new)
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let _lock = self.sealed.lock()?;
        let mut contents = (*self.contents()?).clone();
        if contents.secrets.remove(name).is_none() {
            return Err(Error::Unknown(name.chars().take(LONGEST_NAME).collect()));
        }
        self.write(contents)
    }

    fn opened(&self, name: &str, entry: &Entry) -> Result<Value, Error> {
        let opened = |source| Error::Opened { name: name.into(), source };
        let plain = self.sealed.unseal(&place(name), &entry.sealed).map_err(opened)?;
        // It was fit when it was sealed.
        Value::from_bytes(plain).map_err(|_| opened(SealedError::Opened(self.sealed.origin())))
    }

    fn write(&self, contents: Contents) -> Result<(), Error> {
        let (path, text) = (self.path(), self.text(contents)?);
        replace(&path, &text).map_err(|source| Error::File { doing: "write", path, source })
    }

    fn text(&self, mut contents: Contents) -> Result<Vec<u8>, Error> {
        contents.check = self.sealed.seal(CHECK_PLACE, CHECK)?;
        if contents.placeholders.is_empty() {
            let mut root = [0; 32];
            getrandom::fill(&mut root).map_err(SealedError::Random)?;
            contents.placeholders = self.sealed.seal(ROOT_PLACE, &root)?;
        }
        serde_json::to_vec_pretty(&contents).map_err(|source| Error::Parse { path: self.path(), source })
    }

    /// The file as it is now.
    fn contents(&self) -> Result<Arc<Contents>, Error> {
        let path = self.path();
        let failed = |source| Error::File { doing: "read", path: path.clone(), source };
        let stamp = match fs::metadata(&path) {
            Ok(metadata) => (metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Arc::default()),
            Err(error) => return Err(failed(error)),
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0 != Some(stamp) {
            let text = fs::read(&path).map_err(failed)?;
            let contents: Contents =
                serde_json::from_slice(&text).map_err(|source| Error::Parse { path: path.clone(), source })?;
            if self.sealed.unseal(CHECK_PLACE, &contents.check).ok().as_deref() != Some(CHECK) {
                return Err(Error::OtherKey { path: path.clone(), origin: self.sealed.origin() });
            }
            *read = (Some(stamp), Arc::new(contents));
        }
        Ok(Arc::clone(&read.1))
    }

    fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }
}

/// What a value is sealed for: one moved to another name does not open.
fn place(name: &str) -> String {
    format!("secret {name}")
}

fn is_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn vault(folder: &Path, key: &str) -> Vault {
        Vault::at(folder, Arc::new(Sealed::of_file(&folder.join(key)).unwrap()))
    }

    fn value(text: &str) -> Value {
        Value::new(text.into()).unwrap()
    }

    /// Seen to fail with any name let in.
    #[test]
    fn what_is_kept_is_found_and_the_file_does_not_show_it() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (vault(folder.path(), "key"), vault(folder.path(), "key"));
        one.prepare().unwrap();
        assert!(other.get("KEY").unwrap().is_none());
        assert!(one.set("KEY", &value("first value")).unwrap());
        // Another process notices.
        assert_eq!(other.get("KEY").unwrap().unwrap().expose(), "first value");
        assert!(!other.set("KEY", &value("the second value, which is long")).unwrap());
        assert_eq!(one.get("KEY").unwrap().unwrap().expose(), "the second value, which is long");
        let kept = one.list().unwrap();
        assert_eq!((kept.len(), kept[0].name.as_str(), kept[0].value.as_str()), (1, "KEY", "********long"));
        let path = folder.path().join(FILE);
        assert!(!fs::read_to_string(&path).unwrap().contains("second"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        one.remove("KEY").unwrap();
        assert!(other.get("KEY").unwrap().is_none());
        assert!(matches!(one.remove("KEY"), Err(Error::Unknown(_))));
        assert!(matches!(one.set("no-name", &value("12345678")), Err(Error::Name(_))));
    }

    /// Seen to fail with the key not checked.
    #[test]
    fn another_key_is_noticed_before_anything_is_sealed_with_it() {
        let folder = tempfile::tempdir().unwrap();
        vault(folder.path(), "key").prepare().unwrap();
        let other = vault(folder.path(), "other");
        assert!(matches!(other.set("KEY", &value("12345678")), Err(Error::OtherKey { .. })));
        assert!(matches!(other.list(), Err(Error::OtherKey { .. })));
    }

    /// Seen to fail with values that are not sealed for their names.
    #[test]
    fn a_value_moved_to_another_name_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path(), "key");
        vault.set("KEY", &value("12345678")).unwrap();
        let path = folder.path().join(FILE);
        let moved = fs::read_to_string(&path).unwrap().replace("\"KEY\"", "\"LOG\"");
        fs::write(&path, moved).unwrap();
        assert!(matches!(vault.get("LOG"), Err(Error::Opened { .. })));
    }
}
