//! Why a run was stopped, carried out of the guest as a trap.

use std::fmt;

/// What stopped a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// It took longer than [`Limits::wall`](crate::Limits::wall).
    Wall,
    /// It computed longer than [`Limits::cpu`](crate::Limits::cpu).
    Cpu,
    /// It could not go on without more than [`Limits::memory`](crate::Limits::memory).
    Memory,
    /// It recursed deeper than the stack, in C code that Python does not count.
    Stack,
    /// Somebody cancelled it.
    Cancelled,
    /// It waited, and its [`Host`](crate::Host) had it suspended: no end, as its journal goes on with it later.
    Suspended,
    /// The interpreter gave up (`abort`, a trap); the run's last words are in its stderr.
    Crashed(String),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wall => f.write_str("stopped: it ran longer than its time limit"),
            Self::Cpu => f.write_str("stopped: it computed longer than its CPU limit"),
            Self::Memory => f.write_str("stopped: it needed more memory than its limit"),
            Self::Stack => f.write_str("stopped: it recursed deeper than the stack"),
            Self::Cancelled => f.write_str("stopped: it was cancelled"),
            Self::Suspended => f.write_str("suspended: it goes on when what it waits for is there"),
            Self::Crashed(why) => write!(f, "stopped: the interpreter crashed ({why})"),
        }
    }
}

/// A [`Limit`] on its way through wasmtime, as the error of a host function.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Stop(pub(crate) Limit);

/// `os._exit(status)`, or an abort of the C library.
#[derive(Debug, thiserror::Error)]
#[error("exited with status {0}")]
pub(crate) struct Exit(pub(crate) u32);

/// Why a call into the guest did not return.
pub(crate) enum Ending {
    Stopped(Limit),
    Exited(u32),
}

pub(crate) fn ending(error: &wasmtime::Error) -> Ending {
    if let Some(Stop(limit)) = error.downcast_ref() {
        return Ending::Stopped(limit.clone());
    }
    if let Some(Exit(status)) = error.downcast_ref() {
        return Ending::Exited(*status);
    }
    Ending::Stopped(match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::StackOverflow) => Limit::Stack,
        Some(trap) => Limit::Crashed(trap.to_string()),
        None => Limit::Crashed(error.root_cause().to_string()),
    })
}
