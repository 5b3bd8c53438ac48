//! Reading a record from its beginning, and what is known once all of it was read.

use super::entry::{Entry, Kept, Last};
use super::ledger::Ledger;
use crate::clock::Clock;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

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
    pub(super) entries: u64,
    pub(super) last: Last,
    /// A moment, in milliseconds since 1970, and what the monotonic clock was then.
    pub(super) base: Option<(u64, u64)>,
    moment: Option<u64>,
    /// When the last thing in it happened.
    pub(super) newest: u64,
    /// Effects that have left, must not be repeated, and have no answer.
    pub(super) left: HashSet<u64>,
    /// Requests below this number may have left although nothing says so: the last process could let them without.
    pub(super) doubt: u64,
    lease: u64,
    life: Life,
}

/// What the last process did that went on with the run.
#[derive(Default)]
struct Life {
    began: u64,
    /// Effects that it began and that have not ended.
    effects: HashSet<u64>,
    /// When the last of its own effects ended that has.
    ended: Option<u64>,
    /// The number of the next effect, in all lives.
    next: u64,
}

/// How long the last process that went on with the run did, from its beginning to the last end of an effect that it had begun itself.
/// None when there is no such effect: it did no more than repeat.
///
/// # Errors
/// When the record cannot be read; the text is for people.
pub fn lived(ledger: &Arc<dyn Ledger>) -> Result<Option<Duration>, String> {
    let life = Found::read(ledger)?.life;
    Ok(life.ended.map(|ended| Duration::from_millis(ended.saturating_sub(life.began))))
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
                found.entries += 1;
                found.see(&entry);
                found.life.see(&entry, found.newest);
            }
            found.parts += 1;
        }
        found.ends();
        Ok(found)
    }

    fn see(&mut self, entry: &Entry) {
        match entry {
            Entry::Read(Clock::Monotonic, value) => {
                if let Some(at) = self.moment.take() {
                    self.base = Some((at, *value));
                }
            }
            Entry::Read(Clock::Wall, _) | Entry::Delivered { .. } | Entry::Over { .. } => {}
            Entry::Moment { at } => {
                self.newest = self.newest.max(*at);
                self.moment = Some(*at);
            }
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

impl Life {
    /// `newest`: when the last thing happened that says so.
    fn see(&mut self, entry: &Entry, newest: u64) {
        match entry {
            Entry::Life { at } => *self = Self { began: *at, next: self.next, ..Self::default() },
            Entry::Sleep { .. } | Entry::Request { .. } => {
                self.effects.insert(self.next);
                self.next += 1;
            }
            // An answer of an earlier life's effect is what is said of one in doubt.
            Entry::Answer { effect, .. } | Entry::Over { effect } if self.effects.remove(effect) => {
                self.ended = Some(newest);
            }
            _ => {}
        }
    }
}
