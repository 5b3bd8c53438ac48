//! The read-only trees of one run: Python's library below `/lib`, and a layer of packages below `/packages`, if it has one. Their
//! entries have numbers that do not overlap, so that one number says which tree it is of.

use super::library::{self, Library};
use super::node::Kind;
use crate::layer::Layer;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(crate) struct Shared {
    library: Arc<Library>,
    layer: Option<Layer>,
}

impl From<&Arc<Library>> for Shared {
    fn from(library: &Arc<Library>) -> Self {
        Self { library: Arc::clone(library), layer: None }
    }
}

impl Shared {
    pub(crate) fn new(library: &Arc<Library>, layer: Option<&Layer>) -> Self {
        Self { library: Arc::clone(library), layer: layer.cloned() }
    }

    pub(crate) fn layer(&self) -> Option<&Layer> {
        self.layer.as_ref()
    }

    fn of(&self, id: u32) -> Option<&Library> {
        if id >= library::LAYER_ROOT { self.layer.as_ref().map(Layer::library) } else { Some(&self.library) }
    }

    pub(super) fn parent(&self, id: u32) -> u32 {
        self.of(id).map_or(library::ROOT, |library| library.parent(id))
    }

    pub(super) fn child(&self, id: u32, name: &str) -> Option<u32> {
        self.of(id)?.child(id, name)
    }

    pub(super) fn children(&self, id: u32) -> Option<&BTreeMap<String, u32>> {
        self.of(id)?.children(id)
    }

    pub(super) fn stat(&self, id: u32) -> Option<(Kind, u64)> {
        self.of(id)?.stat(id)
    }

    /// As [`Library::read`].
    pub(super) fn read(&self, id: u32, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.of(id).ok_or(io::ErrorKind::NotFound)?.read(id, offset, buffer)
    }
}
