//! The record of an execution on its way to whoever replays it: a sequence of frames, each a kind, a length and as many bytes.

use super::recorded::Reading;
use exuvia_runtime::{Fact, Facts, Ledger, Said};
use std::collections::HashSet;
use std::sync::Arc;

const ABOUT: u8 = b'A';
const PART: u8 = b'P';
const LARGE: u8 = b'L';
const DAMAGED: u8 = b'D';
const END: u8 = b'E';

/// Most large answers of one record. Their names are in memory while it is sent.
const MOST_LARGE: usize = 100_000;

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// All but the journal, as JSON.
    About(Vec<u8>),
    /// The next part of the journal.
    Part(Vec<u8>),
    /// A large answer. One that is missing cannot be read.
    Large([u8; 32], Vec<u8>),
    /// The journal cannot be read from here on.
    Damaged(String),
    /// All of it was sent.
    End,
}

impl Frame {
    pub(crate) fn write(self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::About(body) => (ABOUT, body),
            Self::Part(body) => (PART, body),
            Self::Large(name, answer) => (LARGE, [&name[..], &answer].concat()),
            Self::Damaged(why) => (DAMAGED, why.into_bytes()),
            Self::End => (END, Vec::new()),
        };
        let length = (body.len() as u64).to_le_bytes();
        [&[kind][..], &length, &body].concat()
    }

    /// Reads one from the front of `from`, which is left behind it. None when there is no whole frame.
    pub(crate) fn read(from: &mut &[u8]) -> Option<Self> {
        let (kind, rest) = from.split_first()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (body, rest) = rest.split_at_checked(length)?;
        *from = rest;
        Some(match *kind {
            ABOUT => Self::About(body.to_vec()),
            PART => Self::Part(body.to_vec()),
            LARGE => {
                let (name, answer) = body.split_first_chunk()?;
                Self::Large(*name, answer.to_vec())
            }
            DAMAGED => Self::Damaged(String::from_utf8_lossy(body).into_owned()),
            END => Self::End,
            _ => return None,
        })
    }
}

/// The frames of a record, read one by one as they are asked for.
pub(crate) struct Frames {
    ledger: Arc<Reading>,
    about: Option<Vec<u8>>,
    stage: Stage,
}

enum Stage {
    Parts(u64),
    Large(Box<Facts>, HashSet<[u8; 32]>),
    Over,
}

impl Frames {
    pub(crate) fn of(about: Vec<u8>, ledger: Reading) -> Self {
        Self { ledger: Arc::new(ledger), about: Some(about), stage: Stage::Parts(0) }
    }

    fn part(&mut self, number: u64) -> Option<Frame> {
        match self.ledger.part(number) {
            Ok(Some(part)) => {
                self.stage = Stage::Parts(number + 1);
                Some(Frame::Part(part))
            }
            Ok(None) => {
                self.stage = self.large_ones();
                None
            }
            Err(why) => {
                self.stage = self.large_ones();
                Some(Frame::Damaged(why))
            }
        }
    }

    fn large_ones(&self) -> Stage {
        Stage::Large(Box::new(Facts::of(Arc::clone(&self.ledger) as _)), HashSet::new())
    }
}

impl Iterator for Frames {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        if let Some(about) = self.about.take() {
            return Some(Frame::About(about));
        }
        loop {
            match &mut self.stage {
                Stage::Parts(number) => {
                    let number = *number;
                    if let Some(frame) = self.part(number) {
                        return Some(frame);
                    }
                }
                Stage::Large(facts, sent) => {
                    let Some(name) = next_large(facts, sent) else {
                        self.stage = Stage::Over;
                        return Some(Frame::End);
                    };
                    // One that cannot be read is missing, which its reader notices.
                    if let Ok(answer) = self.ledger.large(&name) {
                        return Some(Frame::Large(name, answer));
                    }
                }
                Stage::Over => return None,
            }
        }
    }
}

fn next_large(facts: &mut Facts, sent: &mut HashSet<[u8; 32]>) -> Option<[u8; 32]> {
    // Where the journal cannot be read, there are no more names.
    facts.filter_map(Result::ok).find_map(|fact| match fact {
        Fact::Answered { answer: Said::Beside(name), .. } if sent.len() < MOST_LARGE && sent.insert(name) => Some(name),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_were_written_and_not_when_they_are_cut() {
        let all = || {
            [
                Frame::About(b"{}".to_vec()),
                Frame::Part(vec![7; 300]),
                Frame::Large([9; 32], Vec::new()),
                Frame::Damaged("why".into()),
                Frame::End,
            ]
        };
        let bytes: Vec<u8> = all().into_iter().flat_map(Frame::write).collect();
        let mut rest = bytes.as_slice();
        let read: Vec<_> = std::iter::from_fn(|| Frame::read(&mut rest)).collect();
        assert_eq!(read, all());
        for frame in all() {
            let bytes = frame.write();
            for end in 0..bytes.len() {
                assert_eq!(Frame::read(&mut &bytes[..end]), None);
            }
        }
        assert_eq!(Frame::read(&mut &[PART, 255, 255, 255, 255, 255, 255, 255, 255, 0][..]), None);
    }
}
