//! A record for people and tools that read it, from its beginning: what the program asked, when, and what it was told.

use super::entry::{Entry, Kept};
use super::ledger::Ledger;
use super::reader::Reader;
use crate::clock::Clock;
use std::sync::Arc;
use std::time::Duration;

/// One thing that a record says. Effects are numbered by their beginning, from 0; times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The program read a clock, in nanoseconds.
    Read(Clock, u64),
    /// The program began an effect.
    Began { effect: u64, at: u64, what: Begun },
    /// The effect, which is not to be repeated, left for the world.
    Left { effect: u64 },
    /// Its answer came.
    Answered { effect: u64, at: u64, answer: Said },
    /// The program was told that it is over.
    Told { effect: u64 },
    /// Another process went on with the run.
    NewLife { at: u64 },
}

/// What an effect is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    Sleep(Duration),
    /// A request: the BLAKE3 hash of its bytes, and the first [`Begun::SHOWN`] of them.
    Request {
        hash: [u8; 32],
        head: Vec<u8>,
    },
}

impl Begun {
    /// Most bytes of a request that a record has.
    pub const SHOWN: usize = super::halt::SHOWN;
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Here(Vec<u8>),
    /// Beside the record, under its hash: [`Ledger::large`] has it.
    Beside([u8; 32]),
}

/// The facts of a record, in its order. Nothing comes after an error: what follows a damaged place is not known.
pub struct Facts {
    reader: Reader,
    effects: u64,
    is_over: bool,
}

impl Facts {
    /// Reads one part at a time.
    pub fn of(ledger: Arc<dyn Ledger>) -> Self {
        Self { reader: Reader::new(ledger, u64::MAX), effects: 0, is_over: false }
    }

    fn began(&mut self, at: u64, what: Begun) -> Fact {
        let effect = self.effects;
        self.effects += 1;
        Fact::Began { effect, at, what }
    }

    /// What an entry says; none of those that are about the writing of the record itself.
    fn fact(&mut self, entry: Entry) -> Option<Fact> {
        Some(match entry {
            Entry::Read(clock, value) => Fact::Read(clock, value),
            Entry::Sleep { at, nanoseconds } => self.began(at, Begun::Sleep(Duration::from_nanos(nanoseconds))),
            Entry::Request { at, hash, shown } => self.began(at, Begun::Request { hash, head: shown }),
            Entry::Left { effect } => Fact::Left { effect },
            Entry::Answer { effect, at, answer } => Fact::Answered { effect, at, answer: said(answer) },
            Entry::Delivered { effect } | Entry::Over { effect } => Fact::Told { effect },
            Entry::Life { at } => Fact::NewLife { at },
            Entry::Lease { .. } | Entry::Closed | Entry::Moment { .. } => return None,
        })
    }
}

fn said(answer: Kept) -> Said {
    match answer {
        Kept::Inline(answer) => Said::Here(answer),
        Kept::Large(name) => Said::Beside(name),
    }
}

impl Iterator for Facts {
    type Item = Result<Fact, String>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            match self.reader.next() {
                Ok(Some(entry)) => {
                    if let Some(fact) = self.fact(entry) {
                        return Some(Ok(fact));
                    }
                }
                Ok(None) => self.is_over = true,
                Err(why) => {
                    self.is_over = true;
                    return Some(Err(why));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Last;
    use super::super::ledger::Memory;
    use super::*;

    fn ledger(parts: &[&[Entry]]) -> Memory {
        let (memory, mut last) = (Memory::default(), Last::default());
        for part in parts {
            let mut bytes = Vec::new();
            part.iter().for_each(|entry| entry.write(&mut last, &mut bytes));
            memory.append(&bytes);
        }
        memory
    }

    #[test]
    fn facts_come_in_order_and_effects_are_counted_from_0() {
        let memory = ledger(&[
            &[Entry::Read(Clock::Wall, 7), Entry::Sleep { at: 1, nanoseconds: 5 }, Entry::Lease { until: 9 }],
            &[Entry::Request { at: 2, hash: [1; 32], shown: b"{}".to_vec() }, Entry::Over { effect: 0 }],
        ]);
        let facts: Vec<_> = Facts::of(Arc::new(memory)).map(Result::unwrap).collect();
        let request = Begun::Request { hash: [1; 32], head: b"{}".to_vec() };
        assert_eq!(
            facts,
            [
                Fact::Read(Clock::Wall, 7),
                Fact::Began { effect: 0, at: 1, what: Begun::Sleep(Duration::from_nanos(5)) },
                Fact::Began { effect: 1, at: 2, what: request },
                Fact::Told { effect: 0 },
            ]
        );
    }

    #[test]
    fn nothing_comes_after_a_damaged_place() {
        let memory = ledger(&[&[Entry::Life { at: 3 }]]);
        memory.append(&[200]);
        memory.append(&[11, 3]);
        let facts: Vec<_> = Facts::of(Arc::new(memory)).collect();
        assert_eq!(facts, [Ok(Fact::NewLife { at: 3 }), Err("part 1 of it makes no sense".into())]);
    }
}
