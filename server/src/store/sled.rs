//! The store in sled: all tables in one tree, so that a batch over several of them is one change.

use super::commit::Committer;
use super::mark::Mark;
use super::room::{self, Room};
use super::{Batch, Check, Durable, Error, Pair, Store, Table, seal};
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes of pages that sled keeps in memory.
const CACHE: u64 = 64 << 20;
/// Where each write puts its number, in [`Table::Store`].
const NUMBER: &[u8] = b"number";

pub(crate) struct Sled {
    database: sled::Db,
    committer: Committer,
    room: Room,
    /// The number of the last write. Held while one is made, as numbers must come in order; sled makes one batch at a
    /// time, too.
    writing: Mutex<()>,
    number: Arc<AtomicU64>,
    folder: PathBuf,
}

impl Sled {
    /// Opens the store in `folder`, making it if it is not there.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let (store, lost) = Self::open_despite_loss(folder)?;
        // `tests/faults.rs` has this on real folders.
        if lost > 0 { Err(Error::Lost { folder: folder.into(), lost }) } else { Ok(store) }
    }

    /// Takes what is there for all that there was.
    pub(crate) fn accept_loss(&self) -> Result<(), Error> {
        Mark::open(&self.folder)?.write(self.number.load(Ordering::SeqCst))
    }

    /// Opens the store even if writes are missing that had been made durable; says how many.
    pub(crate) fn open_despite_loss(folder: &Path) -> Result<(Self, u64), Error> {
        let config = sled::Config::new().path(folder).cache_capacity(CACHE).flush_every_ms(None);
        // A log that was cut in the wrong place makes sled panic instead of saying so.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        let database = match opened {
            Ok(Ok(database)) => database,
            Ok(Err(error)) => return Err(failure(folder, error)),
            Err(_) => return Err(Error::Damaged { folder: folder.into(), why: "its log cannot be read".into() }),
        };
        let mark = Mark::open(folder)?;
        let number = Arc::new(AtomicU64::new(0));
        let (for_commits, place, written) = (database.clone(), folder.to_owned(), Arc::clone(&number));
        let marked = mark.read()?;
        let committer = Committer::start(move || {
            let number = written.load(Ordering::SeqCst);
            for_commits.flush().map_err(|error| failure(&place, error))?;
            mark.write(number)
        })?;
        let (writing, room) = (Mutex::default(), Room::of(folder));
        let store = Self { database, committer, room, writing, number, folder: folder.to_owned() };
        let last = store.get(Table::Store, NUMBER)?;
        let last = last.and_then(|last| last.first_chunk().copied()).map_or(0, u64::from_be_bytes);
        store.number.store(last, Ordering::SeqCst);
        Ok((store, marked.saturating_sub(last)))
    }

    fn failed(&self) -> impl FnOnce(sled::Error) -> Error + Copy {
        let folder: &Path = &self.folder;
        move |error| failure(folder, error)
    }

    fn pairs(
        &self,
        range: (Bound<Vec<u8>>, Bound<Vec<u8>>),
        newest_first: bool,
        most: usize,
    ) -> Result<Vec<Pair>, Error> {
        let found = self.database.range::<Vec<u8>, _>(range);
        let found: Box<dyn Iterator<Item = _>> = if newest_first { Box::new(found.rev()) } else { Box::new(found) };
        let mut pairs = Vec::new();
        for pair in found.take(most) {
            let (key, value) = pair.map_err(self.failed())?;
            let value = seal::open(&key, &value).ok_or_else(|| Error::Record { key: name(&key) })?;
            pairs.push((key.get(1..).unwrap_or_default().to_vec(), value.to_vec()));
        }
        Ok(pairs)
    }
}

