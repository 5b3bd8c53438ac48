//! What a store holds: the state behind the run that its instance is used for.

use crate::effects::Effects;
use crate::fence::Fence;
use crate::files::Shared;
use crate::host::Host;
use crate::limits::Limits;
use crate::wasi::Wasi;
use crate::watch::Watch;
use std::sync::Arc;
use wasmtime::{Caller, Memory, ResourceLimiter};

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

/// The state of one run. A used one is thrown away whole, so nothing of it can reach the next run.
pub(crate) struct Guest {
    pub(crate) wasi: Wasi,
    pub(crate) effects: Effects,
    pub(crate) watch: Arc<Watch>,
    /// The outcome message, once the guest has given it.
    pub(crate) outcome: Vec<u8>,
}

impl Guest {
    pub(crate) fn new(
        library: Shared,
        host: Box<dyn Host>,
        seed: [u8; 32],
        limits: &Limits,
        watch: Arc<Watch>,
        memory: u64,
    ) -> Self {
        let budget = Budget { memory, limit: limits.memory };
        Self {
            wasi: Wasi::new(library, host, seed, budget, limits.files, limits.output),
            effects: Effects::default(),
            watch,
            outcome: Vec::new(),
        }
    }
}

/// A store's data: an instance's memory, and the run that it is used for, if any.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) run: Option<Guest>,
    pub(crate) memory: Option<Memory>,
    /// What closes that memory. None while there is nobody to stop the run.
    pub(crate) fence: Option<Arc<Fence>>,
}

impl State {
    pub(crate) fn guest(&mut self) -> wasmtime::Result<&mut Guest> {
        self.run.as_mut().ok_or_else(|| wasmtime::Error::msg("a host call outside a run"))
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
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
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
            if let Some(fence) = &self.fence {
                fence.growing(current, desired);
            }
        }
        Ok(fits)
    }

    fn table_growing(&mut self, current: usize, _desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        // The table is made once, with the instance; `verify` refuses modules that grow it.
        Ok(current == 0)
    }
}
