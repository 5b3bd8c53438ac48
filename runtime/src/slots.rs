//! Instances as good as new: made, handed out, restored and kept.

use crate::engine;
use crate::error::Error;
use crate::files::Library;
use crate::guest::{Guest, State};
use crate::host::Isolated;
use crate::limits::Limits;
use crate::pages::Scanner;
use crate::program::Program;
use crate::run::{self, Returned};
use crate::saved::Left;
use crate::slot::{Pristine, Slot};
use crate::watch::Watch;
use crate::watchdog::Watchdog;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wasmtime::{InstancePre, Linker, Module};

/// How long the warm-up of one slot may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Instances that exist besides those that programs run in: the pristine one, and one that is being prepared, twice
/// because it may be finished while the pool is full.
pub(crate) const BESIDE: u32 = 3;

pub(crate) struct Slots {
    module: InstancePre<State>,
    pristine: Pristine,
    library: Arc<Library>,
    watchdog: Watchdog,
    /// None where used instances are dropped.
    scanner: Option<Scanner>,
    /// Restored slots, the last used on top: its memory is still in the processor's caches.
    idle: Mutex<Vec<Slot>>,
    most_idle: usize,
    verify: bool,
    verified: AtomicU64,
    mismatches: AtomicU64,
}

impl Slots {
    pub(crate) fn new(
        module: &Module,
        linker: &Linker<State>,
        library: Arc<Library>,
        watchdog: Watchdog,
        most_idle: usize,
        verify: bool,
    ) -> wasmtime::Result<Self> {
        Ok(Self {
            pristine: Pristine::new(module)?,
            module: linker.instantiate_pre(module)?,
            library,
            watchdog,
            scanner: None,
            idle: Mutex::default(),
            most_idle,
            verify,
            verified: AtomicU64::new(0),
            mismatches: AtomicU64::new(0),
        })
    }

    /// Recycles from now on, if this kernel has the call and wasmtime maps the snapshot as restoring needs it.
    pub(crate) fn recycle(&mut self) {
        let scanner = match Scanner::probe() {
            Ok(scanner) => scanner,
            Err(error) => {
                tracing::info!(%error, "this kernel cannot list written pages; instances are made anew for each run");
                return;
            }
        };
        if self.pristine.drops_to_image() {
            self.scanner = Some(scanner);
        } else {
            tracing::info!("the snapshot is not mapped copy-on-write; instances are made anew for each run");
        }
    }

    pub(crate) fn recycles(&self) -> bool {
        self.scanner.is_some()
    }

    /// Bytes of memory of a new instance.
    pub(crate) fn floor(&self) -> u64 {
        self.pristine.bytes().len() as u64
    }

    pub(crate) fn library(&self) -> &Arc<Library> {
        &self.library
    }

    pub(crate) fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }

    pub(crate) fn verified(&self) -> u64 {
        self.verified.load(Ordering::Relaxed)
    }

    pub(crate) fn mismatches(&self) -> u64 {
        self.mismatches.load(Ordering::Relaxed)
    }

    /// An instance for the run that `guest` is the state of.
    pub(crate) async fn take(&self, guest: Guest) -> Result<Slot, Error> {
        let idle = self.idle().pop();
        match idle {
            Some(mut slot) => {
                slot.begin(guest);
                Ok(slot)
            }
            None => Slot::new(&self.module, guest).await,
        }
    }

    /// Restores a slot whose run, with so many page faults, returned, and keeps it. False when it had to be dropped.
    pub(crate) fn give_back(&self, mut slot: Slot, faults: u64) -> bool {
        let Some(scanner) = &self.scanner else { return true };
        match slot.restore(scanner, &self.pristine, faults) {
            Ok(restored) => tracing::trace!(?restored, "restored a slot"),
            Err(error) => {
                tracing::debug!(%error, "dropped a slot");
                return false;
            }
        }
        if self.verify {
            self.verified.fetch_add(1, Ordering::Relaxed);
            if let Some(page) = slot.first_difference(&self.pristine) {
                tracing::error!(page, "a restored slot differs from the snapshot");
                self.mismatches.fetch_add(1, Ordering::Relaxed);
                return false;
            }
        }
        let mut idle = self.idle();
        if idle.len() < self.most_idle {
            idle.push(slot);
        }
        true
    }

    /// [`Slot::save`] of a slot of ours.
    pub(crate) fn save(&self, slot: &mut Slot, guest: &mut Guest, snapshot: &str, most: u64) -> Left {
        match slot.save(self.scanner.as_ref(), &self.pristine, guest, snapshot, most) {
            Ok(Ok(saved)) => Left::State(saved),
            Ok(Err(size)) => Left::TooLarge(size),
            Err(error) => Left::Failed(error),
        }
    }

    /// Makes a slot, runs nothing in it so that its usual pages are there, and keeps it.
    pub(crate) async fn prepare(&self) -> Result<(), Error> {
        let limits = Limits { wall: PATIENCE, cpu: PATIENCE, memory: engine::MOST_MEMORY, ..Limits::default() };
        let watch = Arc::new(Watch::new(&limits, None, CancellationToken::new()));
        let host = Box::new(Isolated::default());
        let guest = Guest::new((&self.library).into(), host, [0; 32], &limits, Arc::clone(&watch), self.floor());
        let mut slot = Slot::new(&self.module, guest).await?;
        let returned = run::call(&mut slot, &Program::new("").message(false)?, &self.watchdog, &watch).await;
        slot.end();
        if matches!(returned, Returned::Status(_)) {
            self.give_back(slot, watch.meter.faults());
        }
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Slot>> {
        // A panic while the lock was held cannot have left the vector half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
