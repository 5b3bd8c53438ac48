//! `exuvia replay`: a recorded execution once more, without the world.
//!
//! `given` gets together what it ran with; `known` is what the record says; `host` has the hosts of a replay, and `script` that of another script; `judge` decides calls
//! by another policy; `seen` is what it came to, and `report` says that.

mod given;
mod host;
mod judge;
mod known;
mod report;
mod script;
mod seen;
mod words;

use super::kept::{Kept, Where};
use super::run::cancel_on_signal;
use super::shown::visible;
use super::{Failure, Status, inputs};
use crate::executions::Bounds;
use exuvia_runtime::{
    self as runtime, Cache, Config, Host, Journal, Limits, Outcome, Program, Sandbox, Spill, Verdict,
};
use host::{Nothing, Watching};
use judge::Judge;
use known::All;
use report::Report;
use script::Answers;
use seen::{Seen, Why};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A replay may take so many times as long as the execution computed, and so much longer; unless it is told to take longer, a day.
const SLOWER: f64 = 4.0;
const SPARE: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Most of what a record may have a replay keep, whatever it says: bytes of each stream in memory, and of files on the disk.
const MOST_OUTPUT: usize = 256 << 20;
const MOST_DISK: u64 = 16 << 30;

/// Run a recorded execution again without touching the world, and compare what comes of it
///
/// Everything that it was told is told it again, from its journal; nothing is called. Exit status: that of the program as in
/// `exuvia run`; 1 too when another policy decides something else or the effect of `--until` is not reached; 3 when the
/// replay differs from what was recorded.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    uuid: String,
    /// Stop before this effect, numbered as `exuvia show` does, is answered, and say where the program stands
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    until: Option<u64>,
    /// Say which calls this policy would have decided otherwise
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Run this script instead, with the recorded answers; what the record does not have stops it
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// A file that it was given and that is not kept any more; may be given several times
    #[arg(long = "file", value_name = "PATH[=NAME]")]
    files: Vec<String>,
    /// Print each effect as the program begins it
    #[arg(long)]
    trace: bool,
    /// Stop the replay after this long [default: four times what the execution computed, and a minute, and at most a day]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    at: Where,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let policy = arguments.policy.as_deref().map(super::policy::read).transpose()?;
    let script = arguments.script.as_deref().map(inputs::program).transpose()?;
    let kept = arguments.at.kept(&arguments.uuid)?;
    let all = All::of(&kept.journal);
    let cache = Cache::of_user()?;
    check(&kept, &all, arguments)?;
    let cancel = CancellationToken::new();
    let recorded = &kept.recorded;
    let judge =
        policy.map(|policy| Judge::new(policy, recorded.grant(), recorded.schemas.clone(), recorded.asked.clone()));
    let limits = limits(recorded.bounds(), recorded.cpu_ms(), arguments.timeout);
    let config = Config { slots: 1, spill: Some(Spill::temporary(limits.disk)), ..Config::new(cache.clone()) };
    let sandbox = given::sandbox(&config, recorded, arguments.script.is_some())?;
    let seen = Seen::new(limits.output, judge, cancel.clone());
    let program = Program {
        files: given::files(&arguments.at, &kept, &arguments.files)?,
        packages: given::packages(&cache, recorded)?,
        ..program(&kept, script)
    };
    let (host, verdict) = host(&kept, all, &seen, arguments, &cancel)?;
    let outcome = ran(sandbox, &program, &limits, host, cancel)?;
    seen.lock().finish();
    Ok(Report { kept: &kept, seen: &seen, arguments, verdict, took: limits.wall }.of(outcome))
}

/// Whether the record is one that can be replayed here.
fn check(kept: &Kept, all: &All, arguments: &Arguments) -> Result<(), Failure> {
    let shown = all.shown();
    if let Some(why) = &kept.damage
        && arguments.until.is_none_or(|until| until > shown as u64)
    {
        let how = if shown == 0 { "" } else { "; `--until` with an effect before that replays it so far" };
        return Err(Failure::Server(format!(
            "the journal of this execution is damaged after effect #{shown}: {}{how}",
            visible(why)
        )));
    }
    match kept.recorded.lacks() {
        Some(why) => Err(Failure::Usage(why)),
        None => Ok(()),
    }
}

