//! What an image has besides what is built in: the packages of a layer, imported before the snapshot.

use crate::files::library::Writer;
use crate::layer::Layer;
use exuvia_python::{IMAGE, Image};
use std::io::{self, Read, Write};

/// Where the guest package finds what to import (`guest/exuvia_guest/preload.py`), below `/lib`.
const IMPORTS: &str = "exuvia/exuvia_image.json";
/// Where its files lie, below `/lib`.
const PACKAGES: &str = "packages/";

/// Packages that a snapshot is made with: a run finds them imported.
#[derive(Debug, Clone)]
pub struct Extension {
    pub layer: Layer,
    /// Modules to import.
    pub imports: Vec<String>,
}

impl Extension {
    /// What decides the snapshot, beside the built-in image.
    fn key(&self) -> String {
        format!("{} {}", self.layer.name(), self.imports.join(" "))
    }

    /// What the built-in image with it is, as a hash: [`Sandbox::image_digest`](crate::Sandbox::image_digest) of one that is opened with it.
    pub fn image_digest(&self) -> String {
        self.digest(&IMAGE)
    }

    pub(crate) fn digest(&self, image: &Image) -> String {
        let mut digest = blake3::Hasher::new();
        digest.update(image.digest.as_bytes()).update(self.key().as_bytes());
        digest.finalize().to_hex().to_string()
    }

    /// Adds its files to the image's library.
    pub(crate) fn add_to<W: Write>(&self, writer: &mut Writer<W>) -> io::Result<()> {
        let library = self.layer.library();
        for (path, id) in library.files() {
            let mut file = Reader { at: 0, read: |at, buffer: &mut [u8]| library.read(id, at, buffer) };
            writer.add(&format!("{PACKAGES}{path}"), &mut file)?;
        }
        let imports = serde_json::to_vec(&self.imports)?;
        writer.add(IMPORTS, &mut imports.as_slice())
    }
}

/// A file of a library, read from its beginning on.
struct Reader<F> {
    at: u64,
    read: F,
}

impl<F: FnMut(u64, &mut [u8]) -> io::Result<usize>> Read for Reader<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (self.read)(self.at, buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}
