//! `mcp.json`, in the formats that people already have. Connecting is left to `connection`.

use super::expand::{Variables, expand, variables_of_file};
use super::secret::Secret;
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::CstRootNode;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs, io};

/// Largest configuration that is read.
const LARGEST_FILE: u64 = 4 << 20;
/// Longest name of a server, in bytes: it is a part of every alias.
const LONGEST_NAME: usize = 100;
/// The keys below which servers are listed: Claude's and Cursor's, and VS Code's.
pub(crate) const LISTS: [&str; 2] = ["mcpServers", "servers"];
/// All keys of a server that mean something here.
const KEYS: [&str; 12] = [
    "type",
    "command",
    "args",
    "env",
    "envFile",
    "cwd",
    "url",
    "httpUrl",
    "serverUrl",
    "headers",
    "disabled",
    "timeout",
];

/// One MCP server of the user's.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) transport: Transport,
    pub(crate) disabled: bool,
    /// How long a call may take, when not as the settings say.
    pub(crate) timeout: Option<Duration>,
    /// All that must not be shown.
    pub(crate) secrets: Vec<Secret>,
}

/// How a server is reached.
#[derive(Clone)]
pub(crate) enum Transport {
    Stdio(Stdio),
    Http(Http),
    /// It cannot be reached as it is configured, for this reason.
    Misconfigured(String),
}

#[derive(Clone, Default)]
pub(crate) struct Stdio {
    pub(crate) command: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, Secret>,
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) url: reqwest::Url,
    pub(crate) headers: BTreeMap<String, Secret>,
}

impl Server {
    pub(crate) fn http(name: &str, url: reqwest::Url, headers: BTreeMap<String, Secret>) -> Self {
        let mut secrets: Vec<_> = headers.values().cloned().collect();
        secrets.extend(url.query().map(Secret::new));
        secrets.extend(url.password().map(Secret::new));
        let transport = Transport::Http(Http { url, headers });
        Self { name: name.to_owned(), transport, disabled: false, timeout: None, secrets }
    }

    pub(crate) fn stdio(name: &str, stdio: Stdio) -> Self {
        let secrets = stdio.environment.values().cloned().collect();
        Self { name: name.to_owned(), transport: Transport::Stdio(stdio), disabled: false, timeout: None, secrets }
    }
}

impl Transport {
    /// `stdio`, `http`, or `none` when it cannot be used.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Stdio(_) => "stdio",
            Self::Http(_) => "http",
            Self::Misconfigured(_) => "none",
        }
    }
}

/// What may be shown of it: the address or the command, without query, arguments, headers and environment.
impl fmt::Display for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio(stdio) => formatter.write_str(&stdio.command),
            Self::Http(http) => {
                let mut url = http.url.clone();
                url.set_query(None);
                // Neither fails for a URL that has a host.
                let _ = url.set_username("");
                let _ = url.set_password(None);
                write!(formatter, "{url}")
            }
            Self::Misconfigured(_) => formatter.write_str("-"),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Server({}, {}, {})", self.name, self.transport.kind(), self.transport)
    }
}

/// What a file has, and what in it had no meaning.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) servers: Vec<Server>,
    pub(crate) warnings: Vec<String>,
}

/// Why a whole file cannot be used. What is wrong with one server is its `Transport::Misconfigured`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("could not read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` is {size} bytes; at most {LARGEST_FILE} are read", path.display())]
    TooLarge { path: PathBuf, size: u64 },
    #[error("`{}` is not JSON: {error}", path.display())]
    Syntax { path: PathBuf, error: String },
    #[error("`{}`: {error}", path.display())]
    Shape { path: PathBuf, error: String },
}

/// Reads `mcp.json` with the variables of this process.
pub(crate) fn load(path: &Path) -> Result<Loaded, ConfigError> {
    let text = read(path)?;
    parse(&text, path, &|name| std::env::var(name).ok())
}

/// The text of a configuration file, within its bound.
pub(crate) fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > LARGEST_FILE {
        return Err(ConfigError::TooLarge { path: path.to_owned(), size });
    }
    fs::read_to_string(path).map_err(failed)
}

