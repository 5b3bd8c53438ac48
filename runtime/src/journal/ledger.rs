//! Where a record is kept. The journal makes its bytes; how they survive is the ledger's.

use super::entry::Name;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// Until something survives a power cut; or why it may not.
pub type Durable = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The record of one run. What is appended stays in order: when a part of it is lost, all that came after is lost, too.
///
/// No method waits for a disk, [`Self::part`] and [`Self::large`] aside, which read.
pub trait Ledger: Send + Sync {
    /// Adds to the record; never divided between two parts.
    fn append(&self, bytes: &[u8]);

    /// Keeps a large answer under its name, before anything that is appended later.
    fn keep(&self, name: Name, answer: Vec<u8>);

    /// Until all that was appended so far is durable.
    fn durable(&self) -> Durable;

    /// Part `number` of what an earlier process left, from 0. None after the last.
    ///
    /// # Errors
    /// When it is damaged or cannot be read; the text is for people.
    fn part(&self, number: u64) -> Result<Option<Vec<u8>>, String>;

    /// A large answer that an earlier process left.
    ///
    /// # Errors
    /// When it is damaged or cannot be read; the text is for people.
    fn large(&self, name: &Name) -> Result<Vec<u8>, String>;
}

/// A record in memory, each append a part of it: for tests, and for replays that keep nothing.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<Contents>>);

#[derive(Debug, Clone, Default)]
struct Contents {
    parts: Vec<Vec<u8>>,
    large: HashMap<Name, Vec<u8>>,
}

impl Memory {
    /// A copy of its first `parts`: what is there after a death at that point.
    #[must_use]
    pub fn cut(&self, parts: usize) -> Self {
        let mut contents = self.contents().clone();
        contents.parts.truncate(parts);
        Self(Arc::new(Mutex::new(contents)))
    }

    /// How many parts it has.
    pub fn parts(&self) -> usize {
        self.contents().parts.len()
    }

    fn contents(&self) -> std::sync::MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for Memory {
    fn append(&self, bytes: &[u8]) {
        self.contents().parts.push(bytes.to_vec());
    }

    fn keep(&self, name: Name, answer: Vec<u8>) {
        self.contents().large.insert(name, answer);
    }

    fn durable(&self) -> Durable {
        Box::pin(std::future::ready(Ok(())))
    }

    fn part(&self, number: u64) -> Result<Option<Vec<u8>>, String> {
        Ok(usize::try_from(number).ok().and_then(|number| self.contents().parts.get(number).cloned()))
    }

    fn large(&self, name: &Name) -> Result<Vec<u8>, String> {
        self.contents().large.get(name).cloned().ok_or_else(|| "a large answer is missing".into())
    }
}
