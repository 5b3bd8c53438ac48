use super::*;
use crate::store::{Check, Durable, Error as StoreError, Pair, Sled};
use exuvia_policies::{Arguments, Call, Grant, MemoryCounters, Policy, Refusal};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

/// A store in which two readers have both read before either goes on.
struct Racing {
    store: Sled,
    together: Barrier,
    is_armed: AtomicBool,
}

impl Store for Racing {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.store.get(table, key);
        if self.is_armed.load(Ordering::Relaxed) {
            self.together.wait();
        }
        value
    }

    fn last(&self, table: Table, prefix: &[u8], before: Option<&[u8]>, most: usize) -> Result<Vec<Pair>, StoreError> {
        self.store.last(table, prefix, before, most)
    }

    fn first(&self, table: Table, after: &[u8], most: usize) -> Result<Vec<Pair>, StoreError> {
        self.store.first(table, after, most)
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.store.apply(batch)
    }

    fn swap(&self, table: Table, key: &[u8], old: &[u8], new: Option<&[u8]>) -> Result<bool, StoreError> {
        self.store.swap(table, key, old, new)
    }

    fn durable(&self) -> Durable<'_> {
        self.store.durable()
    }

    fn room(&self) -> Result<(), StoreError> {
        self.store.room()
    }

    fn check(&self) -> Result<Check, StoreError> {
        self.store.check()
    }
}

fn demand() -> Demand {
    let policy = Policy::parse(
        r#"{"version": "1", "default": "allow", "x-sandbox": {"approve_if": {"t": [{"conditions": []}]}}}"#,
    );
    let (grant, arguments) = (Grant::new("one"), Arguments::new(serde_json::json!({"a": 1})).unwrap());
    let call = Call { grant: &grant, tool: "t", arguments: &arguments, definition: None };
    match policy.unwrap().decide(&call, now(), &MemoryCounters::new()) {
        Err(Refusal::NeedsApproval(demand)) => *demand,
        other => panic!("nobody is asked: {other:?}"),
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Seen to fail with a `swap` that compares nothing.
#[test]
fn of_two_who_read_the_same_approval_one_uses_it_and_one_decides_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sled::open(&folder.path().join("store")).unwrap();
    let racing = Arc::new(Racing { store, together: Barrier::new(2), is_armed: AtomicBool::new(false) });
    let store: Arc<dyn Store> = Arc::clone(&racing) as _;
    let approvals = Approvals::open(&store, &folder.path().join("key"), None).unwrap();
    let (record, is_new) = run(approvals.ask_for_client(&demand(), None)).unwrap();
    assert!(is_new);
    let twice = |act: &(dyn Fn() -> bool + Sync)| {
        racing.is_armed.store(true, Ordering::Relaxed);
        let done = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(act)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|done| *done).count()
        });
        racing.is_armed.store(false, Ordering::Relaxed);
        done
    };
    assert_eq!(twice(&|| run(approvals.approve(record.id)).is_ok()), 1);
    assert_eq!(twice(&|| run(approvals.consume(record.id, &demand())).is_ok()), 1);
    assert!(matches!(approvals.find(&demand()).unwrap(), Found::None));
}
