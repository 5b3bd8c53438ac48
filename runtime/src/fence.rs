//! Closes the memory of a guest that is over its limit, from outside and while it computes.
//!
//! Every load and store of compiled guest code may trap: wasmtime relies on that for accesses out of bounds. So the
//! next one after [`Fence::close`] is a trap like any other, and the call ends at a place where a call may end.
//!
//! The host, too, reads and writes the guest's memory for it: in WASI functions, and in wasmtime's own for copying and
//! growing. There the same fault is a signal outside of guest code, which wasmtime hands on to whoever handled the
//! signal before. That is [`on_fault`]: it opens the memory around that place, and the instruction is repeated. When the
//! host is done, the guest soon comes upon what is still closed; besides, all of it is closed again every now and then. System
//! calls would fail instead, so none is given an address in a guest's memory: what a guest reads of the library and what
//! it prints is copied by the host.
#![expect(unsafe_code, reason = "mprotect on a guest's own memory, and a signal handler that undoes it")]

use crate::engine::MOST_MEMORY;
use crate::error::Error;
use std::cell::Cell;
use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};

/// Opened for the host at its first access, a page of WebAssembly, of which a memory has a whole number. Twice as much at
/// each further one, so that a long copy has few of them.
const WINDOW: usize = 64 << 10;
/// Doublings after which a window is as large as any memory.
const MOST_DOUBLINGS: u32 = 16;

/// One instance's memory, as far as closing it goes.
#[derive(Debug)]
pub(crate) struct Fence {
    base: usize,
    /// Bytes that the guest has for certain. A growth that is under way may already have made it more.
    length: AtomicUsize,
    /// Bytes that it had if its last growth succeeded. Nobody tells us; an access by the host shows that it did.
    asked: AtomicUsize,
    closed: AtomicBool,
    /// Accesses by the host since it was last closed.
    let_in: AtomicU32,
}

impl Fence {
    /// For all of an instance's `memory`, which stays where it is.
    pub(crate) fn new(memory: &mut [u8]) -> Self {
        Self {
            base: memory.as_mut_ptr().addr(),
            length: AtomicUsize::new(memory.len()),
            asked: AtomicUsize::new(memory.len()),
            closed: AtomicBool::new(false),
            let_in: AtomicU32::new(0),
        }
    }

    /// Hears that the memory, of `current` bytes now, may become one of `desired` bytes.
    pub(crate) fn growing(&self, current: usize, desired: usize) {
        self.length.store(current, SeqCst);
        self.asked.store(desired, SeqCst);
    }

    /// Makes the guest's next access a trap. May be called again and again while the guest is inside.
    pub(crate) fn close(&self) -> io::Result<()> {
        self.closed.store(true, SeqCst);
        self.let_in.store(0, SeqCst);
        // All that the memory could ever be, as it may be growing at this moment. What the guest does not have was
        // inaccessible before.
        self.protect(0, usize::try_from(MOST_MEMORY).unwrap_or(usize::MAX), libc::PROT_NONE)
    }

    pub(crate) fn was_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Gives back `length` bytes, which are all that the guest has, or all that a new instance in its place has.
    pub(crate) fn open(&self, length: usize) -> io::Result<()> {
        self.protect(0, length, READ_WRITE)
    }

    /// [`Self::open`] for what is known of its length.
    pub(crate) fn open_known(&self) -> io::Result<()> {
        self.open(self.length.load(SeqCst))
    }

    /// Opens it for the host around `address`, which it came upon. Called from a signal handler: no locks, no allocation.
    fn open_for_host(&self, address: usize) -> bool {
        let Some(offset) = address.checked_sub(self.base) else { return false };
        let asked = self.asked.load(SeqCst);
        if !self.was_closed() || offset >= asked.max(self.length.load(SeqCst)) {
            return false;
        }
        if offset >= self.length.load(SeqCst) {
            // The host touches only what the guest has, so the growth succeeded.
            self.length.store(asked, SeqCst);
        }
        let length = self.length.load(SeqCst);
        let before = self.let_in.fetch_add(1, SeqCst);
        let start = offset / WINDOW * WINDOW;
        let window = (WINDOW << before.min(MOST_DOUBLINGS)).min(length.saturating_sub(start));
        // A part of it may be one mapping more than the kernel allows; all of it never is.
        self.protect(start, window, READ_WRITE).or_else(|_| self.open_known()).is_ok()
    }

