//! Reading a record from its beginning, and what is known once all of it was read.

use super::entry::{Entry, Kept, Last};
use super::ledger::Ledger;
use std::collections::HashSet;
use std::sync::Arc;

/// A place in a record. Holds one part at a time.
pub(super) struct Reader {
    ledger: Arc<dyn Ledger>,
    /// Parts that were there when this process began; what comes later is its own.
    parts: u64,
    next: u64,
    part: Vec<u8>,
    at: usize,
    last: Last,
}

impl Reader {
    pub(super) fn new(ledger: Arc<dyn Ledger>, parts: u64) -> Self {
        Self { ledger, parts, next: 0, part: Vec::new(), at: 0, last: Last::default() }
    }

    /// The next entry; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, String> {
        loop {
            let mut rest = self.part.get(self.at..).unwrap_or_default();
            if !rest.is_empty() {
                let entry = Entry::read(&mut self.last, &mut rest);
                self.at = self.part.len() - rest.len();
                let number = self.next.saturating_sub(1);
                return entry.map(Some).ok_or_else(|| format!("part {number} of it makes no sense"));
            }
            if self.next >= self.parts {
                return Ok(None);
            }
            let Some(part) = self.ledger.part(self.next)? else { return Ok(None) };
            (self.part, self.at, self.next) = (part, 0, self.next + 1);
        }
    }
}

/// What a whole record says of where its run is.
#[derive(Default)]
pub(super) struct Found {
    pub(super) parts: u64,
    pub(super) bytes: u64,
    pub(super) last: Last,
    /// When the last thing in it happened.
    pub(super) newest: u64,
    /// Effects that have left, must not be repeated, and have no answer.
    pub(super) left: HashSet<u64>,
    /// Requests below this number may have left although nothing says so: the last process could let them without.
    pub(super) doubt: u64,
    lease: u64,
}

impl Found {
    /// Reads all of it, so that what is damaged is known before anything happens.
    pub(super) fn read(ledger: &Arc<dyn Ledger>) -> Result<Self, String> {
        let mut found = Self::default();
        while let Some(part) = ledger.part(found.parts)? {
            found.bytes += part.len() as u64;
            let mut rest = part.as_slice();
            while !rest.is_empty() {
                let entry = Entry::read(&mut found.last, &mut rest);
                let entry = entry.ok_or_else(|| format!("part {} of it makes no sense", found.parts))?;
                found.see(&entry);
            }
            found.parts += 1;
        }
        found.ends();
        Ok(found)
    }

    fn see(&mut self, entry: &Entry) {
        match entry {
            Entry::Read(..) | Entry::Delivered { .. } | Entry::Over { .. } => {}
            Entry::Sleep { at, .. } | Entry::Request { at, .. } => self.newest = self.newest.max(*at),
            Entry::Left { effect } => {
                self.left.insert(*effect);
            }
            Entry::Answer { effect, at, answer } => {
                self.newest = self.newest.max(*at);
                self.left.remove(effect);
                if let Kept::Large(name) = answer {
                    // Its size is not in the record; its name is what counts against the bound then.
                    self.bytes += name.len() as u64;
                }
            }
            Entry::Lease { until } => self.lease = self.lease.max(*until),
            Entry::Closed => self.lease = 0,
            Entry::Life { at } => {
                self.newest = self.newest.max(*at);
                self.ends();
            }
        }
    }

    /// A process ended here: what it could let leave without a word may have left.
    fn ends(&mut self) {
        self.doubt = self.doubt.max(std::mem::take(&mut self.lease));
    }
}
