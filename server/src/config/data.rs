//! The data folder: where each thing in it lies.

use super::Error;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The folder of everything that is kept. Only its owner may read it.
#[derive(Debug, Clone)]
pub(crate) struct Data(PathBuf);

impl Data {
    /// `folder`, or the usual one of this user.
    pub(crate) fn new(folder: Option<&Path>) -> Result<Self, Error> {
        if let Some(folder) = folder {
            return Ok(Self(folder.into()));
        }
        let of = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = of("XDG_DATA_HOME").or_else(|| of("HOME").map(|home| home.join(".local/share")));
        base.map(|base| Self(base.join("exuvia"))).ok_or(Error::NoDataFolder)
    }

    /// Makes the folder if it is not there.
    pub(crate) fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.0.join("files")
    }

    /// The states of sessions.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.0.join("sessions")
    }

    /// What programs left and clients gave.
    pub(crate) fn shelf(&self) -> PathBuf {
        self.0.join("shelf")
    }

    /// Large files of programs that run.
    pub(crate) fn spill(&self) -> PathBuf {
        self.0.join("spill")
    }

    pub(crate) fn audit(&self) -> PathBuf {
        self.0.join("audit")
    }

    pub(crate) fn pins(&self) -> PathBuf {
        self.0.join("pins.json")
    }

    /// The key that approvals are bound with.
    pub(crate) fn approvals_key(&self) -> PathBuf {
        self.0.join("approvals.key")
    }

    pub(crate) fn operator_token(&self) -> PathBuf {
        self.0.join("operator.token")
    }

    /// Where the operator's API is, also when there is no port.
    pub(crate) fn operator_socket(&self) -> PathBuf {
        self.0.join("operator.sock")
    }

    pub(crate) fn grants(&self) -> PathBuf {
        self.0.join("grants.json")
    }
}

/// Writes a file whole or not at all, readable by its owner alone.
pub(crate) fn write_atomically(path: &Path, contents: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let temporary = path.with_extension("new");
    // Left by a process that was killed.
    let _ = fs::remove_file(&temporary);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}