impl Store for Sled {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let key = place(table, key);
        let Some(value) = self.database.get(&key).map_err(self.failed())? else { return Ok(None) };
        match seal::open(&key, &value) {
            Some(value) => Ok(Some(value.to_vec())),
            None => Err(Error::Record { key: name(&key) }),
        }
    }

    fn last(&self, table: Table, prefix: &[u8], before: Option<&[u8]>, most: usize) -> Result<Vec<Pair>, Error> {
        let begin = place(table, prefix);
        let end = match before {
            Some(key) => Bound::Excluded(place(table, key)),
            None => after_all(&begin).map_or(Bound::Unbounded, Bound::Excluded),
        };
        self.pairs((Bound::Included(begin), end), true, most)
    }

    fn first(&self, table: Table, after: &[u8], most: usize) -> Result<Vec<Pair>, Error> {
        let end = after_all(&place(table, &[])).map_or(Bound::Unbounded, Bound::Excluded);
        self.pairs((Bound::Excluded(place(table, after)), end), false, most)
    }

    fn apply(&self, batch: Batch) -> Result<(), Error> {
        // sled does not recover from a write that found no room: every later one waits for it.
        self.room.at_least(room::RESERVE)?;
        let mut changes = sled::Batch::default();
        for (table, key, value) in batch.0 {
            let key = place(table, &key);
            match value {
                Some(value) => {
                    let sealed = seal::seal(&key, &value);
                    changes.insert(key, sealed);
                }
                None => changes.remove(key),
            }
        }
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.number.load(Ordering::SeqCst) + 1;
        let key = place(Table::Store, NUMBER);
        let sealed = seal::seal(&key, &number.to_be_bytes());
        changes.insert(key, sealed);
        self.database.apply_batch(changes).map_err(self.failed())?;
        self.number.store(number, Ordering::SeqCst);
        Ok(())
    }

    fn swap(&self, table: Table, key: &[u8], old: &[u8], new: Option<&[u8]>) -> Result<bool, Error> {
        let key = place(table, key);
        // The same value under the same key is sealed alike.
        let (old, new) = (seal::seal(&key, old), new.map(|new| seal::seal(&key, new)));
        let swapped = self.database.compare_and_swap(&key, Some(old), new).map_err(self.failed())?;
        Ok(swapped.is_ok())
    }

    fn durable(&self) -> Durable<'_> {
        Box::pin(self.committer.durable())
    }

    fn room(&self) -> Result<(), Error> {
        self.room.at_least(room::FOR_NEW)
    }

    fn check(&self) -> Result<Check, Error> {
        let mut check = Check::default();
        for pair in self.database.iter() {
            let (key, value) = pair.map_err(self.failed())?;
            match seal::open(&key, &value) {
                Some(_) => check.sound += 1,
                None => check.damaged.push(name(&key)),
            }
        }
        Ok(check)
    }
}

fn place(table: Table, key: &[u8]) -> Vec<u8> {
    let mut place = Vec::with_capacity(1 + key.len());
    place.push(table as u8);
    place.extend_from_slice(key);
    place
}

/// The first key after all that begin with `prefix`.
fn after_all(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return Some(end);
        }
        end.pop();
    }
    None
}

/// A key as people read it: its table, and the bytes in hexadecimal.
fn name(key: &[u8]) -> String {
    let (table, key) = key.split_first().map_or((0, &[][..]), |(table, key)| (*table, key));
    let table = Table::ALL.iter().find(|each| **each as u8 == table);
    let table = table.map_or_else(|| "?".to_owned(), |table| format!("{table:?}"));
    key.iter().fold(format!("{table}/"), |name, byte| name + &format!("{byte:02x}"))
}

