//! What executions run in: this server's image, or the one that they began in under an earlier server. The cache keeps that until no
//! execution needs it.

use crate::packages::{Images, Kept};
use exuvia_runtime::{Config, Sandbox, Silent};
use std::collections::{HashMap, HashSet};
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

    /// What runs the image with this digest. None: it is not to be had any more.
    pub(super) fn of(&self, image: &str) -> Option<Arc<Sandbox>> {
        if image == self.own.image_digest() {
            return Some(Arc::clone(&self.own));
        }
        // Held until it is open, as one is enough.
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = others.get(image).and_then(Weak::upgrade) {
            return Some(open);
        }
        match self.images.sandbox(&self.config, image, &Silent) {
            Ok(opened) => {
                let opened = Arc::new(opened?);
                info!(image, "opened for the executions that began in it");
                others.insert(image.to_owned(), Arc::downgrade(&opened));
                Some(opened)
            }
            Err(error) => {
                warn!(image, error = crate::cli::chain(&error), "an image cannot be opened");
                None
            }
        }
    }

    /// Keeps these images and this server's own in the cache until the next start, and no others.
    pub(super) fn keep<'a>(&'a self, needed: impl Iterator<Item = &'a str>) {
        let needed: HashSet<_> = needed.chain([self.own.image_digest()]).collect();
        if let Err(error) = self.kept.only(&needed) {
            warn!(error = crate::cli::chain(&error), "could not mark which images executions need");
        }
    }
}
