//! From a path to a node. `..` at the root stays there: there is nothing outside.

use super::node::{Body, Id};
use super::tree::Files;
use super::{Fault, Kind, Result};

/// Links followed in one path before it is taken for a loop.
const MOST_LINKS: u32 = 32;
/// Longest name of one entry, in bytes.
const LONGEST_NAME: usize = 255;
/// Longest path, in bytes; also bounds the time that one look-up takes.
pub(crate) const LONGEST_PATH: usize = 4096;

/// Where a path leads: its folder, its last name, and what is there.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) folder: Id,
    pub(super) name: String,
    pub(super) node: Option<Id>,
    /// It ended in `/`, so it must be a folder.
    pub(super) must_be_folder: bool,
}

impl Files {
    /// Finds what `path` names, seen from `base`. A link at its end is followed when `follow`.
    pub(super) fn place(&self, base: Id, path: &str, follow: bool) -> Result<Place> {
        let mut links = MOST_LINKS;
        self.walk(base, path, follow, &mut links)
    }

    /// As [`Self::place`], for a node that must exist.
    pub(super) fn find(&self, base: Id, path: &str, follow: bool) -> Result<Id> {
        let place = self.place(base, path, follow)?;
        let node = place.node.ok_or(Fault::NotFound)?;
        if place.must_be_folder && self.kind(node)? != Kind::Folder {
            return Err(Fault::NotFolder);
        }
        Ok(node)
    }

    fn walk(&self, base: Id, path: &str, follow: bool, links: &mut u32) -> Result<Place> {
        if path.is_empty() {
            return Err(Fault::NotFound);
        }
        if path.len() > LONGEST_PATH {
            return Err(Fault::NameTooLong);
        }
        let mut folder = if path.starts_with('/') { Self::ROOT } else { base };
        let must_be_folder = path.ends_with('/');
        let mut names = path.split('/').filter(|name| !name.is_empty() && *name != ".").peekable();
        let mut at = Place { folder, name: String::new(), node: Some(folder), must_be_folder };
        while let Some(name) = names.next() {
            if name.len() > LONGEST_NAME {
                return Err(Fault::NameTooLong);
            }
            folder = at.node.ok_or(Fault::NotFound)?;
            if self.kind(folder)? != Kind::Folder {
                return Err(Fault::NotFolder);
            }
            let last = names.peek().is_none();
            let node = if name == ".." { Some(self.parent(folder)) } else { self.child(folder, name) };
            at = Place { folder, name: name.to_owned(), node, must_be_folder };
            if let Some(target) = node.and_then(|node| self.link_target(node))
                && (!last || follow || must_be_folder)
            {
                *links = links.checked_sub(1).ok_or(Fault::Loop)?;
                at = self.walk(folder, target, true, links)?;
                at.must_be_folder |= must_be_folder;
            }
        }
        Ok(at)
    }

    fn link_target(&self, id: Id) -> Option<&str> {
        match &self.own(id)?.body {
            Body::Link(target) => Some(target),
            _ => None,
        }
    }
}
