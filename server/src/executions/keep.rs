//! Executions in the store: how they are written, and read back.

use super::id::Id;
use super::journals::Pages;
use super::keys::{Key, Keyed};
use super::record::{Given, Record};
use super::request::Request;
use super::sleepers::Bed;
use crate::store::{Batch, Error, Files, Store, Table};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A larger value goes to a file.
const LARGEST_INLINE: usize = 64 << 10;
/// What the first byte of a value in `Results` and `Requests` says of the rest.
const INLINE: u8 = 0;
const FILE: u8 = 1;

/// Parts of a journal that are removed at once.
const PARTS_AT_ONCE: usize = 100;

/// An execution that is over, and whose end is not written yet.
pub(crate) struct Finished {
    pub(crate) record: Record,
    pub(crate) given: Arc<Given>,
    /// What was asked for, when nothing of the execution has been written before.
    pub(crate) request: Option<Arc<Request>>,
}

/// The store as executions see it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Keep {
    store: Arc<dyn Store>,
    files: Files,
}

impl Keep {
    pub(crate) fn new(store: Arc<dyn Store>, files: Files) -> Self {
        Self { store, files }
    }

    /// Waits until all that was written survives a power cut.
    pub(crate) async fn durable(&self) -> Result<(), Error> {
        self.store.durable().await
    }

    /// Whether there is room on the disk for one more execution.
    pub(crate) fn room(&self) -> Result<(), Error> {
        self.store.room()
    }

    /// Writes an execution that has not ended.
    pub(crate) fn begin(&self, record: &Record, request: &Request) -> Result<(), Error> {
        let mut batch = Batch::default();
        batch.put(Table::Requests, record.id.as_bytes(), self.value(record.id, request)?);
        batch.put(Table::Unfinished, record.id.as_bytes(), []);
        put_record(&mut batch, record);
        if let Some(key) = &record.key {
            let keyed = Keyed { id: record.id, arguments: key.arguments };
            batch.put(Table::Keys, key_place(&record.grant, key), json(&keyed));
        }
        self.store.apply(batch)
    }

    /// The execution of a grant that has the key.
    pub(super) fn keyed(&self, grant: &str, key: &Key) -> Result<Option<Keyed>, Error> {
        let Some(value) = self.store.get(Table::Keys, &key_place(grant, key))? else { return Ok(None) };
        let damaged = |_| Error::Record { key: format!("{:?}/{}", Table::Keys, key.text) };
        serde_json::from_slice(&value).map(Some).map_err(damaged)
    }

    /// Writes the record alone.
    pub(crate) fn update(&self, record: &Record) -> Result<(), Error> {
        let mut batch = Batch::default();
        batch.put(Table::Executions, record.id.as_bytes(), json(record));
        self.store.apply(batch)
    }

    /// Writes that an execution falls asleep, with what it has shown so far.
    pub(super) fn sleeps(&self, record: &Record, so_far: &Given, bed: &Bed) -> Result<(), Error> {
        let before = self.store.get(Table::Results, record.id.as_bytes())?;
        let given = self.value(record.id, so_far)?;
        let mut batch = Batch::default();
        batch.put(Table::Results, record.id.as_bytes(), given.as_slice());
        batch.put(Table::Executions, record.id.as_bytes(), json(record));
        batch.put(Table::Sleepers, record.id.as_bytes(), json(bed));
        batch.remove(Table::Unfinished, record.id.as_bytes());
        self.store.apply(batch)?;
        // One that prints and sleeps for ever must not leave a file each time.
        if let Some(name) = before.as_deref().and_then(file).filter(|name| Some(*name) != file(&given)) {
            self.files.remove_one(record.id.uuid(), name)?;
        }
        Ok(())
    }

    /// Writes that it is woken.
    pub(super) fn wakes(&self, record: &Record) -> Result<(), Error> {
        let mut batch = Batch::default();
        batch.put(Table::Executions, record.id.as_bytes(), json(record));
        batch.put(Table::Unfinished, record.id.as_bytes(), []);
        batch.remove(Table::Sleepers, record.id.as_bytes());
        self.store.apply(batch)
    }