/// The limits that the execution had, as far as a record is believed. Memory is bounded by the sandbox.
fn limits(bounds: Option<Bounds>, cpu_ms: Option<f64>, timeout: Option<Duration>) -> Limits {
    let computed = cpu_ms.unwrap_or_default().max(0.0) / 1e3;
    let usual = Duration::try_from_secs_f64(computed * SLOWER).unwrap_or(LONGEST).saturating_add(SPARE).min(LONGEST);
    let wall = timeout.unwrap_or(usual);
    let limits = Limits { wall, cpu: wall, ..Limits::default() };
    match bounds {
        Some(Bounds { memory, files, output, disk }) => {
            Limits { memory, files, output: output.min(MOST_OUTPUT), disk: disk.min(MOST_DISK), ..limits }
        }
        None => limits,
    }
}

fn program(kept: &Kept, script: Option<Program>) -> Program {
    let program = kept.recorded.program();
    match script {
        Some(script) => Program { source: script.source, name: script.name, ..program },
        None => program,
    }
}

/// The host, and what a journal says in the end.
fn host(
    kept: &Kept,
    all: All,
    seen: &Seen,
    arguments: &Arguments,
    cancel: &CancellationToken,
) -> Result<(Box<dyn Host>, Option<Verdict>), Failure> {
    let (inner, known, verdict): (Box<dyn Host>, _, _) = if arguments.script.is_some() {
        let answers = Answers::new(seen.clone(), kept.journal.clone(), all, kept.recorded.started());
        (Box::new(answers), Arc::default(), None)
    } else {
        // What a replay writes where the record ends is forgotten with it.
        let bounds = runtime::Bounds { bytes: u64::MAX, entries: u64::MAX, patience: None };
        let journal = Journal::open(Arc::new(kept.journal.clone()), bounds, cancel.clone());
        let journal =
            journal.map_err(|why| Failure::Server(format!("the journal cannot be read: {}", visible(&why))))?;
        let verdict = journal.verdict();
        let journaled = journal.before(Box::new(Nothing { seen: seen.clone() }));
        (Box::new(journaled), Arc::new(all.effects), Some(verdict))
    };
    let ends = if verdict.is_some() { Why::RecordEnds } else { Why::NotRecorded };
    let (seen, until, trace) = (seen.clone(), arguments.until, arguments.trace);
    Ok((Box::new(Watching { seen, inner, known, begun: 0, ends, until, trace }), verdict))
}

fn ran(
    sandbox: Sandbox,
    program: &Program,
    limits: &Limits,
    host: Box<dyn Host>,
    cancel: CancellationToken,
) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { doing: "start the runtime", source })?;
    cancel_on_signal(&cancel)?;
    let outcome = runtime.block_on(sandbox.run(program, limits, host, cancel))?;
    // The process ends here, as in `run`.
    std::mem::forget(sandbox);
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen to fail with the record believed.
    #[test]
    fn a_record_may_not_ask_for_what_no_server_kept() {
        let all = Bounds { memory: 512 << 20, files: 256 << 20, output: usize::MAX, disk: u64::MAX };
        let Limits { wall, cpu, memory, files, disk, output, .. } = limits(Some(all), Some(1e15), None);
        let most = (LONGEST, LONGEST, 512 << 20, 256 << 20, MOST_DISK, MOST_OUTPUT);
        assert_eq!((wall, cpu, memory, files, disk, output), most);
        for (computed, seconds) in [(f64::INFINITY, 86_400), (f64::NAN, 60), (-1.0, 60), (2000.0, 68)] {
            assert_eq!(limits(None, Some(computed), None).wall, Duration::from_secs(seconds), "{computed}");
        }
        let usual = Bounds { output: 64 << 10, disk: 1 << 30, ..all };
        let Limits { wall, disk, output, .. } = limits(Some(usual), None, Some(Duration::from_secs(200_000)));
        assert_eq!((wall, disk, output), (Duration::from_secs(200_000), 1 << 30, 64 << 10));
    }
}
