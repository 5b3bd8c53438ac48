//! What a store holds: the state behind the run that its instance is used for.

use crate::effects::Effects;
use crate::files::Library;
use crate::host::Host;
use crate::limits::Limits;
use crate::stop::{Limit, Stop};
use crate::usage::Meter;
use crate::wasi::Wasi;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use wasmtime::{Caller, Memory, ResourceLimiter, UpdateDeadline};

/// Most bytes of exception objects. They live in a heap of their own, which is freed with the instance.
const EXCEPTION_HEAP: usize = 16 << 20;

/// How much memory a run has, and how much it may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Bytes of linear memory now.
    pub(crate) memory: u64,
    /// Most bytes of linear memory and files together.
    pub(crate) limit: u64,
}

/// Shortest wait of a run whose time does not count: its deadline moves on with the clock, and would be looked at without
/// end. A limit that is reached in such a wait is noticed so much later.
const LEAST_WAIT: Duration = Duration::from_millis(10);

/// When a run must end. Asked at every epoch and at every wait.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    /// If all of its time counts.
    pub(crate) deadline: Instant,
    pub(crate) limits: Limits,
    pub(crate) meter: Meter,
    pub(crate) cancel: CancellationToken,
}

impl Watch {
    fn check(&self, host: &dyn Host) -> Result<(), Stop> {
        if self.cancel.is_cancelled() {
            Err(Stop(Limit::Cancelled))
        } else if self.is_late(Instant::now(), host) {
            Err(Stop(Limit::Wall))
        } else if self.meter.used() >= self.limits.cpu {
            Err(Stop(Limit::Cpu))
        } else {
            Ok(())
        }
    }

    fn is_late(&self, now: Instant, host: &dyn Host) -> bool {
        now >= self.deadline && now.duration_since(self.deadline) >= host.uncounted()
    }

    /// Until when a wait may last before it has to be asked again whether the run is late.
    pub(crate) fn next_look(&self, host: &dyn Host) -> Instant {
        match host.uncounted() {
            Duration::ZERO => self.deadline,
            more => (self.deadline + more).max(Instant::now() + LEAST_WAIT),
        }
    }
}

/// The state of one run. A used one is thrown away whole, so nothing of it can reach the next run.
pub(crate) struct Guest {
    pub(crate) wasi: Wasi,
    pub(crate) effects: Effects,
    pub(crate) watch: Watch,
    /// The outcome message, once the guest has given it.
    pub(crate) outcome: Vec<u8>,
}

impl Guest {
    pub(crate) fn new(library: Arc<Library>, host: Box<dyn Host>, seed: [u8; 32], watch: Watch, memory: u64) -> Self {
        let limits = &watch.limits;
        let budget = Budget { memory, limit: limits.memory };
        Self {
            wasi: Wasi::new(library, host, seed, budget, limits.files, limits.output),
            effects: Effects::default(),
            watch,
            outcome: Vec::new(),
        }
    }

    /// Whether the run is over, and why.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        self.watch.check(self.wasi.host.as_ref())
    }
}

/// A store's data: an instance's memory, and the run that it is used for, if any.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) run: Option<Guest>,
    pub(crate) memory: Option<Memory>,
}

impl State {
    pub(crate) fn guest(&mut self) -> wasmtime::Result<&mut Guest> {
        self.run.as_mut().ok_or_else(|| wasmtime::Error::msg("a host call outside a run"))
    }

    /// What to do at an epoch: let others run, unless the run is over.
    pub(crate) fn at_epoch(&mut self) -> wasmtime::Result<UpdateDeadline> {
        self.guest()?.check()?;
        Ok(UpdateDeadline::Yield(1))
    }
}

/// The guest's memory, and the state of its run.
pub(crate) fn split<'a>(caller: &'a mut Caller<'_, State>) -> wasmtime::Result<(&'a mut [u8], &'a mut Guest)> {
    let memory = caller.data().memory;
    let memory = memory.ok_or_else(|| wasmtime::Error::msg("a host call before the instance was ready"))?;
    let (bytes, state) = memory.data_and_store_mut(caller);
    Ok((bytes, state.guest()?))
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let Ok(guest) = self.guest() else { return Ok(false) };
        let budget = &mut guest.wasi.budget;
        if (desired as u64) < budget.memory {
            // Linear memory never shrinks, so this is not it: wasmtime asks here for its exceptions, too.
            return Ok(desired <= EXCEPTION_HEAP);
        }
        let fits = desired as u64 <= budget.limit.saturating_sub(guest.wasi.files.used())
            && maximum.is_none_or(|maximum| desired <= maximum);
        if fits {
            budget.memory = desired as u64;
        }
        Ok(fits)
    }

    fn table_growing(&mut self, current: usize, _desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        // The table is made once, with the instance; `verify` refuses modules that grow it.
        Ok(current == 0)
    }
}
