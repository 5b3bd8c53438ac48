//! Packages beside those that are built in: from the names that a client gives to a layer that its run sees.
//!
//! What is asked for is resolved once and locked, with hashes (`resolve` asks `uv`; `lock` keeps the answer). Every package of a
//! lock is decided by the gate, each time. Its wheels are fetched and unpacked here (`fetch`, `wheel`), its modules compiled in the
//! sandbox, and the layer is kept in the user's cache (`exuvia_runtime::Layers`). A second use asks nobody: it opens the layer.
//!
//! `requirement` reads what is given, `index` says where packages come from, `images` keeps snapshots that have packages imported.

mod error;
mod fetch;
mod images;
mod index;
pub(crate) mod kept;
mod lock;
mod requirement;
mod resolve;
mod uv;
mod wheel;

pub(crate) use error::Error;
pub(crate) use images::{Built, Images};
pub(crate) use index::Index;
pub(crate) use kept::Kept;
pub(crate) use requirement::{built_in_list, requirements};

use crate::gate::{Asker, Denied, Gate};
use exuvia_policies::PackagePermit;
use exuvia_python::IMAGE;
use exuvia_runtime::{Cache, Layer, Layers, Sandbox};
use lock::{Lock, Locks};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::spawn_blocking;
use uv::Uv;

/// Longest time in which the wheels of a layer come. Nobody else's packages are prepared meanwhile.
const LONGEST_FETCH: Duration = Duration::from_secs(600);
/// Most layers that this process holds open. Each is a file and its index.
const MOST_OPEN: usize = 64;

/// What the operator decides of packages.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) index: Index,
    /// The program that finds packages.
    pub(crate) uv: PathBuf,
    /// How long an answer is used before it is asked for anew.
    pub(crate) renew: Duration,
    /// Most bytes of all layers; those that are in use are kept whatever they take.
    pub(crate) disk: u64,
}

/// Leave to have packages: each allowed by a policy, or an operator's own command.
pub(crate) enum Leave {
    Permits(
        #[expect(dead_code, reason = "spent by being dropped when the packages are fetched or mounted")]
        Vec<PackagePermit>,
    ),
    Operator,
}

/// Who decides.
#[derive(Clone, Copy)]
pub(crate) enum Judge<'a> {
    Gate(&'a Gate, Asker<'a>),
    /// The command line is its user's own.
    Operator,
}

/// Finds packages and makes layers of them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Packages(Arc<Inner>);

struct Inner {
    sandbox: Arc<Sandbox>,
    settings: Settings,
    uv: Uv,
    work: PathBuf,
    layers: Layers,
    locks: Locks,
    images: Images,
    /// What is built in, and what the image that is used has besides.
    built_in: Vec<(String, String)>,
    open: Mutex<HashMap<String, Layer>>,
    /// Held while something is resolved, fetched or compiled: one at a time, as each takes memory.
    preparing: tokio::sync::Mutex<()>,
}

