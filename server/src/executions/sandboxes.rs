//! What executions run in: this server's image, or the one that they began in under an earlier server. The cache keeps that until no
//! execution needs it.

use crate::packages::{Images, Kept};
use crate::store::Error;
use exuvia_runtime::{Config, Sandbox, Silent};
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tracing::{info, warn};

pub(crate) struct Sandboxes {
    own: Arc<Sandbox>,
    /// How those of other images are opened.
    config: Config,
    images: Images,
    kept: Kept,
    /// Those that executions run in. Each is closed with the last of them.
    others: Mutex<HashMap<String, Weak<Sandbox>>>,
}

impl Sandboxes {
    pub(crate) fn new(own: Arc<Sandbox>, config: Config, kept: Kept) -> Self {
        let images = Images::new(&config.cache);
        Self { own, config, images, kept, others: Mutex::default() }
    }

    pub(super) fn own(&self) -> &Arc<Sandbox> {
        &self.own
    }

    /// What runs the image with this digest. None: it is not to be had any more. What is only in the way of opening it is an error.
    pub(super) fn of(&self, image: &str) -> Result<Option<Arc<Sandbox>>, Error> {
        if image == self.own.image_digest() {
            return Ok(Some(Arc::clone(&self.own)));
        }
        // Held until it is open, as one is enough.
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = others.get(image).and_then(Weak::upgrade) {
            return Ok(Some(open));
        }
        let opened = self.images.sandbox(&self.config, image, &Silent).map_err(|error| {
            let cache = self.config.cache.folder();
            let why = format!("the image {image} that executions began in: {}", crate::cli::chain(&error));
            Error::file("open an image in", cache)(io::Error::other(why))
        })?;
        let Some(opened) = opened.map(Arc::new) else { return Ok(None) };
        info!(image, "opened for the executions that began in it");
        others.insert(image.to_owned(), Arc::downgrade(&opened));
        Ok(Some(opened))
    }

    /// Keeps these images and this server's own in the cache until the next start, and no others.
    pub(super) fn keep<'a>(&'a self, needed: impl Iterator<Item = &'a str>) {
        let needed: HashSet<_> = needed.chain([self.own.image_digest()]).collect();
        if let Err(error) = self.kept.only(&needed) {
            warn!(error = crate::cli::chain(&error), "could not mark which images executions need");
        }
    }
}