    /// Where a sleeping execution is.
    pub(super) fn bed(&self, id: Id) -> Result<Option<Bed>, Error> {
        read(Table::Sleepers, id, self.store.get(Table::Sleepers, id.as_bytes())?)
    }

    /// All that sleep.
    pub(super) fn sleepers(&self) -> Result<Vec<(Id, Bed)>, Error> {
        let (mut all, mut after) = (Vec::new(), Vec::new());
        loop {
            let page = self.store.first(Table::Sleepers, &after, 1000)?;
            let Some((last, _)) = page.last() else { return Ok(all) };
            after.clone_from(last);
            for (key, value) in page {
                let Some(id) = Id::from_bytes(&key) else { continue };
                all.extend(read(Table::Sleepers, id, Some(value))?.map(|bed| (id, bed)));
            }
        }
    }

    /// Writes how executions ended, and all of those of which nothing has been written before.
    pub(crate) fn ended(&self, all: &[Finished]) -> Result<(), Error> {
        let mut batch = Batch::default();
        for Finished { record, given, request } in all {
            batch.put(Table::Results, record.id.as_bytes(), self.value(record.id, &**given)?);
            if let Some(request) = request {
                batch.put(Table::Requests, record.id.as_bytes(), self.value(record.id, &**request)?);
                put_record(&mut batch, record);
            } else {
                batch.put(Table::Executions, record.id.as_bytes(), json(record));
                batch.remove(Table::Unfinished, record.id.as_bytes());
                batch.remove(Table::Sleepers, record.id.as_bytes());
            }
        }
        self.store.apply(batch)
    }

    pub(crate) fn record(&self, id: Id) -> Result<Option<Record>, Error> {
        read(Table::Executions, id, self.store.get(Table::Executions, id.as_bytes())?)
    }

    pub(crate) fn request(&self, id: Id) -> Result<Option<Request>, Error> {
        self.large(Table::Requests, id)
    }

    pub(crate) fn given(&self, id: Id) -> Result<Option<Given>, Error> {
        self.large(Table::Results, id)
    }

    /// The newest executions of a grant, or only those before one.
    pub(crate) fn of_grant(&self, grant: &str, before: Option<Id>, most: usize) -> Result<Vec<Record>, Error> {
        let prefix = grant_key(grant, None);
        let before = before.map(|id| grant_key(grant, Some(id)));
        let keys = self.store.last(Table::ByGrant, &prefix, before.as_deref(), most)?;
        let ids = keys.iter().filter_map(|(key, _)| Id::from_bytes(key.get(prefix.len()..)?));
        ids.filter_map(|id| self.record(id).transpose()).collect()
    }

    /// Ids of executions that no process has ended.
    pub(crate) fn unfinished(&self) -> Result<Vec<Id>, Error> {
        let mut ids = Vec::new();
        self.each_key(Table::Unfinished, |id| ids.push(id))?;
        Ok(ids)
    }

    /// Ids of all executions, the oldest first.
    pub(crate) fn all(&self) -> Result<Vec<Id>, Error> {
        let mut ids = Vec::new();
        self.each_key(Table::Executions, |id| ids.push(id))?;
        Ok(ids)
    }

    /// Writes what several journals have got: first the large answers, then what names them.
    pub(super) fn write_journals(&self, all: &[Pages]) -> Result<(), Error> {
        let mut batch = Batch::default();
        for Pages { id, first, parts, large } in all {
            for (_, answer) in large {
                self.files.put(id.uuid(), answer)?;
            }
            for (part, number) in parts.iter().zip(*first..) {
                batch.put(Table::Journals, journal_key(*id, number), part.as_slice());
            }
        }
        self.store.apply(batch)
    }

    /// One part of a journal; none after the last.
    pub(crate) fn journal_part(&self, id: Id, number: u64) -> Result<Option<Vec<u8>>, Error> {
        self.store.get(Table::Journals, &journal_key(id, number))
    }

    /// A large answer that a journal names.
    pub(crate) fn journal_large(&self, id: Id, name: &[u8; 32]) -> Result<Vec<u8>, Error> {
        self.files.get(id.uuid(), blake3::Hash::from_bytes(*name).to_hex().as_str())
    }

