//! Files that clients give: a grant's own, until they expire.

use super::content::Owner;
use super::{Error, Inner, Shelf, kind, name};
use crate::store::{self, Batch, Table};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Inputs that one page of the store has.
const PAGE: usize = 1000;
/// Inputs that one grant may have: each is a record beside its bytes.
const MOST: usize = 10_000;
/// The last millisecond of the year 9999.
const LAST: u64 = 253_402_300_799_999;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Input {
    pub(crate) id: Uuid,
    grant: String,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) hash: String,
    pub(crate) kind: String,
    /// Milliseconds since 1970.
    created: u64,
}

/// An input as clients see it.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) size: u64,
    pub(crate) hash: String,
    pub(crate) uri: String,
    pub(crate) created_at: String,
    pub(crate) expires_at: String,
}

/// A file that an execution asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) id: Uuid,
    /// Where it is to be, below the working folder; the name that it was given with unless it says so.
    pub(crate) name: Option<String>,
    /// Its content, once it is lent.
    #[serde(default)]
    pub(crate) hash: String,
}

impl Shelf {
    /// Keeps what `source` gives as a file of the grant.
    pub(crate) fn give(&self, grant: &str, name: &str, source: &mut dyn Read) -> Result<View, Error> {
        name::check(name).map_err(Error::Name)?;
        let inner = &self.0;
        if inner.store.last(Table::Inputs, &prefix(grant), None, MOST)?.len() >= MOST {
            return Err(Error::TooMany { most: MOST });
        }
        let id = Uuid::now_v7();
        let owner = Owner { grant, id };
        let written = inner.contents.put(owner, source, inner.settings.largest)?;
        let kind = kind::of(name, &written.head);
        let (size, hash) = (written.size, written.hash);
        let input = Input { id, grant: grant.to_owned(), name: name.to_owned(), size, hash, kind, created: now() };
        let mut batch = Batch::default();
        // Nothing in it can fail to be written.
        batch.put(Table::Inputs, key(grant, id), serde_json::to_vec(&input).unwrap_or_default());
        if let Err(error) = inner.store.apply(batch) {
            inner.contents.remove(owner);
            return Err(error.into());
        }
        Ok(inner.view(&input))
    }

    /// The files of a grant, the newest first.
    pub(crate) fn inputs(&self, grant: &str) -> Result<Vec<View>, Error> {
        let found = self.0.store.last(Table::Inputs, &prefix(grant), None, MOST)?;
        let inputs = found.iter().map(|(_, value)| read(value)).collect::<Result<Vec<_>, _>>()?;
        Ok(inputs.iter().filter(|input| !self.0.is_expired(input)).map(|input| self.0.view(input)).collect())
    }

    pub(crate) fn input(&self, grant: &str, id: Uuid) -> Result<Option<View>, Error> {
        Ok(self.0.input(grant, id)?.map(|input| self.0.view(&input)))
    }

    /// Forgets a file. False when there is none, or it is another's.
    pub(crate) fn forget(&self, grant: &str, id: Uuid) -> Result<bool, Error> {
        let Some(input) = self.0.input(grant, id)? else { return Ok(false) };
        self.0.forget(&input)?;
        Ok(true)
    }

    /// Lends what is wanted to an execution of the grant.
    pub(crate) fn lend(&self, grant: &str, execution: Uuid, wanted: &mut [Wanted]) -> Result<(), Error> {
        for one in &mut *wanted {
            let input = self.0.input(grant, one.id)?.ok_or(Error::Unknown(one.id))?;
            let (from, to) = (Owner { grant, id: one.id }, Owner { grant, id: execution });
            self.0.contents.lend(from, to, &input.hash).inspect_err(|_| self.0.contents.give_back(to))?;
            one.hash = input.hash;
            one.name.get_or_insert(input.name);
        }
        let names: Vec<_> = wanted.iter().filter_map(|one| one.name.as_deref()).collect();
        name::check_all(&names).map_err(|why| {
            self.give_back(grant, execution);
            Error::Name(why)
        })
    }

    /// Begins to remove what expires.
    pub(crate) fn start(&self) {
        let inner = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            while let Some(strong) = inner.upgrade() {
                let expired = tokio::task::spawn_blocking(move || strong.forget_expired()).await;
                if let Ok(Err(error)) = expired {
                    tracing::warn!(%error, "could not remove expired files");
                }
                tokio::time::sleep(super::PRUNE_EVERY).await;
            }
        });
    }
}

impl Inner {
    fn input(&self, grant: &str, id: Uuid) -> Result<Option<Input>, Error> {
        let Some(value) = self.store.get(Table::Inputs, &key(grant, id))? else { return Ok(None) };
        Ok(Some(read(&value)?).filter(|input| !self.is_expired(input)))
    }

    fn is_expired(&self, input: &Input) -> bool {
        now().saturating_sub(input.created) >= self.expires()
    }

    fn expires(&self) -> u64 {
        u64::try_from(self.settings.expires.as_millis()).unwrap_or(u64::MAX)
    }

    fn forget(&self, input: &Input) -> Result<(), Error> {
        let mut batch = Batch::default();
        batch.remove(Table::Inputs, key(&input.grant, input.id));
        self.store.apply(batch)?;
        self.contents.remove(Owner { grant: &input.grant, id: input.id });
        Ok(())
    }

    fn forget_expired(&self) -> Result<(), Error> {
        for input in self.all_inputs()?.iter().filter(|input| self.is_expired(input)) {
            self.forget(input)?;
        }
        Ok(())
    }

    pub(super) fn all_inputs(&self) -> Result<Vec<Input>, Error> {
        let (mut inputs, mut after) = (Vec::new(), Vec::new());
        loop {
            let page = self.store.first(Table::Inputs, &after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(inputs) };
            after.clone_from(last);
            for (_, value) in &page {
                inputs.push(read(value)?);
            }
        }
    }

    fn view(&self, input: &Input) -> View {
        let Input { id, name, size, hash, kind, created, .. } = input.clone();
        let time = |milliseconds: u64| {
            let time: SystemTime = UNIX_EPOCH + Duration::from_millis(milliseconds.min(LAST));
            humantime::format_rfc3339_millis(time).to_string()
        };
        let (created_at, expires_at) = (time(created), time(created.saturating_add(self.expires())));
        View { id, name, kind, size, hash, uri: format!("exuvia://files/{id}"), created_at, expires_at }
    }
}

fn read(value: &[u8]) -> Result<Input, store::Error> {
    serde_json::from_slice(value).map_err(|_| store::Error::Record { key: "Inputs".into() })
}

/// Labels of grants have no zero bytes, so no key is of two grants.
fn prefix(grant: &str) -> Vec<u8> {
    let mut prefix = grant.as_bytes().to_vec();
    prefix.push(0);
    prefix
}

fn key(grant: &str, id: Uuid) -> Vec<u8> {
    let mut key = prefix(grant);
    key.extend_from_slice(id.as_bytes());
    key
}

fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
