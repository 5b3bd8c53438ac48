//! The key changed: all that is sealed in a data folder is sealed with another one. A server that runs goes on.
//!
//! The file of the key has the new one and the old one while that lasts, so that all opens at any moment, whatever has been sealed
//! anew by then: a process that dies in the middle leaves a folder that works, and the next attempt begins from there. A key in the
//! environment is the operator's, who gives both for that time.

use super::vault::{self, Vault};
use crate::upstream::{self, Registry, Sealed, SealedError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the new key comes from.
#[derive(Debug)]
pub(crate) enum NewKey {
    Fresh,
    /// As a file or a variable has it.
    Given(String),
}

/// What was sealed anew.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rekeyed {
    pub(crate) secrets: usize,
    /// Files beside that of the secrets: of MCP servers, and of their tokens.
    pub(crate) others: usize,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "`EXUVIA_KEY` has one key: start the server with both, the new one first (`EXUVIA_KEY=\"NEW OLD\"`), run this with both, and leave \
         the old one out from then on"
    )]
    One,
    #[error("`EXUVIA_KEY` has the keys, the new one first: it is no file's to give")]
    InVariable,
    #[error("the new key is the old one")]
    Same,
    #[error(transparent)]
    Secrets(#[from] vault::Error),
    #[error(transparent)]
    Servers(#[from] upstream::RegistryError),
    #[error("could not read the tokens of MCP servers: {0}")]
    Tokens(io::Error),
    #[error(transparent)]
    Sealed(#[from] SealedError),
    #[error("could not write `{}`: {source}", .path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// How a file gets other contents: at once, and on the disk when it returns.
pub(crate) type Replace<'r> = &'r mut dyn FnMut(&Path, &[u8]) -> io::Result<()>;

/// Seals all that is in `folder` with a new key.
pub(crate) fn rekey(folder: &Path, sealed: &Arc<Sealed>, new: NewKey, replace: Replace<'_>) -> Result<Rekeyed, Error> {
    let mut write =
        |path: &Path, bytes: &[u8]| replace(path, bytes).map_err(|source| Error::Write { path: path.into(), source });
    let _lock = sealed.lock()?;
    let vault = Vault::at(folder, Arc::clone(sealed));
    let others = || -> Result<_, Error> {
        let tokens = upstream::Vault::renewed(folder, sealed).map_err(Error::Tokens)?;
        Ok(Registry::renewed(folder, sealed)?.into_iter().chain(tokens))
    };
    // With another key than theirs, or with something that cannot be read, nothing is changed.
    vault.renewed()?;
    others().map(drop)?;
    let keys = keys(sealed, new)?;
    if let Some((file, _)) = &keys {
        // Of an attempt that died: it has keys in it.
        upstream::clear_beside(file);
    }
    if let Some((file, [new, old])) = &keys {
        write(file, format!("{new}\n{old}\n").as_bytes())?;
    }
    let mut done = Rekeyed { secrets: 0, others: 0 };
    if let Some((path, text, secrets)) = vault.renewed()? {
        write(&path, &text)?;
        done.secrets = secrets;
    }
    for (path, text) in others()? {
        write(&path, &text)?;
        done.others += 1;
    }
    if let Some((file, [new, _])) = &keys {
        write(file, format!("{new}\n").as_bytes())?;
    }
    Ok(done)
}

/// The file of the key with the new and the old ones, if it is in a file.
fn keys(sealed: &Sealed, new: NewKey) -> Result<Option<(PathBuf, [String; 2])>, Error> {
    let Some(file) = sealed.file() else {
        return match new {
            NewKey::Given(_) => Err(Error::InVariable),
            NewKey::Fresh if sealed.keys() < 2 => Err(Error::One),
            NewKey::Fresh => Ok(None),
        };
    };
    let old = Sealed::key_in(file)?;
    let new = match new {
        NewKey::Fresh => Sealed::new_key()?,
        NewKey::Given(text) => Sealed::check_key(text.trim(), "the new key")?,
    };
    // A crash may have left it there: then it is taken for the one to seal with, and the others go.
    if old.split_whitespace().eq([new.as_str()]) { Err(Error::Same) } else { Ok(Some((file.into(), [new, old]))) }
}

#[cfg(test)]
#[path = "rekey_tests.rs"]
mod tests;
