//! `exuvia run`: one program, in a sandbox, on this terminal.

use super::folder::Folder;
use super::progress::Bar;
use super::report::{self, Report};
use super::{Failure, Status, files, inputs, packages, print};
use crate::packages::{Images, Judge};
use crate::shelf::name;
use bytesize::ByteSize;
use exuvia_runtime::{
    Cache, Clock, Config, Effect, Host, Input, Isolated, LeftOut, Limits, Outcome, Pending, Program, Sandbox, Spill,
    Stream,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Most bytes of the program's large files.
const DISK: u64 = 16 << 30;
/// Most files that are written at its end.
const MOST_ARTIFACTS: usize = 10_000;

/// Run a program and print what it prints
///
/// The program starts in a fresh interpreter, in an empty working directory, without network. The value of its last
/// expression is printed, as in a notebook.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The program; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Set a variable before the program starts
    #[arg(long = "input", value_name = "NAME=JSON")]
    input: Vec<String>,
    /// Set all variables of a JSON object
    #[arg(long, value_name = "FILE.json")]
    inputs: Option<PathBuf>,
    /// Print a variable after the program has ended
    #[arg(long = "output", value_name = "NAME")]
    output: Vec<String>,
    /// Stop the program after this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Give the program this much memory, its files included
    #[arg(long, value_name = "SIZE", default_value = "512MiB")]
    memory: ByteSize,
    /// Seed all randomness, so that a run can be repeated; without it every run differs
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Give it a file, in /mnt/data under its own name or another; may be given several times
    #[arg(long = "file", value_name = "PATH[=NAME]")]
    files: Vec<String>,
    /// Write the files that it leaves in /mnt/data into this folder
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long, requires = "artifacts")]
    force: bool,
    /// Print one JSON object, and nothing else
    #[arg(long)]
    json: bool,
    /// Give the program a package that is not built in, as in `humanize` or `rich>=13`
    #[arg(long = "with", value_name = "PACKAGE")]
    with: Vec<String>,
    /// Run it in an image that `exuvia image build` made
    #[arg(long, value_name = "NAME", env = "EXUVIA_IMAGE")]
    image: Option<String>,
    #[command(flatten)]
    from: packages::From,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let mut program = inputs::program(&arguments.file)?;
    program.inputs = inputs::inputs(arguments.inputs.as_deref(), &arguments.input)?;
    for name in &arguments.output {
        inputs::check_name("output", name)?;
    }
    program.outputs.clone_from(&arguments.output);
    program.seed = seed(arguments.seed)?;
    program.files = given(&arguments.files)?;
    // Before the run: a folder that cannot be had should be said at once.
    let target = arguments.artifacts.as_ref().map(|folder| {
        let opened = Folder::open(folder, arguments.force);
        opened.map_err(|error| Failure::Usage(format!("could not open the folder `{}`: {error}", folder.display())))
    });
    let target = target.transpose()?;
    let limits = Limits {
        wall: arguments.timeout,
        cpu: arguments.timeout,
        memory: arguments.memory.as_u64(),
        files: arguments.memory.as_u64(),
        disk: DISK,
        artifacts: if target.is_some() { MOST_ARTIFACTS } else { 0 },
        ..Limits::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { doing: "start the runtime", source })?;

    let sandbox = sandbox(arguments, &mut program)?;
    let host: Box<dyn Host> =
        if arguments.json { Box::new(Isolated::default()) } else { Box::new(Terminal::default()) };
    let cancel = CancellationToken::new();
    cancel_on_signal(&cancel)?;
    let outcome = runtime.block_on(sandbox.run(&program, &limits, host, cancel))?;
    if arguments.json {
        print::out(&serde_json::to_string(&Report::new(&outcome)).unwrap_or_default());
    } else {
        show(&outcome, &arguments.output);
    }
    if let Some(target) = target {
        write(&outcome, &target)?;
    }
    let status = report::status(&outcome);
    // The process ends here: giving its memory back piece by piece would take longer than the run.
    std::mem::forget(sandbox);
    Ok(status)
}

