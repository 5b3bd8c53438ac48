//! Where the journals of executions are kept: parts in the store, large answers beside it.
//!
//! A run only adds to memory. One task writes what all runs have added as one change, and makes it durable, again and again
//! while there is something; whoever has to wait for that is told together with all others.

use super::Keep;
use super::id::Id;
use crate::store::Error;
use exuvia_runtime::{Durable, Ledger};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tracing::error;

/// Between two writes that nobody waits for. What a run was told may be lost by a death within this time and that of
/// the write; then a call that was answered is in doubt.
const PACE: Duration = Duration::from_millis(2);
/// Before what could not be written is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// A part does not grow beyond this, in bytes, unless one entry is larger.
const LARGEST_PART: usize = 128 << 10;

type Name = [u8; 32];
type Waiter = oneshot::Sender<Result<(), String>>;

/// The journals of one server.
pub(super) struct Journals {
    keep: Keep,
    /// Those that have something to write.
    listed: Mutex<Vec<Arc<Book>>>,
    some: Notify,
    /// Somebody waits.
    urgent: Notify,
}

/// The journal of one execution.
pub(super) struct Book {
    id: Id,
    journals: Weak<Journals>,
    keep: Keep,
    unwritten: Mutex<Unwritten>,
}

#[derive(Default)]
struct Unwritten {
    parts: Vec<Vec<u8>>,
    large: Vec<(Name, Vec<u8>)>,
    waiters: Vec<Waiter>,
    /// The number of the next part.
    next: u64,
    is_listed: bool,
}

/// What one write takes of a journal.
pub(super) struct Pages {
    pub(super) id: Id,
    /// The number of the first part.
    pub(super) first: u64,
    pub(super) parts: Vec<Vec<u8>>,
    pub(super) large: Vec<(Name, Vec<u8>)>,
}

impl Journals {
    /// Starts the task that writes. It ends with what is given here.
    pub(super) fn start(keep: Keep) -> Arc<Self> {
        let journals = Arc::new(Self { keep, listed: Mutex::default(), some: Notify::new(), urgent: Notify::new() });
        tokio::spawn(write(Arc::downgrade(&journals)));
        journals
    }

    /// The journal of an execution. There must be one of them only.
    pub(super) fn book(self: &Arc<Self>, id: Id) -> Arc<Book> {
        let (journals, keep) = (Arc::downgrade(self), self.keep.clone());
        Arc::new(Book { id, journals, keep, unwritten: Mutex::default() })
    }

    fn list(&self, book: Arc<Book>) {
        self.listed().push(book);
        self.some.notify_one();
    }

    fn listed(&self) -> MutexGuard<'_, Vec<Arc<Book>>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what all of `books` have to write, and tells those who wait. Whether it is durable.
    async fn write(&self, books: Vec<Arc<Book>>) -> bool {
        let (pages, waiters): (Vec<_>, Vec<_>) = books.iter().map(|book| book.take()).unzip();
        let keep = self.keep.clone();
        let written = tokio::task::spawn_blocking(move || (keep.write_journals(&pages), pages)).await;
        let written = match written {
            Ok((Ok(()), _)) => self.keep.durable().await.map_err(|error| error.to_string()),
            Ok((Err(error), pages)) => {
                for (book, pages) in books.iter().zip(pages) {
                    book.put_back(pages);
                }
                Err(error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        for waiter in waiters.into_iter().flatten() {
            // Who no longer waits does not mind.
            let _ = waiter.send(written.clone());
        }
        match written {
            Ok(()) => true,
            Err(why) => {
                error!(why, "could not write the journals of executions; trying again");
                books.into_iter().for_each(Book::list);
                false
            }
        }
    }
}

async fn write(journals: Weak<Journals>) {
    while let Some(journals) = journals.upgrade() {
        let books = std::mem::take(&mut *journals.listed());
        if books.is_empty() {
            // It may be time to look whether there is a server.
            let _ = tokio::time::timeout(Duration::from_secs(60), journals.some.notified()).await;
            let _ = tokio::time::timeout(PACE, journals.urgent.notified()).await;
        } else if journals.write(books).await {
            let _ = tokio::time::timeout(PACE, journals.urgent.notified()).await;
        } else {
            tokio::time::sleep(RETRY).await;
        }
    }
}

impl Book {
    fn list(self: Arc<Self>) {
        let mut unwritten = self.unwritten();
        if !std::mem::replace(&mut unwritten.is_listed, true) {
            drop(unwritten);
            if let Some(journals) = self.journals.upgrade() {
                journals.list(self);
            }
        }
    }

    fn take(&self) -> (Pages, Vec<Waiter>) {
        let mut unwritten = self.unwritten();
        unwritten.is_listed = false;
        let (parts, large) = (std::mem::take(&mut unwritten.parts), std::mem::take(&mut unwritten.large));
        let first = unwritten.next;
        unwritten.next += parts.len() as u64;
        (Pages { id: self.id, first, parts, large }, std::mem::take(&mut unwritten.waiters))
    }

    fn put_back(&self, pages: Pages) {
        let mut unwritten = self.unwritten();
        unwritten.next = pages.first;
        let newer = std::mem::replace(&mut unwritten.parts, pages.parts);
        unwritten.parts.extend(newer);
        let newer = std::mem::replace(&mut unwritten.large, pages.large);
        unwritten.large.extend(newer);
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`Book`] as a run sees it.
pub(super) struct Pen(pub(super) Arc<Book>);

impl Pen {
    /// Until all that was appended so far can be read.
    pub(super) async fn written(&self) -> Result<(), String> {
        self.durable().await
    }
}

impl Ledger for Pen {
    fn append(&self, bytes: &[u8]) {
        let mut unwritten = self.0.unwritten();
        match unwritten.parts.last_mut() {
            Some(part) if part.len() + bytes.len() <= LARGEST_PART => part.extend_from_slice(bytes),
            _ => unwritten.parts.push(bytes.to_vec()),
        }
        drop(unwritten);
        Arc::clone(&self.0).list();
    }

    fn keep(&self, name: Name, answer: Vec<u8>) {
        self.0.unwritten().large.push((name, answer));
        Arc::clone(&self.0).list();
    }

    fn durable(&self) -> Durable {
        let (sender, receiver) = oneshot::channel();
        self.0.unwritten().waiters.push(sender);
        Arc::clone(&self.0).list();
        if let Some(journals) = self.0.journals.upgrade() {
            journals.urgent.notify_one();
        }
        Box::pin(async move { receiver.await.unwrap_or_else(|_| Err("the writer of journals has stopped".into())) })
    }

    fn part(&self, number: u64) -> Result<Option<Vec<u8>>, String> {
        let part = self.0.keep.journal_part(self.0.id, number).map_err(|error| error.to_string())?;
        if part.is_some() {
            // What is there is not written again.
            let mut unwritten = self.0.unwritten();
            unwritten.next = unwritten.next.max(number + 1);
        }
        Ok(part)
    }

    fn large(&self, name: &Name) -> Result<Vec<u8>, String> {
        self.0.keep.journal_large(self.0.id, name).map_err(|error: Error| error.to_string())
    }
}