    fn protect(&self, start: usize, length: usize, protection: libc::c_int) -> io::Result<()> {
        // SAFETY: the range is within the `MOST_MEMORY` bytes that the pooling allocator reserves at `base` for this
        // instance alone, for as long as the engine lives. Only that instance's guest and the host on its behalf access them: the guest's accesses may
        // fault, those of the host are repeated by `on_fault`. The contents and the mapping stay the same.
        let failed = unsafe { libc::mprotect(ptr::without_provenance_mut(self.base + start), length, protection) };
        if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

const READ_WRITE: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;

thread_local! {
    /// The fence of the run that this thread computes for. A plain cell without a destructor, so that the signal handler can read it.
    static CURRENT: Cell<*const Fence> = const { Cell::new(ptr::null()) };
}

/// While it lives, this thread's own accesses to the memory behind a fence open it.
#[derive(Debug)]
pub(crate) struct Within<'a> {
    _fence: &'a Fence,
    before: *const Fence,
}

impl<'a> Within<'a> {
    pub(crate) fn new(fence: &'a Fence) -> Self {
        Self { _fence: fence, before: CURRENT.replace(fence) }
    }
}

impl Drop for Within<'_> {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// Whoever handled the signal before us.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

/// Sees to faults of the host from now on. Must come before the first engine, whose handler comes on top of this one.
pub(crate) fn install() {
    PREVIOUS.get_or_init(|| {
        // SAFETY: zeros are a valid `sigaction`; the calls read one and write the other. `on_fault` has the signature
        // that `SA_SIGINFO` asks for. Until the cell is set, a fault elsewhere finds no previous handler and ends the process,
        // as it should.
        unsafe {
            let mut previous = std::mem::zeroed::<libc::sigaction>();
            let mut ours = std::mem::zeroed::<libc::sigaction>();
            ours.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_ONSTACK;
            ours.sa_sigaction = (on_fault as *const ()).addr();
            libc::sigemptyset(&raw mut ours.sa_mask);
            libc::sigaction(libc::SIGSEGV, &raw const ours, &raw mut previous);
            previous
        }
    });
}

/// Checks, once there is an engine, that faults come to wasmtime first and to [`on_fault`] after it. Otherwise a closed
/// memory would be opened for the guest, too.
pub(crate) fn check() -> Result<(), Error> {
    // SAFETY: zeros are a valid `sigaction`, which the call writes to.
    let ours_is_first = unsafe {
        let mut now = std::mem::zeroed::<libc::sigaction>();
        libc::sigaction(libc::SIGSEGV, ptr::null(), &raw mut now);
        now.sa_sigaction == (on_fault as *const ()).addr()
    };
    if ours_is_first { Err(Error::Signals) } else { Ok(()) }
}

/// Handles a fault that is not the guest's. Everything here must be safe in a signal handler.
unsafe extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid `info`, whose address is set for this signal. A fence in `CURRENT` outlives its
    // `Within`, which is on the stack below us.
    let let_in = unsafe {
        let fence = CURRENT.get();
        !fence.is_null() && (*fence).open_for_host((*info).si_addr().addr())
    };
    if !let_in {
        // SAFETY: handed on as it came.
        unsafe { hand_on(signal, info, context) };
    }
}

/// Does what would have been done without us.
unsafe fn hand_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    type WithInfo = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
    type Plain = unsafe extern "C" fn(libc::c_int);
    // SAFETY: the previous action's flags say which of the two its address is. Without one the default action is set, and
    // the instruction, which is repeated, ends the process.
    unsafe {
        match PREVIOUS.get() {
            Some(previous) if ![libc::SIG_DFL, libc::SIG_IGN].contains(&previous.sa_sigaction) => {
                if previous.sa_flags & libc::SA_SIGINFO != 0 {
                    std::mem::transmute::<usize, WithInfo>(previous.sa_sigaction)(signal, info, context);
                } else {
                    std::mem::transmute::<usize, Plain>(previous.sa_sigaction)(signal);
                }
            }
            _ => drop(libc::signal(signal, libc::SIG_DFL)),
        }
    }
}