/// Python, and in `program` the packages that are asked for.
fn sandbox(arguments: &Arguments, program: &mut Program) -> Result<Arc<Sandbox>, Failure> {
    let (cache, spill) = (Cache::of_user()?, Some(Spill::temporary(DISK)));
    let image = arguments.image.as_deref();
    let wanted = packages::requirements(&arguments.with)?;
    if wanted.is_empty() {
        let extension = image.map(|name| Images::new(&cache).open(name)).transpose()?.map(|(_, extension)| extension);
        let config = Config { slots: 1, extension, spill, ..Config::new(cache) };
        return Ok(Arc::new(Sandbox::open(&config, &Bar::new())?));
    }
    let (sandbox, packages) = packages::with_sandbox(&cache, image, &arguments.from, spill)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|source| Failure::System { doing: "start the runtime", source })?;
    let wanted = packages.wanted(&wanted).map_err(Failure::Usage)?;
    if !wanted.is_empty() {
        program.packages = Some(runtime.block_on(packages.choose(Judge::Operator, &wanted))?);
    }
    Ok(sandbox)
}

/// The files that the program is given, by their names.
fn given(files: &[String]) -> Result<BTreeMap<String, Input>, Failure> {
    let mut given = BTreeMap::new();
    for file in files {
        let (path, name) = files::path_and_name(file);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.is_file(), file)));
        let opened = match opened {
            Ok((true, file)) => file,
            Ok((false, _)) => return Err(Failure::Usage(format!("`--file {file}` is not a file"))),
            Err(error) => return Err(Failure::Usage(format!("could not read `{}`: {error}", path.display()))),
        };
        given.insert(name, Input::File(Arc::new(opened)));
    }
    let names: Vec<_> = given.keys().map(String::as_str).collect();
    name::check_all(&names).map_err(Failure::Usage)?;
    Ok(given)
}

/// Writes what the program left, and says what it did not.
fn write(outcome: &Outcome, target: &Folder) -> Result<(), Failure> {
    let artifacts = &outcome.output().artifacts;
    for file in &artifacts.files {
        target.write(&file.name, &mut file.reader()).map_err(|error| files::not_written(&file.name, &error))?;
    }
    let LeftOut { too_many, too_long, links } = artifacts.left_out;
    let left_out = too_many + too_long + links;
    if left_out > 0 {
        print::error(&format!("exuvia: {left_out} links, or files beyond {MOST_ARTIFACTS}, are not written"));
    }
    Ok(())
}

/// Cancels at the first Ctrl-C. From a thread of its own, as the program holds this one while it computes.
pub(super) fn cancel_on_signal(cancel: &CancellationToken) -> Result<(), Failure> {
    let failed = |source| Failure::System { doing: "wait for signals", source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let cancel = cancel.clone();
    // The signal is caught from here on, not only once the thread has begun.
    let mut interrupts = {
        let _entered = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).map_err(failed)?
    };
    let wait = move || {
        runtime.block_on(interrupts.recv());
        cancel.cancel();
    };
    std::thread::Builder::new().name("exuvia-signals".into()).spawn(wait).map(drop).map_err(failed)
}

/// Prints what the program did not print itself.
fn show(outcome: &Outcome, wanted: &[String]) {
    let output = outcome.output();
    if let Some(result) = &output.result {
        print::out(result.get());
    }
    for name in wanted {
        if let Some(value) = output.outputs.get(name) {
            print::out(&format!("{name} = {value}"));
        }
    }
    match outcome {
        Outcome::Finished(_) => {}
        Outcome::Raised(_, traceback) => {
            let _ = write!(std::io::stderr(), "{}", traceback.traceback);
        }
        Outcome::Stopped(_, limit) => print::error(&format!("exuvia: {limit}")),
    }
    for name in &output.missing {
        print::error(&format!("exuvia: the program never set `{name}`, which `--output` asks for"));
    }
    for path in &output.reprs {
        print::error(&format!("exuvia: `{path}` has no form in JSON; its repr is shown"));
    }
}

fn seed(given: Option<u64>) -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    match given {
        Some(number) => {
            for (to, from) in seed.iter_mut().zip(number.to_le_bytes()) {
                *to = from;
            }
        }
        None => getrandom::fill(&mut seed)
            .map_err(|error| Failure::System { doing: "get random numbers from the system", source: error.into() })?,
    }
    Ok(seed)
}

/// A host that prints what the program prints, as it comes.
#[derive(Default)]
struct Terminal(Isolated);

impl Host for Terminal {
    fn clock(&mut self, clock: Clock) -> u64 {
        self.0.clock(clock)
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        // A reader that went away must not stop the program: its effects may be what the user wants.
        let _ = match stream {
            Stream::Stdout => {
                let mut out = std::io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            Stream::Stderr => std::io::stderr().write_all(bytes),
        };
    }

    fn start(&mut self, effect: Effect) -> Pending {
        self.0.start(effect)
    }
}
