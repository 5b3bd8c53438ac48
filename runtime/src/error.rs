//! What can go wrong on our side. A program's own failure is an [`Outcome`](crate::Outcome), never one of these.

use std::io;
use std::path::PathBuf;

/// Why the sandbox itself could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("no folder for the cache: set `EXUVIA_CACHE` or `HOME`")]
    NoCacheFolder,
    #[error(
        "others can write to the cache folder `{}`, and so decide what is run: `chmod go-w` it, or choose another",
        .folder.display()
    )]
    SharedCache { folder: PathBuf },
    #[error("could not {doing} `{}`", .path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("could not start a thread")]
    Thread { source: io::Error },
    #[error("the built-in Python image is damaged ({what}): build or install Exuvia again")]
    Image { what: &'static str, source: io::Error },
    #[error("could not set up the WebAssembly engine")]
    Engine { source: wasmtime::Error },
    #[error(
        "another part of this program set up WebAssembly first, and so would be told of the faults that stop a guest: open \
         the sandbox before any other use of wasmtime"
    )]
    Signals,
    #[error("could not compile Python for this machine")]
    Compile { source: wasmtime::Error },
    #[error("Python did not start{}", with_stderr(.stderr))]
    Boot { stderr: String, source: wasmtime::Error },
    #[error("the Python image breaks a rule that restoring it relies on: {rule}")]
    Unrestorable { rule: String },
    #[error("could not make an instance of Python: {hint}")]
    Instantiate { hint: &'static str, source: wasmtime::Error },
    #[error("a memory limit of {asked} bytes is below the {needed} bytes that Python itself needs")]
    MemoryLimitTooLow { asked: u64, needed: u64 },
    #[error("a memory limit of {asked} bytes is above the {most} bytes that a 32-bit guest can have")]
    MemoryLimitTooHigh { asked: u64, most: u64 },
    #[error("a program of {size} bytes with its inputs is larger than the {most} bytes allowed")]
    ProgramTooLarge { size: usize, most: usize },
    #[error("{count} outputs are asked for, more than the {most} allowed")]
    TooManyOutputs { count: usize, most: usize },
    #[error("could not give the program the file `{path}`: {why}")]
    InputFile { path: String, why: &'static str },
    #[error("the guest package failed: {what}")]
    Guest { what: String },
    #[error("the session was made by another version of Exuvia or of its Python, whose memory this one cannot read")]
    OtherSnapshot,
    #[error("the session has other packages than this call")]
    OtherPackages,
    #[error("could not compile the packages: {why}")]
    Packages { why: String },
    #[error("`{}` is not the name of a layer of packages", .name.escape_debug())]
    LayerName { name: String },
    #[error("a memory limit of {limit} bytes is below the {needed} bytes that the session has grown to")]
    SessionAboveLimit { needed: u64, limit: u64 },
    #[error("could not bring the session back")]
    Resume { source: io::Error },
    #[error("could not restore an instance to the snapshot")]
    Restore { source: io::Error },
}

impl Error {
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

fn with_stderr(stderr: &str) -> String {
    let stderr = stderr.trim();
    if stderr.is_empty() { String::new() } else { format!("; it said:\n{stderr}") }
}
