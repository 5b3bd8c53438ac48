//! Measures on request: a JSON object on each line of standard input, one on standard output in answer. `bench/table.py`
//! asks this process and its peers in turn, so that what disturbs the machine disturbs all of them alike.

use anyhow::{Context, ensure};
use exuvia_runtime::{
    Cache, Clock, Config, Effect, Host, Isolated, Limits, Outcome, Pending, Program, Sandbox, Silent, Stream,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, Write, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    /// Runs `source` in a fresh interpreter `rounds` times; the nanoseconds of each.
    Fresh { source: String, rounds: usize },
    /// Runs `source` once; what it printed.
    Run { source: String },
    /// Runs `source` on `threads` threads for `seconds`; runs per second.
    Throughput { source: String, threads: usize, seconds: u64 },
    /// Suspends `runs` runs of `source` in a host call; bytes for each.
    Suspended { source: String, runs: u64 },
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` hands its own arguments to every benchmark.
    let config = Config { slots: 1200, ..Config::new(Cache::of_user()?) };
    let sandbox = Arc::new(Sandbox::open(&config, &Silent)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for line in stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?).context("could not read the request")? {
            Request::Fresh { source, rounds } => runtime.block_on(fresh(&sandbox, &source, rounds))?,
            Request::Run { source } => runtime.block_on(run(&sandbox, &source))?,
            Request::Throughput { source, threads, seconds } => throughput(&sandbox, &source, threads, seconds)?,
            Request::Suspended { source, runs } => runtime.block_on(suspended(&sandbox, &source, runs))?,
        };
        writeln!(stdout(), "{answer}")?;
    }
    Ok(())
}

fn limits() -> Limits {
    Limits { wall: Duration::from_secs(600), cpu: Duration::from_secs(600), ..Limits::default() }
}

async fn once(sandbox: &Sandbox, program: &Program, limits: &Limits) -> anyhow::Result<Outcome> {
    let outcome = sandbox.run(program, limits, Box::new(Isolated::default()), CancellationToken::new()).await?;
    ensure!(matches!(outcome, Outcome::Finished(_)), "the program did not finish: {outcome:?}");
    Ok(outcome)
}

async fn fresh(sandbox: &Sandbox, source: &str, rounds: usize) -> anyhow::Result<Value> {
    let (program, limits) = (Program::new(source), limits());
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let began = Instant::now();
        once(sandbox, &program, &limits).await?;
        times.push(nanoseconds(began));
    }
    Ok(json!({"ns": times}))
}

async fn run(sandbox: &Sandbox, source: &str) -> anyhow::Result<Value> {
    let outcome = once(sandbox, &Program::new(source), &limits()).await?;
    Ok(json!({"stdout": outcome.output().stdout.to_text()}))
}

fn throughput(sandbox: &Arc<Sandbox>, source: &str, threads: usize, seconds: u64) -> anyhow::Result<Value> {
    let count = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(seconds);
    let began = Instant::now();
    let work = |sandbox: Arc<Sandbox>, count: Arc<AtomicU64>, source: String| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (program, limits) = (Program::new(source), limits());
        while Instant::now() < end {
            runtime.block_on(once(&sandbox, &program, &limits))?;
            count.fetch_add(1, Ordering::Relaxed);
        }
        anyhow::Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let (sandbox, count, source) = (Arc::clone(sandbox), Arc::clone(&count), source.to_owned());
                scope.spawn(move || work(sandbox, count, source))
            })
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(done) => done?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        anyhow::Ok(())
    })?;
    let per_second = f64::from(u32::try_from(count.load(Ordering::Relaxed))?) / began.elapsed().as_secs_f64();
    Ok(json!({"per_second": per_second}))
}

/// A host whose effects never end; it counts them.
struct Endless {
    isolated: Isolated,
    under_way: Arc<AtomicU64>,
}

impl Host for Endless {
    fn clock(&mut self, clock: Clock) -> u64 {
        self.isolated.clock(clock)
    }

    fn output(&mut self, _stream: Stream, _bytes: &[u8]) {}

    fn start(&mut self, _effect: Effect) -> Pending {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending())
    }
}

async fn suspended(sandbox: &Arc<Sandbox>, source: &str, runs: u64) -> anyhow::Result<Value> {
    // Whatever is used once by the first run must not be counted.
    run(sandbox, "print(1)").await?;
    let before = Memory::now()?;
    let began = Instant::now();
    let under_way = Arc::new(AtomicU64::new(0));
    let cancel = CancellationToken::new();
    let mut tasks = Vec::new();
    for _ in 0..runs {
        let (sandbox, program, cancel) = (Arc::clone(sandbox), Program::new(source), cancel.clone());
        let host = Endless { isolated: Isolated::default(), under_way: Arc::clone(&under_way) };
        tasks.push(tokio::spawn(async move { sandbox.run(&program, &limits(), Box::new(host), cancel).await }));
    }
    while under_way.load(Ordering::Relaxed) < runs {
        tokio::task::yield_now().await;
        ensure!(began.elapsed() < Duration::from_secs(120), "not all runs came to their host call");
    }
    let started = nanoseconds(began) / runs;
    let after = Memory::now()?;
    cancel.cancel();
    for task in tasks {
        task.await??;
    }
    Ok(json!({
        "pss": after.pss.saturating_sub(before.pss) / runs,
        "rss": after.rss.saturating_sub(before.rss) / runs,
        "page_tables": after.page_tables.saturating_sub(before.page_tables) / runs,
        "ns_to_start": started,
    }))
}

/// This process's memory, in bytes.
struct Memory {
    pss: u64,
    rss: u64,
    page_tables: u64,
}

impl Memory {
    fn now() -> anyhow::Result<Self> {
        let rollup = std::fs::read_to_string("/proc/self/smaps_rollup")?;
        let status = std::fs::read_to_string("/proc/self/status")?;
        Ok(Self { pss: field(&rollup, "Pss:")?, rss: field(&rollup, "Rss:")?, page_tables: field(&status, "VmPTE:")? })
    }
}

fn field(text: &str, name: &str) -> anyhow::Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no `{name}`"))?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
