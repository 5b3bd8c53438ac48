//! One fact of a record, and its bytes: a tag, then numbers of seven bits a byte. A clock reading takes two to five bytes.

use crate::clock::Clock;

const WALL: u8 = 0;
const MONOTONIC: u8 = 1;
const SLEEP: u8 = 2;
const REQUEST: u8 = 3;
const LEFT: u8 = 4;
const ANSWER: u8 = 5;
const LARGE_ANSWER: u8 = 6;
const DELIVERED: u8 = 7;
const OVER: u8 = 8;
const LEASE: u8 = 9;
const CLOSED: u8 = 10;
const LIFE: u8 = 11;
const MOMENT: u8 = 12;

/// The name of a large answer: its BLAKE3 hash.
pub(crate) type Name = [u8; 32];

/// An answer as a record has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    Inline(Vec<u8>),
    /// Beside the record, under this name.
    Large(Name),
}

/// One fact. Effects are numbered by their beginning, from 0; times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The program read a clock.
    Read(Clock, u64),
    /// The program began to sleep for so many nanoseconds.
    Sleep { at: u64, nanoseconds: u64 },
    /// The program asked for something: the hash of all of it, and its beginning.
    Request { at: u64, hash: Name, shown: Vec<u8> },
    /// The effect, which is not to be repeated, leaves for the world.
    Left { effect: u64 },
    /// Its answer came.
    Answer { effect: u64, at: u64, answer: Kept },
    /// The program was given its answer. The order of these is the order that a replay keeps to.
    Delivered { effect: u64 },
    /// A sleep is over, and the program was told.
    Over { effect: u64 },
    /// Requests below this number may leave before it is on the disk that they have.
    Lease { until: u64 },
    /// None of those that have not left may leave any more.
    Closed,
    /// Another process goes on with the run.
    Life { at: u64 },
    /// When the reading of the monotonic clock was that comes next.
    Moment { at: u64 },
}

/// The readings that the next ones are told apart from: most of a reading is what the last one was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) wall: u64,
    pub(crate) monotonic: u64,
}

impl Last {
    pub(crate) fn of(&mut self, clock: Clock) -> &mut u64 {
        match clock {
            Clock::Wall => &mut self.wall,
            Clock::Monotonic => &mut self.monotonic,
        }
    }
}

impl Entry {
    /// Appends its bytes to `out`.
    pub(crate) fn write(&self, last: &mut Last, out: &mut Vec<u8>) {
        match self {
            Self::Read(clock, value) => {
                out.push(if *clock == Clock::Wall { WALL } else { MONOTONIC });
                let before = std::mem::replace(last.of(*clock), *value);
                number(zigzag(value.wrapping_sub(before).cast_signed()), out);
            }
            Self::Sleep { at, nanoseconds } => tagged(SLEEP, &[*at, *nanoseconds], out),
            Self::Request { at, hash, shown } => {
                tagged(REQUEST, &[*at], out);
                out.extend_from_slice(hash);
                bytes(shown, out);
            }
            Self::Left { effect } => tagged(LEFT, &[*effect], out),
            Self::Answer { effect, at, answer: Kept::Inline(answer) } => {
                tagged(ANSWER, &[*effect, *at], out);
                bytes(answer, out);
            }
            Self::Answer { effect, at, answer: Kept::Large(name) } => {
                tagged(LARGE_ANSWER, &[*effect, *at], out);
                out.extend_from_slice(name);
            }
            Self::Delivered { effect } => tagged(DELIVERED, &[*effect], out),
            Self::Over { effect } => tagged(OVER, &[*effect], out),
            Self::Lease { until } => tagged(LEASE, &[*until], out),
            Self::Closed => out.push(CLOSED),
            Self::Life { at } => tagged(LIFE, &[*at], out),
            Self::Moment { at } => tagged(MOMENT, &[*at], out),
        }
    }

