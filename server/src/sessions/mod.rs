//! Sessions: the state of an interpreter, kept from one call to the next under a name that the client gives.
//!
//! A session belongs to one grant: its key begins with the grant, so another's is not found by any name. Each call that returned
//! replaces the state: a file, synced, and then the record that names it. So whatever ends the process, a session is the state after
//! one of its calls. States used lately are in memory, too.
//!
//! - `files`, `record`: what is on the disk;
//! - `lately`: what is in memory;
//! - `turns`: the calls of one session come one after the other.

mod files;
mod lately;
mod name;
mod record;
mod turns;

pub(crate) use name::Name;
pub(crate) use record::View;
pub(crate) use turns::Line;

use crate::executions::Id;
use crate::store::{self, Batch, Quota, Store, Table, TooMuch};
use exuvia_runtime::Saved;
use files::Files;
use lately::Lately;
use record::{Record, key, now};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};
use turns::Turns;

/// Most sessions that one page of the store has.
const PAGE: usize = 1000;
/// Between two looks at what has expired.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// How many there may be, and how large.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Sessions that nobody used for so long are removed.
    pub(crate) idle: Duration,
    /// Most bytes of one.
    pub(crate) largest: u64,
    /// Most bytes of those that are in memory.
    pub(crate) memory: u64,
    /// Most bytes of all, and of those of one grant.
    pub(crate) disk: u64,
    pub(crate) disk_per_grant: u64,
}

/// Why a session cannot be had, or not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("what is kept of the session `{0}` is damaged; {ANEW}")]
    Damaged(Name),
    #[error("the session `{0}` was made by another version of this server; {ANEW}")]
    OtherVersion(Name),
    #[error(
        "the session `{name}` has grown to {needed} bytes of memory and files, and this run may have {limit}; {ANEW}"
    )]
    AboveLimit { name: Name, needed: u64, limit: u64 },
    #[error("the sessions of this grant take as much of the disk as they may: remove one, or wait until one expires")]
    GrantFull,
    #[error("all sessions together take as much of the disk as they may: wait until some expire")]
    Full,
    #[error("a call of this session is under way: wait for its end, or cancel it")]
    Busy,
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the work was lost inside the server; its log says more")]
    Lost,
}

impl From<TooMuch> for Error {
    fn from(too_much: TooMuch) -> Self {
        match too_much {
            TooMuch::OfGrant => Self::GrantFull,
            TooMuch::OfAll => Self::Full,
        }
    }
}

const ANEW: &str = "begin it anew with `reset_session: true`, or use another `session_id`";

/// What is known of the call that leaves a state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// The execution.
    pub(crate) by: Id,
    /// Whether it began from nothing.
    pub(crate) is_first: bool,
}

/// All sessions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sessions(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    files: Files,
    lately: Lately,
    quota: Quota,
    turns: Turns,
    settings: Settings,
}

impl Sessions {
    /// Opens what an earlier process left, and removes the files that no record names: their writers were killed.
    pub(crate) fn open(store: Arc<dyn Store>, folder: PathBuf, settings: Settings) -> Result<Self, store::Error> {
        let inner = Inner {
            store,
            files: Files::open(folder)?,
            lately: Lately::new(settings.memory),
            quota: Quota::new(settings.disk, settings.disk_per_grant),
            turns: Turns::default(),
            settings,
        };
        let records = inner.all()?;
        for record in &records {
            inner.quota.add(&record.grant, record.size);
        }
        inner.files.remove_all_but(&records.iter().map(|record| record.file).collect())?;
        Ok(Self(Arc::new(inner)))
    }

    /// Begins to remove what expires.
    pub(crate) fn start(&self) {
        let inner = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            while let Some(strong) = inner.upgrade() {
                if let Err(error) = expire(strong).await {
                    warn!(%error, "could not remove expired sessions");
                }
                tokio::time::sleep(PRUNE_EVERY).await;
            }
        });
    }

    /// Most bytes of one session.
    pub(crate) fn largest(&self) -> u64 {
        self.0.settings.largest
    }

    /// A place behind all calls of the session that were accepted before.
    pub(crate) fn line(&self, grant: &str, name: &Name) -> Line {
        self.0.turns.line(key(grant, name))
    }

    /// What the last call left; None for a session that is new.
    pub(crate) async fn state(&self, grant: &str, name: &Name) -> Result<Option<Arc<Saved>>, Error> {
        let (inner, grant, name) = (Arc::clone(&self.0), grant.to_owned(), name.clone());
        tokio::task::spawn_blocking(move || inner.state(&grant, &name)).await.map_err(|_| Error::Lost)?
    }

    /// Makes `state`, left by a call, what the session is; it survives a power cut when this returns. Call it in the session's turn.
    pub(crate) async fn keep(&self, grant: &str, name: &Name, call: Call, state: Saved) -> Result<(), Error> {
        let (inner, grant, name) = (Arc::clone(&self.0), grant.to_owned(), name.clone());
        let written = tokio::task::spawn_blocking(move || inner.write(&grant, &name, call, state)).await;
        let replaced = written.map_err(|_| Error::Lost)??;
        // Before that the old file may be what a restart finds named.
        self.0.store.durable().await?;
        if let Some(old) = replaced {
            self.0.files.remove(old);
        }
        Ok(())
    }

    /// The sessions of a grant, the last used first.
    pub(crate) fn list(&self, grant: &str) -> Result<Vec<View>, Error> {
        let mut records = self.0.of_grant(grant)?;
        records.retain(|record| !self.0.is_expired(record));
        records.sort_by_key(|record| std::cmp::Reverse(record.used));
        Ok(records.iter().map(|record| record.view(self.0.settings.idle)).collect())
    }

    /// Forgets a session. False when there is none of this name.
    pub(crate) async fn remove(&self, grant: &str, name: &Name) -> Result<bool, Error> {
        let Some(_turn) = self.0.turns.free(&key(grant, name)) else { return Err(Error::Busy) };
        let Some(record) = self.0.record(grant, name)? else { return Ok(false) };
        self.0.forget(&record)?;
        self.0.store.durable().await?;
        self.0.files.remove(record.file);
        Ok(true)
    }
}

