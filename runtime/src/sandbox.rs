//! A snapshot of Python in which programs are run: the crate's front door.
#![expect(unsafe_code, reason = "loading code that this program compiled and sealed")]

use crate::cache::{self, Cache, Entry};
use crate::effects;
use crate::engine;
use crate::error::Error;
use crate::extension::Extension;
use crate::files::{Library, Shared};
use crate::guest::Guest;
use crate::host::Host;
use crate::keeper::Keeper;
use crate::layer::Layer;
use crate::limits::Limits;
use crate::outcome::{Outcome, Output};
use crate::pages::Recycling;
use crate::program::Program;
use crate::progress::Progress;
use crate::run::{self, Returned};
use crate::saved::{Left, Saved};
use crate::slots::{self, Slots};
use crate::spill::Spill;
use crate::stop::Limit;
use crate::usage::Usage;
use crate::wasi;
use crate::watch::Watch;
use crate::watchdog::Watchdog;
use exuvia_python::{IMAGE, Image};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wasmtime::{Engine, Linker, Module};

/// How to open a sandbox.
#[derive(Debug, Clone)]
pub struct Config {
    pub cache: Cache,
    /// What the image has besides what is built in.
    pub extension: Option<Extension>,
    /// Most programs under way at once; each further one waits for its turn. Address space is reserved for all.
    pub slots: u32,
    /// Most used instances kept for the next run.
    pub idle: usize,
    /// Whether to recycle instances where the kernel can say which pages were written.
    pub recycle: bool,
    /// Where large files of programs lie; without it they are in memory.
    pub spill: Option<Spill>,
    /// Compare all of memory with the snapshot after every restore. For tests: it takes milliseconds.
    pub verify: bool,
    /// Hash all of memory after every run. For tests of determinism: it takes milliseconds.
    pub digest: bool,
}

impl Config {
    /// The usual settings, with `cache`.
    pub fn new(cache: Cache) -> Self {
        Self { cache, extension: None, slots: 1000, idle: 16, recycle: true, spill: None, verify: false, digest: false }
    }
}

/// The session that a run is a call of.
#[derive(Debug)]
pub struct Session {
    /// What the call before left; None for the first. Let go of before the program begins.
    pub from: Option<Arc<Saved>>,
    /// Most bytes of what this call leaves.
    pub most: u64,
}

/// A snapshot of Python in which programs are run. Each run is on its own; many may be under way.
pub struct Sandbox {
    slots: Arc<Slots>,
    keeper: Keeper,
    permits: Semaphore,
    spill: Option<Spill>,
    digest: bool,
    /// What states of sessions belong to.
    identity: String,
    /// What runs that are replayed belong to.
    image: String,
}

impl Sandbox {
    /// Opens the built-in image, compiling it for this machine if that has not been done.
    ///
    /// # Errors
    /// When the cache cannot be read or made, or Python does not start.
    pub fn open(config: &Config, progress: &dyn Progress) -> Result<Self, Error> {
        let engine = engine::run(config.slots.saturating_add(slots::BESIDE))?;
        let extension = config.extension.as_ref();
        let entry = config.cache.open(&IMAGE, extension, &engine, progress)?;
        Self::of(config, &engine, &entry, cache::digest(&IMAGE, extension))
    }

    /// Opens the image with this digest, of this build or another, as the cache has it; [`Config::extension`] says nothing here. None: it
    /// is not there, or was made for another host.
    ///
    /// # Errors
    /// When the cache cannot be read, or Python does not start.
    pub fn kept(config: &Config, digest: &str) -> Result<Option<Self>, Error> {
        let engine = engine::run(config.slots.saturating_add(slots::BESIDE))?;
        let entry = config.cache.kept(digest, &engine)?;
        entry.map(|entry| Self::of(config, &engine, &entry, digest.to_owned())).transpose()
    }

