//! Why a journal stops the run that it is of.

use super::entry::Entry;
use crate::clock::Clock;
use std::fmt;

/// Most bytes of a request that a record shows.
pub(super) const SHOWN: usize = 512;

/// What a journal stops a run for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// The program does something else than the record of the same run has.
    Diverged { step: u64, recorded: String, asked: String },
    /// The record is as long as it may be, in bytes.
    Full { most: u64 },
    /// It has as many entries as it may have: each takes time in every replay, however small it is.
    TooMany { most: u64 },
    /// The record cannot be read.
    Unreadable(String),
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Diverged { step, recorded, asked } => write!(
                f,
                "the replay differs from the record at step {step}: recorded was {recorded}, now it is {asked}; the run cannot \
                 be gone on with, as what it did by then is not known"
            ),
            Self::Full { most } => write!(
                f,
                "the record of what this run was told is longer than the {most} bytes allowed: do the work in several \
                 executions, or raise `executions.journal`"
            ),
            Self::TooMany { most } => write!(
                f,
                "this run was told more than the {most} things allowed, each of which every replay takes time for: read \
                 clocks and call tools less often, do the work in several executions, or raise `executions.journal_entries`"
            ),
            Self::Unreadable(why) => write!(f, "the record of this run cannot be read: {why}"),
        }
    }
}

/// What a program does next, in words.
pub(super) fn shown(entry: &Entry) -> String {
    match entry {
        Entry::Read(Clock::Wall, _) => "a reading of the wall clock".into(),
        Entry::Read(Clock::Monotonic, _) => "a reading of the monotonic clock".into(),
        Entry::Sleep { nanoseconds, .. } => format!("a sleep of {nanoseconds} ns"),
        Entry::Request { shown, .. } => {
            let cut = if shown.len() >= SHOWN { "…" } else { "" };
            format!("the request `{}{cut}`", String::from_utf8_lossy(shown))
        }
        other => format!("{other:?}"),
    }
}

/// The end of a record, in words.
pub(super) const NOTHING: &str = "the end";
