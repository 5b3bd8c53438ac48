//! The process of a server that speaks over standard input and output: how it starts, what it writes to stderr, how it ends.

use super::config::Stdio;
use super::error::{ConnectError, short};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What of our environment a server gets. All else is named in its `env`.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];
/// How much of stderr is kept, in bytes.
const STDERR_KEPT: usize = 4 << 10;
/// How long a server has to end after its input has, and again after it was asked to.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the last words of a process that has ended are waited for.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// The hidden command of the binary that `guard` is.
pub(crate) const GUARD: &str = "stdio-guard";

/// A running server. Dropping it kills its process group.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    /// The group that it leads. It has the number of the process, and keeps it while any member lives.
    group: Option<Pid>,
    stderr: Arc<Tail>,
    drain: JoinHandle<()>,
}

/// The end of what a process wrote to stderr.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<VecDeque<u8>>);

impl Tail {
    pub(super) fn text(&self) -> String {
        let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        // The last lines say why; the first ones often greet.
        let lines: Vec<_> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(6).collect();
        short(&lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    async fn drain(self: Arc<Self>, mut stderr: ChildStderr) {
        let mut buffer = vec![0; 4 << 10];
        while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
            let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend(buffer.get(..read).unwrap_or_default());
            let excess = tail.len().saturating_sub(STDERR_KEPT);
            tail.drain(..excess);
        }
    }
}

impl Child {
    /// Starts the server in a process group of its own. With `guard`, the kernel kills it when this process dies.
    pub(super) async fn start(
        stdio: &Stdio,
        guard: Option<&Path>,
    ) -> Result<(Self, ChildStdin, ChildStdout), ConnectError> {
        let failed = |why: String| ConnectError::Start { command: stdio.command.clone(), why };
        let mut command = command(stdio, guard).map_err(failed)?;
        command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut process = spawn(command).await.map_err(|error| failed(error.to_string()))?;
        let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(input), Some(output), Some(stderr)) = pipes else {
            return Err(failed("its standard streams are missing".into()));
        };
        let tail = Arc::new(Tail::default());
        let drain = tokio::spawn(Arc::clone(&tail).drain(stderr));
        let group = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok((Self { process, group, stderr: tail, drain }, input, output))
    }

    pub(super) fn stderr(&self) -> Arc<Tail> {
        Arc::clone(&self.stderr)
    }

    /// Waits for the end of a process whose output has ended, and kills it when it lives on.
    pub(super) async fn ended(mut self) -> String {
        let status = if let Ok(status) = timeout(LAST_WORDS, self.process.wait()).await {
            status.ok()
        } else {
            self.signal(Signal::KILL);
            let _ = self.process.wait().await;
            None
        };
        // What the process started may still hold its stderr.
        let _ = timeout(LAST_WORDS, &mut self.drain).await;
        status.map_or_else(|| "it closed its output".to_owned(), describe)
    }

    /// Ends a server whose input has been closed, as MCP asks: wait, then SIGTERM, then SIGKILL, for its whole group.
    pub(super) async fn stop(mut self) {
        if timeout(PATIENCE, self.process.wait()).await.is_err() {
            self.signal(Signal::TERM);
            if timeout(PATIENCE, self.process.wait()).await.is_err() {
                self.signal(Signal::KILL);
                let _ = self.process.wait().await;
            }
        }
    }

    /// To all of its group, so that what it started ends, too.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It fails when all of the group have ended, which is what was wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // What it started may have outlived it. The runtime reaps the process itself (`kill_on_drop`).
        self.signal(Signal::KILL);
        self.drain.abort();
    }
}

fn describe(status: ExitStatus) -> String {
    status.to_string()
}

fn command(stdio: &Stdio, guard: Option<&Path>) -> Result<Command, String> {
    let path =
        stdio.environment.get("PATH").map(|path| path.expose().to_owned()).or_else(|| std::env::var("PATH").ok());
    let program = find(&stdio.command, path.as_deref().unwrap_or_default(), stdio.folder.as_deref())?;
    let mut command = match guard {
        Some(guard) => {
            let mut command = Command::new(guard);
            command.args([GUARD, &std::process::id().to_string()]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(&stdio.arguments).env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(stdio.environment.iter().map(|(name, value)| (name, value.expose())));
    if let Some(folder) = &stdio.folder {
        if !folder.is_dir() {
            return Err(format!("its folder `{}` does not exist", folder.display()));
        }
        command.current_dir(folder);
    }
    Ok(command)
}

/// The file of a program, as a shell would find it. Found here, so that the error says where was looked.
fn find(program: &str, path: &str, folder: Option<&Path>) -> Result<PathBuf, String> {
    let runs = |file: &Path| {
        file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        let file =
            std::path::absolute(folder.unwrap_or(Path::new("")).join(program)).map_err(|error| error.to_string())?;
        return if runs(&file) { Ok(file) } else { Err(format!("`{}` is no executable file", file.display())) };
    }
    std::env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_absolute() && runs(file))
        .ok_or_else(|| format!("it is not in PATH ({path}); install it, or give its whole path"))
}

type Job = Box<dyn FnOnce() + Send>;

/// Starts a process from a thread that lives as long as this process: the kernel kills a guarded child when the *thread*
/// that started it ends, and the runtime's threads come and go.
async fn spawn(mut command: Command) -> io::Result<tokio::process::Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        // Without the thread the channel is closed, and spawning says so.
        let _ = std::thread::Builder::new().name("upstream-spawner".into()).spawn(move || {
            for job in jobs {
                job();
            }
        });
        sender
    });
    let runtime = tokio::runtime::Handle::current();
    let (answer, process) = tokio::sync::oneshot::channel();
    let job = move || {
        let _inside = runtime.enter();
        let _ = answer.send(command.spawn());
    };
    let gone = || io::Error::other("the thread that starts processes is gone");
    spawner.send(Box::new(job)).map_err(|_| gone())?;
    process.await.map_err(|_| gone())?
}

/// Becomes the program, after asking the kernel to kill it when `parent` dies. Runs in a process of its own, as a new process
/// can ask for nothing before its program starts without `unsafe` code in ours. Returns only when it failed.
pub(crate) fn guard(parent: u32, program: &Path, arguments: &[std::ffi::OsString]) -> io::Error {
    use std::os::unix::process::CommandExt;
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // It may have died before it was asked for.
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned()) != Some(parent) {
        return io::Error::other("the process that started this one has ended");
    }
    std::process::Command::new(program).args(arguments).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        assert_eq!(find("sh", "/nowhere:/bin", None).unwrap(), PathBuf::from("/bin/sh"));
        assert_eq!(find("./sh", "", Some(Path::new("/bin"))).unwrap(), PathBuf::from("/bin/./sh"));
        assert_eq!(find("/bin/none", "", None).unwrap_err(), "`/bin/none` is no executable file");
        assert_eq!(
            find("none", "/bin", None).unwrap_err(),
            "it is not in PATH (/bin); install it, or give its whole path"
        );
    }
}
