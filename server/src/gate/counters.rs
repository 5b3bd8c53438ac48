//! What limits are counted in: memory, and the store. What a call takes is on the disk before the call is made, so that no
//! crash gives any of it back; one write serves many calls.

use super::{Gate, now};
use crate::store::{self, Batch, Store, Table};
use exuvia_policies::{Count, MemoryCounters, Record, Timestamp, Unavailable};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Between two looks at which windows are over.
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// Counts read from the store at once.
const PAGE: usize = 1000;

/// How far the counts in the store are on the disk.
pub(super) struct Kept {
    store: Arc<dyn Store>,
    /// How many writes there were.
    written: AtomicU64,
    /// How many of them, the first ones, are on the disk.
    durable: AtomicU64,
}

impl Kept {
    /// Waits until all that was counted so far is on the disk.
    pub(super) async fn durable(&self) -> Result<(), store::Error> {
        let written = self.written.load(Ordering::Acquire);
        if self.durable.load(Ordering::Acquire) < written {
            self.store.durable().await?;
            self.durable.fetch_max(written, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Writes the counts as they are, without what is recorded ahead of them.
    pub(super) async fn close(&self, counts: &[Count]) -> Result<(), store::Error> {
        self.store.apply(batch(counts)?)?;
        self.store.durable().await
    }
}

struct InStore(Arc<Kept>);

impl Record for InStore {
    fn record(&self, counts: &[Count]) -> Result<(), Unavailable> {
        let Self(kept) = self;
        let written = batch(counts).and_then(|batch| kept.store.apply(batch));
        written.map_err(|error| {
            tracing::error!(%error, "could not keep what was counted");
            Unavailable
        })?;
        kept.written.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

fn batch(counts: &[Count]) -> Result<Batch, store::Error> {
    let mut batch = Batch::default();
    for count in counts {
        let key = key(count);
        let value = serde_json::to_vec(count).map_err(|_| store::Error::Record { key: key.clone() })?;
        batch.put(Table::Counters, key, value);
    }
    Ok(batch)
}

/// The counters as an earlier process left them.
pub(super) fn open(store: &Arc<dyn Store>, now: Timestamp) -> Result<(MemoryCounters, Arc<Kept>), store::Error> {
    let counters = MemoryCounters::restore(current(store.as_ref(), now)?);
    let (written, durable) = (AtomicU64::new(0), AtomicU64::new(0));
    let kept = Arc::new(Kept { store: Arc::clone(store), written, durable });
    Ok((counters.recorded_by(Box::new(InStore(Arc::clone(&kept)))), kept))
}

/// The counts whose windows are not over; the others are removed.
fn current(store: &dyn Store, now: Timestamp) -> Result<Vec<Count>, store::Error> {
    let mut counts = Vec::new();
    let mut after = Vec::new();
    loop {
        let page = store.first(Table::Counters, &after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(counts) };
        after.clone_from(last);
        let mut old = Batch::default();
        for (key, value) in page {
            let count: Count = serde_json::from_slice(&value)
                .map_err(|_| store::Error::Record { key: String::from_utf8_lossy(&key).into_owned() })?;
            // A thread that read its clock just before the end may still count in the window that follows.
            if count.window.end(count.window.end(count.start)) > now {
                counts.push(count);
            } else {
                old.remove(Table::Counters, key);
            }
        }
        store.apply(old)?;
    }
}

/// Unlike any other counter's key: labels, tools and counters have no control characters.
fn key(count: &Count) -> String {
    let Count { grant, tool, counter, window, start, .. } = count;
    format!("{grant}\0{tool}\0{counter}\0{}\0{}", window.name(), start.as_millis())
}

pub(super) async fn keep(gate: Weak<Gate>) {
    loop {
        tokio::time::sleep(FORGET_EVERY).await;
        let Some(gate) = gate.upgrade() else { return };
        let both = gate.counters.save(now()).is_ok() && current(gate.kept.store.as_ref(), now()).is_ok();
        if !both {
            tracing::error!("could not forget windows that are over");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sled;
    use exuvia_policies::{Arguments, Call, Grant, Policy};

    const DATAGEN: &str = include_str!("../../../policies/documents/executeCode.json");

    fn opened(folder: &std::path::Path, at: Timestamp) -> MemoryCounters {
        let store: Arc<dyn Store> = Arc::new(Sled::open(folder).unwrap());
        open(&store, at).unwrap().0
    }

    /// DataGen's own policy, and a clock that is told.
    #[test]
    fn the_eleventh_in_a_minute_is_denied_and_the_next_minute_passes() {
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy::parse(DATAGEN).unwrap();
        let arguments = Arguments::new(serde_json::json!({"script": "1"})).unwrap();
        let (one, other) = (Grant::new("one"), Grant::new("other"));
        let counters = opened(folder.path(), Timestamp::from_secs(600));
        let decide = |grant, secs| {
            let call = Call { grant, tool: "executeCode", arguments: &arguments, definition: None };
            policy.decide(&call, Timestamp::from_secs(secs), &counters).map(drop).map_err(|refusal| {
                let denial = refusal.denial().unwrap();
                (denial.rule().to_owned(), denial.retry_after_s(), denial.text().starts_with("[POLICY DENIED] "))
            })
        };
        for _ in 0..10 {
            assert_eq!(decide(&one, 615), Ok(()));
        }
        let denied = Err(("/tools/executeCode/limits/executecode_rate".to_owned(), Some(45), true));
        assert_eq!(decide(&one, 615), denied);
        assert_eq!(decide(&other, 615), Ok(()));
        assert_eq!(decide(&one, 660), Ok(()));
    }

    /// Half of the threads read their clock just before the window's end, half just after it, and then the process ends.
    #[test]
    fn at_the_windows_edge_exactly_max_pass_also_across_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy::parse(DATAGEN).unwrap();
        let arguments = Arguments::new(serde_json::json!({"script": "1"})).unwrap();
        let grant = Grant::new("one");
        let passed = |counters: &MemoryCounters| {
            let of = |at: Timestamp| {
                let call = Call { grant: &grant, tool: "executeCode", arguments: &arguments, definition: None };
                policy.decide(&call, at, counters).is_ok()
            };
            let edge = [Timestamp::from_millis(659_999), Timestamp::from_millis(660_000)];
            let count = |passed: Vec<(usize, bool)>, side| passed.iter().filter(|one| **one == (side, true)).count();
            std::thread::scope(|scope| {
                let of = &of;
                let side = |number: usize| number % 2;
                let threads: Vec<_> =
                    (0..64).map(|number| scope.spawn(move || (side(number), of(edge[side(number)])))).collect();
                let passed: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
                (count(passed.clone(), 0), count(passed, 1))
            })
        };
        assert_eq!(passed(&opened(folder.path(), Timestamp::from_millis(659_999))), (10, 10));
        assert_eq!(passed(&opened(folder.path(), Timestamp::from_millis(660_000))), (0, 0));
    }

    #[test]
    fn counts_go_on_after_a_restart_and_old_ones_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy::parse(
            r#"{"version": "1", "default": "deny", "tools": {"t": {"limits": [
                {"counter": "c", "window": "minute", "max": 2, "scope": "grant"}]}}}"#,
        )
        .unwrap();
        let (one, other) = (Grant::new("one"), Grant::new("other"));
        let arguments = Arguments::new(serde_json::json!({})).unwrap();
        let call = |grant| Call { grant, tool: "t", arguments: &arguments, definition: None };
        let at = Timestamp::from_secs(600);
        for (left, other_passes) in [(true, true), (true, true), (false, false)] {
            let store: Arc<dyn Store> = Arc::new(Sled::open(folder.path()).unwrap());
            let (counters, _) = open(&store, at).unwrap();
            assert_eq!(policy.decide(&call(&one), at, &counters).is_ok(), left);
            assert_eq!(policy.decide(&call(&other), at, &counters).is_ok(), other_passes);
        }
        let store: Arc<dyn Store> = Arc::new(Sled::open(folder.path()).unwrap());
        let later = at.plus_secs(3600);
        let (counters, _) = open(&store, later).unwrap();
        assert_eq!(store.first(Table::Counters, &[], 9).unwrap(), []);
        assert!(policy.decide(&call(&one), later, &counters).is_ok());
    }
}
