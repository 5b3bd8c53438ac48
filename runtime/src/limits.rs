//! How much of everything one run may use.

use std::time::Duration;

/// The limits of one run. Passing one stops that run only, with what it had printed so far.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the start of the run to its end, waits included.
    pub wall: Duration,
    /// Time spent computing, waits excluded.
    pub cpu: Duration,
    /// Bytes of linear memory and files together. Python itself needs [`Sandbox::memory_floor`] of them. A program
    /// that asks for more gets a `MemoryError`, or `ENOSPC` from a write.
    ///
    /// [`Sandbox::memory_floor`]: crate::Sandbox::memory_floor
    pub memory: u64,
    /// Bytes of files, of the memory limit.
    pub files: u64,
    /// Bytes of large files, which lie on the disk where the sandbox has a place for them ([`Config::spill`]), and count there
    /// instead. A program that writes more gets `ENOSPC`. With 0 all files are in memory.
    ///
    /// [`Config::spill`]: crate::Config::spill
    pub disk: u64,
    /// Files of the working folder that are handed out at the end ([`Output::artifacts`]).
    ///
    /// [`Output::artifacts`]: crate::Output::artifacts
    pub artifacts: usize,
    /// Bytes kept of each of stdout and stderr: half from the head, half from the tail. What is beyond is still
    /// streamed to the host.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(30),
            cpu: Duration::from_secs(30),
            memory: 512 << 20,
            files: 256 << 20,
            disk: 1 << 30,
            artifacts: 100,
            output: 1 << 20,
        }
    }
}
