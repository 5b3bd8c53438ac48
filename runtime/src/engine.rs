//! How wasmtime is set up: one place, because a change here changes the cache key.

use crate::error::Error;
use crate::fence;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::{CacheStore, Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// Most linear memory of one guest: all that 32 bits can address.
pub(crate) const MOST_MEMORY: u64 = 1 << 32;
/// Most stack of the guest's own calls. With 4 MiB all of the programs that are known to recurse in C without a bound
/// end in a Python error or in [`Limit::Stack`](crate::Limit::Stack).
const GUEST_STACK: usize = 4 << 20;
/// A fiber's whole stack: what is above [`GUEST_STACK`] is for the host functions that a guest calls at its deepest.
const FIBER_STACK: usize = 6 << 20;
/// Larger than any snapshot, so that wasmtime maps it copy-on-write whatever share of it is zeros.
const LARGEST_IMAGE: u64 = 1 << 30;
/// Functions that Python's table may hold.
const TABLE_ELEMENTS: usize = 200_000;
/// Bytes of wasmtime's own data for one instance.
const INSTANCE_SIZE: usize = 4 << 20;

/// The engine that runs programs, with room for `slots` instances.
pub(crate) fn run(slots: u32) -> Result<Engine, Error> {
    engine(&config(slots))
}

/// An engine that starts Python once and compiles the snapshot. The code of the two is the same but for a few
/// functions that wizer adds, so what was compiled for the first is kept for the second.
pub(crate) fn make() -> Result<Engine, Error> {
    let mut config = config(1);
    config.enable_incremental_compilation(Arc::new(Functions::default())).map_err(|source| Error::Engine { source })?;
    engine(&config)
}

/// The order decides who hears of a fault first: wasmtime, then `fence`, then what was there before.
fn engine(config: &Config) -> Result<Engine, Error> {
    fence::install();
    let engine = Engine::new(config).map_err(|source| Error::Engine { source })?;
    fence::check()?;
    Ok(engine)
}

fn config(slots: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(slots)
        // The second is the heap of exception objects, which wasmtime takes from the same pool.
        .total_memories(slots.saturating_mul(2))
        .total_tables(slots)
        .total_stacks(slots)
        .total_gc_heaps(slots)
        .max_core_instance_size(INSTANCE_SIZE)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(usize::try_from(MOST_MEMORY).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(0);
    let mut config = Config::new();
    config
        .wasm_exceptions(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(FIBER_STACK)
        // Nothing in the code asks for the time: a guest is stopped by closing its memory (`fence`).
        .epoch_interruption(false)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_guaranteed_dense_image_size(LARGEST_IMAGE)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        // Nobody reads the traces, and taking one of a deep stack costs milliseconds.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false);
    config
}

/// Compiled functions, by what they were compiled from.
#[derive(Debug, Default)]
struct Functions(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        functions.get(key).map(|function| Cow::Owned(function.clone()))
    }

    fn insert(&self, key: &[u8], function: Vec<u8>) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_vec(), function);
        true
    }
}

/// Everything that decides whether code compiled by `engine` runs here, as a hash.
pub(crate) fn fingerprint(engine: &Engine) -> blake3::Hash {
    let mut fingerprint = Fingerprint(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut fingerprint);
    fingerprint.0.finalize()
}

struct Fingerprint(blake3::Hasher);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        u64::from_le_bytes(self.0.finalize().as_bytes().first_chunk().copied().unwrap_or_default())
    }
}
