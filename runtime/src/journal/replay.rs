//! Serving a run from its record: what the program asks, in its order, and the answers in theirs.
//!
//! A guest learns that an answer is there by a wait alone, which gives the one that came first. So the order of the
//! answers among themselves is all of their timing that a program can see.

use super::entry::{Entry, Kept};
use super::ledger::Ledger;
use super::reader::{Found, Reader};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

pub(super) struct Replay {
    program: Reader,
    answers: Reader,
    /// How many of the program's steps were read.
    steps: u64,
    /// Answers that came and were not given to the program: when, and what.
    came: HashMap<u64, (u64, Kept)>,
    next: Next,
    waiting: HashMap<u64, Waker>,
    /// Effects that the program has dropped.
    dropped: HashSet<u64>,
    left: HashSet<u64>,
}

/// Whose answer is given next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Unknown,
    Effect(u64),
    Nobody,
}

/// What the record has for an effect whose turn has come.
pub(super) enum Turn {
    /// It is over: when, and the answer of what has one.
    Told(Option<(u64, Kept)>),
    /// The record ends before the program was told. The answer may have come.
    Untold(Option<(u64, Kept)>),
    /// The same, and it had left, must not be repeated, and has no answer.
    InDoubt,
}

impl Replay {
    pub(super) fn new(ledger: &Arc<dyn Ledger>, found: Found) -> Self {
        Self {
            program: Reader::new(Arc::clone(ledger), found.parts),
            answers: Reader::new(Arc::clone(ledger), found.parts),
            steps: 0,
            came: HashMap::new(),
            next: Next::Unknown,
            waiting: HashMap::new(),
            dropped: HashSet::new(),
            left: found.left,
        }
    }

    /// Whether every answer of the record was given.
    pub(super) fn is_over(&mut self) -> bool {
        // What is wrong with the record the next turn finds, too.
        self.advance().is_ok() && self.next == Next::Nobody
    }

    /// The program's next step, and its number; none once the record has no more.
    pub(super) fn step(&mut self) -> Result<Option<(u64, Entry)>, String> {
        while let Some(entry) = self.program.next()? {
            if matches!(entry, Entry::Read(..) | Entry::Sleep { .. } | Entry::Request { .. }) {
                self.steps += 1;
                return Ok(Some((self.steps, entry)));
            }
        }
        Ok(None)
    }

    /// Waits for the turn of `effect`.
    pub(super) fn turn(&mut self, effect: u64, context: &Context<'_>) -> Poll<Result<Turn, String>> {
        if let Err(why) = self.advance() {
            return Poll::Ready(Err(why));
        }
        match self.next {
            Next::Effect(next) if next == effect => {
                self.next = Next::Unknown;
                let told = Turn::Told(self.came.remove(&effect));
                let advanced = self.advance();
                self.wake();
                Poll::Ready(advanced.map(|()| told))
            }
            Next::Effect(_) | Next::Unknown => {
                self.waiting.insert(effect, context.waker().clone());
                Poll::Pending
            }
            Next::Nobody if self.left.contains(&effect) => Poll::Ready(Ok(Turn::InDoubt)),
            Next::Nobody => Poll::Ready(Ok(Turn::Untold(self.came.remove(&effect)))),
        }
    }

    /// The program wants no answer for `effect` any more.
    pub(super) fn drop_effect(&mut self, effect: u64) {
        self.waiting.remove(&effect);
        self.dropped.insert(effect);
        // What is wrong with the record the next turn finds, too.
        let _ = self.advance();
        self.wake();
    }

    fn advance(&mut self) -> Result<(), String> {
        loop {
            match self.next {
                Next::Nobody => return Ok(()),
                Next::Effect(next) if !self.dropped.contains(&next) => return Ok(()),
                Next::Effect(_) | Next::Unknown => {}
            }
            self.next = match self.answers.next()? {
                None => Next::Nobody,
                Some(Entry::Delivered { effect } | Entry::Over { effect }) => Next::Effect(effect),
                Some(Entry::Answer { effect, at, answer }) => {
                    self.came.insert(effect, (at, answer));
                    continue;
                }
                Some(_) => continue,
            };
        }
    }

    fn wake(&mut self) {
        match self.next {
            Next::Effect(next) => {
                if let Some(waker) = self.waiting.remove(&next) {
                    waker.wake();
                }
            }
            Next::Nobody => self.waiting.drain().for_each(|(_, waker)| waker.wake()),
            Next::Unknown => {}
        }
    }
}
