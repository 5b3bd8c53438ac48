//! Counters in memory, for one process. They can be saved and restored, and what is counted can be recorded before it
//! counts, so that a restart does not begin a window anew.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard};

use crate::breaker::Breaker;
use crate::call::Grant;
use crate::counters::{Claim, Count, Counters, Outcome, Quota, Refused, Unavailable};
use crate::window::{Timestamp, Window};

/// Grants are spread over so many locks. A reservation is of one grant, so it takes one of them.
const SHARDS: usize = 16;

/// Most tools of one grant whose breakers are kept. Under `default: allow`, names of tools are the callers' to choose.
const MAX_BREAKERS: usize = 1024;

/// Of what was counted, a part more is recorded: a recording serves the calls of that part, and a process that goes on from
/// it has counted too many rather than too few. Below 16, every call is recorded as it is.
const AHEAD: u64 = 16;

/// Stores counts before they take effect. It is called while the grant's counters are locked, so in the order in which
/// calls were let through; when it fails, the call is denied. What it is given is never less than what was counted, and at
/// most a sixteenth more.
pub trait Record: Send + Sync {
    fn record(&self, counts: &[Count]) -> Result<(), Unavailable>;
}

/// Counters of one process.
#[derive(Default)]
pub struct MemoryCounters {
    shards: [Mutex<HashMap<Grant, Book>>; SHARDS],
    /// Chooses the shard, and hashes arguments: its keys are of this process only, so that a hash tells nothing.
    hasher: RandomState,
    record: Option<Box<dyn Record>>,
}

/// What is counted of one grant.
#[derive(Default)]
struct Book {
    cells: HashMap<Box<str>, Vec<Cell>>,
    breakers: HashMap<Box<str>, Breaker>,
}

/// One window of one counter.
struct Cell {
    counter: Box<str>,
    window: Window,
    start: Timestamp,
    used: u64,
    /// What the record has, if there is one: at least `used`.
    recorded: u64,
}

impl MemoryCounters {
    pub fn new() -> Self {
        Self::default()
    }

    /// Counters that go on from saved or recorded ones. Of several of one counter, the last holds.
    pub fn restore(counts: impl IntoIterator<Item = Count>) -> Self {
        let counters = Self::default();
        for count in counts {
            let Ok(mut shard) = counters.shard(&count.grant) else { continue };
            let cells =
                shard.entry(count.grant.clone()).or_default().cells.entry(count.tool.as_str().into()).or_default();
            let Count { counter, window, start, used, .. } = count;
            let counter = counter.into_boxed_str();
            cells.retain(|cell| (&cell.counter, cell.window, cell.start) != (&counter, window, start));
            cells.push(Cell { counter, window, start, used, recorded: used });
        }
        counters
    }

    /// Has what is counted recorded before it counts. What is given back is not: [`Self::save`] has the exact counts.
    #[must_use]
    pub fn recorded_by(self, record: Box<dyn Record>) -> Self {
        Self { record: Some(record), ..self }
    }

    /// All counts of windows that may still be counted in at `now`, sorted; the others are forgotten. Breakers are not saved.
    pub fn save(&self, now: Timestamp) -> Result<Vec<Count>, Unavailable> {
        let mut counts = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().map_err(|_| Unavailable)?;
            for (grant, book) in shard.iter_mut() {
                book.cells.retain(|tool, cells| {
                    forget(cells, now);
                    counts.extend(cells.iter().map(|cell| cell.count(grant, tool)));
                    !cells.is_empty()
                });
            }
        }
        counts.sort_unstable();
        Ok(counts)
    }

    fn shard(&self, grant: &Grant) -> Result<MutexGuard<'_, HashMap<Grant, Book>>, Unavailable> {
        let index = self.hasher.hash_one(grant) % SHARDS as u64;
        let shard = usize::try_from(index).ok().and_then(|index| self.shards.get(index)).ok_or(Unavailable)?;
        // A thread that panicked with the lock left counts that nobody can vouch for.
        shard.lock().map_err(|_| Unavailable)
    }

    /// Runs `act` on the grant's book, which comes to be when it is first written to.
    fn with_book<T>(&self, grant: &Grant, act: impl FnOnce(&mut Book) -> T) -> Result<T, Unavailable> {
        let mut shard = self.shard(grant)?;
        if let Some(book) = shard.get_mut(grant) {
            return Ok(act(book));
        }
        Ok(act(shard.entry(grant.clone()).or_default()))
    }

    /// Records what the next call of the claim will have taken, where less is recorded so far.
    fn record(&self, book: &Book, claim: &Claim<'_>) -> Result<(), Unavailable> {
        let Some(record) = &self.record else { return Ok(()) };
        let is_new = |quota: &&Quota<'_>| book.used(quota) >= book.recorded(quota);
        let ahead = |quota: &Quota<'_>| quota.count(claim.grant, ahead_of(book.used(quota).saturating_add(1)));
        let counts: Vec<_> = claim.quotas.iter().filter(is_new).map(ahead).collect();
        if counts.is_empty() { Ok(()) } else { record.record(&counts) }
    }

    fn hash(&self, claim: &Claim<'_>) -> u64 {
        self.hasher.hash_one(claim.arguments)
    }

    fn refusal(&self, book: &Book, claim: &Claim<'_>) -> Result<(), Refused> {
        if let (Some(rules), Some(breaker)) = (claim.breaker, book.breakers.get(claim.tool))
            && let Some((trip, until)) = breaker.tripped(rules, self.hash(claim), claim.now)
        {
            return Err(Refused::Tripped(trip, until));
        }
        let quotas = claim.quotas.iter().enumerate();
        let exhausted: Vec<_> =
            quotas.filter(|(_, quota)| book.used(quota) >= quota.max).map(|(index, _)| index).collect();
        if exhausted.is_empty() { Ok(()) } else { Err(Refused::Exhausted(exhausted)) }
    }
}

