//! One run's files as what a session keeps of them, and back.

use super::node::{Body, Content, Device, Folder, Id, Node};
use super::tree::Files;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All nodes; the contents of the files lie elsewhere, one after the other.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptFiles {
    nodes: Vec<Option<KeptNode>>,
    /// Host memory that the files take, once they are back.
    used: u64,
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
    File { size: u64 },
    Folder { entries: BTreeMap<String, Id>, parent: Id, writable: bool },
    Link(String),
    Device(Device),
}

impl KeptFiles {
    /// Bytes of the contents.
    pub(crate) fn contents(&self) -> u64 {
        let sizes = self.nodes.iter().flatten().map(|node| match node.body {
            KeptBody::File { size } => size,
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
    pub(crate) fn keep(&self) -> (KeptFiles, Vec<&[u8]>) {
        let mut contents = Vec::new();
        let mut used = self.used();
        let nodes = self.nodes().iter().map(|node| {
            let node = node.as_ref()?;
            let body = match &node.body {
                Body::File(content) => {
                    let bytes = content.bytes();
                    // What was the host's, or had room to grow, costs its size when it is back.
                    used = used.saturating_sub(content.cost()).saturating_add(bytes.len() as u64);
                    contents.push(bytes);
                    KeptBody::File { size: bytes.len() as u64 }
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
        (KeptFiles { nodes, used }, contents)
    }

    /// Makes these files what `kept` says. The caller has compared [`KeptFiles::used`] with the limits.
    pub(crate) fn bring_back(&mut self, kept: &KeptFiles, mut contents: &[u8]) {
        let nodes = kept.nodes.iter().map(|node| {
            let KeptNode { body, links, open, times: [accessed, modified, changed] } = node.as_ref()?;
            let body = match body {
                KeptBody::File { size } => {
                    let size = usize::try_from(*size).unwrap_or(usize::MAX);
                    let (own, rest) = contents.split_at_checked(size).unwrap_or((contents, &[]));
                    contents = rest;
                    Body::File(Content::Own(own.to_vec()))
                }
                KeptBody::Folder { entries, parent, writable } => {
                    Body::Folder(Folder { entries: entries.clone(), parent: *parent, writable: *writable })
                }
                KeptBody::Link(target) => Body::Link(target.clone()),
                KeptBody::Device(device) => Body::Device(*device),
            };
            let (accessed, modified, changed) = (*accessed, *modified, *changed);
            Some(Node { body, links: *links, open: *open, accessed, modified, changed })
        });
        let nodes = nodes.collect();
        self.replace(nodes, kept.used);
    }
}
