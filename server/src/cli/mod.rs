//! The command line: what can be asked, and which exit status answers.

mod approvals;
mod audit;
mod client;
mod doctor;
mod files;
mod folder;
mod grants;
mod image;
mod inputs;
mod kept;
mod mcp;
mod mcp_file;
mod operator;
mod packages;
mod policy;
mod print;
mod progress;
mod replay;
mod report;
mod run;
mod secrets;
mod serve;
mod sessions;
mod show;
mod shown;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// The exit statuses, as README and `--help` list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Finished = 0,
    Raised = 1,
    Stopped = 2,
    OurError = 3,
    Usage = 64,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

const AFTER_HELP: &str = "\
Examples:
  exuvia run sales.py                           run a program
  exuvia run - < sales.py                       run what comes on standard input
  exuvia run sales.py --input year=2026 --output total
  exuvia run report.py --with humanize          run it with a package of the index
  exuvia serve --mcp-config mcp.json            start the server for Claude Code, Cursor and other clients
  exuvia run plot.py --file rows.csv --artifacts out    give it a file, and get those that it writes
  exuvia submit sales.py                        run a program on that server
  exuvia show UUID                              what happened to it; `exuvia replay UUID` runs it again
  exuvia mcp add time -- uvx mcp-server-time     add an MCP server
  exuvia mcp test                               connect to all, and print their tools
  exuvia doctor                                 see what is cached, and what is wrong

Exit status of `run`: 0 finished, 1 raised, 2 stopped by a limit, 3 our own error, 64 usage.";

#[derive(Debug, Parser)]
#[command(
    name = "exuvia",
    bin_name = "exuvia",
    version,
    about = "Run Python in a sandbox: real CPython with NumPy and pandas, a fresh interpreter for every run",
    after_help = AFTER_HELP,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Serve(serve::Arguments),
    Submit(client::Submit),
    Status(client::Look),
    List(client::List),
    Cancel(client::Cancel),
    Show(show::Arguments),
    Replay(replay::Arguments),
    Grants(grants::Arguments),
    Policy(policy::Arguments),
    Approvals(approvals::Arguments),
    Secrets(secrets::Arguments),
    Sessions(sessions::Arguments),
    Files(files::Arguments),
    Audit(audit::Arguments),
    Image(image::Arguments),
    Packages(packages::Arguments),
    Doctor(doctor::Arguments),
    Mcp(mcp::Arguments),
    /// Becomes a program that the kernel kills when the process that started it dies
    #[command(name = crate::upstream::GUARD, hide = true)]
    Guard {
        parent: u32,
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing is left to do when even the message cannot be written.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Status::Finished.into(),
                _ => Status::Usage.into(),
            };
        }
    };
    log(&arguments.command);
    let status = match &arguments.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Submit(arguments) => client::submit(arguments),
        Command::Status(arguments) => client::status(arguments),
        Command::List(arguments) => client::list(arguments),
        Command::Cancel(arguments) => client::cancel(arguments),
        Command::Show(arguments) => show::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Grants(arguments) => grants::run(arguments),
        Command::Policy(arguments) => policy::run(arguments),
        Command::Approvals(arguments) => approvals::run(arguments),
        Command::Secrets(arguments) => secrets::run(arguments),
        Command::Sessions(arguments) => sessions::run(arguments),
        Command::Files(arguments) => files::run(arguments),
        Command::Audit(arguments) => audit::run(arguments),
        Command::Image(arguments) => image::run(arguments),
        Command::Packages(arguments) => packages::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Mcp(arguments) => mcp::run(arguments),
        Command::Guard { parent, program, arguments } => Err(Failure::System {
            doing: "start the server",
            source: crate::upstream::guard(*parent, program, arguments),
        }),
    };
    match status {
        Ok(status) => status.into(),
        Err(failure) => {
            // What a server says may be in it.
            print::error(&shown::lines(&format!("exuvia: {failure}")));
            failure.status().into()
        }
    }
}

/// Sends the log to stderr. A server says what it does; other commands only what is wrong.
fn log(command: &Command) {
    // rmcp logs whole messages of servers that it does not expect, and authorization codes below that. All errors of its
    // service are answers to clients that have gone. The verifier's are what a program is told of a server's certificate.
    let usual = if matches!(command, Command::Serve(_)) {
        "warn,rmcp=error,rmcp::service=off,rustls_platform_verifier=off,exuvia=info"
    } else {
        "warn,rmcp=error,rmcp::service=off,rustls_platform_verifier=off"
    };
    let filter = EnvFilter::try_from_env("EXUVIA_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    format.with_ansi(std::io::stderr().is_terminal()).init();
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The user gave something that cannot be used.
    #[error("{0}")]
    Usage(String),
    #[error("{}", chain(.0))]
    Sandbox(#[from] exuvia_runtime::Error),
    #[error("{0}")]
    Config(#[from] crate::config::Error),
    #[error("{}", chain(.0))]
    Store(#[from] crate::store::Error),
    #[error("{}", chain(.0))]
    Executions(#[from] crate::executions::Error),
    #[error("{0}")]
    Grants(#[from] crate::grants::Error),
    #[error("{0}")]
    Packages(#[from] crate::packages::Error),
    /// A server, ours or another, did not do its part.
    #[error("{0}")]
    Server(String),
    #[error("could not {doing}: {source}")]
    System { doing: &'static str, source: std::io::Error },
}

impl Failure {
    fn status(&self) -> Status {
        match self {
            Self::Usage(_)
            | Self::Config(_)
            | Self::Grants(_)
            | Self::Sandbox(
                exuvia_runtime::Error::MemoryLimitTooLow { .. }
                | exuvia_runtime::Error::MemoryLimitTooHigh { .. }
                | exuvia_runtime::Error::ProgramTooLarge { .. }
                | exuvia_runtime::Error::TooManyOutputs { .. },
            ) => Status::Usage,
            Self::Packages(_)
            | Self::Sandbox(_)
            | Self::Store(_)
            | Self::Executions(_)
            | Self::Server(_)
            | Self::System { .. } => Status::OurError,
        }
    }
}

/// An error and all its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