impl Counters for MemoryCounters {
    fn reserve(&self, claim: &Claim<'_>) -> Result<(), Refused> {
        self.with_book(claim.grant, |book| {
            self.refusal(book, claim)?;
            self.record(book, claim)?;
            for quota in &claim.quotas {
                book.take(quota, claim.now);
            }
            if let Some(rules) = claim.breaker {
                let arguments = self.hash(claim);
                book.breaker(claim.tool, claim.now).pass(rules, arguments, claim.now);
            }
            Ok(())
        })?
    }

    fn check(&self, claim: &Claim<'_>) -> Result<(), Refused> {
        match self.shard(claim.grant)?.get(claim.grant) {
            Some(book) => self.refusal(book, claim),
            None => self.refusal(&Book::default(), claim),
        }
    }

    fn refund(&self, claim: &Claim<'_>) -> Result<(), Unavailable> {
        self.with_book(claim.grant, |book| {
            for quota in &claim.quotas {
                // Only a window that was counted in: a refund must not make budget in a new one.
                if let Some(cell) = book.find(quota) {
                    cell.used = cell.used.saturating_sub(1);
                }
            }
            if let Some(breaker) = book.breakers.get_mut(claim.tool) {
                breaker.undo(self.hash(claim));
            }
        })
    }

    fn settle(&self, claim: &Claim<'_>, outcome: Outcome, now: Timestamp) -> Result<(), Unavailable> {
        if claim.breaker.is_none() {
            return Ok(());
        }
        self.with_book(claim.grant, |book| book.breaker(claim.tool, now).settle(outcome, now))
    }

    fn used(&self, grant: &Grant, quota: &Quota<'_>) -> Result<u64, Unavailable> {
        Ok(self.shard(grant)?.get(grant).map_or(0, |book| book.used(quota)))
    }
}

impl Book {
    fn used(&self, quota: &Quota<'_>) -> u64 {
        let cells = self.cells.get(quota.tool).map(Vec::as_slice).unwrap_or_default();
        cells.iter().find(|cell| cell.is_of(quota)).map_or(0, |cell| cell.used)
    }

    fn recorded(&self, quota: &Quota<'_>) -> u64 {
        let cells = self.cells.get(quota.tool).map(Vec::as_slice).unwrap_or_default();
        cells.iter().find(|cell| cell.is_of(quota)).map_or(0, |cell| cell.recorded)
    }

    fn find(&mut self, quota: &Quota<'_>) -> Option<&mut Cell> {
        self.cells.get_mut(quota.tool)?.iter_mut().find(|cell| cell.is_of(quota))
    }

    fn take(&mut self, quota: &Quota<'_>, now: Timestamp) {
        if let Some(cell) = self.find(quota) {
            cell.used = cell.used.saturating_add(1);
            if cell.used > cell.recorded {
                cell.recorded = ahead_of(cell.used);
            }
            return;
        }
        let cells = self.cells.entry(quota.tool.into()).or_default();
        forget(cells, now);
        let (counter, recorded) = (quota.counter.into(), ahead_of(1));
        cells.push(Cell { counter, window: quota.window, start: quota.start, used: 1, recorded });
    }

    fn breaker(&mut self, tool: &str, now: Timestamp) -> &mut Breaker {
        if self.breakers.len() >= MAX_BREAKERS && !self.breakers.contains_key(tool) {
            let oldest = self.breakers.iter().min_by_key(|(_, breaker)| breaker.passed_at);
            let oldest = oldest.map(|(tool, _)| tool.clone());
            oldest.and_then(|tool| self.breakers.remove(&tool));
        }
        self.breakers.entry(tool.into()).or_insert_with(|| Breaker::new(now))
    }
}

/// What is recorded so that `used` may be counted.
fn ahead_of(used: u64) -> u64 {
    used.saturating_add(used / AHEAD)
}

impl Cell {
    fn is_of(&self, quota: &Quota<'_>) -> bool {
        self.start == quota.start && self.window == quota.window && *self.counter == *quota.counter
    }

    fn count(&self, grant: &Grant, tool: &str) -> Count {
        Count {
            grant: grant.clone(),
            tool: tool.into(),
            counter: self.counter.as_ref().into(),
            window: self.window,
            start: self.start,
            used: self.used,
        }
    }
}

impl Quota<'_> {
    fn count(&self, grant: &Grant, used: u64) -> Count {
        Count {
            grant: grant.clone(),
            tool: self.tool.into(),
            counter: self.counter.into(),
            window: self.window,
            start: self.start,
            used,
        }
    }
}

impl fmt::Debug for MemoryCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCounters").field("recorded", &self.record.is_some()).finish_non_exhaustive()
    }
}

/// Forgets windows that have been over for as long as they lasted. Not sooner: a thread that read its clock just before
/// the window's end may come after one that read it just after.
fn forget(cells: &mut Vec<Cell>, now: Timestamp) {
    cells.retain(|cell| cell.window.end(cell.window.end(cell.start)) > now);
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
