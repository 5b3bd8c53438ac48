//! What outlives the process: ordered keys in tables. One file (`sled.rs`) names the engine behind it.
//!
//! A write is visible at once and survives a power cut once [`Store::durable`] has returned. No method assumes that
//! this process is the only one, so that a distributed engine can take sled's place.

mod commit;
mod files;
mod mark;
mod quota;
mod room;
mod seal;
mod sled;

pub(crate) use self::files::Files;
pub(crate) use self::quota::{Quota, TooMuch};
pub(crate) use self::room::{FOR_NEW, Room};
pub(crate) use self::sled::Sled;

use std::io;
use std::path::PathBuf;
use std::pin::Pin;

/// A name space of keys. The numbers are part of what is on disk: never use one again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// What the store keeps of itself.
    Store = 0,
    /// Execution id → its record: state, times, usage.
    Executions = 1,
    /// Execution id → what was asked for.
    Requests = 2,
    /// Execution id → what it gave.
    Results = 3,
    /// Grant and execution id → nothing: the executions of one grant in the order of their submission.
    ByGrant = 4,
    /// Execution id → nothing: those that have not ended.
    Unfinished = 5,
    /// Grant, tool, counter and window → how much of a limit is taken.
    Counters = 6,
    /// Approval id → what a person is asked, and what they said.
    Approvals = 7,
    /// Grant and key → the execution that was submitted with it.
    Keys = 8,
    /// Execution id and number → a part of its journal.
    Journals = 20,
    /// Execution id → when one that sleeps is to be woken.
    Sleepers = 21,
    /// Grant and session id → where its state is.
    Sessions = 30,
    /// Grant and id → a file that a client gave.
    Inputs = 40,
}

impl Table {
    pub(crate) const ALL: [Self; 13] = [
        Self::Store,
        Self::Executions,
        Self::Requests,
        Self::Results,
        Self::ByGrant,
        Self::Unfinished,
        Self::Counters,
        Self::Approvals,
        Self::Keys,
        Self::Journals,
        Self::Sleepers,
        Self::Sessions,
        Self::Inputs,
    ];
}

/// Changes that happen together or not at all.
#[derive(Debug, Default)]
pub(crate) struct Batch(Vec<(Table, Vec<u8>, Option<Vec<u8>>)>);

impl Batch {
    pub(crate) fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.push((table, key.into(), Some(value.into())));
    }

    pub(crate) fn remove(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.0.push((table, key.into(), None));
    }
}

/// A key and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);
pub(crate) type Durable<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

pub(crate) trait Store: Send + Sync {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// At most `most` pairs whose keys begin with `prefix`, the last key first; with `before`, only smaller keys.
    fn last(&self, table: Table, prefix: &[u8], before: Option<&[u8]>, most: usize) -> Result<Vec<Pair>, Error>;

    /// At most `most` pairs with keys above `after`, the first key first.
    fn first(&self, table: Table, after: &[u8], most: usize) -> Result<Vec<Pair>, Error>;

    /// Makes all changes of `batch`, or none. Visible at once, durable later.
    fn apply(&self, batch: Batch) -> Result<(), Error>;

    /// Replaces the value `old` by `new`, or removes it; nothing happens when the value is another by now. Whether it
    /// happened. Of several who swap the same value, one does.
    fn swap(&self, table: Table, key: &[u8], old: &[u8], new: Option<&[u8]>) -> Result<bool, Error>;

    /// Waits until everything applied so far survives a power cut. Waits of many writers are one write to the disk.
    fn durable(&self) -> Durable<'_>;

    /// Whether there is room for something new. What is under way may still be written when there is not.
    fn room(&self) -> Result<(), Error>;

    /// Looks at every record. The number of sound ones, and the keys of those that are damaged.
    fn check(&self) -> Result<Check, Error>;
}

/// What [`Store::check`] found.
#[derive(Debug, Default)]
pub(crate) struct Check {
    pub(crate) sound: u64,
    pub(crate) damaged: Vec<String>,
}

/// Why something could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("another exuvia process uses the data folder `{}`: stop it, or give this one `--data` another folder", .0.display())]
    InUse(PathBuf),
    #[error(
        "the data folder `{}` is damaged ({why}): move it away, or restore it from a backup; `exuvia doctor --store` says more",
        .folder.display()
    )]
    Damaged { folder: PathBuf, why: String },
    #[error(
        "the data folder `{}` is damaged: its last {lost} writes are missing. Restore it from a backup, or go on with what \
         is left: `exuvia doctor --store --accept-loss`", .folder.display()
    )]
    Lost { folder: PathBuf, lost: u64 },
    #[error("the record `{key}` is damaged: restore the data folder from a backup, or remove the execution")]
    Record { key: String },
    #[error("the disk of the data folder is full: make room, or lower `retention` in exuvia.toml")]
    Full,
    #[error(
        "the disk of the data folder has not taken a write for {0} s: see what is wrong with it, then start exuvia again"
    )]
    Stuck(u64),
    #[error("could not {doing} `{}`", .path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("could not reach the data folder")]
    Io(#[source] io::Error),
    #[error("the writer of the data folder has stopped")]
    Stopped,
}

impl Error {
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| {
            if source.kind() == io::ErrorKind::StorageFull { Self::Full } else { Self::File { doing, path, source } }
        }
    }
}
