//! What the integration tests share: a sandbox to run in, and outcomes in a form that compares at a glance.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod reclaim;
pub(crate) mod time;

use exuvia_runtime::{
    Cache, Clock, Config, Effect, Error, Host, Isolated, Limits, Outcome, Pending, Program, Sandbox, Silent,
    SteppedClock, Stream,
};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Keeps a test from hanging. No test waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Waits, on a thread of its own, for another one.
pub(crate) fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        std::thread::yield_now();
    }
}

/// A sandbox with one slot, so that each run follows the one before it in the same place, on a runtime of its own.
pub(crate) struct Place {
    pub(crate) sandbox: Sandbox,
    pub(crate) runtime: Runtime,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with(&config())
    }

    pub(crate) fn with(config: &Config) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { sandbox: Sandbox::open(config, &Silent).unwrap(), runtime }
    }

    pub(crate) fn run(&self, source: &str) -> Ran {
        self.run_within(source, &limits())
    }

    pub(crate) fn run_within(&self, source: &str, limits: &Limits) -> Ran {
        self.run_program(&Program::new(source), limits)
    }

    pub(crate) fn run_program(&self, program: &Program, limits: &Limits) -> Ran {
        self.run_on(program, limits, Box::new(Isolated::default())).unwrap()
    }

    pub(crate) fn run_on(&self, program: &Program, limits: &Limits, host: Box<dyn Host>) -> Result<Ran, Error> {
        let run = self.sandbox.run(program, limits, host, CancellationToken::new());
        Ok(Ran::from(self.runtime.block_on(run)?))
    }
}

/// One slot, and every restore verified.
pub(crate) fn config() -> Config {
    Config { slots: 1, verify: true, ..Config::new(Cache::of_user().unwrap()) }
}

/// Small enough that no bomb takes long, with time enough for a machine that is busy with other things.
pub(crate) fn limits() -> Limits {
    Limits { wall: PATIENCE, cpu: PATIENCE, memory: 160 << 20, files: 16 << 20, output: 4096, disk: 0, artifacts: 100 }
}

/// An outcome in the form that tests compare.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ran {
    /// `finished`, `raised TYPE: MESSAGE`, or what stopped it.
    pub(crate) ending: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) result: Value,
    pub(crate) outputs: Value,
    pub(crate) missing: Vec<String>,
    pub(crate) reprs: Vec<String>,
    pub(crate) traceback: String,
    pub(crate) line: Option<u32>,
    /// Bytes printed that were not kept.
    pub(crate) cut: u64,
    /// Names of what it left.
    pub(crate) artifacts: Vec<String>,
    pub(crate) peak_memory: u64,
    pub(crate) cpu: Duration,
}

impl From<Outcome> for Ran {
    fn from(outcome: Outcome) -> Self {
        let (ending, traceback, line) = match &outcome {
            Outcome::Finished(_) => ("finished".to_owned(), String::new(), None),
            Outcome::Raised(_, raised) => {
                (format!("raised {}: {}", raised.kind, raised.message), raised.traceback.clone(), raised.line)
            }
            Outcome::Stopped(_, limit) => (limit.to_string(), String::new(), None),
        };
        let output = outcome.output();
        let json = |raw: &serde_json::value::RawValue| serde_json::from_str::<Value>(raw.get()).unwrap();
        Self {
            ending,
            traceback,
            line,
            stdout: output.stdout.to_text(),
            stderr: output.stderr.to_text(),
            result: output.result.as_deref().map_or(Value::Null, json),
            outputs: output.outputs.iter().map(|(name, value)| (name.clone(), json(value))).collect(),
            missing: output.missing.clone(),
            reprs: output.reprs.clone(),
            cut: output.stdout.cut() + output.stderr.cut(),
            artifacts: output.artifacts.files.iter().map(|file| file.name.clone()).collect(),
            peak_memory: output.usage.peak_memory,
            cpu: output.usage.cpu,
        }
    }
}

/// A host in which time moves by one microsecond at each reading, and by its length at each sleep.
#[derive(Clone)]
pub(crate) struct Stepped {
    clock: Arc<Mutex<SteppedClock>>,
    /// All that was printed, without any bound.
    pub(crate) printed: Arc<Mutex<Vec<u8>>>,
}

impl Stepped {
    /// A clock that starts `seconds` after 1970.
    pub(crate) fn at(seconds: u64) -> Self {
        let clock = SteppedClock::new(Duration::from_secs(seconds), Duration::from_micros(1));
        Self { clock: Arc::new(Mutex::new(clock)), printed: Arc::default() }
    }
}

impl Host for Stepped {
    fn clock(&mut self, clock: Clock) -> u64 {
        self.clock.lock().unwrap().read(clock)
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        let mut printed = self.printed.lock().unwrap();
        printed.push(stream as u8);
        printed.extend_from_slice(bytes);
    }

    fn start(&mut self, effect: Effect) -> Pending {
        match effect {
            Effect::Sleep(time) => {
                self.clock.lock().unwrap().advance(time);
                Box::pin(std::future::ready(Vec::new()))
            }
            Effect::Request(_) => Isolated::default().start(effect),
        }
    }
}

/// Prints everything that one run could leave behind for the next, on one line each.
pub(crate) const INSPECT: &str = include_str!("inspect.py");

impl Place {
    /// What [`INSPECT`] prints when it runs now, under a fixed seed and clock.
    pub(crate) fn inspect(&self) -> String {
        let ran = self
            .run_on(
                &Program::new(INSPECT),
                &Limits { output: 1 << 16, ..limits() },
                Box::new(Stepped::at(1_800_000_000)),
            )
            .unwrap();
        assert_eq!((ran.ending.as_str(), ran.stderr.as_str()), ("finished", ""));
        ran.stdout
    }
}
