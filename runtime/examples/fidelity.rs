//! Runs one program with folders of this machine's files given to it. `fidelity/run.py` compares, with it, what test
//! suites say in the sandbox and outside.
//!
//! The job is a JSON object on standard input. What the program prints goes to standard output as it comes; one line
//! of JSON on standard error tells how the run ended.

use anyhow::Context;
use exuvia_runtime::{
    Cache, Clock, Config, Effect, Host, Input, Isolated, Limits, Outcome, Pending, Program, Sandbox, Silent, Stream,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    source: String,
    inputs: indexmap::IndexMap<String, Box<RawValue>>,
    /// Where in the guest, and which folder of this machine.
    folders: Vec<(String, PathBuf)>,
    seconds: u64,
    memory: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let job: Job = serde_json::from_reader(stdin().lock()).context("could not read the job")?;
    let mut program = Program { source: job.source, inputs: job.inputs, ..Program::default() };
    for (place, folder) in &job.folders {
        give(&mut program.files, place, folder).with_context(|| format!("could not read `{}`", folder.display()))?;
    }
    let limits = Limits {
        wall: Duration::from_secs(job.seconds),
        cpu: Duration::from_secs(job.seconds),
        memory: job.memory,
        files: job.memory,
        ..Limits::default()
    };
    let sandbox = Sandbox::open(&Config { slots: 1, ..Config::new(Cache::of_user()?) }, &Silent)?;
    let outcome = sandbox.run(&program, &limits, Box::new(Printing::default()), CancellationToken::new()).await?;
    let ending = match outcome {
        Outcome::Finished(_) => serde_json::json!({"ended": "finished"}),
        Outcome::Raised(_, traceback) => serde_json::json!({"ended": "raised", "why": traceback.traceback}),
        Outcome::Stopped(_, limit) => serde_json::json!({"ended": "stopped", "why": limit.to_string()}),
    };
    eprintln!("{ending}");
    Ok(())
}

/// Adds what lies below `folder`, but for compiled files: they would be of another Python.
fn give(files: &mut BTreeMap<String, Input>, place: &str, folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        let place = format!("{place}/{name}");
        if fs::metadata(entry.path())?.is_dir() {
            if name != "__pycache__" {
                give(files, &place, &entry.path())?;
            }
        } else if !name.is_empty() && Path::new(&name).extension() != Some("so".as_ref()) {
            files.insert(place, Input::Bytes(fs::read(entry.path())?.into()));
        }
    }
    Ok(())
}

/// A host that grants nothing and prints what the program prints.
#[derive(Default)]
struct Printing(Isolated);

impl Host for Printing {
    fn clock(&mut self, clock: Clock) -> u64 {
        self.0.clock(clock)
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        if stream == Stream::Stdout {
            // Nobody is left to tell when the reader has gone.
            let _ = stdout().write_all(bytes);
        }
    }

    fn start(&mut self, effect: Effect) -> Pending {
        self.0.start(effect)
    }
}