impl Packages {
    /// `image`: what `sandbox` has imported besides what is built in.
    pub(crate) fn new(cache: &Cache, sandbox: Arc<Sandbox>, image: Option<&Built>, settings: Settings) -> Self {
        let work = cache.folder().join("packages");
        let listed = IMAGE.packages.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned()));
        let more = image.into_iter().flat_map(|image| image.lock.packages.iter());
        let more = more.map(|package| (package.name.clone(), package.version.clone()));
        Self(Arc::new(Inner {
            sandbox,
            uv: Uv { program: settings.uv.clone(), cache: work.join("uv") },
            settings,
            layers: Layers::new(cache),
            locks: locks(cache),
            images: Images::new(cache),
            work,
            built_in: listed.chain(more).collect(),
            open: Mutex::default(),
            preparing: tokio::sync::Mutex::default(),
        }))
    }

    /// Those of the requirements that the image does not meet; an error when it has another version.
    pub(crate) fn wanted(&self, requirements: &[String]) -> Result<Vec<String>, String> {
        let mut wanted = Vec::new();
        for text in requirements {
            let requirement = requirement::read(text)?;
            match self.0.built_in.iter().find(|(name, _)| name == requirement.name()) {
                None => wanted.push(text.clone()),
                Some((_, version)) if requirement.allows(version) => {}
                Some((name, version)) => {
                    return Err(format!(
                        "`additional_imports` has `{text}`, but this server's image has {name} {version}"
                    ));
                }
            }
        }
        Ok(wanted)
    }

    /// Whether the policy has anything to say for each requirement; asked before anybody looks for it.
    pub(crate) fn admit(gate: &Gate, asker: Asker<'_>, requirements: &[String]) -> Result<(), Denied> {
        let mut named = requirements.iter().filter_map(|text| requirement::read(text).ok());
        named.try_for_each(|requirement| gate.admits_package(asker, requirement.name()))
    }

    /// The layer that meets the requirements: the one of an earlier answer, or of a new one.
    pub(crate) async fn choose(&self, judge: Judge<'_>, requirements: &[String]) -> Result<Layer, Error> {
        Ok(self.choose_with_lock(judge, requirements).await?.0)
    }

    /// As [`Self::choose`], with what was resolved.
    pub(crate) async fn choose_with_lock(
        &self,
        judge: Judge<'_>,
        requirements: &[String],
    ) -> Result<(Layer, Lock), Error> {
        let lock = self.lock(judge, requirements).await?;
        Ok((self.layer(judge, &lock).await?, lock))
    }

    /// The very layer of that name, made again if it is gone: for what had begun with it.
    pub(crate) async fn again(&self, judge: Judge<'_>, name: &str) -> Result<Layer, Error> {
        let lock = self.0.locks.of_layer(name).ok_or_else(|| Error::Gone { why: "nothing is known of them".into() })?;
        self.layer(judge, &lock).await.map_err(|error| match error {
            Error::Denied(_) => error,
            error => Error::Gone { why: error.to_string() },
        })
    }

    /// Whether a layer meets the requirements: each is one of its packages, of a version within the bounds.
    pub(crate) fn meets(&self, name: &str, requirements: &[String]) -> bool {
        let Some(lock) = self.0.locks.of_layer(name) else { return requirements.is_empty() };
        requirements.iter().filter_map(|text| requirement::read(text).ok()).all(|requirement| {
            lock.packages
                .iter()
                .any(|package| package.name == requirement.name() && requirement.allows(&package.version))
        })
    }

    /// The layer of that name if it is there, so that it stays.
    pub(crate) fn hold(&self, name: &str) -> Option<Layer> {
        self.opened(name).ok().flatten()
    }

    /// The packages of the layer of that name, as far as they are known here.
    pub(crate) fn named(&self, name: &str) -> Vec<String> {
        self.0.locks.named(name)
    }

    /// Forgets what was answered. How many answers there were.
    pub(crate) fn forget(cache: &Cache) -> usize {
        locks(cache).forget()
    }

    /// The version of `uv`, or why there is none.
    pub(crate) async fn uv_version(program: &std::path::Path) -> Result<String, Error> {
        Uv { program: program.into(), cache: PathBuf::new() }.version().await
    }

    async fn lock(&self, judge: Judge<'_>, requirements: &[String]) -> Result<Lock, Error> {
        let bounds = match judge {
            Judge::Gate(gate, asker) => gate.package_bounds(asker.grant),
            Judge::Operator => Vec::new(),
        };
        let question = self.question(requirements, &bounds);
        let fresh = || self.0.locks.answered(&question).filter(|(_, age)| *age < self.0.settings.renew);
        if let Some((lock, _)) = fresh() {
            return Ok(lock);
        }
        let _one = self.0.preparing.lock().await;
        if let Some((lock, _)) = fresh() {
            return Ok(lock);
        }
        let inner = &self.0;
        make_private(&inner.work)?;
        let resolved =
            resolve::resolve(&inner.uv, &inner.settings.index, &inner.built_in, requirements, &bounds, &inner.work)
                .await;
        match resolved {
            Ok(lock) => {
                inner.locks.keep(Some(&question), &lock)?;
                tracing::info!(packages = lock.packages.len(), layer = lock.layer(), "packages are resolved");
                Ok(lock)
            }
            // What was right yesterday is better than nothing.
            Err(error @ (Error::Index { .. } | Error::NoUv { .. } | Error::Slow(_))) => {
                match inner.locks.answered(&question) {
                    Some((lock, age)) => {
                        tracing::warn!(%error, age_s = age.as_secs(), "packages are those of an older answer");
                        Ok(lock)
                    }
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// What decides an answer, as a hash.
    fn question(&self, requirements: &[String], bounds: &[String]) -> String {
        let mut question = blake3::Hasher::new();
        let mut add = |part: &str| {
            question.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        };
        add(self.0.sandbox.image_digest());
        add(&self.0.settings.index.identity());
        for list in [requirements, bounds] {
            add(&list.len().to_string());
            for text in list {
                add(text);
            }
        }
        question.finalize().to_hex().get(..32).unwrap_or_default().to_owned()
    }

    /// The layer of a lock, each package of which is decided.
    async fn layer(&self, judge: Judge<'_>, lock: &Lock) -> Result<Layer, Error> {
        let leave = match judge {
            Judge::Operator => Leave::Operator,
            Judge::Gate(gate, asker) => {
                let packages = lock.packages.iter().map(|package| (&*package.name, &*package.version));
                Leave::Permits(gate.packages(asker, packages).map_err(Error::Denied)?)
            }
        };
        let name = lock.layer();
        if let Some(layer) = self.opened(&name)? {
            return Ok(layer);
        }
        if !lock.is_of_this_build() {
            return Err(Error::Gone { why: "they were compiled for another build of Python".into() });
        }
        let _one = self.0.preparing.lock().await;
        self.make(&name, lock, leave).await
    }

    fn opened(&self, name: &str) -> Result<Option<Layer>, Error> {
        if let Some(layer) = self.open().get(name) {
            return Ok(Some(layer.clone()));
        }
        let opened = self.0.layers.open(name)?;
        if let Some(layer) = &opened {
            self.keep_open(layer);
        }
        Ok(opened)
    }

    fn keep_open(&self, layer: &Layer) {
        let mut open = self.open();
        if open.len() >= MOST_OPEN {
            // Those that run hold theirs; all others are opened again.
            open.clear();
        }
        open.insert(layer.name().to_owned(), layer.clone());
    }

    async fn make(&self, name: &str, lock: &Lock, leave: Leave) -> Result<Layer, Error> {
        let inner = &self.0;
        let (layers, named) = (inner.layers.clone(), name.to_owned());
        let making = spawn_blocking(move || layers.making(&named)).await.map_err(|_| Error::Lost)??;
        if let Some(layer) = making.made()? {
            self.keep_open(&layer);
            return Ok(layer);
        }
        let fetched = tokio::time::timeout(LONGEST_FETCH, fetch::fetch(&inner.settings.index, lock, leave)).await;
        let tree = fetched.map_err(|_| Error::Dripping(LONGEST_FETCH))??;
        let sandbox = Arc::clone(&inner.sandbox);
        let layer = spawn_blocking(move || making.make(&sandbox, tree)).await.map_err(|_| Error::Lost)??;
        inner.locks.keep(None, lock)?;
        tracing::info!(layer = name, packages = lock.packages.len(), "a layer of packages is made");
        // What is only held here may go.
        self.open().clear();
        inner.layers.prune(inner.settings.disk, &inner.images.layers());
        self.keep_open(&layer);
        Ok(layer)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Layer>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The locks of this user's cache.
pub(crate) fn locks(cache: &Cache) -> Locks {
    Locks::at(cache.folder().join("packages/locks"))
}

fn make_private(folder: &std::path::Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(Error::file("create", folder))
}
