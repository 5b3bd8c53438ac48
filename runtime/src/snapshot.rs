//! Starts Python once and makes a module whose memory is the started interpreter's.
//!
//! The clock stands still and the seed is fixed, so that one image gives one snapshot on every machine.

use crate::clock::{Clock, SteppedClock};
use crate::effects;
use crate::engine;
use crate::error::Error;
use crate::files::Library;
use crate::guest::{Guest, State};
use crate::host::{Effect, Host, Pending, Stream};
use crate::limits::Limits;
use crate::progress::{Phase, Progress};
use crate::wasi;
use crate::watch::Watch;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wasmparser::ValType;
use wasmtime::{Engine, Instance, Linker, Module, Store, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, Wizer};

/// The moment at which every snapshot is made: 2026-01-01 UTC.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);
/// Long enough for a slow machine, short enough that a hanging start is noticed.
const PATIENCE: Duration = Duration::from_secs(900);

/// The export that boots Python.
const INITIALISER: &str = "wizer-initialize";

/// Boots `python` and gives the module that continues from there.
pub(crate) fn make(
    engine: &Engine,
    python: &[u8],
    library: &Arc<Library>,
    progress: &dyn Progress,
) -> Result<Vec<u8>, Error> {
    progress.begin(Phase::Compiling);
    let wizer = {
        let mut wizer = Wizer::new();
        wizer.init_func(INITIALISER);
        wizer
    };
    let (context, instrumented) = wizer.instrument(python).map_err(|source| Error::Compile { source })?;
    let module = Module::new(engine, &instrumented).map_err(|source| Error::Compile { source })?;

    progress.begin(Phase::Starting);
    let mut linker = Linker::new(engine);
    wasi::add_to_linker(&mut linker).map_err(|source| Error::Engine { source })?;
    effects::add_to_linker(&mut linker).map_err(|source| Error::Engine { source })?;
    let mut store = Store::new(engine, State { run: Some(guest(library)), ..State::default() });
    store.limiter(|state| state);
    let booted = async {
        let instance = boot(&mut store, &linker, &module).await.map_err(|source| Error::Boot {
            stderr: store.data().run.as_ref().map(|guest| guest.wasi.stderr.to_text()).unwrap_or_default(),
            source,
        })?;
        let mut state = Booted { store: &mut store, instance };
        wizer.snapshot(&context, &mut state).await.map_err(|source| Error::Compile { source })
    };
    apart(booted)
}

/// Runs `work` on a thread of its own, since this one may belong to a runtime that cannot be blocked on.
fn apart<T: Send>(work: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
    let started = |source| Error::Thread { source };
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().name("exuvia-boot".into()).spawn_scoped(scope, || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(started)?;
            runtime.block_on(work)
        });
        match worker.map_err(started)?.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

async fn boot(store: &mut Store<State>, linker: &Linker<State>, module: &Module) -> wasmtime::Result<Instance> {
    let instance = linker.instantiate_async(&mut *store, module).await?;
    store.data_mut().memory = instance.get_memory(&mut *store, "memory");
    for export in ["_initialize", INITIALISER] {
        let function = instance.get_typed_func::<(), ()>(&mut *store, export)?;
        function.call_async(&mut *store, ()).await?;
    }
    Ok(instance)
}

fn guest(library: &Arc<Library>) -> Guest {
    let limits = Limits {
        wall: PATIENCE,
        cpu: PATIENCE,
        memory: engine::MOST_MEMORY,
        files: 1 << 30,
        output: 1 << 16,
        ..Limits::default()
    };
    let watch = Arc::new(Watch::new(&limits, None, CancellationToken::new()));
    Guest::new(library.into(), Box::new(Still), [0; 32], &limits, watch, 0)
}

/// A host in which no time passes.
struct Still;

impl Host for Still {
    fn clock(&mut self, clock: Clock) -> u64 {
        SteppedClock::new(EPOCH, Duration::ZERO).read(clock)
    }

    fn output(&mut self, _: Stream, _: &[u8]) {}

    /// Sleeps end at once: what the guest warms up with has nothing to wait for.
    fn start(&mut self, _: Effect) -> Pending {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// Where wizer reads the state from.
struct Booted<'a> {
    store: &'a mut Store<State>,
    instance: Instance,
}

impl InstanceState for Booted<'_> {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut *self.store, name);
        match global.map(|global| global.get(&mut *self.store)) {
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(bits)) => SnapshotVal::F32(bits),
            Some(Val::F64(bits)) => SnapshotVal::F64(bits),
            Some(Val::V128(value)) => SnapshotVal::V128(value.as_u128()),
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            // Wizer asks only for exported globals of numeric type; it has refused all others in `instrument`.
            _ => SnapshotVal::I32(0),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        if let Some(memory) = self.instance.get_memory(&mut *self.store, name) {
            contents(memory.data(&*self.store));
        }
    }
}
