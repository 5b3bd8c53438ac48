//! The operator's token: made at the first start, in a file that only its owner reads. It is no grant: it calls no tool, and
//! no grant's key is it.

use super::key;
use crate::config::write_atomically;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What it begins with, so that it is not taken for a grant's key.
const PREFIX: &str = "exo_";

pub(crate) struct Operator {
    path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OperatorError {
    #[error("could not {doing} the operator's token in `{}`: {source}", .path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("others may read the operator's token `{}`: run `chmod 600` on it", .0.display())]
    Exposed(PathBuf),
    #[error("could not get random numbers from the system")]
    Random,
}

impl Operator {
    /// The token in the file `path`, which is made if there is none.
    pub(crate) fn open(path: PathBuf) -> Result<Self, OperatorError> {
        let operator = Self { path };
        if !operator.path.exists() {
            let (token, _) = key::new(PREFIX).map_err(|_| OperatorError::Random)?;
            write_atomically(&operator.path, format!("{token}\n").as_bytes())
                .map_err(|source| operator.failed("write", source))?;
        }
        operator.token()?;
        Ok(operator)
    }

    /// Whether `given` is the token that the file has now: another one in it counts at once.
    pub(crate) fn is(&self, given: &str) -> Result<bool, OperatorError> {
        Ok(key::is_same(&key::hash(given), &key::hash(&self.token()?)))
    }

    fn token(&self) -> Result<String, OperatorError> {
        read(&self.path)
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> OperatorError {
        OperatorError::File { doing, path: self.path.clone(), source }
    }
}

/// The token in a file.
pub(crate) fn read(path: &Path) -> Result<String, OperatorError> {
    let failed = |source| OperatorError::File { doing: "read", path: path.into(), source };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(OperatorError::Exposed(path.into()));
    }
    let token = fs::read_to_string(path).map_err(failed)?;
    let token = token.trim();
    // An empty file would make everybody the operator who sends an empty token.
    if token.len() < PREFIX.len() + 16 {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is too short: remove it to have a new one")));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.token");
        let operator = Operator::open(path.clone()).unwrap();
        let token = read(&path).unwrap();
        assert!(token.starts_with(PREFIX));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(operator.is(&token).unwrap());
        assert!(!operator.is("").unwrap() && !operator.is(&token.replace(PREFIX, "exv_")).unwrap());
        assert_eq!(read(&path).unwrap(), token, "made once");
        Operator::open(path.clone()).unwrap();
        assert_eq!(read(&path).unwrap(), token);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(operator.is(&token), Err(OperatorError::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "\n").unwrap();
        assert!(operator.is("").is_err());
    }
}
