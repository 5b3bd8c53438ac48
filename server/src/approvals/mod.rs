//! Approvals: what people are asked, and what they said. Whether a call needs one, and whether one that was given fits it,
//! the policies say; the gate brings the two together.
//!
//! An approval is in the store from the asking to its expiry. Each of its steps is a compare-and-swap there, so that it is
//! given once and used once, whoever tries.

mod error;
mod id;
mod key;
mod record;
mod webhook;

pub(crate) use error::Error;
pub(crate) use id::Id;
pub(crate) use record::{Record, time};
pub(crate) use webhook::Webhook;

use crate::executions::{self, Live};
use crate::gate::now;
use crate::store::{Batch, Store, Table};
use exuvia_policies::{Approval, ApprovalKey, ApprovalState, Approved, Demand, Timestamp};
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// Most calls of one grant that wait at a time: a program must not bury a person in questions.
const MOST_PENDING: usize = 20;
/// Largest arguments that a person is asked about, in bytes.
const LARGEST_SHOWN: usize = 256 << 10;
/// Between two looks at what has expired.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Approvals read from the store at once.
const PAGE: usize = 100;

/// All approvals of one server.
pub(crate) struct Approvals {
    store: Arc<dyn Store>,
    key: ApprovalKey,
    webhook: Option<Webhook>,
    /// Held while one is asked for, so that the bound holds: what programs of this process wait for.
    asking: Mutex<HashSet<Id>>,
    /// The process ends, and those who wait go on in the next one.
    stopping: AtomicBool,
    /// Counts the changes: whoever waits then looks at their own.
    changes: watch::Sender<u64>,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Said {
    Yes,
    /// With the person's words.
    No(Option<String>),
    /// Nobody said anything in time, or it was withdrawn.
    Nothing,
}

/// What there is for a client's own call, which was asked for before.
#[derive(Debug)]
pub(crate) enum Found {
    Given(Id),
    Pending(Box<Record>),
    Rejected(Box<Record>),
    /// It was for another version of the policy, and is of no use any more.
    Outdated,
    None,
}

/// A request that is withdrawn when this is dropped, unless the server stops.
pub(crate) struct Asked<'a> {
    approvals: &'a Approvals,
    pub(crate) id: Id,
    pub(crate) expires: Timestamp,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.approvals.asking().remove(&self.id);
        if !self.approvals.stopping.load(Ordering::Relaxed) {
            self.approvals.withdraw(self.id);
        }
    }
}

impl Approvals {
    /// The approvals that an earlier process left.
    pub(crate) fn open(store: &Arc<dyn Store>, key: &Path, webhook: Option<Webhook>) -> Result<Self, Error> {
        let key = key::open(key)?;
        let changes = watch::Sender::new(0);
        let approvals = Self {
            store: Arc::clone(store),
            key,
            webhook,
            asking: Mutex::default(),
            stopping: AtomicBool::new(false),
            changes,
        };
        approvals.remove(|record| record.is_over(now()))?;
        Ok(approvals)
    }

    /// Removes what has expired, for as long as the approvals live.
    pub(crate) fn start(self: &Arc<Self>) {
        tokio::spawn(prune(Arc::downgrade(self)));
    }

    /// From now on, what is asked is not withdrawn when its program stops.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Withdraws what was asked for executions that are gone.
    pub(crate) fn forget(&self, is_gone: impl Fn(executions::Id) -> bool) -> Result<(), Error> {
        self.remove(|record| record.execution.is_some_and(&is_gone))
    }

