//! A file's bytes, wherever they are: the host's until the guest writes to them, then in memory, then, once they are many, on the
//! disk. A guest cannot tell which.

use super::{Fault, Result};
use crate::spill::{self, Spill, Spilled};
use std::fs::File;
use std::io;
use std::sync::Arc;

/// The longest file that is kept in memory where there is a disk for longer ones.
pub(super) const LONGEST_IN_MEMORY: u64 = 1 << 20;
/// Most files of one run that are on the disk: each holds a descriptor of the process. Further ones stay in memory, whatever their
/// length.
pub(super) const MOST_ON_DISK: u32 = 64;
/// Bytes read at a time where all of a content is wanted.
const CHUNK: usize = 64 << 10;

/// A file that the host gives to a program, which sees it as it is and gets a copy at its first change.
#[derive(Debug, Clone)]
pub enum Input {
    Bytes(Arc<[u8]>),
    /// An open file that nobody changes any more.
    File(Arc<File>),
}

impl From<&[u8]> for Input {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

#[derive(Debug)]
pub(crate) enum Content {
    Shared(Arc<[u8]>),
    Stored { file: Arc<File>, size: u64 },
    Own(Vec<u8>),
    Spilled(Spilled),
}

/// What a change may take.
pub(super) struct Means<'a> {
    /// Bytes of memory beyond what the content costs already.
    pub(super) memory: u64,
    /// Where it may go on the disk; None while the run has as many files there as it may.
    pub(super) spill: Option<&'a Spill>,
    /// Bytes on the disk beyond what the content has there already.
    pub(super) disk: u64,
}

