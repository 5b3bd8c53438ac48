//! One instance of Python, used for one run at a time and restored between them.

use crate::error::Error;
use crate::fence::Fence;
use crate::guest::{Guest, State};
use crate::pages::{PAGE, Restored, Scanner, Written, drops_to_image};
use crate::saved::{Parts, Saved};
use std::io;
use std::sync::Arc;
use wasmtime::{Global, InstancePre, Linker, Memory, Module, Store, TypedFunc, Val};

/// Bytes of the pages that WebAssembly counts in.
const WASM_PAGE: u64 = 64 << 10;

/// The snapshot as an instance that is never called: what the others are restored to.
pub(crate) struct Pristine {
    store: Store<()>,
    memory: Memory,
}

impl Pristine {
    pub(crate) fn new(module: &Module) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(module.engine());
        linker.define_unknown_imports_as_traps(module)?;
        let mut store = Store::new(module.engine(), ());
        let instance = linker.instantiate(&mut store, module)?;
        let memory = instance.get_memory(&mut store, "memory");
        let memory = memory.ok_or_else(|| wasmtime::Error::msg("the image exports no `memory`"))?;
        Ok(Self { store, memory })
    }

    /// Whether a written page that is dropped becomes the snapshot's again.
    pub(crate) fn drops_to_image(&mut self) -> bool {
        drops_to_image(self.memory.data_mut(&mut self.store))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.memory.data(&self.store)
    }
}

/// An instance and its store.
pub(crate) struct Slot {
    pub(crate) store: Store<State>,
    pub(crate) memory: Memory,
    pub(crate) fence: Arc<Fence>,
    pub(crate) run: TypedFunc<u32, i32>,
    pub(crate) buffer: TypedFunc<u32, u32>,
    stack_pointer: Global,
    stack_top: Val,
    written: Written,
}

impl Slot {
    /// A fresh instance for the run that `guest` is the state of.
    pub(crate) async fn new(module: &InstancePre<State>, guest: Guest) -> Result<Self, Error> {
        let mut store = Store::new(module.module().engine(), State { run: Some(guest), ..State::default() });
        store.limiter(|state| state);
        Self::instantiate(module, store).await.map_err(|source| Error::Instantiate { hint: hint(&source), source })
    }

    async fn instantiate(module: &InstancePre<State>, mut store: Store<State>) -> wasmtime::Result<Self> {
        let instance = module.instantiate_async(&mut store).await?;
        let missing = |name| move || wasmtime::Error::msg(format!("the image exports no `{name}`"));
        let memory = instance.get_memory(&mut store, "memory").ok_or_else(missing("memory"))?;
        let fence = Arc::new(Fence::new(memory.data_mut(&mut store)));
        store.data_mut().memory = Some(memory);
        store.data_mut().fence = Some(Arc::clone(&fence));
        let stack_pointer =
            instance.get_global(&mut store, "__stack_pointer").ok_or_else(missing("__stack_pointer"))?;
        let stack_top = stack_pointer.get(&mut store);
        let written = Written::new(memory.data_mut(&mut store));
        Ok(Self {
            run: instance.get_typed_func(&mut store, "exuvia_run")?,
            buffer: instance.get_typed_func(&mut store, "exuvia_buffer")?,
            memory,
            fence,
            stack_pointer,
            stack_top,
            written,
            store,
        })
    }

    /// Makes `guest` the state of the run that comes.
    pub(crate) fn begin(&mut self, guest: Guest) {
        self.store.data_mut().run = Some(guest);
    }

    /// Takes the state of the run that is over.
    pub(crate) fn end(&mut self) -> Option<Guest> {
        self.store.data_mut().run.take()
    }

    /// Makes its memory accessible again, if it was closed. Called between polls.
    pub(crate) fn open(&self) -> io::Result<()> {
        if self.fence.was_closed() { self.fence.open(self.memory.data_size(&self.store)) } else { Ok(()) }
    }

    /// Makes the instance equal to a new one after a run with `faults` page faults. On an error it must be dropped.
    pub(crate) fn restore(&mut self, scanner: &Scanner, pristine: &Pristine, faults: u64) -> io::Result<Restored> {
        let memory = self.memory.data_mut(&mut self.store);
        let pristine = pristine.bytes();
        if memory.len() != pristine.len() {
            // Growth cannot be undone.
            return Err(io::Error::other("the memory has grown"));
        }
        if self.fence.was_closed() {
            // The run ended in the very moment in which it was over.
            return Err(io::Error::other("the memory was closed"));
        }
        let restored = self.written.restore(scanner, memory, pristine, faults)?;
        self.stack_pointer.set(&mut self.store, self.stack_top).map_err(io::Error::other)?;
        Ok(restored)
    }

    /// Makes memory what it was at the end of an earlier call. On an error the slot must be dropped.
    pub(crate) fn resume(&mut self, saved: &Saved) -> Result<(), Error> {
        let failed = |source: io::Error| Error::Resume { source };
        let now = self.memory.data_size(&self.store) as u64;
        let more = saved.memory().checked_sub(now).ok_or(Error::OtherSnapshot)?;
        if more > 0 {
            let grown = self.memory.grow(&mut self.store, more / WASM_PAGE);
            grown.map_err(|error| failed(io::Error::other(format!("{error:#}"))))?;
        }
        self.written.forget();
        let snapshot = usize::try_from(now).unwrap_or(usize::MAX);
        saved.write_to(self.memory.data_mut(&mut self.store), snapshot).map_err(failed)
    }

    /// The state that the run, which has returned, leaves to the next call. `guest` is what was its state.
    pub(crate) fn save(
        &mut self,
        scanner: Option<&Scanner>,
        pristine: &Pristine,
        guest: &mut Guest,
        snapshot: &str,
        most: u64,
    ) -> io::Result<Result<Saved, u64>> {
        if self.stack_pointer.get(&mut self.store).i32() != self.stack_top.i32() {
            return Err(io::Error::other("the stack is not empty"));
        }
        let memory = self.memory.data(&self.store);
        let pages = Written::differing(scanner, memory, pristine.bytes())?;
        // What the files cost covers their contents, their names and what is written of them beside.
        let size = (pages.len() * PAGE) as u64 + guest.wasi.files.used() + guest.wasi.files.on_disk();
        if size > most {
            return Ok(Err(size));
        }
        let effects = guest.effects.started();
        let packages = guest.wasi.files.shared().layer().map(|layer| layer.name().to_owned());
        let (wasi, contents) = guest.wasi.keep();
        Saved::new(Parts { snapshot, packages, memory, pages: &pages, wasi, contents, effects }).map(Ok)
    }

    /// A hash of all memory.
    pub(crate) fn digest(&self) -> [u8; 32] {
        *blake3::hash(self.memory.data(&self.store)).as_bytes()
    }

    /// Whether memory equals the snapshot in every byte; the first page that does not.
    pub(crate) fn first_difference(&self, pristine: &Pristine) -> Option<usize> {
        let live = self.memory.data(&self.store);
        if live == pristine.bytes() {
            return None;
        }
        if live.len() != pristine.bytes().len() {
            return Some(pristine.bytes().len() / PAGE);
        }
        live.chunks(PAGE).zip(pristine.bytes().chunks(PAGE)).position(|(live, clean)| live != clean)
    }
}

fn hint(error: &wasmtime::Error) -> &'static str {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        "all slots are taken"
    } else if format!("{error:#}").contains("Cannot allocate memory") {
        "out of memory or of memory mappings; `exuvia doctor` tells which"
    } else {
        "`exuvia doctor` may tell why"
    }
}