    /// Asks a person, for the program that runs as `live`, until what is given here is dropped. What an earlier process
    /// asked for the same call of the same execution counts, and what was said of it.
    pub(crate) async fn ask(&self, demand: &Demand, live: &Live, note: Option<String>) -> Result<Asked<'_>, Error> {
        if let Some(record) = self.asked_before(demand, live.id())? {
            return Ok(Asked { approvals: self, id: record.id, expires: record.approval.expires() });
        }
        let (record, _) = self.put(demand, |record| {
            record.execution = Some(live.id());
            record.execution_name = live.record().name;
            record.note = note;
        })?;
        let asked = Asked { approvals: self, id: record.id, expires: record.approval.expires() };
        self.asked(&record).await?;
        Ok(asked)
    }

    /// Asks a person, for a client that will make its call again; and whether this is a new request, as the same call may
    /// be made twice at once.
    pub(crate) async fn ask_for_client(&self, demand: &Demand, note: Option<String>) -> Result<(Record, bool), Error> {
        let (record, is_new) = self.put(demand, |record| record.note = note)?;
        if is_new {
            self.asked(&record).await?;
        }
        Ok((record, is_new))
    }

    /// What was said of a request, when it is said or when it has expired.
    pub(crate) async fn answer(&self, asked: &Asked<'_>) -> Result<Said, Error> {
        let mut changes = self.changes.subscribe();
        loop {
            let Some((_, record)) = self.read(asked.id)? else { return Ok(Said::Nothing) };
            match record.approval.state() {
                ApprovalState::Approved => return Ok(Said::Yes),
                ApprovalState::Rejected => return Ok(Said::No(record.words)),
                ApprovalState::Pending | ApprovalState::Consumed => {}
            }
            let left = Duration::from_millis(asked.expires.as_millis().saturating_sub(now().as_millis()));
            if left.is_zero() {
                return Ok(Said::Nothing);
            }
            // A change, or the end of its time: either way, another look.
            let _ = tokio::time::timeout(left, changes.changed()).await;
        }
    }

    /// What there is for a client's call that `demand` asks about.
    pub(crate) fn find(&self, demand: &Demand) -> Result<Found, Error> {
        let mut outdated = Vec::new();
        for record in self.all()? {
            if record.execution.is_some() || record.is_over(now()) || !record.is_like(demand) {
                continue;
            }
            if !record.approval.is_for(demand, &self.key) {
                outdated.push(record);
                continue;
            }
            match record.approval.state() {
                ApprovalState::Approved => return Ok(Found::Given(record.id)),
                ApprovalState::Pending => return Ok(Found::Pending(Box::new(record))),
                ApprovalState::Rejected => return Ok(Found::Rejected(Box::new(record))),
                ApprovalState::Consumed => {}
            }
        }
        let was_asked = outdated.iter().any(|record| record.approval.state() != ApprovalState::Consumed);
        for record in outdated {
            self.withdraw(record.id);
        }
        Ok(if was_asked { Found::Outdated } else { Found::None })
    }

    /// Uses an approval for the call that `demand` asks about. That it was used is on the disk before this returns.
    pub(crate) async fn consume(&self, id: Id, demand: &Demand) -> Result<Approved, Error> {
        let (bytes, mut record) = self.read(id)?.ok_or(Error::Unknown(id))?;
        let approved = record.approval.consume(demand, &self.key, now())?;
        if !self.swap(id, &bytes, &record)? {
            return Err(exuvia_policies::ApprovalError::Used.into());
        }
        self.store.durable().await?;
        Ok(approved)
    }

    /// A person says yes.
    pub(crate) async fn approve(&self, id: Id) -> Result<Record, Error> {
        self.decide(id, |record| record.approval.approve(now())).await
    }

    /// A person says no, with words of their own.
    pub(crate) async fn reject(&self, id: Id, words: Option<String>) -> Result<Record, Error> {
        self.decide(id, |record| {
            record.approval.reject(now())?;
            record.words = words;
            Ok(())
        })
        .await
    }

    /// Tells those who wait that something was said. It is not done by saying it: what was said is written down first.
    pub(crate) fn wake(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// What a person may still decide, and what was approved and is not used yet; the oldest first.
    pub(crate) fn open_ones(&self) -> Result<Vec<Record>, Error> {
        let is_open = |record: &Record| {
            matches!(record.approval.state(), ApprovalState::Pending | ApprovalState::Approved)
                && !record.is_over(now())
        };
        Ok(self.all()?.into_iter().filter(is_open).collect())
    }

    /// One that has not expired.
    pub(crate) fn get(&self, id: Id) -> Result<Record, Error> {
        let found = self.read(id)?.map(|(_, record)| record).filter(|record| !record.is_over(now()));
        found.ok_or(Error::Unknown(id))
    }

    async fn decide(
        &self,
        id: Id,
        decide: impl FnOnce(&mut Record) -> Result<(), exuvia_policies::ApprovalError>,
    ) -> Result<Record, Error> {
        let (bytes, mut record) = self.read(id)?.ok_or(Error::Unknown(id))?;
        decide(&mut record)?;
        if !self.swap(id, &bytes, &record)? {
            return Err(exuvia_policies::ApprovalError::Decided.into());
        }
        self.store.durable().await?;
        Ok(record)
    }

    /// What an earlier process asked for the same call, and no other call of the execution waits for.
    fn asked_before(&self, demand: &Demand, execution: executions::Id) -> Result<Option<Record>, Error> {
        let mut asking = self.asking();
        let found = self.all()?.into_iter().find(|record| {
            record.execution == Some(execution)
                && !asking.contains(&record.id)
                && !record.is_over(now())
                && record.is_like(demand)
                && record.approval.is_for(demand, &self.key)
                && record.approval.state() != ApprovalState::Consumed
        });
        if let Some(record) = &found {
            asking.insert(record.id);
        }
        Ok(found)
    }

    fn asking(&self) -> MutexGuard<'_, HashSet<Id>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a new request, if there is room for it. A client's request that is there already is given in its place.
    fn put(&self, demand: &Demand, fill: impl FnOnce(&mut Record)) -> Result<(Record, bool), Error> {
        if demand.arguments().as_json().len() > LARGEST_SHOWN {
            return Err(Error::TooLarge(LARGEST_SHOWN));
        }
        let mut record = Record::new(demand, Approval::request(demand, &self.key, now()), now())?;
        fill(&mut record);
        let mut asking = self.asking();
        let of_grant = |other: &Record| {
            other.grant == record.grant && other.approval.state() == ApprovalState::Pending && !other.is_over(now())
        };
        let pending: Vec<_> = self.all()?.into_iter().filter(of_grant).collect();
        let count = pending.len();
        let is_same = |other: &Record| other.execution.is_none() && other.approval.is_for(demand, &self.key);
        if record.execution.is_none()
            && let Some(same) = pending.into_iter().find(is_same)
        {
            return Ok((same, false));
        }
        if count >= MOST_PENDING {
            return Err(Error::TooMany(MOST_PENDING));
        }
        let mut batch = Batch::default();
        batch.put(Table::Approvals, record.id.as_bytes(), serde_json::to_vec(&record)?);
        self.store.apply(batch)?;
        if record.execution.is_some() {
            // Still under the lock: another call that is alike must not take it for what an earlier process asked.
            asking.insert(record.id);
        }
        Ok((record, true))
    }

    async fn asked(&self, record: &Record) -> Result<(), Error> {
        self.store.durable().await?;
        if let Some(webhook) = &self.webhook {
            webhook.tell(record);
        }
        Ok(())
    }

    fn withdraw(&self, id: Id) {
        let mut batch = Batch::default();
        batch.remove(Table::Approvals, id.as_bytes());
        if let Err(error) = self.store.apply(batch) {
            tracing::error!(%error, approval = %id, "could not withdraw a request for approval");
        }
    }

    fn swap(&self, id: Id, old: &[u8], record: &Record) -> Result<bool, Error> {
        let new = serde_json::to_vec(record)?;
        Ok(self.store.swap(Table::Approvals, id.as_bytes(), old, Some(&new))?)
    }

    fn read(&self, id: Id) -> Result<Option<(Vec<u8>, Record)>, Error> {
        let Some(bytes) = self.store.get(Table::Approvals, id.as_bytes())? else { return Ok(None) };
        let record = serde_json::from_slice(&bytes)?;
        Ok(Some((bytes, record)))
    }

    fn all(&self) -> Result<Vec<Record>, Error> {
        let mut all = Vec::new();
        let mut after = Vec::new();
        loop {
            let page = self.store.first(Table::Approvals, &after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(all) };
            after.clone_from(last);
            for (_, value) in page {
                all.push(serde_json::from_slice(&value)?);
            }
        }
    }

    fn remove(&self, is_gone: impl Fn(&Record) -> bool) -> Result<(), Error> {
        let mut batch = Batch::default();
        for record in self.all()?.into_iter().filter(is_gone) {
            batch.remove(Table::Approvals, record.id.as_bytes());
        }
        Ok(self.store.apply(batch)?)
    }
}

async fn prune(approvals: Weak<Approvals>) {
    while let Some(strong) = approvals.upgrade() {
        if let Err(error) = strong.remove(|record| record.is_over(now())) {
            tracing::error!(%error, "could not remove approvals that have expired");
        }
        drop(strong);
        tokio::time::sleep(PRUNE_EVERY).await;
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