    fn of(config: &Config, engine: &Engine, entry: &Entry, image: String) -> Result<Self, Error> {
        let library = Arc::new(Library::open(&entry.library())?);
        let module = load(engine, entry)?;
        let watchdog = Watchdog::start()?;
        let mut linker = Linker::new(engine);
        let slots = wasi::add_to_linker(&mut linker)
            .and_then(|()| effects::add_to_linker(&mut linker))
            .and_then(|()| Slots::new(&module, &linker, library, watchdog, config.idle, config.verify));
        let mut slots = slots.map_err(|source| Error::Engine { source })?;
        if config.recycle {
            slots.recycle();
        }
        let slots = Arc::new(slots);
        Ok(Self {
            keeper: Keeper::start(&slots)?,
            slots,
            permits: Semaphore::new(config.slots as usize),
            spill: config.spill.clone(),
            digest: config.digest,
            identity: entry.identity(),
            image,
        })
    }

    /// The built-in image, which this sandbox runs, maybe with more imported.
    pub fn image(&self) -> &'static Image {
        &IMAGE
    }

    /// What this sandbox runs, as a hash: with the same one, and the same layer, a program runs alike.
    pub fn image_digest(&self) -> &str {
        &self.image
    }

    /// How used instances become new here.
    pub fn recycling(&self) -> Recycling {
        if self.slots.recycles() { Recycling::Pages } else { Recycling::Fresh }
    }

    /// Bytes of memory that Python itself needs: the least that [`Limits::memory`] can be.
    pub fn memory_floor(&self) -> u64 {
        self.slots.floor()
    }

    /// Restores that [`Config::verify`] has looked at.
    pub fn verified(&self) -> u64 {
        self.slots.verified()
    }

    /// Restores that [`Config::verify`] has found wrong. Anything but 0 is a bug of ours or of the kernel's.
    pub fn mismatches(&self) -> u64 {
        self.slots.mismatches()
    }

    /// The place in `cache` of the image with this digest as it is compiled for this machine, whether it is there or not.
    ///
    /// # Errors
    /// When WebAssembly cannot be set up on this machine.
    pub fn entry(cache: &Cache, digest: &str) -> Result<Entry, Error> {
        Ok(cache.entry(digest, &engine::run(1)?))
    }

    /// Runs `program` from exactly the snapshot. `cancel` stops it from outside, with what it had printed so far. Needs a
    /// tokio runtime with a timer.
    ///
    /// Each poll of the future computes until the program waits or ends, and holds its thread until then: what is to go on
    /// meanwhile, `cancel` among it, must not depend on this thread. Between polls, dropping the future ends the run.
    ///
    /// # Errors
    /// Only for our own failures, and for limits that cannot be had: all that the program does wrong is an [`Outcome`].
    pub async fn run(
        &self,
        program: &Program,
        limits: &Limits,
        host: Box<dyn Host>,
        cancel: CancellationToken,
    ) -> Result<Outcome, Error> {
        Ok(self.run_as(program, limits, host, cancel, None).await?.0)
    }

    /// [`Self::run`] as one call of a session: from the state that the call before left, with the globals, imports, files and open
    /// descriptors of that. Gives the state for the next call, if the program came to its end, by an exception or not. A call that was
    /// stopped leaves nothing: the session is what it was before it.
    ///
    /// # Errors
    /// As [`Self::run`], and when the state was made by another snapshot or does not fit the memory limit.
    pub async fn run_in_session(
        &self,
        program: &Program,
        limits: &Limits,
        host: Box<dyn Host>,
        cancel: CancellationToken,
        session: Session,
    ) -> Result<(Outcome, Left), Error> {
        self.run_as(program, limits, host, cancel, Some(session)).await
    }

    async fn run_as(
        &self,
        program: &Program,
        limits: &Limits,
        host: Box<dyn Host>,
        cancel: CancellationToken,
        session: Option<Session>,
    ) -> Result<(Outcome, Left), Error> {
        self.check(limits)?;
        let most = session.as_ref().map(|session| session.most);
        let from = session.and_then(|session| session.from);
        self.check_session(program, limits, from.as_deref())?;
        let message = program.message(most.is_some())?;
        let stopped = |limit| Ok((Outcome::Stopped(Output::default(), limit), Left::Nothing));
        // Never closed, so never an error.
        let _permit = tokio::select! {
            biased;
            () = cancel.cancelled() => return stopped(Limit::Cancelled),
            permit = self.permits.acquire() => permit,
        };
        let started = Instant::now();
        let watch = Arc::new(Watch::new(limits, host.uncounted(), cancel));
        // A limit that allows nothing must not depend on when the watchdog looks.
        if let Some(limit) = watch.over(Instant::now()) {
            return stopped(limit);
        }
        let library = Shared::new(self.slots.library(), program.packages.as_ref());
        let mut guest = Guest::new(library, host, program.seed, limits, Arc::clone(&watch), self.memory_floor());
        guest.wasi.files.spill_to(self.spill.clone(), limits.disk);
        if let Some(from) = &from {
            resume(&mut guest, from, limits)?;
        }
        guest.wasi.install(&program.files)?;

        let mut slot = self.slots.take(guest).await?;
        // It may be large, and the run long.
        if let Some(Err(error)) = from.map(|from| slot.resume(&from)) {
            self.keeper.order();
            return Err(error);
        }
        let memory_before = self.digest.then(|| slot.digest());
        let returned = run::call(&mut slot, &message, self.slots.watchdog(), &watch).await;
        let wall = started.elapsed();
        let memory = slot.memory.data_size(&slot.store) as u64;
        let memory_digest = self.digest.then(|| slot.digest());
        let mut guest = slot.end().ok_or_else(|| Error::Guest { what: "its state was lost".into() })?;
        let mut left = match most {
            Some(most) if returned.ran() => self.slots.save(&mut slot, &mut guest, &self.identity, most),
            _ => Left::Nothing,
        };
        // Anything but a normal return leaves an instance in the middle of something.
        let kept = matches!(returned, Returned::Status(_)) && self.slots.give_back(slot, watch.meter.faults());
        if !kept && self.slots.recycles() {
            self.keeper.order();
        }
        let peak_memory = memory + guest.wasi.files.peak();
        let usage = Usage { wall, cpu: watch.meter.total(), peak_memory, memory_digest, memory_before };
        let outcome = run::outcome(guest, &returned, usage, limits.artifacts);
        if matches!(outcome, Outcome::Stopped(..)) {
            left = Left::Nothing;
        }
        Ok((outcome, left))
    }

    fn check_session(&self, program: &Program, limits: &Limits, from: Option<&Saved>) -> Result<(), Error> {
        let Some(from) = from else { return Ok(()) };
        if !from.is_of(&self.identity) {
            return Err(Error::OtherSnapshot);
        }
        // Its modules and open files are of that layer, and of no other.
        if from.packages() != program.packages.as_ref().map(Layer::name) {
            return Err(Error::OtherPackages);
        }
        let (needed, limit) = (from.needs(), limits.memory);
        if needed > limit { Err(Error::SessionAboveLimit { needed, limit }) } else { Ok(()) }
    }

    fn check(&self, limits: &Limits) -> Result<(), Error> {
        let (asked, needed) = (limits.memory, self.memory_floor());
        if asked < needed {
            return Err(Error::MemoryLimitTooLow { asked, needed });
        }
        if asked > engine::MOST_MEMORY {
            return Err(Error::MemoryLimitTooHigh { asked, most: engine::MOST_MEMORY });
        }
        Ok(())
    }
}

fn resume(guest: &mut Guest, from: &Saved, limits: &Limits) -> Result<(), Error> {
    guest.effects.count_from(from.effects());
    if guest.wasi.resume(from.wasi(), from.contents()).map_err(|source| Error::Resume { source })? {
        return Ok(());
    }
    Err(Error::SessionAboveLimit { needed: from.needs(), limit: limits.memory.min(limits.files) })
}

fn load(engine: &Engine, entry: &Entry) -> Result<Module, Error> {
    // SAFETY: the file is one that this program wrote (its hash was checked, or it has not been touched since),
    // in a folder that only this user can write to; wasmtime checks that it was compiled for this engine.
    let module = unsafe { Module::deserialize_file(engine, entry.module()) };
    module.map_err(|source| Error::Compile { source })
}