    /// Reads one from the front of `from`, which is left behind it. None when there is no whole entry.
    pub(crate) fn read(last: &mut Last, from: &mut &[u8]) -> Option<Self> {
        let (tag, rest) = from.split_first()?;
        *from = rest;
        Some(match *tag {
            WALL => Self::Read(Clock::Wall, reading(last, Clock::Wall, from)?),
            MONOTONIC => Self::Read(Clock::Monotonic, reading(last, Clock::Monotonic, from)?),
            SLEEP => Self::Sleep { at: take(from)?, nanoseconds: take(from)? },
            REQUEST => Self::Request { at: take(from)?, hash: take_name(from)?, shown: take_bytes(from)?.to_vec() },
            LEFT => Self::Left { effect: take(from)? },
            ANSWER => {
                let (effect, at) = (take(from)?, take(from)?);
                Self::Answer { effect, at, answer: Kept::Inline(take_bytes(from)?.to_vec()) }
            }
            LARGE_ANSWER => {
                Self::Answer { effect: take(from)?, at: take(from)?, answer: Kept::Large(take_name(from)?) }
            }
            DELIVERED => Self::Delivered { effect: take(from)? },
            OVER => Self::Over { effect: take(from)? },
            LEASE => Self::Lease { until: take(from)? },
            CLOSED => Self::Closed,
            LIFE => Self::Life { at: take(from)? },
            MOMENT => Self::Moment { at: take(from)? },
            _ => return None,
        })
    }
}

fn reading(last: &mut Last, clock: Clock, from: &mut &[u8]) -> Option<u64> {
    let difference = unzigzag(take(from)?);
    let last = last.of(clock);
    *last = last.wrapping_add(difference.cast_unsigned());
    Some(*last)
}

/// Small numbers of either sign to small numbers.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn tagged(tag: u8, numbers: &[u64], out: &mut Vec<u8>) {
    out.push(tag);
    for each in numbers {
        number(*each, out);
    }
}

fn number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn take(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take(from)?).ok()?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

fn take_name(from: &mut &[u8]) -> Option<Name> {
    let (name, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Entry> {
        vec![
            Entry::Life { at: 1_800_000_000_000 },
            Entry::Read(Clock::Wall, 1_800_000_000_000_000_000),
            Entry::Read(Clock::Monotonic, 5),
            Entry::Read(Clock::Wall, 1_799_999_999_999_999_999),
            Entry::Read(Clock::Wall, u64::MAX),
            Entry::Read(Clock::Wall, 0),
            Entry::Sleep { at: 7, nanoseconds: u64::MAX },
            Entry::Request { at: 8, hash: [7; 32], shown: b"{}".to_vec() },
            Entry::Left { effect: 300 },
            Entry::Answer { effect: 300, at: 9, answer: Kept::Inline(vec![1; 200]) },
            Entry::Answer { effect: 301, at: 10, answer: Kept::Large([9; 32]) },
            Entry::Delivered { effect: 300 },
            Entry::Over { effect: 2 },
            Entry::Lease { until: 64 },
            Entry::Closed,
            Entry::Moment { at: 11 },
        ]
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        let (mut bytes, mut last) = (Vec::new(), Last::default());
        for entry in all() {
            entry.write(&mut last, &mut bytes);
        }
        let (mut rest, mut last) = (bytes.as_slice(), Last::default());
        let read: Vec<_> = std::iter::from_fn(|| Entry::read(&mut last, &mut rest)).collect();
        assert_eq!(read, all());
        assert!(rest.is_empty());
    }

    #[test]
    fn a_reading_that_is_near_the_last_takes_little() {
        let (mut bytes, mut last) = (Vec::new(), Last { wall: 0, monotonic: 1_000_000_000_000 });
        Entry::Read(Clock::Monotonic, 1_000_000_000_300).write(&mut last, &mut bytes);
        assert_eq!(bytes.len(), 3);
    }

    #[test]
    fn what_is_cut_or_unknown_is_no_entry() {
        for entry in all() {
            let mut bytes = Vec::new();
            entry.write(&mut Last::default(), &mut bytes);
            for end in 0..bytes.len() {
                assert_eq!(Entry::read(&mut Last::default(), &mut bytes.get(..end).unwrap()), None, "{entry:?} {end}");
            }
        }
        for bytes in [
            &[99][..],
            &[SLEEP, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
            &[ANSWER, 1, 1, 0xff, 0x7f],
        ] {
            assert_eq!(Entry::read(&mut Last::default(), &mut &*bytes), None);
        }
    }
}
