//! `exuvia.toml`: one struct, unknown fields refused, checked whole before a port is bound.

mod data;
mod files;
mod source;

pub(crate) use data::{Data, write_atomically};
use files::Files;
use source::Source;

use crate::{egress, executions, packages, sessions};
use bytesize::ByteSize;
use exuvia_runtime::Limits;
use serde::Deserialize;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that an operator decides.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// The folder of everything that is kept. By default below the user's data folder.
    pub(crate) data: Option<PathBuf>,
    /// The file that lists upstream MCP servers.
    #[expect(clippy::struct_field_names, reason = "it is called so in every client")]
    pub(crate) mcp_config: Option<PathBuf>,
    /// The policy of the grant `local`. Without one, code runs and reaches nothing.
    pub(crate) policy: Option<PathBuf>,
    /// The URL by which browsers and clients reach this server, when it is not that of `listen`.
    pub(crate) public_url: Option<String>,
    /// Host names that clients may use to reach it, beside loopback and that of `public_url`.
    pub(crate) allowed_hosts: Vec<String>,
    /// Origins of web pages that may use it.
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) auth: Auth,
    pub(crate) executions: Executions,
    pub(crate) upstream: Upstream,
    pub(crate) retention: Retention,
    pub(crate) approvals: Approvals,
    pub(crate) sessions: Sessions,
    pub(crate) files: Files,
    pub(crate) egress: Egress,
    pub(crate) packages: Packages,
    /// What programs run in: an image of `exuvia image build`, by its name. By default the built-in one.
    pub(crate) image: Option<String>,
}

/// Who may use the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Auth {
    /// Keys as soon as a grant exists; until then everybody on this machine.
    Auto,
    /// Everybody who reaches it. Only on loopback.
    None,
    /// Whoever has the key of a grant.
    ApiKeys,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Executions {
    /// Most executions under way at once.
    pub(crate) at_once: u32,
    /// Most executions that wait for their turn.
    pub(crate) queue: usize,
    /// Threads for programs that do not compute for long; by default one for each processor. Those that do get more.
    pub(crate) threads: Option<usize>,
    /// Memory of one execution, its files included.
    pub(crate) memory: ByteSize,
    /// Most bytes kept of each of stdout and stderr.
    pub(crate) output: ByteSize,
    /// Most bytes of a result, and of each output variable, that an answer has; all of it is kept beside.
    pub(crate) result: ByteSize,
    /// Most bytes kept of what one execution was told, so that it outlives the server.
    pub(crate) journal: ByteSize,
    /// Most things that one execution is told: a replay takes time for each.
    pub(crate) journal_entries: u64,
    /// A job that has waited so long leaves memory until what it waits for is there.
    #[serde(with = "duration")]
    pub(crate) suspend_after: Duration,
    /// But only once it has waited so many times as long as it had computed, as that is done again when it goes on.
    pub(crate) suspend_factor: u32,
    /// Most jobs that only sleep, and are not in memory.
    pub(crate) sleeping: usize,
    /// How often in a row an execution is begun again that was running when the server died.
    pub(crate) recoveries: u32,
    /// Before the third beginning; four times as long before each further one.
    #[serde(with = "duration")]
    pub(crate) recovery_pause: Duration,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Upstream {
    /// Most time for connecting to a server.
    #[serde(with = "duration")]
    pub(crate) connect_timeout: Duration,
    /// Most time for one call, unless the server's own configuration says otherwise.
    #[serde(with = "duration")]
    pub(crate) call_timeout: Duration,
    /// Most calls to one server at once.
    pub(crate) parallel_calls: usize,
    /// The largest answer of one call.
    pub(crate) largest_answer: ByteSize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retention {
    /// Executions older than this are removed.
    #[serde(with = "duration")]
    pub(crate) age: Duration,
    /// The oldest above this number are removed.
    pub(crate) count: usize,
    /// Most bytes of the journals of executions that have ended. The oldest go first, before their executions.
    pub(crate) journals: ByteSize,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Approvals {
    /// Is told of each new request.
    pub(crate) webhook: Option<url::Url>,
    /// What its requests are signed with: `env:NAME` or `file:PATH`.
    pub(crate) webhook_secret: Option<Source>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sessions {
    /// Sessions that nobody used for so long are removed.
    #[serde(with = "duration")]
    pub(crate) idle: Duration,
    /// The largest session.
    pub(crate) largest: ByteSize,
    /// Most bytes of sessions in memory; all are on the disk besides.
    pub(crate) memory: ByteSize,
    /// Most bytes of all sessions on the disk.
    pub(crate) disk: ByteSize,
    /// Most bytes of the sessions of one grant.
    pub(crate) disk_per_grant: ByteSize,
}

/// Packages beside those that are built in.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Packages {
    /// The URL of an index, or a folder of wheels. By default what `uv` is configured with.
    pub(crate) index: Option<String>,
    /// The program that finds packages.
    pub(crate) uv: PathBuf,
    /// How long the versions that were found are used before newer ones are looked for.
    #[serde(with = "duration")]
    pub(crate) renew: Duration,
    /// Most bytes of packages on the disk.
    pub(crate) disk: ByteSize,
}

impl Default for Packages {
    fn default() -> Self {
        Self { index: None, uv: "uv".into(), renew: Duration::from_secs(24 * 3600), disk: ByteSize::gib(4) }
    }
}

/// HTTP from programs. Where it may go is the policy's to say.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Egress {
    /// Certificates, in PEM, of authorities to trust beside the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// The name server to ask instead of the system's resolver.
    pub(crate) dns: Option<SocketAddr>,
    /// Most time for a connection: resolving, connecting and TLS together.
    #[serde(with = "duration")]
    pub(crate) connect_timeout: Duration,
    /// Most time in which not a byte comes or goes.
    #[serde(with = "duration")]
    pub(crate) idle_timeout: Duration,
    /// Most time for one exchange.
    #[serde(with = "duration")]
    pub(crate) exchange_timeout: Duration,
    /// The largest body of one response.
    pub(crate) largest_response: ByteSize,
}

impl Default for Egress {
    fn default() -> Self {
        Self {
            ca_file: None,
            dns: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            exchange_timeout: Duration::from_secs(30 * 60),
            largest_response: ByteSize::mib(256),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8787)),
            data: None,
            mcp_config: None,
            policy: None,
            public_url: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            auth: Auth::Auto,
            executions: Executions::default(),
            upstream: Upstream::default(),
            retention: Retention::default(),
            approvals: Approvals::default(),
            sessions: Sessions::default(),
            files: Files::default(),
            egress: Egress::default(),
            packages: Packages::default(),
            image: None,
        }
    }
}

