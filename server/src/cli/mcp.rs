//! `exuvia mcp`: the user's MCP servers, as `mcp.json` lists them.

use super::mcp_file;
use super::print::{error, out};
use super::{Failure, Status};
use crate::config::Data;
use crate::gate::{Pins, PinsError};
use crate::upstream::{
    self, Catalog, ConfigError, Loaded, Secret, Settings, Signature, State, Tool, Transport, Upstreams, chain,
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long `test` waits for one server, beyond what a connection may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Add, remove, list and test MCP servers
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// The file that lists the servers
    #[arg(long, value_name = "FILE", default_value = "mcp.json", global = true)]
    mcp_config: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Add(Add),
    /// Remove a server
    Remove {
        name: String,
    },
    /// List the servers, without connecting to them
    List,
    /// Accept tools that have changed since they were first seen; a running server notices at once
    Accept {
        /// A tool's name in Python, or a server's for all of its tools; without it, the changes are only shown
        name: Option<String>,
        /// The server's data folder
        #[arg(long, value_name = "DIR", env = "EXUVIA_DATA")]
        data: Option<PathBuf>,
    },
    /// Connect to all servers, or to one, and print their tools, or the whole reason why not
    Test {
        name: Option<String>,
    },
}

/// Add a server: an address, or a command after `--`
///
/// Values may be variables of the environment, which keeps secrets out of the file: `--header 'Authorization=Bearer ${TOKEN}'`.
#[derive(Debug, clap::Args)]
struct Add {
    name: String,
    /// The address of a streamable HTTP server
    #[arg(required_unless_present = "command", conflicts_with = "command")]
    url: Option<String>,
    /// A header that is sent with every request
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "command")]
    header: Vec<String>,
    /// A variable of the environment of the command
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "url")]
    env: Vec<String>,
    /// The command that starts a server which speaks over standard input and output
    #[arg(last = true)]
    command: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    match &arguments.action {
        Action::Add(add) => insert(arguments, add),
        Action::Remove { name } => remove(arguments, name),
        Action::List => list(arguments),
        Action::Accept { name, data } => accept(name.as_deref(), data.as_deref()),
        Action::Test { name } => test(arguments, name.as_deref()),
    }
}

fn insert(arguments: &Arguments, add: &Add) -> Result<Status, Failure> {
    upstream::check_name(&add.name).map_err(Failure::Usage)?;
    let server = match &add.url {
        Some(url) => remote(url, &add.header)?,
        None => local(&add.command, &add.env)?,
    };
    let path = &arguments.mcp_config;
    let text = if path.exists() { upstream::read(path).map_err(config)? } else { "{}\n".to_owned() };
    let text = mcp_file::insert(&text, &add.name, &server).map_err(|error| in_file(arguments, &error))?;
    write(arguments, &text)?;
    out(&format!("Added `{}` to `{}`. Try it: exuvia mcp test {}", add.name, path.display(), add.name));
    Ok(Status::Finished)
}

fn remote(url: &str, headers: &[String]) -> Result<Value, Failure> {
    // With a variable in it, only a connection shows whether it is an address.
    if !url.contains("${") {
        upstream::address(url).map_err(|error| Failure::Usage(format!("`{url}`: {error}")))?;
    }
    let mut server = json!({"type": "http", "url": url});
    let headers = pairs("--header", headers)?;
    for (name, value) in &headers {
        let value = Secret::new(value.as_str().unwrap_or_default());
        upstream::check_header(name, &value).map_err(Failure::Usage)?;
    }
    if let (Some(server), false) = (server.as_object_mut(), headers.is_empty()) {
        server.insert("headers".into(), headers.into());
    }
    Ok(server)
}

fn local(command: &[String], environment: &[String]) -> Result<Value, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::Usage("there is no command after `--`".into()));
    };
    let mut server = json!({"command": program, "args": arguments});
    let environment = pairs("--env", environment)?;
    if let (Some(server), false) = (server.as_object_mut(), environment.is_empty()) {
        server.insert("env".into(), environment.into());
    }
    Ok(server)
}

fn pairs(option: &str, given: &[String]) -> Result<Map<String, Value>, Failure> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), Value::from(value))),
        // The text is not repeated: it may be a secret that was meant for the other side.
        _ => Err(Failure::Usage(format!("write `{option} NAME=VALUE`"))),
    };
    given.iter().map(pair).collect()
}

fn remove(arguments: &Arguments, name: &str) -> Result<Status, Failure> {
    let text = upstream::read(&arguments.mcp_config).map_err(config)?;
    let text = mcp_file::remove(&text, name).map_err(|error| in_file(arguments, &error))?;
    write(arguments, &text)?;
    out(&format!("Removed `{name}` from `{}`.", arguments.mcp_config.display()));
    Ok(Status::Finished)
}

