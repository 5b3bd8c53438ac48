//! What the overlay is made of.

use super::content::Content;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Whether this run made it, changed it, or gave it a name.
    pub(super) is_new: bool,
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

impl Node {
    /// One that is made now, with one name.
    pub(super) fn new(body: Body, now: u64) -> Self {
        Self { body, links: 1, open: 0, is_new: true, accessed: now, modified: now, changed: now }
    }

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
            Body::File(content) => content.size(),
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
