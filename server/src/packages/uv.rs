//! `uv` as a child process: what it is given of the environment, and bounds on its time and its words.
//!
//! It resolves and nothing else: it builds nothing, installs nothing, downloads no Python, and sees the names of packages in a file
//! that is written here, never on its command line.

use super::{Error, Index};
use rustix::process::{Pid, Signal, kill_process_group};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// How long a resolution may take. Usual are some 100 ms.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a lock, and of what is said besides.
const MOST_OUTPUT: usize = 4 << 20;
const MOST_WORDS: usize = 256 << 10;
/// What it gets of our environment: where things are, whom to trust, and how to reach the network.
const INHERITED: [&str; 16] = [
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "UV_SYSTEM_CERTS",
    "UV_INSECURE_HOST",
];
/// And where packages come from, when our own configuration does not say.
const OF_INDEX: [&str; 9] = [
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_INDEX_STRATEGY",
    "UV_KEYRING_PROVIDER",
    "UV_CONFIG_FILE",
    "XDG_CONFIG_HOME",
];

/// The program, and where it keeps what it has fetched.
#[derive(Debug, Clone)]
pub(super) struct Uv {
    pub(super) program: PathBuf,
    pub(super) cache: PathBuf,
}

/// What it printed, and whether it succeeded.
pub(super) struct Said {
    pub(super) succeeded: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Kills the process group when it is dropped: `uv` may have started a Python, to ask it for its version.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It fails when all have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Uv {
    /// Resolves the requirements file in `folder` for `platform`, and prints a lock.
    pub(super) async fn compile(
        &self,
        folder: &Path,
        index: &Index,
        platform: &str,
        more: &[&str],
    ) -> Result<Said, Error> {
        let mut command = Command::new(&self.program);
        command.env_clear();
        let inherited = INHERITED.iter().chain(if *index == Index::OfUv { &OF_INDEX[..] } else { &[] });
        for name in inherited {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .envs(index.variable())
            .args(["pip", "compile", "--format", "pylock.toml", "--no-header", "--no-progress", "--color", "never"])
            .args(["--only-binary", ":all:", "--no-python-downloads", "--python-version", "3.13"])
            .args(["--python-platform", platform])
            .arg("--cache-dir")
            .arg(&self.cache);
        if *index != Index::OfUv {
            // No file of this machine names another index.
            command.arg("--no-config");
        }
        command.args(index.arguments()).args(more).arg("requirements.in").current_dir(folder);
        self.run(command, PATIENCE).await
    }

    /// Its version, as it says it.
    pub(super) async fn version(&self) -> Result<String, Error> {
        let mut command = Command::new(&self.program);
        command.arg("--version");
        let said = self.run(command, Duration::from_secs(10)).await?;
        if said.succeeded { Ok(said.stdout.trim().to_owned()) } else { Err(Error::Uv { why: last(&said.stderr) }) }
    }

    async fn run(&self, mut command: Command, patience: Duration) -> Result<Said, Error> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|_| Error::NoUv { tried: self.program.clone() })?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let _group = Group(group);
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let ended = tokio::time::timeout(patience, async {
            tokio::join!(bounded(out, MOST_OUTPUT), bounded(err, MOST_WORDS), child.wait())
        });
        let (stdout, stderr, status) = ended.await.map_err(|_| Error::Slow(patience))?;
        let stdout = stdout.ok_or_else(|| Error::Uv { why: format!("it printed more than {MOST_OUTPUT} bytes") })?;
        let stderr = stderr.unwrap_or_else(|| "it said too much".into());
        Ok(Said { succeeded: status.as_ref().is_ok_and(ExitStatus::success), stdout, stderr })
    }
}

/// All that comes; none when that is more than `most`, after which nobody reads it.
async fn bounded(source: Option<impl AsyncRead + Unpin>, most: usize) -> Option<String> {
    let mut bytes = Vec::new();
    // What was read before it failed is as much as there is.
    let _ = source?.take(most as u64 + 1).read_to_end(&mut bytes).await;
    (bytes.len() <= most).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// The last line that says something.
pub(super) fn last(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    line.trim().chars().take(300).collect()
}