fn list(arguments: &Arguments) -> Result<Status, Failure> {
    let loaded = load(arguments)?;
    if loaded.servers.is_empty() {
        out(&format!("`{}` lists no servers. Add one: exuvia mcp add NAME URL", arguments.mcp_config.display()));
    }
    for server in &loaded.servers {
        match &server.transport {
            Transport::Misconfigured(error) => out(&format!("{}: {error}", server.name)),
            transport => {
                let disabled = if server.disabled { ", disabled" } else { "" };
                out(&format!("{} ({}{disabled}): {transport}", server.name, transport.kind()));
            }
        }
    }
    Ok(Status::Finished)
}

fn test(arguments: &Arguments, name: Option<&str>) -> Result<Status, Failure> {
    let mut loaded = load(arguments)?;
    if let Some(name) = name {
        loaded.servers.retain(|server| server.name == name);
        if loaded.servers.is_empty() {
            let file = arguments.mcp_config.display();
            return Err(Failure::Usage(format!("`{file}` lists no server `{name}`; see: exuvia mcp list")));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { doing: "start the runtime", source })?;
    runtime.block_on(async {
        let settings = Settings { guard: std::env::current_exe().ok(), ..Settings::default() };
        let upstreams = Upstreams::start(loaded.servers, settings);
        upstreams.settled(PATIENCE).await;
        let catalog = upstreams.catalog();
        let mut all_ready = true;
        for status in upstreams.servers() {
            all_ready &= matches!(status.state, State::Ready { .. } | State::Disabled);
            out(&format!("{} ({}, {}): {}", status.name, status.transport, status.address, status.state));
            tools(&catalog, &status.name);
        }
        upstreams.stop().await;
        Ok(if all_ready { Status::Finished } else { Status::Raised })
    })
}

/// Shows what has changed, and accepts it when it was asked for by name.
fn accept(name: Option<&str>, data: Option<&Path>) -> Result<Status, Failure> {
    let failed = |error: PinsError| Failure::Server(error.to_string());
    let pins = Pins::at(Data::new(data)?.pins());
    let of_server = name.map(|name| format!("mcp_{name}_"));
    let wanted = |alias: &str| match (name, &of_server) {
        (Some(name), Some(of_server)) => alias == name || alias.starts_with(of_server.as_str()),
        _ => true,
    };
    let changes = pins.changes(wanted).map_err(failed)?;
    for change in &changes {
        out(&format!("{}:", change.alias));
        let mut lines = Vec::new();
        super::policy::compare("", &change.accepted, &change.now, &mut lines);
        for line in lines {
            out(&format!("  {line}"));
        }
    }
    match name {
        _ if changes.is_empty() => out("Nothing has changed."),
        Some(_) => {
            pins.accept(&changes).map_err(failed)?;
            out("Accepted.");
        }
        None => out("`exuvia mcp accept NAME` accepts one of them, or all of one server."),
    }
    Ok(Status::Finished)
}

fn tools(catalog: &Catalog, server: &str) {
    for tool in catalog.of_server(server) {
        out(&format!("  {}", declared(tool)));
        if catalog.renamed().iter().any(|renamed| renamed.alias == tool.alias) {
            out(&format!("    (its name is `{}`; another tool has the plain alias)", tool.name));
        }
    }
}

/// A tool as a Python program calls it.
fn declared(tool: &Tool) -> String {
    let Signature { parameters, .. } = tool.signature();
    let parameters = parameters.iter().map(|parameter| {
        let default = if parameter.required { "" } else { " = …" };
        format!("{}: {}{default}", parameter.name, parameter.annotation)
    });
    format!("{}({})", tool.alias, parameters.collect::<Vec<_>>().join(", "))
}

fn load(arguments: &Arguments) -> Result<Loaded, Failure> {
    let loaded = upstream::load(&arguments.mcp_config).map_err(config)?;
    for warning in &loaded.warnings {
        error(&format!("exuvia: {warning}"));
    }
    Ok(loaded)
}

fn write(arguments: &Arguments, text: &str) -> Result<(), Failure> {
    upstream::replace(&arguments.mcp_config, text.as_bytes()).map_err(|error| in_file(arguments, &error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn config(error: ConfigError) -> Failure {
    Failure::Usage(chain(&error))
}

fn in_file(arguments: &Arguments, error: &str) -> Failure {
    Failure::Usage(format!("`{}`: {error}", arguments.mcp_config.display()))
}
