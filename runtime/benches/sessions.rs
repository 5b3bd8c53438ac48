//! What sessions cost: the state of a small one and of one with a frame of 50 MB, kept and brought back, from memory and from a file.
//! Prints medians, and what compression would change.

use anyhow::{Context, ensure};
use exuvia_runtime::{Cache, Config, Isolated, Left, Limits, Outcome, Program, Sandbox, Saved, Session, Silent};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 15;
const MOST: u64 = 1 << 30;
const SMALL: &str = "x = 1";
/// Made without a second copy: what is freed stays in a linear memory, and so in the state.
const FRAME: &str = "import numpy as np, pandas as pd\nframe = pd.DataFrame(np.random.default_rng(1).random((6_250_000, 1)), copy=False)";

fn main() -> anyhow::Result<()> {
    let sandbox = Sandbox::open(&Config::new(Cache::of_user()?), &Silent)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let call = |source: &str, from: Option<&Arc<Saved>>, most| -> anyhow::Result<Option<Saved>> {
        let limits = Limits { memory: 1 << 30, ..Limits::default() };
        let session = Session { from: from.cloned(), most };
        let (program, host) = (Program::new(source), Box::new(Isolated::default()));
        let run = sandbox.run_in_session(&program, &limits, host, CancellationToken::new(), session);
        let (outcome, left) = runtime.block_on(run)?;
        ensure!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
        Ok(if let Left::State(state) = left { Some(state) } else { None })
    };
    let fresh = median(|| {
        let began = Instant::now();
        let limits = Limits::default();
        let program = Program::new("1");
        runtime.block_on(sandbox.run(&program, &limits, Box::new(Isolated::default()), CancellationToken::new()))?;
        Ok(began.elapsed())
    })?;
    println!("a fresh run of `1`: {fresh:?}");
    for (name, source) in [("small", SMALL), ("frame of 50 MB", FRAME)] {
        let state = Arc::new(call(source, None, MOST)?.context("no state")?);
        println!("{name}: {} bytes", state.bytes().len());
        let file = tempfile_with(state.bytes())?;
        // With `most` 0 the state is compared, and not copied.
        let resumed = median(|| timed(|| call("1", Some(&state), 0).map(drop)))?;
        println!("  from memory, a call of `1`: {resumed:?}");
        let kept = median(|| timed(|| call("1", Some(&state), MOST).map(drop)))?;
        println!("  the same, and the state kept: {kept:?}");
        let read = median(|| timed(|| from_file(file.path()).map(drop)))?;
        println!("  read from a file, hash checked: {read:?}");
        let whole = median(|| timed(|| call("1", Some(&from_file(file.path())?), 0).map(drop)))?;
        println!("  read from a file, a call of `1`: {whole:?}");
        let hashed = median(|| {
            timed(|| {
                blake3_of(state.bytes());
                Ok(())
            })
        })?;
        println!("  of that, the hash: {hashed:?}");
        let packed = zstd::bulk::compress(state.bytes(), 1)?;
        let unpacked = median(|| {
            timed(|| {
                drop(zstd::bulk::decompress(&packed, state.bytes().len())?);
                Ok(())
            })
        })?;
        let packing = median(|| {
            timed(|| {
                drop(zstd::bulk::compress(state.bytes(), 1)?);
                Ok(())
            })
        })?;
        println!("  zstd level 1: {} bytes, packing {packing:?}, unpacking {unpacked:?}", packed.len());
    }
    Ok(())
}

fn from_file(path: &std::path::Path) -> anyhow::Result<Arc<Saved>> {
    let file = std::fs::File::open(path)?;
    let size = usize::try_from(file.metadata()?.len())?;
    let bytes = Saved::read(file, size, |_| ())?;
    blake3_of(&bytes);
    Ok(Arc::new(Saved::from_bytes(bytes)?))
}

fn blake3_of(bytes: &[u8]) {
    std::hint::black_box(blake3::hash(bytes));
}

fn tempfile_with(bytes: &[u8]) -> anyhow::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed())
}

fn median(mut measure: impl FnMut() -> anyhow::Result<Duration>) -> anyhow::Result<Duration> {
    let mut times = (0..ROUNDS).map(|_| measure()).collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    times.get(ROUNDS / 2).copied().context("no times")
}