/// Reads `mcp.json`. `path` names it in errors and is where relative paths start.
pub(crate) fn parse(text: &str, path: &Path, variables: Variables<'_>) -> Result<Loaded, ConfigError> {
    let shape = |error: String| ConfigError::Shape { path: path.to_owned(), error };
    let whole = CstRootNode::parse(text, &ParseOptions::default())
        .map_err(|error| ConfigError::Syntax { path: path.to_owned(), error: error.to_string() })?;
    let Some(Value::Object(whole)) = whole.to_serde_value() else {
        return Err(shape("the file holds no object; it must be `{\"mcpServers\": {…}}`".into()));
    };
    let mut loaded = Loaded::default();
    for list in LISTS {
        let servers = match whole.get(list) {
            None => continue,
            Some(Value::Object(servers)) => servers,
            Some(_) => return Err(shape(format!("`{list}` must be an object of servers by name"))),
        };
        for (name, server) in servers {
            if loaded.servers.iter().any(|known| known.name == *name) {
                let file = path.display();
                loaded.warnings.push(format!("`{file}`: server `{name}` is listed twice; the first is used"));
                continue;
            }
            one(name, server, path, variables, &mut loaded);
        }
    }
    if !LISTS.iter().any(|list| whole.contains_key(*list)) {
        return Err(shape("it has neither `mcpServers` nor `servers`".into()));
    }
    for key in whole.keys().filter(|key| !LISTS.contains(&key.as_str()) && *key != "inputs" && *key != "$schema") {
        loaded.warnings.push(format!("`{}`: the key `{key}` has no meaning here", path.display()));
    }
    Ok(loaded)
}

fn one(name: &str, server: &Value, path: &Path, variables: Variables<'_>, loaded: &mut Loaded) {
    let place = format!("`{}`, server `{name}`", path.display());
    let mut reader = Reader { path, variables, secrets: Vec::new() };
    let (transport, disabled, timeout) = match server {
        Value::Object(keys) => {
            for key in keys.keys().filter(|key| !KEYS.contains(&key.as_str())) {
                loaded.warnings.push(format!("{place}: the key `{key}` has no meaning here"));
            }
            let transport = check_name(name).and_then(|()| reader.transport(keys));
            match (transport, disabled(keys), timeout(keys)) {
                (Ok(transport), Ok(disabled), Ok(timeout)) => (transport, disabled, timeout),
                (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
                    (Transport::Misconfigured(format!("{place}: {error}")), false, None)
                }
            }
        }
        _ => (Transport::Misconfigured(format!("{place}: it must be an object")), false, None),
    };
    loaded.servers.push(Server { name: name.to_owned(), transport, disabled, timeout, secrets: reader.secrets });
}

/// Refuses names that could not stand in an alias or would disturb a terminal.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!("a server's name has 1 to {LONGEST_NAME} printable characters"));
    }
    Ok(())
}

/// Reads the keys of one server. Each error names its key.
struct Reader<'a> {
    path: &'a Path,
    variables: Variables<'a>,
    secrets: Vec<Secret>,
}