impl Default for Executions {
    fn default() -> Self {
        Self {
            at_once: 1000,
            queue: 10_000,
            threads: None,
            memory: ByteSize::mib(512),
            output: ByteSize::kib(64),
            result: ByteSize::kib(256),
            journal: ByteSize::mib(256),
            journal_entries: 10_000_000,
            suspend_after: Duration::from_secs(10),
            suspend_factor: 100,
            sleeping: 1_000_000,
            recoveries: 5,
            recovery_pause: Duration::from_secs(1),
        }
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(120),
            parallel_calls: 32,
            largest_answer: ByteSize::mib(16),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Duration::from_secs(7 * 24 * 3600), count: 100_000, journals: ByteSize::gib(4) }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(24 * 3600),
            largest: ByteSize::mib(256),
            memory: ByteSize::mib(512),
            disk: ByteSize::gib(16),
            disk_per_grant: ByteSize::gib(4),
        }
    }
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not read the configuration `{}`: {source}", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the configuration `{}` is wrong:\n{source}", .path.display())]
    Parse { path: PathBuf, source: toml::de::Error },
    #[error("`{field}` is wrong: {why}")]
    Field { field: &'static str, why: String },
    #[error("no folder for the data: set `--data` or `HOME`")]
    NoDataFolder,
}

