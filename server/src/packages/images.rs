//! Images by name: Python with packages imported, as `exuvia image build` makes them.
//!
//! What is kept of one is its lock and what it imports; its snapshot is an entry of the cache like any other, made again by another
//! version of Exuvia from the layer, which stays as long as an image names it.

use super::lock::{Lock, replace};
use super::{Error, make_private};
use exuvia_python::IMAGE;
use exuvia_runtime::{Cache, Config, Extension, Layers, Progress, Sandbox};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

/// Characters of a name.
const LONGEST_NAME: usize = 64;

/// The images of this user's cache.
#[derive(Debug, Clone)]
pub(crate) struct Images {
    folder: PathBuf,
    layers: Layers,
}

/// One image.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Built {
    pub(crate) lock: Lock,
    pub(crate) imports: Vec<String>,
}

impl Images {
    pub(crate) fn new(cache: &Cache) -> Self {
        Self { folder: cache.folder().join("images"), layers: Layers::new(cache) }
    }

    /// The image of that name, and what a sandbox needs of it.
    pub(crate) fn open(&self, name: &str) -> Result<(Built, Extension), Error> {
        let built = self.read(name)?;
        let layer = if built.lock.is_of_this_build() { self.layers.open(&built.lock.layer())? } else { None };
        let layer = layer.ok_or_else(|| Error::Gone {
            why: format!("the packages of the image `{name}` are missing or damaged, or of another version of Exuvia: build it again"),
        })?;
        let imports = built.imports.clone();
        Ok((built, Extension { layer, imports }))
    }

    /// The image with this digest, as the cache has it; one of this build is made again. None: it is not to be had.
    pub(crate) fn sandbox(
        &self,
        config: &Config,
        digest: &str,
        progress: &dyn Progress,
    ) -> Result<Option<Sandbox>, exuvia_runtime::Error> {
        if let Some(kept) = Sandbox::kept(config, digest)? {
            return Ok(Some(kept));
        }
        let extension = match self.of_digest(digest) {
            None if digest != IMAGE.digest => return Ok(None),
            extension => extension,
        };
        tracing::info!(image = digest, "compiling this image again, which takes about a minute");
        Sandbox::open(&Config { extension, ..config.clone() }, progress).map(Some)
    }

    /// What a sandbox needs of the image that has this digest, whatever its name, if it is here.
    pub(super) fn of_digest(&self, digest: &str) -> Option<Extension> {
        let extensions = self.names().into_iter().filter_map(|name| Some(self.open(&name).ok()?.1));
        extensions.into_iter().find(|extension| extension.image_digest() == digest)
    }

    /// Refuses what cannot be a name.
    pub(crate) fn check(&self, name: &str) -> Result<(), Error> {
        self.path(name).map(drop)
    }

    pub(crate) fn keep(&self, name: &str, built: &Built) -> Result<(), Error> {
        let path = self.path(name)?;
        make_private(&self.folder)?;
        let json = serde_json::to_vec_pretty(built).map_err(std::io::Error::from);
        json.and_then(|json| replace(&path, &json)).map_err(Error::file("write", path))
    }

    /// Their names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".json")?.to_owned()));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// Forgets an image. Its snapshot is given back, so that it can be removed, too.
    pub(crate) fn remove(&self, name: &str) -> Result<Option<Extension>, Error> {
        let extension = self.open(name).ok().map(|(_, extension)| extension);
        let path = self.path(name)?;
        if !path.exists() {
            return Err(Error::NoImage { name: name.into() });
        }
        fs::remove_file(&path).map_err(Error::file("remove", path))?;
        Ok(extension)
    }

    /// The layers that they need.
    pub(super) fn layers(&self) -> Vec<String> {
        self.names().iter().filter_map(|name| self.read(name).ok()).map(|built| built.lock.layer()).collect()
    }

    fn read(&self, name: &str) -> Result<Built, Error> {
        let path = self.path(name)?;
        let bytes = fs::read(&path).map_err(|_| Error::NoImage { name: name.into() })?;
        serde_json::from_slice(&bytes).map_err(std::io::Error::from).map_err(Error::file("read", path))
    }

    fn path(&self, name: &str) -> Result<PathBuf, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
            return Err(Error::ImageName { name: name.chars().take(LONGEST_NAME).collect() });
        }
        Ok(self.folder.join(name).with_extension("json"))
    }
}
