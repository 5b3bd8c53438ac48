//! The guest's table of open files.

use super::Errno;
use crate::files::{Files, Id, Kind};
use crate::host::Stream;
use serde::{Deserialize, Serialize};

/// Most descriptors of one run, as a usual `ulimit -n`; bounds the table, which is host memory.
const MOST: usize = 1024;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Descriptor {
    Stdin,
    Output(Stream),
    Node(Node),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) id: Id,
    pub(super) kind: Kind,
    pub(super) position: u64,
    pub(super) append: bool,
    pub(super) read: bool,
    pub(super) write: bool,
}

/// The preopened root, as the C library looks for it.
pub(super) const PREOPEN: u32 = 3;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Descriptors(Vec<Option<Descriptor>>);

impl Default for Descriptors {
    fn default() -> Self {
        let mut table = Vec::with_capacity(8);
        table.extend([
            Some(Descriptor::Stdin),
            Some(Descriptor::Output(Stream::Stdout)),
            Some(Descriptor::Output(Stream::Stderr)),
            Some(Descriptor::Node(Node {
                id: Files::ROOT,
                kind: Kind::Folder,
                position: 0,
                append: false,
                read: true,
                write: false,
            })),
        ]);
        Self(table)
    }
}

impl Descriptors {
    /// Puts the standard streams and the root back where a program finds them; gives what was in their place.
    pub(super) fn renew_first(&mut self) -> Vec<Descriptor> {
        let fresh = Self::default().0;
        if self.0.len() < fresh.len() {
            self.0.resize(fresh.len(), None);
        }
        let places = self.0.iter_mut().zip(fresh);
        places.filter_map(|(place, fresh)| std::mem::replace(place, fresh)).collect()
    }

    /// Whether there are no more than a run may have.
    pub(super) fn fit(&self) -> bool {
        self.0.len() <= MOST
    }

    pub(super) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.0.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    pub(super) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.0.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::Badf)
    }

    /// The node behind `fd`.
    pub(super) fn node(&mut self, fd: u32) -> Result<&mut Node, Errno> {
        match self.get_mut(fd)? {
            Descriptor::Node(node) => Ok(node),
            Descriptor::Stdin | Descriptor::Output(_) => Err(Errno::Spipe),
        }
    }

    /// The folder behind `fd`.
    pub(super) fn folder(&self, fd: u32) -> Result<Id, Errno> {
        match self.get(fd)? {
            Descriptor::Node(node) if node.kind == Kind::Folder => Ok(node.id),
            _ => Err(Errno::Notdir),
        }
    }

    pub(super) fn add(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        let free = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        if free >= MOST {
            return Err(Errno::Mfile);
        }
        if free == self.0.len() {
            self.0.push(None);
        }
        *self.0.get_mut(free).ok_or(Errno::Mfile)? = Some(descriptor);
        u32::try_from(free).map_err(|_| Errno::Mfile)
    }

    pub(super) fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.0.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::Badf)
    }

    /// Puts `descriptor` at `fd`, which must be taken; gives what was there.
    pub(super) fn replace(&mut self, fd: u32, descriptor: Descriptor) -> Result<Descriptor, Errno> {
        Ok(std::mem::replace(self.get_mut(fd)?, descriptor))
    }
}