impl Config {
    /// Reads `path`, or gives the defaults where there is none.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
        toml::from_str(&text).map_err(|source| Error::Parse { path: path.into(), source })
    }

    /// Looks at everything that a type alone does not say.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |field, why: &str| Err(Error::Field { field, why: why.into() });
        if self.auth == Auth::None && !self.listen.ip().is_loopback() {
            return wrong(
                "auth",
                "`none` lets everybody on the network run code: listen on 127.0.0.1, or use `api-keys` and \
                 `exuvia grants create NAME`",
            );
        }
        let executions = &self.executions;
        if !(1..=50_000).contains(&executions.at_once) {
            return wrong("executions.at_once", "give a number between 1 and 50000");
        }
        if executions.threads == Some(0) {
            return wrong("executions.threads", "at least one thread is needed");
        }
        if self.upstream.parallel_calls == 0 {
            return wrong("upstream.parallel_calls", "at least one call is needed");
        }
        if let Err(why) = self.index() {
            return wrong("packages.index", why);
        }
        if let Some(url) = &self.public_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            return wrong("public_url", "give a whole URL, as in `https://exuvia.example.org`");
        }
        if let Some(url) = &self.approvals.webhook {
            if !is_private(url) {
                return wrong(
                    "approvals.webhook",
                    "what it is told is for the operator alone: give an `https://` address",
                );
            }
            if self.approvals.webhook_secret.is_none() {
                return wrong("approvals.webhook_secret", "its requests are signed: give `env:NAME` or `file:PATH`");
            }
        }
        Ok(())
    }

    pub(crate) fn settings(&self) -> executions::Settings {
        let executions = &self.executions;
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let memory = executions.memory.as_u64();
        executions::Settings {
            at_once: executions.at_once as usize,
            queue: executions.queue,
            threads: executions.threads.unwrap_or_else(processors),
            limits: Limits {
                memory,
                files: memory,
                disk: self.files.disk_per_execution.as_u64(),
                artifacts: self.files.count,
                output: usize::try_from(executions.output.as_u64()).unwrap_or(usize::MAX),
                ..Limits::default()
            },
            result: usize::try_from(executions.result.as_u64()).unwrap_or(usize::MAX),
            artifacts: self.files.kept_per_execution.as_u64(),
            printed: self.files.printed.as_u64(),
            journal: executions.journal.as_u64(),
            journal_entries: executions.journal_entries,
            suspend_after: executions.suspend_after,
            suspend_factor: executions.suspend_factor,
            sleeping: executions.sleeping,
            recoveries: executions.recoveries,
            recovery_pause: executions.recovery_pause,
            keep_for: self.retention.age,
            keep_most: self.retention.count,
            keep_journals: self.retention.journals.as_u64(),
        }
    }

    pub(crate) fn session_settings(&self) -> sessions::Settings {
        let Sessions { idle, largest, memory, disk, disk_per_grant } = &self.sessions;
        sessions::Settings {
            idle: *idle,
            largest: largest.as_u64(),
            memory: memory.as_u64(),
            disk: disk.as_u64(),
            disk_per_grant: disk_per_grant.as_u64(),
        }
    }

    pub(crate) fn package_settings(&self) -> packages::Settings {
        let Packages { uv, renew, disk, .. } = &self.packages;
        // It was checked.
        let index = self.index().unwrap_or_default();
        packages::Settings { index, uv: uv.clone(), renew: *renew, disk: disk.as_u64() }
    }

    fn index(&self) -> Result<packages::Index, &'static str> {
        self.packages.index.as_deref().map_or(Ok(packages::Index::OfUv), packages::Index::parse)
    }

    pub(crate) fn egress_settings(&self) -> egress::Settings {
        let Egress { ca_file, dns, connect_timeout, idle_timeout, exchange_timeout, largest_response } = &self.egress;
        egress::Settings {
            ca_file: ca_file.clone(),
            dns: *dns,
            connect: *connect_timeout,
            idle: *idle_timeout,
            exchange: *exchange_timeout,
            largest_response: largest_response.as_u64(),
        }
    }

    /// The URL that clients are told.
    pub(crate) fn base_url(&self, bound: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{bound}"),
        }
    }
}

/// Whether nobody on the way can read what is sent there.
fn is_private(url: &url::Url) -> bool {
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

/// Durations as people write them: `30s`, `7 days`.
mod duration {
    use serde::{Deserialize, Deserializer, de::Error};
    use std::time::Duration;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format_args!("`{text}` is not a duration ({error}): write `30s` or `7 days`"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        let config = read("").unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8787");
        assert_eq!(config.executions.memory, ByteSize::mib(512));
    }

    #[test]
    fn a_misspelt_field_is_refused_with_those_that_exist() {
        let error = read("[executions]\nat_onec = 3").unwrap_err();
        assert!(error.contains("unknown field `at_onec`, expected one of `at_once`, `queue`"), "{error}");
    }

    #[test]
    fn no_keys_on_a_public_address_is_refused() {
        let error = read("listen = \"0.0.0.0:8787\"\nauth = \"none\"").unwrap_err();
        assert!(error.starts_with("`auth` is wrong: `none` lets everybody on the network run code"), "{error}");
        assert!(read("listen = \"0.0.0.0:8787\"\nauth = \"api-keys\"").is_ok());
    }

    #[test]
    fn a_webhook_is_private_and_signed() {
        let with = |url: &str| read(&format!("[approvals]\nwebhook = \"{url}\"\nwebhook_secret = \"env:X\""));
        for url in ["https://hooks.example.org/a", "http://127.0.0.1:9/a", "http://[::1]/", "http://localhost/"] {
            assert!(with(url).is_ok(), "{url}");
        }
        let error = with("http://hooks.example.org/a").unwrap_err();
        assert!(
            error.starts_with("`approvals.webhook` is wrong: what it is told is for the operator alone"),
            "{error}"
        );
        let error = read("[approvals]\nwebhook = \"https://hooks.example.org\"").unwrap_err();
        assert!(error.starts_with("`approvals.webhook_secret` is wrong: its requests are signed"), "{error}");
        let error = read("[approvals]\nwebhook_secret = \"hunter2\"").unwrap_err();
        assert!(error.contains("write `env:NAME` or `file:PATH`") && !error.contains("hunter2\","), "{error}");
    }

    #[test]
    fn durations_and_sizes_are_read_as_people_write_them() {
        let config = read("[retention]\nage = \"2 days\"\n[executions]\nmemory = \"1GiB\"").unwrap();
        assert_eq!(config.retention.age, Duration::from_secs(2 * 24 * 3600));
        assert_eq!(config.executions.memory, ByteSize::gib(1));
        let error = read("[retention]\nage = \"soon\"").unwrap_err();
        assert!(error.contains("write `30s` or `7 days`"), "{error}");
    }
}