    fn remove_journal(&self, id: Id) -> Result<(), Error> {
        loop {
            let parts = self.store.last(Table::Journals, id.as_bytes(), None, PARTS_AT_ONCE)?;
            if parts.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::default();
            for (key, _) in parts {
                batch.remove(Table::Journals, key);
            }
            self.store.apply(batch)?;
        }
    }

    /// Removes all that is kept of an execution.
    pub(crate) fn remove(&self, record: &Record) -> Result<(), Error> {
        self.files.remove(record.id.uuid())?;
        self.remove_journal(record.id)?;
        let mut batch = Batch::default();
        for table in [Table::Executions, Table::Requests, Table::Results, Table::Unfinished, Table::Sleepers] {
            batch.remove(table, record.id.as_bytes());
        }
        batch.remove(Table::ByGrant, grant_key(&record.grant, Some(record.id)));
        if let Some(key) = &record.key {
            batch.remove(Table::Keys, key_place(&record.grant, key));
        }
        self.store.apply(batch)
    }

    fn each_key(&self, table: Table, mut see: impl FnMut(Id)) -> Result<(), Error> {
        let mut after = Vec::new();
        loop {
            let page = self.store.first(table, &after, 1000)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            page.iter().filter_map(|(key, _)| Id::from_bytes(key)).for_each(&mut see);
        }
    }

    fn value(&self, id: Id, value: &impl Serialize) -> Result<Vec<u8>, Error> {
        let mut inline = vec![INLINE];
        inline.extend(json(value));
        if inline.len() <= LARGEST_INLINE {
            return Ok(inline);
        }
        let name = self.files.put(id.uuid(), inline.get(1..).unwrap_or_default())?;
        let mut file = vec![FILE];
        file.extend(name.into_bytes());
        Ok(file)
    }

    fn large<T: DeserializeOwned>(&self, table: Table, id: Id) -> Result<Option<T>, Error> {
        let Some(value) = self.store.get(table, id.as_bytes())? else { return Ok(None) };
        match value.split_first() {
            Some((&INLINE, value)) => read(table, id, Some(value.to_vec())),
            Some((&FILE, name)) => {
                let name = std::str::from_utf8(name).unwrap_or_default();
                read(table, id, Some(self.files.get(id.uuid(), name)?))
            }
            _ => Err(unreadable(table, id)),
        }
    }
}

/// The name of the file that a value is in, if it is in one.
fn file(value: &[u8]) -> Option<&str> {
    let (&FILE, name) = value.split_first()? else { return None };
    std::str::from_utf8(name).ok()
}

fn put_record(batch: &mut Batch, record: &Record) {
    batch.put(Table::Executions, record.id.as_bytes(), json(record));
    batch.put(Table::ByGrant, grant_key(&record.grant, Some(record.id)), []);
}

fn journal_key(id: Id, number: u64) -> Vec<u8> {
    [id.as_bytes(), &number.to_be_bytes()].concat()
}

/// Grants' labels have no zero bytes, so that none is the beginning of another's keys.
fn grant_key(grant: &str, id: Option<Id>) -> Vec<u8> {
    let mut key = grant.as_bytes().to_vec();
    key.push(0);
    if let Some(id) = id {
        key.extend_from_slice(id.as_bytes());
    }
    key
}

fn key_place(grant: &str, key: &Key) -> Vec<u8> {
    let mut place = grant_key(grant, None);
    place.extend_from_slice(key.text.as_bytes());
    place
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // These types have string keys and finite numbers only, which is all that could fail.
    serde_json::to_vec(value).unwrap_or_default()
}

fn read<T: DeserializeOwned>(table: Table, id: Id, value: Option<Vec<u8>>) -> Result<Option<T>, Error> {
    let Some(value) = value else { return Ok(None) };
    serde_json::from_slice(&value).map(Some).map_err(|_| unreadable(table, id))
}

fn unreadable(table: Table, id: Id) -> Error {
    Error::Record { key: format!("{table:?}/{id}") }
}
