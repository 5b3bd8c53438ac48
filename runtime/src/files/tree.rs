//! The operations on one run's files.

use super::content::{Content, Input};
use super::contents::Disk;
use super::library;
use super::node::{Body, Device, Folder, Id, Kind, Node, Stat};
use super::{Fault, Result, Shared};
use crate::spill::Spill;
use std::collections::BTreeMap;

/// What a node costs besides its contents: host memory that an empty file takes.
const NODE_COST: u64 = 512;

/// How to open.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one of WASI's independent flags")]
pub(crate) struct Open {
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) truncate: bool,
    pub(crate) folder: bool,
    pub(crate) write: bool,
    pub(crate) follow: bool,
}

/// The files of one run.
#[derive(Debug)]
pub(crate) struct Files {
    pub(super) library: Shared,
    pub(super) nodes: Vec<Option<Node>>,
    /// Host memory that the run's files take.
    pub(super) used: u64,
    /// The most that `used` ever was.
    pub(super) peak: u64,
    pub(super) limit: u64,
    pub(super) disk: Disk,
}

impl Files {
    pub(crate) const ROOT: Id = Id::Own(0);
    pub(super) const DATA: Id = Id::Own(3);

    /// `/tmp` and `/mnt/data`, both empty; `limit` bounds [`Self::used`].
    pub(crate) fn new(library: Shared, limit: u64, now: u64) -> Self {
        let has_layer = library.layer().is_some();
        let disk = Disk::default();
        let mut files = Self { library, nodes: Vec::with_capacity(16), used: 0, peak: 0, limit, disk };
        let node = |body| Node { open: 1, ..Node::new(body, now) };
        let folder = |parent, writable, entries: &[(&str, Id)]| {
            let entries = entries.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
            node(Body::Folder(Folder { entries, parent: Id::Own(parent), writable }))
        };
        let device = |device| node(Body::Device(device));
        let library = Id::Library(library::ROOT);
        files.nodes.extend(
            [
                folder(0, false, &[("dev", Id::Own(4)), ("lib", library), ("mnt", Id::Own(2)), ("tmp", Id::Own(1))]),
                folder(0, true, &[]),
                folder(0, false, &[("data", Self::DATA)]),
                folder(2, true, &[]),
                folder(
                    0,
                    false,
                    &[("null", Id::Own(5)), ("random", Id::Own(7)), ("urandom", Id::Own(7)), ("zero", Id::Own(6))],
                ),
                device(Device::Null),
                device(Device::Zero),
                device(Device::Random),
            ]
            .map(Some),
        );
        if let Some(Some(Node { body: Body::Folder(root), .. })) = files.nodes.first_mut()
            && has_layer
        {
            root.entries.insert("packages".to_owned(), Id::Library(library::LAYER_ROOT));
        }
        files
    }

    /// The read-only trees.
    pub(crate) fn shared(&self) -> &Shared {
        &self.library
    }

    /// Lets large files go to the disk, so many bytes of them.
    pub(crate) fn spill_to(&mut self, spill: Option<Spill>, limit: u64) {
        self.disk = Disk::new(spill, limit);
    }

    /// Bytes of this run's files that are on the disk.
    pub(crate) fn on_disk(&self) -> u64 {
        self.disk.used
    }

