//! How much room the journals of executions that have ended may take. They are kept with their executions, to be shown and
//! replayed, and are the first to go when they are too much.

use super::Inner;
use super::id::Id;
use super::keep::Keep;
use super::recorded::Reading;
use crate::store::{Batch, Error, Table};
use exuvia_runtime::{Fact, Facts, Said};
use std::sync::Arc;
use tracing::warn;

/// Sizes that are read at once.
const AT_ONCE: usize = 1000;

/// What the store knows of a journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Size {
    Bytes(u64),
    /// It was removed before its execution.
    #[default]
    Removed,
}

impl Size {
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Removed => 0,
        }
    }

    fn read(value: &[u8]) -> Self {
        value.first_chunk().map_or(Self::Removed, |bytes| Self::Bytes(u64::from_be_bytes(*bytes)))
    }
}

impl Keep {
    /// The size of the journal of an execution; none when nothing was ever written to it.
    pub(crate) fn journal_size(&self, id: Id) -> Result<Option<Size>, Error> {
        Ok(self.store().get(Table::JournalSizes, id.as_bytes())?.map(|value| Size::read(&value)))
    }

    /// Removes the journal of an execution that is kept, and remembers that there was one.
    fn forget_journal(&self, id: Id) -> Result<(), Error> {
        let own = [self.file_of(Table::Requests, id)?, self.file_of(Table::Results, id)?];
        for name in self.large_answers(id) {
            // The same bytes may be what the execution was given, or gave.
            if !own.iter().flatten().any(|file| *file == name) {
                self.files().remove_one(id.uuid(), &name)?;
            }
        }
        self.remove_journal(id)?;
        let mut batch = Batch::default();
        batch.put(Table::JournalSizes, id.as_bytes(), []);
        self.store().apply(batch)
    }

    /// The files of a journal. Those that stand behind a damaged place stay until the execution goes.
    fn large_answers(&self, id: Id) -> Vec<String> {
        let facts = Facts::of(Arc::new(Reading::of(self.clone(), id)));
        let names = facts.filter_map(|fact| match fact {
            Ok(Fact::Answered { answer: Said::Beside(name), .. }) => {
                Some(blake3::Hash::from_bytes(name).to_hex().to_string())
            }
            Ok(_) => None,
            Err(why) => {
                warn!(execution = %id, why, "a journal that is removed could not be read to its end");
                None
            }
        });
        names.collect()
    }

    /// All journals, the oldest first.
    fn journal_sizes(&self) -> Result<Vec<(Id, u64)>, Error> {
        let (mut sizes, mut after) = (Vec::new(), Vec::new());
        loop {
            let page = self.store().first(Table::JournalSizes, &after, AT_ONCE)?;
            let Some((last, _)) = page.last() else { return Ok(sizes) };
            after.clone_from(last);
            sizes.extend(page.iter().filter_map(|(key, value)| match Size::read(value) {
                Size::Bytes(bytes) => Some((Id::from_bytes(key)?, bytes)),
                Size::Removed => None,
            }));
        }
    }
}

/// Removes the oldest journals until the others have room; none of an execution that has not ended. How many.
pub(super) fn bounded(inner: &Inner) -> Result<usize, Error> {
    let sizes = inner.keep.journal_sizes()?;
    let mut total: u64 = sizes.iter().map(|(_, bytes)| *bytes).sum();
    let mut removed = 0;
    for (id, bytes) in sizes {
        if total <= inner.settings.keep_journals {
            break;
        }
        // What has no record is being removed or begun just now.
        if inner.keep.record(id)?.is_some_and(|record| record.state.is_final()) {
            inner.keep.forget_journal(id)?;
            total = total.saturating_sub(bytes);
            removed += 1;
        }
    }
    Ok(removed)
}