impl Inner {
    fn state(&self, grant: &str, name: &Name) -> Result<Option<Arc<Saved>>, Error> {
        let Some(record) = self.record(grant, name)?.filter(|record| !self.is_expired(record)) else { return Ok(None) };
        let key = key(grant, name);
        if let Some(state) = self.lately.get(&key) {
            return Ok(Some(state));
        }
        let state = self.files.get(&record).map_err(|error| {
            warn!(%error, session = %record.file, "a session is damaged");
            Error::Damaged(name.clone())
        })?;
        let state = Arc::new(state);
        self.lately.put(key, &state);
        Ok(Some(state))
    }

    /// Gives the file that is not named any more.
    fn write(&self, grant: &str, name: &Name, call: Call, state: Saved) -> Result<Option<uuid::Uuid>, Error> {
        // One that cannot be read is replaced like any other: this is how it is healed.
        let before = self.record(grant, name).unwrap_or_default();
        let size = state.bytes().len() as u64;
        self.quota.replace(grant, before.as_ref().map_or(0, |record| record.size), size)?;
        let written = self.files.put(state.bytes()).and_then(|(file, hash)| {
            let record =
                Record::next(before.as_ref().filter(|_| !call.is_first), grant, name, call.by, (file, hash, size));
            let mut batch = Batch::default();
            batch.put(Table::Sessions, key(grant, name), record.to_bytes());
            self.store.apply(batch)
        });
        if let Err(error) = written {
            self.quota.take_back(grant, before.as_ref().map_or(0, |record| record.size), size);
            return Err(error.into());
        }
        self.lately.put(key(grant, name), &Arc::new(state));
        Ok(before.map(|record| record.file))
    }

    fn record(&self, grant: &str, name: &Name) -> Result<Option<Record>, store::Error> {
        self.store.get(Table::Sessions, &key(grant, name))?.map(|bytes| Record::from_bytes(&bytes)).transpose()
    }

    fn of_grant(&self, grant: &str) -> Result<Vec<Record>, store::Error> {
        let prefix = record::prefix(grant);
        let mut records = Vec::new();
        let mut before: Option<Vec<u8>> = None;
        loop {
            let page = self.store.last(Table::Sessions, &prefix, before.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(records) };
            before = Some(last.clone());
            for (_, bytes) in &page {
                records.push(Record::from_bytes(bytes)?);
            }
        }
    }

    fn all(&self) -> Result<Vec<Record>, store::Error> {
        let mut records = Vec::new();
        let mut after = Vec::new();
        loop {
            let page = self.store.first(Table::Sessions, &after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(records) };
            after.clone_from(last);
            for (_, bytes) in &page {
                records.push(Record::from_bytes(bytes)?);
            }
        }
    }

    fn is_expired(&self, record: &Record) -> bool {
        now().saturating_sub(record.used) >= u64::try_from(self.settings.idle.as_millis()).unwrap_or(u64::MAX)
    }

    /// The files of those that were removed.
    fn forget_expired(&self) -> Result<Vec<uuid::Uuid>, store::Error> {
        let mut files = Vec::new();
        for record in self.all()?.into_iter().filter(|record| self.is_expired(record)) {
            // One that a call has come for is not idle.
            let Some(_turn) = self.turns.free(&key(&record.grant, &record.name)) else { continue };
            // It may have been used since.
            let Some(record) = self.record(&record.grant, &record.name)?.filter(|record| self.is_expired(record))
            else {
                continue;
            };
            self.forget(&record)?;
            info!(grant = record.grant, size = record.size, "removed an expired session");
            files.push(record.file);
        }
        Ok(files)
    }

    fn forget(&self, record: &Record) -> Result<(), store::Error> {
        let key = key(&record.grant, &record.name);
        let mut batch = Batch::default();
        batch.remove(Table::Sessions, key.clone());
        self.store.apply(batch)?;
        self.lately.remove(&key);
        self.quota.take_back(&record.grant, 0, record.size);
        Ok(())
    }
}

async fn expire(inner: Arc<Inner>) -> Result<(), Error> {
    let forgetting = Arc::clone(&inner);
    let files = tokio::task::spawn_blocking(move || forgetting.forget_expired()).await.map_err(|_| Error::Lost)??;
    if files.is_empty() {
        return Ok(());
    }
    // Until then a power cut may bring the records back, which would find no files.
    inner.store.durable().await?;
    for file in files {
        inner.files.remove(file);
    }
    Ok(())
}
