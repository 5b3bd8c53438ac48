//! What the overlay is made of.

use super::{Fault, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node of the overlay or of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Id {
    Own(u32),
    Library(u32),
}

impl Id {
    /// The number that the guest sees.
    pub(crate) fn inode(self) -> u64 {
        match self {
            Self::Own(id) => u64::from(id) + 1,
            Self::Library(id) => (1 << 32) + u64::from(id),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    Device(Device),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Device {
    Null,
    Zero,
    Random,
}

/// What `stat` tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) id: Id,
    pub(crate) kind: Kind,
    pub(crate) links: u32,
    pub(crate) size: u64,
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) body: Body,
    /// Names that lead here.
    pub(super) links: u32,
    /// Descriptors that hold it.
    pub(super) open: u32,
    pub(super) accessed: u64,
    pub(super) modified: u64,
    pub(super) changed: u64,
}

#[derive(Debug)]
pub(super) enum Body {
    File(Content),
    Folder(Folder),
    Link(String),
    Device(Device),
}

#[derive(Debug)]
pub(super) struct Folder {
    pub(super) entries: BTreeMap<String, Id>,
    pub(super) parent: Id,
    /// Whether the guest may make, rename and remove what is in it.
    pub(super) writable: bool,
}

/// A file's bytes: the host's until the guest writes to them.
#[derive(Debug)]
pub(super) enum Content {
    Shared(Arc<[u8]>),
    Own(Vec<u8>),
}

impl Content {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }

    /// Bytes of host memory that this run alone is the cause of.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Self::Shared(_) => 0,
            Self::Own(bytes) => bytes.capacity() as u64,
        }
    }

    /// Makes the content the run's own with room for `length` bytes. Never reserves more than `budget` on top of
    /// what it already costs.
    pub(super) fn reserve(&mut self, length: u64, budget: u64) -> Result<&mut Vec<u8>> {
        let length = usize::try_from(length).map_err(|_| Fault::TooLarge)?;
        if let Self::Shared(bytes) = self {
            let needed = bytes.len().max(length);
            if needed as u64 > budget {
                return Err(Fault::Full);
            }
            let mut own = Vec::new();
            own.try_reserve_exact(needed).map_err(|_| Fault::Full)?;
            own.extend_from_slice(bytes);
            *self = Self::Own(own);
        }
        let Self::Own(own) = self else { return Err(Fault::Io) };
        if length > own.capacity() {
            let most = own.capacity().saturating_add(usize::try_from(budget).unwrap_or(usize::MAX));
            if length > most {
                return Err(Fault::Full);
            }
            // Half as much again, so that many small writes copy each byte a bounded number of times.
            let wanted = length.saturating_add(length / 2).min(most);
            own.try_reserve_exact(wanted - own.len()).map_err(|_| Fault::Full)?;
        }
        Ok(own)
    }
}

impl Node {
    pub(super) fn kind(&self) -> Kind {
        match &self.body {
            Body::File(_) => Kind::File,
            Body::Folder(_) => Kind::Folder,
            Body::Link(_) => Kind::Link,
            Body::Device(device) => Kind::Device(*device),
        }
    }

    pub(super) fn stat(&self, id: Id) -> Stat {
        let size = match &self.body {
            Body::File(content) => content.bytes().len() as u64,
            Body::Link(target) => target.len() as u64,
            Body::Folder(_) | Body::Device(_) => 0,
        };
        Stat {
            id,
            kind: self.kind(),
            links: self.links,
            size,
            accessed: self.accessed,
            modified: self.modified,
            changed: self.changed,
        }
    }
}