fn failure(folder: &Path, error: sled::Error) -> Error {
    match error {
        sled::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => Error::Full,
        // sled's own words for a folder that is locked.
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => Error::InUse(folder.into()),
        sled::Error::Io(error) => Error::Io(error),
        other => Error::Damaged { folder: folder.into(), why: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn keys(pairs: &[Pair]) -> Vec<&[u8]> {
        pairs.iter().map(|(key, _)| key.as_slice()).collect()
    }

    #[test]
    fn lists_from_either_end_within_a_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sled::open(folder.path()).unwrap();
        let mut batch = Batch::default();
        for key in [&b"a1"[..], b"a2", b"a3", b"b1", b"\xff\xff"] {
            batch.put(Table::ByGrant, key, b"");
        }
        batch.put(Table::Results, b"a4", b"of another table");
        store.apply(batch).unwrap();
        let last = |prefix: &[u8], before, most| store.last(Table::ByGrant, prefix, before, most).unwrap();
        assert_eq!(keys(&last(b"a", None, 9)), [b"a3", b"a2", b"a1"]);
        assert_eq!(keys(&last(b"a", Some(b"a3"), 1)), [b"a2"]);
        assert_eq!(keys(&last(b"\xff", None, 9)), [b"\xff\xff"]);
        assert_eq!(keys(&store.first(Table::ByGrant, b"a2", 2).unwrap()), [&b"a3"[..], b"b1"]);
    }

    #[test]
    fn a_value_is_swapped_once_however_many_try() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sled::open(folder.path()).unwrap();
        let mut batch = Batch::default();
        batch.put(Table::Approvals, b"one", b"given");
        store.apply(batch).unwrap();
        let swaps = std::thread::scope(|scope| {
            let swap = || store.swap(Table::Approvals, b"one", b"given", Some(b"used")).unwrap();
            let all: Vec<_> = (0..16).map(|_| scope.spawn(swap)).collect();
            all.into_iter().map(|one| one.join().unwrap()).filter(|swapped| *swapped).count()
        });
        assert_eq!(swaps, 1);
        assert_eq!(store.get(Table::Approvals, b"one").unwrap().unwrap(), b"used");
        assert!(store.swap(Table::Approvals, b"one", b"used", None).unwrap());
        assert!(!store.swap(Table::Approvals, b"one", b"used", None).unwrap());
        assert_eq!(store.get(Table::Approvals, b"one").unwrap(), None);
    }

    #[test]
    fn keeps_what_was_made_durable_and_removes_what_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        {
            let store = Sled::open(folder.path()).unwrap();
            let mut batch = Batch::default();
            batch.put(Table::Results, b"kept", b"1");
            batch.put(Table::Results, b"removed", b"2");
            store.apply(batch).unwrap();
            let mut batch = Batch::default();
            batch.remove(Table::Results, b"removed");
            store.apply(batch).unwrap();
            runtime.block_on(store.durable()).unwrap();
        }
        let store = Sled::open(folder.path()).unwrap();
        assert_eq!(store.get(Table::Results, b"kept").unwrap().unwrap(), b"1");
        assert_eq!(store.get(Table::Results, b"removed").unwrap(), None);
        assert_eq!(store.check().unwrap().sound, 2);
    }

    #[test]
    fn a_log_that_lost_its_end_is_noticed_until_the_loss_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let write = |store: &Sled| {
            let mut batch = Batch::default();
            batch.put(Table::Results, b"key", b"value");
            store.apply(batch).unwrap();
            runtime.block_on(store.durable()).unwrap();
        };
        let store = Sled::open(folder.path()).unwrap();
        write(&store);
        write(&store);
        drop(store);
        drop(Sled::open(folder.path()).unwrap());
        // Elsewhere: sled's threads write for a while after it was dropped.
        let damaged = tempfile::tempdir().unwrap();
        for file in ["conf", "mark"] {
            std::fs::copy(folder.path().join(file), damaged.path().join(file)).unwrap();
        }
        std::fs::write(damaged.path().join("db"), b"").unwrap();
        let (store, lost) = Sled::open_despite_loss(damaged.path()).unwrap();
        assert_eq!(lost, 2);
        let number = |folder: &Path| Mark::open(folder).unwrap().read().unwrap();
        assert_eq!(number(damaged.path()), 2);
        store.accept_loss().unwrap();
        assert_eq!(number(damaged.path()), 0);
    }

    #[test]
    fn many_writers_wait_together_without_a_deadlock() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sled::open(folder.path()).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        runtime.block_on(async {
            let writers = (0..16u8).map(|writer| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    for number in 0..50u8 {
                        let mut batch = Batch::default();
                        batch.put(Table::Results, [writer, number], vec![writer; 800]);
                        store.apply(batch).unwrap();
                        store.durable().await.unwrap();
                    }
                })
            });
            for writer in writers.collect::<Vec<_>>() {
                writer.await.unwrap();
            }
        });
        assert_eq!(store.check().unwrap().sound, 801);
    }

    #[test]
    fn a_second_process_is_told_that_the_folder_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Sled::open(folder.path()).unwrap();
        let Err(error) = Sled::open(folder.path()) else { panic!("opened twice") };
        assert!(matches!(error, Error::InUse(ref path) if path == folder.path()), "{error:?}");
    }

    #[test]
    fn a_damaged_value_is_named_and_never_believed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sled::open(folder.path()).unwrap();
        let mut batch = Batch::default();
        batch.put(Table::Results, b"\x01\x02", b"value");
        store.apply(batch).unwrap();
        let key = place(Table::Results, b"\x01\x02");
        let mut sealed = store.database.get(&key).unwrap().unwrap().to_vec();
        sealed[9] ^= 1;
        store.database.insert(&key, sealed).unwrap();
        let error = store.get(Table::Results, b"\x01\x02").unwrap_err();
        assert!(matches!(error, Error::Record { ref key } if key == "Results/0102"), "{error:?}");
        assert_eq!(store.check().unwrap().damaged, ["Results/0102"]);
    }
}
