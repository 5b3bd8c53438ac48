//! The file of grants. The command line writes it, a running server notices.

use super::key;
use crate::config::write_atomically;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What every key begins with.
const PREFIX: &str = "exv_";

/// One labelled key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    pub(crate) label: String,
    /// SHA-256 of the key, in hexadecimal.
    hash: String,
    pub(crate) created: String,
    /// The file of its policy. Without one, it may do nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<PathBuf>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    grants: Vec<Grant>,
}

/// All grants, as the file has them now.
pub(crate) struct Grants {
    path: PathBuf,
    read: Mutex<(Option<Stamp>, Arc<Contents>)>,
}

/// What changes when the file is replaced: inode, size, and time of the last change in nanoseconds.
type Stamp = (u64, u64, i64, i64);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not {doing} the grants in `{}`: {source}", .path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("the grants in `{}` cannot be read ({source}): restore the file, or remove it and create the grants anew", .path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    #[error("the label `{0}` cannot be used: give 1 to 64 letters, digits, `-`, `_`, `.` or `@`; `local` is taken")]
    Label(String),
    #[error("there is a grant `{0}` already: choose another label, or `exuvia grants revoke {0}` first")]
    Exists(String),
    #[error("there is no grant `{0}`: `exuvia grants list` shows those that exist")]
    Unknown(String),
    #[error("could not get random numbers from the system")]
    Random,
}

impl Grants {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, read: Mutex::default() }
    }

    /// The label of the grant that `key` belongs to.
    pub(crate) fn find(&self, key: &str) -> Result<Option<String>, Error> {
        let hash = key::hash(key);
        let contents = self.contents()?;
        // All are compared, so that the time does not tell which one it was.
        let found = contents.grants.iter().filter(|grant| key::is_same(&grant.hash, &hash));
        let found = found.fold(None, |_, grant| Some(grant));
        Ok(found.map(|grant| grant.label.clone()))
    }

    /// Whether keys are in use here: from the first grant on, for ever. Revoking the last one must not open the door.
    pub(crate) fn are_used(&self) -> Result<bool, Error> {
        Ok(self.stamp()?.is_some())
    }

    /// The file of a grant's policy.
    pub(crate) fn policy(&self, label: &str) -> Result<Option<PathBuf>, Error> {
        let contents = self.contents()?;
        Ok(contents.grants.iter().find(|grant| grant.label == label).and_then(|grant| grant.policy.clone()))
    }

    pub(crate) fn list(&self) -> Result<Vec<Grant>, Error> {
        Ok(self.contents()?.grants.clone())
    }

    /// Makes a grant. Its key is given here, and never again.
    pub(crate) fn create(&self, label: &str, policy: Option<&Path>) -> Result<String, Error> {
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.@".contains(character);
        if label.is_empty() || label.len() > 64 || label == super::LOCAL || !label.chars().all(is_plain) {
            return Err(Error::Label(label.into()));
        }
        let mut grants = self.list()?;
        if grants.iter().any(|grant| grant.label == label) {
            return Err(Error::Exists(label.into()));
        }
        let (key, hash) = key::new(PREFIX).map_err(|_| Error::Random)?;
        let created = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        grants.push(Grant { label: label.into(), hash, created, policy: policy.map(Path::to_owned) });
        self.write(grants)?;
        Ok(key)
    }

    /// Gives a grant a new key in the place of its old one, and another policy if one is given.
    pub(crate) fn rotate(&self, label: &str, policy: Option<&Path>) -> Result<String, Error> {
        let mut grants = self.list()?;
        let grant = grants.iter_mut().find(|grant| grant.label == label);
        let grant = grant.ok_or_else(|| Error::Unknown(label.into()))?;
        let (key, hash) = key::new(PREFIX).map_err(|_| Error::Random)?;
        grant.hash = hash;
        if let Some(policy) = policy {
            grant.policy = Some(policy.into());
        }
        self.write(grants)?;
        Ok(key)
    }

    /// Takes a grant's key away. What it had run stays under its label.
    pub(crate) fn revoke(&self, label: &str) -> Result<(), Error> {
        let mut grants = self.list()?;
        let before = grants.len();
        grants.retain(|grant| grant.label != label);
        if grants.len() == before {
            return Err(Error::Unknown(label.into()));
        }
        self.write(grants)
    }

    fn write(&self, grants: Vec<Grant>) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(&Contents { grants }).unwrap_or_default();
        write_atomically(&self.path, text.as_bytes()).map_err(|source| self.failed("write", source))
    }

    fn contents(&self) -> Result<Arc<Contents>, Error> {
        let stamp = self.stamp()?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0 != stamp {
            let contents = if stamp.is_some() { parse(&self.path)? } else { Contents::default() };
            *read = (stamp, Arc::new(contents));
        }
        Ok(Arc::clone(&read.1))
    }

    fn stamp(&self) -> Result<Option<Stamp>, Error> {
        match fs::metadata(&self.path) {
            Ok(file) => Ok(Some((file.ino(), file.size(), file.ctime(), file.ctime_nsec()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.failed("read", source)),
        }
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> Error {
        Error::File { doing, path: self.path.clone(), source }
    }
}

fn parse(path: &Path) -> Result<Contents, Error> {
    let text = fs::read(path).map_err(|source| Error::File { doing: "read", path: path.into(), source })?;
    serde_json::from_slice(&text).map_err(|source| Error::Parse { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_server_notices_what_the_command_line_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.json");
        let (server, command) = (Grants::at(path.clone()), Grants::at(path.clone()));
        assert!(!server.are_used().unwrap());
        let key = command.create("alice-laptop", None).unwrap();
        assert_eq!(server.find(&key).unwrap().as_deref(), Some("alice-laptop"));
        assert_eq!(server.find("exv_wrong").unwrap(), None);
        assert!(!fs::read_to_string(&path).unwrap().contains(&key));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let policy = folder.path().join("policy.json");
        let rotated = command.rotate("alice-laptop", Some(&policy)).unwrap();
        assert_eq!(server.find(&key).unwrap(), None);
        assert_eq!(server.find(&rotated).unwrap().as_deref(), Some("alice-laptop"));
        assert_eq!(server.policy("alice-laptop").unwrap(), Some(policy));
        command.revoke("alice-laptop").unwrap();
        assert_eq!(server.find(&rotated).unwrap(), None);
        assert!(server.are_used().unwrap());
    }

    #[test]
    fn labels_are_plain_and_single() {
        let folder = tempfile::tempdir().unwrap();
        let grants = Grants::at(folder.path().join("grants.json"));
        for label in ["", "local", "a b", "a\0b", "ä"] {
            assert!(matches!(grants.create(label, None), Err(Error::Label(_))), "{label:?}");
        }
        grants.create("ci", None).unwrap();
        assert!(matches!(grants.create("ci", None), Err(Error::Exists(_))));
        assert!(matches!(grants.revoke("cd"), Err(Error::Unknown(_))));
    }

    #[test]
    fn a_file_that_cannot_be_read_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.json");
        fs::write(&path, "{\"grants\": [").unwrap();
        assert!(matches!(Grants::at(path).find("exv_any"), Err(Error::Parse { .. })));
    }
}
