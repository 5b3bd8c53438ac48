//! One run's files as what a session keeps of them, and back.

use super::content::{Content, LONGEST_IN_MEMORY};
use super::node::{Body, Device, Folder, Id, Node};
use super::tree::Files;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

/// All nodes; the contents of the files lie elsewhere, one after the other.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptFiles {
    nodes: Vec<Option<KeptNode>>,
    /// Host memory that the files take, once they are back.
    used: u64,
    /// Bytes of those that will be on the disk then.
    #[serde(default)]
    disk: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptNode {
    body: KeptBody,
    links: u32,
    open: u32,
    /// Accessed, modified, changed.
    times: [u64; 3],
}

#[derive(Debug, Serialize, Deserialize)]
enum KeptBody {
    File {
        size: u64,
        /// Whether it was on the disk.
        #[serde(default)]
        disk: bool,
    },
    Folder {
        entries: BTreeMap<String, Id>,
        parent: Id,
        writable: bool,
    },
    Link(String),
    Device(Device),
}

impl KeptFiles {
    /// Bytes of the contents.
    pub(crate) fn contents(&self) -> u64 {
        let sizes = self.nodes.iter().flatten().map(|node| match node.body {
            KeptBody::File { size, .. } => size,
            _ => 0,
        });
        sizes.fold(0, u64::saturating_add)
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }
}

impl Files {
    /// What the session keeps, and the contents that belong to it.
    pub(crate) fn keep(&self) -> (KeptFiles, Vec<&Content>) {
        let mut contents = Vec::new();
        let (mut used, mut on_disk) = (self.used(), 0);
        let nodes = self.nodes.iter().map(|node| {
            let node = node.as_ref()?;
            let body = match &node.body {
                Body::File(content) => {
                    let size = content.size();
                    let disk = self.disk.spill.is_some() && (content.is_spilled() || size > LONGEST_IN_MEMORY);
                    // What was the host's, or had room to grow, costs its size when it is back.
                    used = used.saturating_sub(content.cost()).saturating_add(if disk { 0 } else { size });
                    on_disk += if disk { size } else { 0 };
                    contents.push(content);
                    KeptBody::File { size, disk }
                }
                Body::Folder(Folder { entries, parent, writable }) => {
                    KeptBody::Folder { entries: entries.clone(), parent: *parent, writable: *writable }
                }
                Body::Link(target) => KeptBody::Link(target.clone()),
                Body::Device(device) => KeptBody::Device(*device),
            };
            let times = [node.accessed, node.modified, node.changed];
            Some(KeptNode { body, links: node.links, open: node.open, times })
        });
        let nodes = nodes.collect();
        (KeptFiles { nodes, used, disk: on_disk }, contents)
    }

    /// Whether what was kept is within the limits.
    pub(crate) fn can_bring_back(&self, kept: &KeptFiles) -> bool {
        let (memory, disk) = match self.disk.spill {
            Some(_) => (kept.used, kept.disk),
            None => (kept.used.saturating_add(kept.disk), 0),
        };
        memory <= self.limit && disk <= self.disk.limit
    }

    /// Makes these files what `kept` says. The caller has asked [`Self::can_bring_back`].
    pub(crate) fn bring_back(&mut self, kept: &KeptFiles, mut contents: &[u8]) -> io::Result<()> {
        let mut used = kept.used;
        let spill = self.disk.spill.clone();
        let nodes = kept.nodes.iter().map(|node| {
            let Some(KeptNode { body, links, open, times: [accessed, modified, changed] }) = node else {
                return Ok(None);
            };
            let body = match body {
                KeptBody::File { size, disk } => {
                    if *disk && spill.is_none() {
                        used = used.saturating_add(*size);
                    }
                    let size = usize::try_from(*size).unwrap_or(usize::MAX);
                    let (own, rest) = contents.split_at_checked(size).unwrap_or((contents, &[]));
                    contents = rest;
                    Body::File(Content::kept(own, spill.as_ref().filter(|_| *disk))?)
                }
                KeptBody::Folder { entries, parent, writable } => {
                    Body::Folder(Folder { entries: entries.clone(), parent: *parent, writable: *writable })
                }
                KeptBody::Link(target) => Body::Link(target.clone()),
                KeptBody::Device(device) => Body::Device(*device),
            };
            let (accessed, modified, changed) = (*accessed, *modified, *changed);
            Ok(Some(Node { body, links: *links, open: *open, is_new: false, accessed, modified, changed }))
        });
        let nodes = nodes.collect::<io::Result<_>>()?;
        self.replace(nodes, used);
        Ok(())
    }
}