    /// Bytes of host memory in use by this run's files.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// The most that [`Self::used`] ever was.
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    /// Puts a file of the host's into the tree, with its folders. A relative path is below `/mnt/data`. In the place of a file that
    /// an earlier call of a session left there.
    pub(crate) fn install(&mut self, path: &str, input: &Input, now: u64) -> Result<()> {
        let given = Content::of(input).map_err(|_| Fault::Io)?;
        let mut base = Self::DATA;
        let (folders, _) = path.rsplit_once('/').unwrap_or(("", path));
        if path.starts_with('/') {
            base = Self::ROOT;
        }
        for name in folders.split('/').filter(|name| !name.is_empty()) {
            base = match self.make_folder(base, name, u64::MAX, now) {
                Ok(id) => {
                    if let Some(folder) = self.own_mut(id) {
                        folder.is_new = false;
                    }
                    id
                }
                Err(Fault::Exists) => self.find(base, name, true)?,
                Err(fault) => return Err(fault),
            };
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        if self.child(base, name).is_some_and(|old| matches!(self.own(old), Some(Node { body: Body::File(_), .. }))) {
            self.unlink(base, name, now)?;
        }
        let open = Open { create: true, exclusive: true, write: true, ..Open::default() };
        let (id, _) = self.open(base, name, open, u64::MAX, now)?;
        if let Some(Node { body: Body::File(content), is_new, .. }) = self.own_mut(id) {
            *content = given;
            *is_new = false;
        }
        self.close(id);
        Ok(())
    }

    /// Puts other nodes in the place of all there are.
    pub(super) fn replace(&mut self, nodes: Vec<Option<Node>>, used: u64) {
        self.nodes = nodes;
        for node in self.nodes.iter().flatten() {
            if let Body::File(content) = &node.body {
                self.disk.add(content);
            }
        }
        self.used = used;
        self.peak = self.peak.max(used);
    }

    pub(super) fn own(&self, id: Id) -> Option<&Node> {
        match id {
            Id::Own(id) => self.nodes.get(id as usize)?.as_ref(),
            Id::Library(_) => None,
        }
    }

    pub(super) fn own_mut(&mut self, id: Id) -> Option<&mut Node> {
        match id {
            Id::Own(id) => self.nodes.get_mut(id as usize)?.as_mut(),
            Id::Library(_) => None,
        }
    }

    fn folder_mut(&mut self, id: Id) -> Result<&mut Folder> {
        match self.own_mut(id).map(|node| &mut node.body) {
            Some(Body::Folder(folder)) if folder.writable => Ok(folder),
            Some(Body::Folder(_)) | None => Err(Fault::ReadOnly),
            Some(_) => Err(Fault::NotFolder),
        }
    }

    pub(crate) fn kind(&self, id: Id) -> Result<Kind> {
        Ok(self.stat(id)?.kind)
    }

    pub(crate) fn stat(&self, id: Id) -> Result<Stat> {
        match id {
            Id::Own(_) => Ok(self.own(id).ok_or(Fault::NotFound)?.stat(id)),
            Id::Library(entry) => {
                let (kind, size) = self.library.stat(entry).ok_or(Fault::NotFound)?;
                Ok(Stat { id, kind, links: 1, size, accessed: 0, modified: 0, changed: 0 })
            }
        }
    }

    pub(crate) fn stat_at(&self, base: Id, path: &str, follow: bool) -> Result<Stat> {
        self.stat(self.find(base, path, follow)?)
    }

    pub(super) fn parent(&self, id: Id) -> Id {
        match id {
            Id::Library(library::ROOT | library::LAYER_ROOT) => Self::ROOT,
            Id::Library(entry) => Id::Library(self.library.parent(entry)),
            Id::Own(_) => match self.own(id).map(|node| &node.body) {
                Some(Body::Folder(folder)) => folder.parent,
                _ => Self::ROOT,
            },
        }
    }

    pub(super) fn child(&self, id: Id, name: &str) -> Option<Id> {
        match id {
            Id::Library(entry) => self.library.child(entry, name).map(Id::Library),
            Id::Own(_) => match &self.own(id)?.body {
                Body::Folder(folder) => folder.entries.get(name).copied(),
                _ => None,
            },
        }
    }

    /// The entries of a folder from the `skip`th on, `.` and `..` first.
    pub(crate) fn list(&self, id: Id, skip: usize) -> Result<impl Iterator<Item = (&str, Id)>> {
        let (own, shared) = match id {
            Id::Library(entry) => (None, Some(self.library.children(entry).ok_or(Fault::NotFolder)?)),
            Id::Own(_) => match &self.own(id).ok_or(Fault::NotFound)?.body {
                Body::Folder(folder) => (Some(&folder.entries), None),
                _ => return Err(Fault::NotFolder),
            },
        };
        let own = own.into_iter().flatten().map(|(name, id)| (name.as_str(), *id));
        let shared = shared.into_iter().flatten().map(|(name, id)| (name.as_str(), Id::Library(*id)));
        let dots = [(".", id), ("..", self.parent(id))].into_iter();
        Ok(dots.chain(own).chain(shared).skip(skip))
    }

    /// Opens or makes what `path` names. `room` bounds the growth of [`Self::used`].
    pub(crate) fn open(&mut self, base: Id, path: &str, open: Open, room: u64, now: u64) -> Result<(Id, Kind)> {
        let place = self.place(base, path, open.follow)?;
        let id = match place.node {
            Some(_) if open.create && open.exclusive => return Err(Fault::Exists),
            Some(id) => id,
            None if open.create && (open.folder || place.must_be_folder) => return Err(Fault::IsFolder),
            None if open.create => {
                self.add(place.folder, &place.name, Body::File(Content::Own(Vec::new())), room, now)?
            }
            None => return Err(Fault::NotFound),
        };
        let kind = self.kind(id)?;
        match kind {
            Kind::Folder if open.write || open.truncate => return Err(Fault::IsFolder),
            Kind::Link => return Err(Fault::Loop),
            Kind::File if open.folder || place.must_be_folder => return Err(Fault::NotFolder),
            Kind::File if (open.write || open.truncate) && matches!(id, Id::Library(_)) => {
                return Err(Fault::ReadOnly);
            }
            Kind::File | Kind::Folder | Kind::Device(_) => {}
        }
        if open.truncate && kind == Kind::File {
            self.resize(id, 0, room, now)?;
        }
        if let Some(node) = self.own_mut(id) {
            node.open = node.open.saturating_add(1);
        }
        Ok((id, kind))
    }

    /// Lets go of what [`Self::open`] gave.
    pub(crate) fn close(&mut self, id: Id) {
        if let Some(node) = self.own_mut(id) {
            node.open = node.open.saturating_sub(1);
        }
        self.reap(id);
    }

    pub(crate) fn make_folder(&mut self, base: Id, path: &str, room: u64, now: u64) -> Result<Id> {
        let place = self.place(base, path, false)?;
        if place.node.is_some() {
            return Err(Fault::Exists);
        }
        let body = Body::Folder(Folder { entries: BTreeMap::new(), parent: place.folder, writable: true });
        self.add(place.folder, &place.name, body, room, now)
    }

    pub(crate) fn make_link(&mut self, base: Id, path: &str, target: &str, room: u64, now: u64) -> Result<()> {
        let place = self.place(base, path, false)?;
        if place.node.is_some() {
            return Err(Fault::Exists);
        }
        self.add(place.folder, &place.name, Body::Link(target.to_owned()), room, now)?;
        Ok(())
    }

    pub(crate) fn read_link(&self, base: Id, path: &str) -> Result<&str> {
        let id = self.find(base, path, false)?;
        match self.own(id).map(|node| &node.body) {
            Some(Body::Link(target)) => Ok(target),
            _ => Err(Fault::Invalid),
        }
    }

    /// Gives a file a second name.
    pub(crate) fn link(&mut self, from: Id, to: (Id, &str), room: u64, now: u64) -> Result<()> {
        let place = self.place(to.0, to.1, false)?;
        if place.node.is_some() {
            return Err(Fault::Exists);
        }
        if self.kind(from)? == Kind::Folder {
            return Err(Fault::IsFolder);
        }
        self.own(from).ok_or(Fault::ReadOnly)?;
        self.folder_mut(place.folder)?;
        self.charge(NODE_COST + place.name.len() as u64, room)?;
        self.folder_mut(place.folder)?.entries.insert(place.name, from);
        let node = self.own_mut(from).ok_or(Fault::ReadOnly)?;
        node.links += 1;
        node.is_new = true;
        node.changed = now;
        Ok(())
    }

    pub(crate) fn unlink(&mut self, base: Id, path: &str, now: u64) -> Result<()> {
        let place = self.place(base, path, false)?;
        let id = place.node.ok_or(Fault::NotFound)?;
        match self.kind(id)? {
            Kind::Folder => return Err(Fault::IsFolder),
            _ if place.must_be_folder => return Err(Fault::NotFolder),
            _ => {}
        }
        self.take_name(place.folder, &place.name, id, now)
    }

    pub(crate) fn remove_folder(&mut self, base: Id, path: &str, now: u64) -> Result<()> {
        let place = self.place(base, path, false)?;
        let id = place.node.ok_or(Fault::NotFound)?;
        if self.kind(id)? != Kind::Folder {
            return Err(Fault::NotFolder);
        }
        if self.list(id, 2)?.next().is_some() {
            return Err(Fault::NotEmpty);
        }
        if place.name == ".." || place.name.is_empty() {
            return Err(Fault::Busy);
        }
        self.take_name(place.folder, &place.name, id, now)
    }

    pub(crate) fn rename(&mut self, from: (Id, &str), to: (Id, &str), now: u64) -> Result<()> {
        let source = self.place(from.0, from.1, false)?;
        let target = self.place(to.0, to.1, false)?;
        let id = source.node.ok_or(Fault::NotFound)?;
        let is_folder = self.kind(id)? == Kind::Folder;
        if [&source, &target].iter().any(|place| place.name == ".." || place.name.is_empty()) {
            return Err(Fault::Busy);
        }
        if (source.must_be_folder || target.must_be_folder) && !is_folder {
            return Err(Fault::NotFolder);
        }
        self.folder_mut(source.folder)?;
        self.folder_mut(target.folder)?;
        if is_folder && self.is_below(target.folder, id) {
            return Err(Fault::Invalid);
        }
        if let Some(old) = target.node {
            if old == id {
                return Ok(());
            }
            match (is_folder, self.kind(old)? == Kind::Folder) {
                (true, false) => return Err(Fault::NotFolder),
                (false, true) => return Err(Fault::IsFolder),
                (true, true) if self.list(old, 2)?.next().is_some() => return Err(Fault::NotEmpty),
                _ => self.take_name(target.folder, &target.name, old, now)?,
            }
        }
        self.used += target.name.len() as u64;
        self.used = self.used.saturating_sub(source.name.len() as u64);
        self.folder_mut(source.folder)?.entries.remove(&source.name);
        self.folder_mut(target.folder)?.entries.insert(target.name, id);
        if let Some(node) = self.own_mut(id) {
            node.changed = now;
            node.is_new = true;
            if let Body::Folder(folder) = &mut node.body {
                folder.parent = target.folder;
            }
        }
        Ok(())
    }

    pub(crate) fn set_times(&mut self, id: Id, accessed: Option<u64>, modified: Option<u64>, now: u64) -> Result<()> {
        let node = self.own_mut(id).ok_or(Fault::ReadOnly)?;
        node.accessed = accessed.unwrap_or(node.accessed);
        node.modified = modified.unwrap_or(node.modified);
        node.changed = now;
        Ok(())
    }

    pub(crate) fn locate(&self, base: Id, path: &str, follow: bool) -> Result<Id> {
        self.find(base, path, follow)
    }

    fn is_below(&self, mut id: Id, above: Id) -> bool {
        loop {
            if id == above {
                return true;
            }
            if id == Self::ROOT {
                return false;
            }
            id = self.parent(id);
        }
    }

    fn add(&mut self, folder: Id, name: &str, body: Body, room: u64, now: u64) -> Result<Id> {
        self.folder_mut(folder)?;
        if name.is_empty() || name == ".." {
            return Err(Fault::Exists);
        }
        let text = if let Body::Link(target) = &body { target.len() } else { 0 };
        self.charge(NODE_COST + (name.len() + text) as u64, room)?;
        let id = Id::Own(u32::try_from(self.nodes.len()).map_err(|_| Fault::Full)?);
        self.nodes.push(Some(Node::new(body, now)));
        self.folder_mut(folder)?.entries.insert(name.to_owned(), id);
        self.touch(folder, now);
        Ok(id)
    }

    fn charge(&mut self, cost: u64, room: u64) -> Result<()> {
        if cost > self.limit.saturating_sub(self.used).min(room) {
            return Err(Fault::Full);
        }
        self.used += cost;
        self.peak = self.peak.max(self.used);
        Ok(())
    }

    fn take_name(&mut self, folder: Id, name: &str, id: Id, now: u64) -> Result<()> {
        self.folder_mut(folder)?.entries.remove(name).ok_or(Fault::NotFound)?;
        self.used = self.used.saturating_sub(name.len() as u64);
        self.touch(folder, now);
        if let Some(node) = self.own_mut(id) {
            node.links = node.links.saturating_sub(1);
            node.changed = now;
            if node.links > 0 {
                // What `link` charged for this name; the last one's share is `reap`'s.
                self.used = self.used.saturating_sub(NODE_COST);
            }
        }
        self.reap(id);
        Ok(())
    }

    fn touch(&mut self, folder: Id, now: u64) {
        if let Some(node) = self.own_mut(folder) {
            node.modified = now;
            node.changed = now;
        }
    }

    /// Frees a node that has neither a name nor a descriptor. Its number is not used again within a run.
    fn reap(&mut self, id: Id) {
        let Id::Own(index) = id else { return };
        let Some(slot) = self.nodes.get_mut(index as usize) else { return };
        if slot.as_ref().is_some_and(|node| node.links == 0 && node.open == 0) {
            let cost = match slot.take().map(|node| node.body) {
                Some(Body::File(content)) => {
                    self.disk.remove(&content);
                    content.cost()
                }
                Some(Body::Link(target)) => target.len() as u64,
                _ => 0,
            };
            // The slot itself stays, so its share of the cost does too.
            let slot_cost = size_of::<Option<Node>>() as u64;
            self.used = self.used.saturating_sub(cost + NODE_COST - slot_cost);
        }
    }
}
