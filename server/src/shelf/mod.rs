//! Files that programs leave and that clients give: contents on the disk, with a quota of their own, each grant's and all.
//!
//! - `content`: bytes on the disk, and the one place through which they come there;
//! - `inputs`: what clients give, until it expires;
//! - `kind`: what a file is;
//! - `name`: what it may be called, and how that is written into an address.
//!
//! What an execution left is listed in its record (`executions`); the contents lie here as long as that.

mod content;
mod inputs;
pub(crate) mod kind;
pub(crate) mod name;

pub(crate) use content::{Owner, Written, given};
pub(crate) use inputs::{View, Wanted};

use crate::store::{self, Quota, Store, Table};
use content::Contents;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Between two looks at what has expired.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// How many there may be, and how large.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Most bytes of one.
    pub(crate) largest: u64,
    /// Most bytes of all, and of those of one grant.
    pub(crate) disk: u64,
    pub(crate) disk_per_grant: u64,
    /// What clients give is removed after this.
    pub(crate) expires: Duration,
}

/// Why a file cannot be had, or not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("it is larger than the {most} bytes that one file may have")]
    TooLarge { most: u64 },
    #[error("this grant has {most} files already, which is the most: delete some")]
    TooMany { most: usize },
    #[error("the files of this grant take as much of the disk as they may: delete some, or wait until they expire")]
    GrantFull,
    #[error("all files together take as much of the disk as they may: wait until some expire")]
    Full,
    #[error("there is no file `{0}`: it is another's, or has expired; `POST /v1/files` gives one")]
    Unknown(Uuid),
    #[error("{0}")]
    Name(String),
    #[error("it could not be read to its end")]
    Source(#[source] io::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// All files. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shelf(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    contents: Contents,
    settings: Settings,
}

impl Shelf {
    /// Opens what an earlier process left, and removes what no record names: its writer was killed.
    pub(crate) fn open(store: Arc<dyn Store>, folder: PathBuf, settings: Settings) -> Result<Self, Error> {
        let contents = Contents::open(folder.clone(), Quota::new(settings.disk, settings.disk_per_grant))?;
        let inner = Inner { store, contents, settings };
        let inputs: HashSet<Uuid> = inner.all_inputs()?.into_iter().map(|input| input.id).collect();
        // What cannot be read may be there.
        let is_execution = |id: Uuid| !matches!(inner.store.get(Table::Executions, id.as_bytes()), Ok(None));
        let swept = inner.contents.sweep(|id| inputs.contains(&id) || is_execution(id));
        swept.map_err(store::Error::file("look through the folder", folder))?;
        Ok(Self(Arc::new(inner)))
    }

    /// Keeps all that `source` gives for an execution, at most `most` bytes. On the disk when this returns.
    pub(crate) fn put(&self, owner: Owner<'_>, source: &mut dyn Read, most: u64) -> Result<Written, Error> {
        self.0.contents.put(owner, source, most.min(self.0.settings.largest))
    }

    /// A content that an execution or an input has.
    pub(crate) fn get(&self, owner: Owner<'_>, hash: &str) -> Result<File, store::Error> {
        self.0.contents.get(owner, hash).map_err(store::Error::file("open the file", hash))
    }

    /// What an execution was lent.
    pub(crate) fn lent(&self, grant: &str, execution: Uuid, hash: &str) -> Result<File, store::Error> {
        let found = self.0.contents.lent(Owner { grant, id: execution }, hash);
        found.map_err(store::Error::file("open the file", hash))
    }

    /// What an execution was given, while it is kept: until it is over, and for as long as the input itself is.
    pub(crate) fn given(&self, execution: Owner<'_>, input: Uuid, hash: &str) -> Option<File> {
        self.0.contents.given(execution, input, hash).ok()
    }

    /// Takes back all that was lent to an execution, which is over.
    pub(crate) fn give_back(&self, grant: &str, execution: Uuid) {
        self.0.contents.give_back(Owner { grant, id: execution });
    }

    /// Removes all that an execution left.
    pub(crate) fn remove(&self, owner: Owner<'_>) {
        self.0.contents.remove(owner);
    }

    /// Most bytes of one file.
    pub(crate) fn largest(&self) -> u64 {
        self.0.settings.largest
    }
}