impl Reader<'_> {
    fn transport(&mut self, keys: &Map<String, Value>) -> Result<Transport, String> {
        let url = ["url", "httpUrl", "serverUrl"].into_iter().find(|key| keys.contains_key(*key));
        let kind = match keys.get("type") {
            None if keys.contains_key("command") => "stdio",
            None if url.is_some() => "http",
            None => return Err("it has neither `command` (a program to start) nor `url` (a server to reach)".into()),
            Some(Value::String(kind)) => kind.as_str(),
            Some(_) => return Err("`type` must be a string".into()),
        };
        match (kind, url) {
            ("stdio", _) if !keys.contains_key("command") => Err("`type` is `stdio`, so `command` is needed".into()),
            ("stdio", _) => self.stdio(keys).map(Transport::Stdio),
            ("http" | "streamable-http" | "streamableHttp", Some(url)) => self.http(keys, url).map(Transport::Http),
            ("http" | "streamable-http" | "streamableHttp", None) => {
                Err(format!("`type` is `{kind}`, so `url` is needed"))
            }
            ("sse", _) => Err("`type` is `sse`, the transport of 2024 that streamable HTTP has replaced; it is not \
                               supported. Most servers have both: set `type` to `http`, and `url` to the server's \
                               streamable HTTP address, which often ends in `/mcp`"
                .into()),
            (other, _) => Err(format!("`type` is `{other}`; known are `stdio` and `http`")),
        }
    }

    fn stdio(&mut self, keys: &Map<String, Value>) -> Result<Stdio, String> {
        let command = self.string(keys, "command")?.unwrap_or_default();
        if command.is_empty() {
            return Err("`command` is empty".into());
        }
        let arguments = match keys.get("args") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(arguments)) => {
                arguments.iter().map(|argument| self.expanded("args", argument)).collect::<Result<_, _>>()?
            }
            Some(_) => return Err("`args` must be a list of strings".into()),
        };
        let mut environment = BTreeMap::new();
        if let Some(file) = self.string(keys, "envFile")? {
            let file = self.beside(&file);
            let text = read(&file).map_err(|error| format!("`envFile`: {error}"))?;
            let all = variables_of_file(&text).map_err(|error| format!("`envFile` `{}`: {error}", file.display()))?;
            environment.extend(all.into_iter().map(|(name, value)| (name, Secret::new(value))));
        }
        environment.extend(self.table(keys, "env")?);
        let wrong = environment
            .iter()
            .find(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.expose().contains('\0'));
        if let Some((name, _)) = wrong {
            return Err(format!("`env`: `{name}` cannot be an environment variable"));
        }
        self.secrets.extend(environment.values().cloned());
        let folder = self.string(keys, "cwd")?.map(|folder| self.beside(&folder));
        Ok(Stdio { command, arguments, environment, folder })
    }

    fn http(&mut self, keys: &Map<String, Value>, key: &str) -> Result<Http, String> {
        let url = self.string(keys, key)?.unwrap_or_default();
        let url = address(&url).map_err(|error| format!("`{key}`: {error}"))?;
        let headers = self.table(keys, "headers")?;
        for (name, value) in &headers {
            check_header(name, value).map_err(|error| format!("`headers`: {error}"))?;
        }
        self.secrets.extend(headers.values().cloned());
        self.secrets.extend(url.query().map(Secret::new));
        self.secrets.extend(url.password().map(Secret::new));
        Ok(Http { url, headers })
    }

    fn table(&mut self, keys: &Map<String, Value>, key: &str) -> Result<BTreeMap<String, Secret>, String> {
        let entries = match keys.get(key) {
            None | Some(Value::Null) => return Ok(BTreeMap::new()),
            Some(Value::Object(entries)) => entries,
            Some(_) => return Err(format!("`{key}` must be an object of strings")),
        };
        let mut table = BTreeMap::new();
        for (name, value) in entries {
            table.insert(name.clone(), Secret::new(self.expanded(&format!("{key}.{name}"), value)?));
        }
        Ok(table)
    }

    fn string(&mut self, keys: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
        match keys.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => self.expanded(key, value).map(Some),
        }
    }

    fn expanded(&mut self, key: &str, value: &Value) -> Result<String, String> {
        let text = match value {
            Value::String(text) => text.clone(),
            // People write ports and switches without quotes; there is only one thing they can mean.
            Value::Number(number) => number.to_string(),
            Value::Bool(switch) => switch.to_string(),
            _ => return Err(format!("`{key}` must be a string")),
        };
        expand(&text, self.variables, &mut self.secrets).map_err(|error| format!("`{key}`: {error}"))
    }

    fn beside(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

fn disabled(keys: &Map<String, Value>) -> Result<bool, String> {
    match keys.get("disabled") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(disabled)) => Ok(*disabled),
        Some(_) => Err("`disabled` must be true or false".into()),
    }
}

/// Clients disagree about the unit: most have milliseconds, some seconds. No call is meant to end within a second, and
/// none to take 1000 s and more of what a person wrote as seconds.
fn timeout(keys: &Map<String, Value>) -> Result<Option<Duration>, String> {
    match keys.get("timeout") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(seconds @ 1..1000) => Ok(Some(Duration::from_secs(seconds))),
            Some(milliseconds @ 1000..) => Ok(Some(Duration::from_millis(milliseconds))),
            _ => Err("`timeout` must be a positive number: milliseconds, or seconds when below 1000".into()),
        },
    }
}

/// The address of a streamable HTTP server.
pub(crate) fn address(text: &str) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("it is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("it must start with `https://` or `http://`".into());
    }
    Ok(url)
}

/// Refuses what HTTP cannot carry, and what the transport itself sets.
pub(crate) fn check_header(name: &str, value: &Secret) -> Result<(), String> {
    const OURS: [&str; 6] =
        ["accept", "content-length", "content-type", "host", "mcp-session-id", "mcp-protocol-version"];
    if http::HeaderName::try_from(name).is_err() || OURS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("`{name}` cannot be set as a header"));
    }
    http::HeaderValue::try_from(value.expose()).map(|_| ()).map_err(|_| format!("the value of `{name}` cannot be sent"))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