impl Content {
    pub(super) fn of(input: &Input) -> io::Result<Self> {
        Ok(match input {
            Input::Bytes(bytes) => Self::Shared(Arc::clone(bytes)),
            Input::File(file) => Self::Stored { size: file.metadata()?.len(), file: Arc::clone(file) },
        })
    }

    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Shared(bytes) => bytes.len() as u64,
            Self::Stored { size, .. } => *size,
            Self::Own(bytes) => bytes.len() as u64,
            Self::Spilled(spilled) => spilled.size(),
        }
    }

    /// Bytes of host memory that this run alone is the cause of.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Self::Shared(_) | Self::Stored { .. } | Self::Spilled(_) => 0,
            Self::Own(bytes) => bytes.capacity() as u64,
        }
    }

    /// Bytes that count against the run's disk limit: holes, too, so that what a program may do does not depend on the disk.
    pub(super) fn on_disk(&self) -> u64 {
        if let Self::Spilled(spilled) = self { spilled.size() } else { 0 }
    }

    pub(super) fn is_spilled(&self) -> bool {
        matches!(self, Self::Spilled(_))
    }

    /// Reads at `offset`; the number of bytes, 0 at the end.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes.as_slice(),
            Self::Stored { file, size } => return spill::read_at(file, *size, offset, buffer),
            Self::Spilled(spilled) => return spilled.read_at(offset, buffer),
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).unwrap_or_default();
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(rest.len().min(buffer.len()))
    }

    /// Adds all bytes to `target`, which should have room for them.
    pub(crate) fn append_to(&self, target: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Shared(bytes) => target.extend_from_slice(bytes),
            Self::Own(bytes) => target.extend_from_slice(bytes),
            Self::Stored { .. } | Self::Spilled(_) => {
                let mut copy = vec![0; CHUNK];
                let mut at = 0;
                while let count @ 1.. = self.read_at(at, &mut copy)? {
                    target.extend_from_slice(copy.get(..count).unwrap_or_default());
                    at += count as u64;
                }
            }
        }
        Ok(())
    }

    /// Writes at `offset`, filling a gap with zeros. All or nothing.
    pub(super) fn write_at(&mut self, offset: u64, bytes: &[u8], means: &Means<'_>) -> Result<()> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(Fault::TooLarge)?;
        match self.with_room(end.max(self.size()), means)? {
            Owned::Memory(own) => {
                let start = usize::try_from(offset).map_err(|_| Fault::TooLarge)?;
                if own.len() < start + bytes.len() {
                    own.resize(start + bytes.len(), 0);
                }
                own.get_mut(start..start + bytes.len()).ok_or(Fault::Io)?.copy_from_slice(bytes);
                Ok(())
            }
            Owned::Disk(spilled) => spilled.write_at(offset, bytes).map_err(fault),
        }
    }

    /// Cuts it, or fills it up with zeros.
    pub(super) fn resize(&mut self, size: u64, means: &Means<'_>) -> Result<()> {
        if size == 0 {
            *self = Self::Own(Vec::new());
            return Ok(());
        }
        match self.with_room(size, means)? {
            Owned::Memory(own) => own.resize(usize::try_from(size).map_err(|_| Fault::TooLarge)?, 0),
            Owned::Disk(spilled) => spilled.resize(size).map_err(fault)?,
        }
        Ok(())
    }

    /// Makes the content the run's own, where it is to be with a length of `length`.
    fn with_room(&mut self, length: u64, means: &Means<'_>) -> Result<Owned<'_>> {
        if let Some(spill) = means.spill
            && !self.is_spilled()
            && length.max(self.size()) > LONGEST_IN_MEMORY
        {
            if length.max(self.size()) > means.disk {
                return Err(Fault::Full);
            }
            *self = Self::Spilled(self.to_disk(spill).map_err(fault)?);
        } else if self.is_spilled() && length.saturating_sub(self.size()) > means.disk {
            return Err(Fault::Full);
        }
        if let Self::Stored { size, .. } = self {
            let mut bytes = room_for((*size).max(length), means.memory)?;
            self.append_to(&mut bytes).map_err(fault)?;
            *self = Self::Own(bytes);
        } else if let Self::Shared(shared) = self {
            let mut bytes = room_for((shared.len() as u64).max(length), means.memory)?;
            bytes.extend_from_slice(shared);
            *self = Self::Own(bytes);
        }
        match self {
            Self::Own(own) => {
                reserve(own, length, means.memory)?;
                Ok(Owned::Memory(own))
            }
            Self::Spilled(spilled) => Ok(Owned::Disk(spilled)),
            Self::Shared(_) | Self::Stored { .. } => Err(Fault::Io),
        }
    }

    fn to_disk(&self, spill: &Spill) -> io::Result<Spilled> {
        let mut spilled = spill.file()?;
        match self {
            Self::Shared(bytes) => spilled.push(bytes)?,
            Self::Own(bytes) => spilled.push(bytes)?,
            Self::Stored { file, size } => spilled.fill(file, *size)?,
            Self::Spilled(_) => {}
        }
        Ok(spilled)
    }

    /// A content that a session kept, on the disk if it was there.
    pub(super) fn kept(bytes: &[u8], spill: Option<&Spill>) -> io::Result<Self> {
        let Some(spill) = spill else { return Ok(Self::Own(bytes.to_vec())) };
        let mut spilled = spill.file()?;
        spilled.push(bytes)?;
        Ok(Self::Spilled(spilled))
    }
}

enum Owned<'a> {
    Memory(&'a mut Vec<u8>),
    Disk(&'a mut Spilled),
}

fn room_for(length: u64, budget: u64) -> Result<Vec<u8>> {
    if length > budget {
        return Err(Fault::Full);
    }
    let mut own = Vec::new();
    own.try_reserve_exact(usize::try_from(length).map_err(|_| Fault::TooLarge)?).map_err(|_| Fault::Full)?;
    Ok(own)
}

/// Never reserves more than `budget` on top of what `own` costs already.
fn reserve(own: &mut Vec<u8>, length: u64, budget: u64) -> Result<()> {
    let length = usize::try_from(length).map_err(|_| Fault::TooLarge)?;
    if length > own.capacity() {
        let most = own.capacity().saturating_add(usize::try_from(budget).unwrap_or(usize::MAX));
        if length > most {
            return Err(Fault::Full);
        }
        // Half as much again, so that many small writes copy each byte a bounded number of times.
        let wanted = length.saturating_add(length / 2).min(most);
        own.try_reserve_exact(wanted - own.len()).map_err(|_| Fault::Full)?;
    }
    Ok(())
}

/// What a guest is told of an error of the disk.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` gives it")]
fn fault(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::Full,
        io::ErrorKind::FileTooLarge => Fault::TooLarge,
        _ => {
            tracing::error!(%error, "could not read or write a file of a program's on the disk");
            Fault::Io
        }
    }
}
