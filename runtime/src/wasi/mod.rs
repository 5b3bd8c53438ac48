//! WASI preview 1, as far as a sealed guest needs it.
//!
//! `wasmtime-wasi` reads the arguments and checks every guest address (its generated `wasi_snapshot_preview1`
//! functions); what the functions do is ours, because they must reach no host file, clock, socket or environment.
//!
//! - `linker`: names the functions for wasmtime;
//! - `calls`: what each does;
//! - `descriptors`: the guest's open files;
//! - `keep`: what a session keeps of it all.

mod buffers;
mod calls;
mod descriptors;
mod keep;
mod linker;
mod shapes;

pub(crate) use keep::KeptWasi;
pub(crate) use linker::add_to_linker;

use crate::clock::Clock;
use crate::error::Error;
use crate::files::{Fault, Files, Input, Shared};
use crate::guest::Budget;
use crate::host::{Host, Stream};
use crate::output::Kept;
use descriptors::Descriptors;
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;

/// Most bytes printed that the host is given at a time: each piece is copied.
const PRINTED: usize = 64 << 10;

/// The state behind one run's WASI calls.
pub(crate) struct Wasi {
    pub(crate) files: Files,
    pub(crate) stdout: Kept,
    pub(crate) stderr: Kept,
    /// Bytes of linear memory, and how many there may be with the files.
    pub(crate) budget: Budget,
    pub(crate) host: Box<dyn Host>,
    descriptors: Descriptors,
    random: ChaCha12Rng,
    /// What the monotonic clock had come to when the run began: 0, unless it is a further call of a session.
    before: u64,
    /// What it last said.
    monotonic: u64,
}

impl Wasi {
    pub(crate) fn new(
        library: Shared,
        mut host: Box<dyn Host>,
        seed: [u8; 32],
        budget: Budget,
        file_limit: u64,
        kept: usize,
    ) -> Self {
        let now = host.clock(Clock::Wall);
        Self {
            files: Files::new(library, file_limit, now),
            stdout: Kept::new(kept),
            stderr: Kept::new(kept),
            budget,
            host,
            descriptors: Descriptors::default(),
            random: ChaCha12Rng::from_seed(seed),
            before: 0,
            monotonic: 0,
        }
    }

    /// Puts the program's files where it expects them.
    pub(crate) fn install(&mut self, files: &BTreeMap<String, Input>) -> Result<(), Error> {
        if files.is_empty() {
            return Ok(());
        }
        let now = self.now();
        for (path, input) in files {
            let installed = self.files.install(path, input, now);
            installed.map_err(|fault| Error::InputFile { path: path.clone(), why: fault.describe() })?;
        }
        Ok(())
    }

    fn now(&mut self) -> u64 {
        self.host.clock(Clock::Wall)
    }

    /// The monotonic clock, which goes on from call to call of a session.
    fn monotonic(&mut self) -> u64 {
        self.monotonic = self.before.saturating_add(self.host.clock(Clock::Monotonic));
        self.monotonic
    }

    /// Bytes by which the files may grow, as far as the memory limit goes.
    fn room(&self) -> u64 {
        self.budget.limit.saturating_sub(self.budget.memory).saturating_sub(self.files.used())
    }

    fn print(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.push(bytes),
            Stream::Stderr => self.stderr.push(bytes),
        }
        for piece in bytes.chunks(PRINTED) {
            // A copy, as the host may hand it to a system call: `fence` tells why that must not see the guest's memory.
            let piece: Box<[u8]> = piece.into();
            self.host.output(stream, &piece);
        }
    }
}

type Errno = wasmtime_wasi::p1::types::Errno;

impl From<Fault> for Errno {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotFound => Self::Noent,
            Fault::Exists => Self::Exist,
            Fault::NotFolder => Self::Notdir,
            Fault::IsFolder => Self::Isdir,
            Fault::NotEmpty => Self::Notempty,
            Fault::ReadOnly => Self::Rofs,
            Fault::Full => Self::Nospc,
            Fault::TooLarge => Self::Fbig,
            Fault::Loop => Self::Loop,
            Fault::NameTooLong => Self::Nametoolong,
            Fault::Invalid => Self::Inval,
            Fault::Busy => Self::Busy,
            Fault::Io => Self::Io,
        }
    }
}
