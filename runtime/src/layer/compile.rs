//! Compiles a layer's modules in the sandbox: nothing of a package is run on the host, and what reads its source is a Python that
//! can reach nothing.

use super::{Layer, Tree};
use crate::clock::{Clock, SteppedClock};
use crate::error::Error;
use crate::host::{Effect, Host, Pending, Stream};
use crate::limits::Limits;
use crate::outcome::Outcome;
use crate::program::Program;
use crate::sandbox::Sandbox;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PROGRAM: &str = include_str!("compile.py");
/// The largest packages take some 20 s; much more is an attack on the compiler.
const PATIENCE: Duration = Duration::from_secs(180);
const MEMORY: u64 = 1 << 30;
/// Most bytes of compiled code. It is host memory.
const MOST_CODE: usize = 128 << 20;

/// The compiled modules of `layer`, by their paths. The same layer gives the same bytes: the clock stands still and the seed is fixed.
pub(super) fn compile(sandbox: &Sandbox, layer: Layer) -> Result<Tree, Error> {
    let failed = |why: String| Error::Packages { why };
    let printed = Arc::new(Mutex::new(Printed::default()));
    let program = Program { packages: Some(layer), name: "compile.py".into(), ..Program::new(PROGRAM) };
    let limits = Limits { wall: PATIENCE, cpu: PATIENCE, memory: MEMORY, output: 4 << 10, ..Limits::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|source| Error::Thread { source })?;
    let ran = sandbox.run(&program, &limits, Box::new(Collector(Arc::clone(&printed))), CancellationToken::new());
    match runtime.block_on(ran)? {
        Outcome::Finished(_) => {}
        Outcome::Raised(_, raised) => return Err(failed(format!("{}: {}", raised.kind, raised.message))),
        Outcome::Stopped(_, limit) => return Err(failed(limit.to_string())),
    }
    let printed = std::mem::take(&mut *printed.lock().unwrap_or_else(PoisonError::into_inner));
    if printed.is_cut {
        return Err(failed(format!("their code has more than {MOST_CODE} bytes")));
    }
    parse(&printed.bytes).ok_or_else(|| failed("what the compiler printed makes no sense".into()))
}

/// Paths and contents, each after its length.
fn parse(mut rest: &[u8]) -> Option<Tree> {
    let mut tree = Tree::new();
    while !rest.is_empty() {
        let (path, after) = rest.split_first_chunk::<4>()?;
        let (code, after) = after.split_first_chunk::<4>()?;
        let (path, after) = after.split_at_checked(u32::from_le_bytes(*path) as usize)?;
        let (code, after) = after.split_at_checked(u32::from_le_bytes(*code) as usize)?;
        let path = std::str::from_utf8(path).ok()?;
        // A broken interpreter could print any other, and would put it in the place of a module.
        let is_code = Path::new(path).extension().is_some_and(|extension| extension == "pyc");
        if !is_code || !super::is_plain(path) {
            return None;
        }
        tree.insert(path.to_owned(), code.to_vec());
        rest = after;
    }
    Some(tree)
}

#[derive(Default)]
struct Printed {
    bytes: Vec<u8>,
    is_cut: bool,
}

/// A host in which no time passes, and that keeps what is printed.
struct Collector(Arc<Mutex<Printed>>);

impl Host for Collector {
    fn clock(&mut self, clock: Clock) -> u64 {
        SteppedClock::new(Duration::ZERO, Duration::ZERO).read(clock)
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        let mut printed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stream != Stream::Stdout {
            return;
        }
        if printed.bytes.len() + bytes.len() > MOST_CODE {
            printed.is_cut = true;
        } else {
            printed.bytes.extend_from_slice(bytes);
        }
    }

    fn start(&mut self, _: Effect) -> Pending {
        Box::pin(std::future::ready(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(path: &str, code: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        [&length(path.as_bytes())[..], &length(code), path.as_bytes(), code].concat()
    }

    #[test]
    fn what_a_broken_compiler_prints_is_refused() {
        let good = framed("a/__pycache__/b.cpython-313.pyc", b"code");
        assert_eq!(parse(&good).unwrap().len(), 1);
        assert_eq!(parse(&good[..good.len() - 1]), None);
        for path in ["a/b.py", "../a.pyc", "/a.pyc", "a//b.pyc", "a/./b.pyc", ".pyc/"] {
            assert_eq!(parse(&framed(path, b"code")), None, "{path}");
        }
    }
}
