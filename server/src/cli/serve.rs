//! `exuvia serve`: the server itself.

use super::progress::Bar;
use super::{Failure, Status, chain, print};
use crate::app::App;
use crate::approvals::{Approvals, Webhook};
use crate::audit::Audit;
use crate::calls::Calls;
use crate::config::{Config, Data};
use crate::egress::Egress;
use crate::executions::{Executor, Keep, Parts, Sandboxes};
use crate::gate::{Gate, Pins, Policies};
use crate::grants::{Grants, Operator};
use crate::http::{self, Guard, Hosts, Socket, Stop};
use crate::mcp;
use crate::packages::{Images, Kept, Packages};
use crate::secrets::{Secrets, close_memory, no_core_files};
use crate::sessions::Sessions;
use crate::shelf::Shelf;
use crate::store::{Files, Sled, Store};
use crate::upstream::{self, Registry, Remotes, Sealed, Upstreams, Vault};
use exuvia_runtime::{Cache, Sandbox, Spill};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long running executions may go on when the server is asked to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long the start-up message waits for upstream servers.
const SETTLE: Duration = Duration::from_secs(5);

/// Start the server
///
/// It serves MCP at /mcp, and REST beside it. On start it prints what to paste into a client's configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The configuration
    #[arg(long, value_name = "FILE", env = "EXUVIA_CONFIG")]
    config: Option<PathBuf>,
    /// The upstream MCP servers, in the format of Claude Code, Cursor or VS Code
    #[arg(long, value_name = "FILE", env = "EXUVIA_MCP_CONFIG")]
    mcp_config: Option<PathBuf>,
    /// The policy of those who come in without a key; without it, code runs and reaches nothing
    #[arg(long, value_name = "FILE", env = "EXUVIA_POLICY")]
    policy: Option<PathBuf>,
    /// The folder of everything that is kept
    #[arg(long, value_name = "DIR", env = "EXUVIA_DATA")]
    data: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS", env = "EXUVIA_LISTEN")]
    listen: Option<SocketAddr>,
    /// Run programs in an image that `exuvia image build` made
    #[arg(long, value_name = "NAME", env = "EXUVIA_IMAGE")]
    image: Option<String>,
    /// Serve MCP on standard input and output instead of a port
    #[arg(long)]
    stdio: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    no_core_files();
    let config = configuration(arguments)?;
    let data = Data::new(config.data.as_deref())?;
    data.make().map_err(|source| Failure::System { doing: "make the data folder", source })?;
    // Before Python is prepared: a port that is taken should be said at once.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { doing: "start the runtime", source })?;
    let served = runtime.block_on(serve(config, &data, arguments.stdio));
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

fn configuration(arguments: &Arguments) -> Result<Config, Failure> {
    let mut config = Config::read(arguments.config.as_deref())?;
    if let Some(listen) = arguments.listen {
        config.listen = listen;
    }
    config.data = arguments.data.clone().or(config.data);
    config.mcp_config = arguments.mcp_config.clone().or(config.mcp_config);
    config.image = arguments.image.clone().or(config.image);
    config.policy = arguments.policy.clone().or(config.policy);
    config.check()?;
    Ok(config)
}

async fn serve(config: Config, data: &Data, stdio: bool) -> Result<Status, Failure> {
    let listener = if stdio { None } else { Some(bind(config.listen).await?) };
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok()).unwrap_or(config.listen);
    let app = start(&config, data, address)?;
    let stop = Stop { begun: stop_on_signal()?, over: CancellationToken::new() };
    let operator = Operator::open(data.operator_token()).map_err(|error| Failure::Server(error.to_string()))?;
    let guard = Arc::new(guard(&config, &app, operator, address));
    let operator_s = tokio::spawn(to_operator(data, &app, &guard, stdio, stop.begun.child_token())?);
    let serving = async {
        let served = if let Some(listener) = listener {
            let serving = http::serve(listener, app.clone(), guard, &stop);
            let (served, ()) = tokio::join!(serving, announce(&config, &app, address));
            served.map_err(|source| Failure::System { doing: "serve", source })
        } else {
            tokio::select! {
                served = mcp::serve_stdio(app.clone()) => served.map_err(Failure::Server),
                () = stop.late() => Ok(()),
            }
        };
        stop.begun.cancel();
        served
    };
    // Beside the requests under way: one that waits for a job must not keep the server for as long as that runs.
    let stopping = async {
        stop.begun.cancelled().await;
        app.executor.stop(GRACE).await;
        stop.over.cancel();
    };
    let (served, ()) = tokio::join!(serving, stopping);
    operator_s.abort();
    // So that its socket is gone before another server may make one.
    let _ = operator_s.await;
    app.executor.written().await;
    app.upstreams.stop().await;
    app.gate.close().await;
    served.map(|()| Status::Finished)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|source| {
        Failure::Usage(format!("could not listen on {address}: {source}; choose another address with `--listen`"))
    })
}

/// What serves the operator on this machine. Without a port, there is no other way to say yes to a call.
fn to_operator(
    data: &Data,
    app: &App,
    guard: &Arc<Guard>,
    stdio: bool,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + use<>, Failure> {
    let path = data.operator_socket();
    let socket = match Socket::bind(path.clone()) {
        Ok(socket) => Some(socket),
        Err(error) if stdio => {
            return Err(Failure::Usage(format!("could not listen at `{}`: {error}", path.display())));
        }
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the operator is reached by the port alone");
            None
        }
    };
    let (app, guard) = (app.clone(), Arc::clone(guard));
    Ok(async move {
        let Some(socket) = socket else { return };
        if let Err(error) = http::serve_operator(socket, app, guard, stop).await {
            tracing::error!(%error, "could not serve the operator");
        }
    })
}

fn start(config: &Config, data: &Data, address: SocketAddr) -> Result<App, Failure> {
    let store: Arc<dyn Store> = Arc::new(Sled::open(&data.store())?);
    let base_url = config.base_url(address);
    let grants = Arc::new(Grants::at(data.grants()));
    let policies = Policies::open(config.policy.as_deref(), Arc::clone(&grants))
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let audit = Audit::open(&data.audit()).map_err(|error| Failure::Server(error.to_string()))?;
    let approvals = Approvals::open(&store, &data.approvals_key(), webhook(config)?)
        .map_err(|error| Failure::Server(chain(&error)))?;
    let gate = Arc::new(Gate::open(policies, &store, Pins::at(data.pins()), audit, Arc::new(approvals))?);
    gate.start();
    let settings = config.settings();
    let spill = Spill::open(&data.spill(), config.files.disk_of_running.as_u64())
        .map_err(|source| Failure::System { doing: "open the folder for large files of programs", source })?;
    let (sandboxes, packages) = sandbox(config, data, spill.clone())?;
    close_memory();
    let sealed = Arc::new(Sealed::open(data.folder()).map_err(|error| Failure::Usage(chain(&error)))?);
    let secrets = Secrets::open(data.folder(), Arc::clone(&sealed)).map_err(|error| Failure::Usage(chain(&error)))?;
    let secrets = Arc::new(secrets);
    let (upstreams, remotes) = upstreams(config, data, sealed, &base_url)?;
    let egress = Egress::new(Arc::clone(&gate), config.egress_settings()).map_err(Failure::Usage)?;
    let calls = Calls::new(upstreams.clone(), Arc::clone(&gate), config.upstream.call_timeout);
    let sessions = Sessions::open(Arc::clone(&store), data.sessions(), config.session_settings())?;
    sessions.start();
    let shelf = Shelf::open(Arc::clone(&store), data.shelf(), config.shelf_settings())
        .map_err(|error| Failure::Server(chain(&error)))?;
    shelf.start();
    let keep = Keep::new(store, Files::new(data.files()));
    let parts = Parts {
        sandboxes,
        packages,
        spill,
        keep,
        tools: Arc::new(calls.clone()),
        egress: Arc::new(egress),
        gate: Arc::clone(&gate),
        secrets: Arc::clone(&secrets),
        sessions: sessions.clone(),
        shelf: shelf.clone(),
    };
    let executor = Executor::start(parts, settings)?;
    gate.forget(|id| !executor.holds(id)).map_err(|error| Failure::Server(chain(&error)))?;
    Ok(App { executor, sessions, shelf, upstreams, remotes, calls, grants, gate, secrets, base_url: base_url.into() })
}

/// Python, and what finds packages for it.
fn sandbox(config: &Config, data: &Data, spill: Spill) -> Result<(Sandboxes, Packages), Failure> {
    let cache = Cache::of_user()?;
    let (built, extension) = config.image.as_deref().map(|name| Images::new(&cache).open(name)).transpose()?.unzip();
    let slots = config.executions.at_once;
    let sandbox =
        exuvia_runtime::Config { slots, extension, spill: Some(spill), ..exuvia_runtime::Config::new(cache.clone()) };
    let own = Arc::new(Sandbox::open(&sandbox, &Bar::new())?);
    let packages = Packages::new(&cache, Arc::clone(&own), built.as_ref(), config.package_settings());
    Ok((Sandboxes::new(own, sandbox, Kept::new(&cache, data.folder())), packages))
}

fn webhook(config: &Config) -> Result<Option<Webhook>, Failure> {
    let (Some(url), Some(source)) = (&config.approvals.webhook, &config.approvals.webhook_secret) else {
        return Ok(None);
    };
    let secret = source.read().map_err(|why| Failure::Usage(format!("`approvals.webhook_secret` is wrong: {why}")))?;
    let webhook = Webhook::new(url.clone(), secret).map_err(|error| Failure::Server(chain(&error)))?;
    Ok(Some(webhook))
}

/// The servers of mcp.json and those that clients have added, all of them connecting.
fn upstreams(
    config: &Config,
    data: &Data,
    sealed: Arc<Sealed>,
    base_url: &str,
) -> Result<(Upstreams, Arc<Remotes>), Failure> {
    let failed = |error: &dyn std::error::Error| Failure::Server(chain(error));
    let mut servers = Vec::new();
    if let Some(path) = &config.mcp_config {
        let loaded = upstream::load(path).map_err(|error| Failure::Usage(chain(&error)))?;
        for warning in loaded.warnings {
            tracing::warn!("{warning}");
        }
        servers.extend(loaded.servers);
    }
    let (registry, lost) = Registry::open(data.folder(), Arc::clone(&sealed)).map_err(|error| failed(&error))?;
    for error in lost {
        tracing::warn!(error = chain(&error), "a server that a client added is left out");
    }
    servers.extend(registry.all().into_iter().map(upstream::Server::from));
    let vault = Vault::open(data.folder(), sealed)
        .map_err(|source| Failure::System { doing: "open the folder of tokens", source })?;
    let vault = Arc::new(vault);
    let settings = upstream::Settings {
        connect: config.upstream.connect_timeout,
        call: config.upstream.call_timeout,
        parallel: config.upstream.parallel_calls,
        largest_answer: usize::try_from(config.upstream.largest_answer.as_u64()).unwrap_or(usize::MAX),
        guard: std::env::current_exe().ok(),
        vault: Some(Arc::clone(&vault)),
        ..upstream::Settings::default()
    };
    let upstreams = Upstreams::start(servers, settings);
    let remotes = Remotes::new(upstreams.clone(), registry, vault, format!("{base_url}/oauth/callback"));
    Ok((upstreams, Arc::new(remotes)))
}

fn guard(config: &Config, app: &App, operator: Operator, address: SocketAddr) -> Guard {
    let public = config.public_url.as_ref().and_then(|url| url::Url::parse(url).ok());
    let public = public.and_then(|url| url.host_str().map(str::to_owned));
    Guard {
        grants: Arc::clone(&app.grants),
        operator,
        auth: config.auth,
        is_loopback: address.ip().is_loopback(),
        hosts: Hosts(config.allowed_hosts.iter().cloned().chain(public).collect()),
        origins: config.allowed_origins.clone(),
    }
}

/// A token that the first SIGINT or SIGTERM cancels; the second ends the process.
fn stop_on_signal() -> Result<CancellationToken, Failure> {
    let failed = |source| Failure::System { doing: "listen for signals", source };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stopping.is_cancelled() {
                std::process::exit(i32::from(Status::Stopped as u8));
            }
            print::error("exuvia: stopping; once more to stop at once");
            stopping.cancel();
        }
    });
    Ok(stop)
}

/// Says where the server is, and how clients are told of it.
async fn announce(config: &Config, app: &App, address: SocketAddr) {
    let url = format!("{}/mcp", app.base_url);
    let needs_key = config.auth != crate::config::Auth::None
        && (config.auth == crate::config::Auth::ApiKeys
            || !address.ip().is_loopback()
            || app.grants.are_used().unwrap_or(true));
    let (flag, headers) = if needs_key {
        (" --header \"x-api-key: KEY\"", ", \"headers\": { \"x-api-key\": \"KEY\" }")
    } else {
        ("", "")
    };
    print::out(&format!("Exuvia serves MCP at {url}\n"));
    print::out(&format!("  Claude Code  claude mcp add --transport http exuvia {url}{flag}"));
    print::out(&format!(
        "  Cursor       .cursor/mcp.json: {{ \"mcpServers\": {{ \"exuvia\": {{ \"url\": \"{url}\"{headers} }} }} }}"
    ));
    print::out(&format!(
        "  VS Code      .vscode/mcp.json: {{ \"servers\": {{ \"exuvia\": {{ \"type\": \"http\", \"url\": \"{url}\"{headers} }} }} }}\n"
    ));
    if needs_key {
        print::out("KEY is what `exuvia grants create NAME` shows.\n");
    }
    app.upstreams.settled(SETTLE).await;
    for server in app.upstreams.servers() {
        print::out(&format!("  {}: {}", server.name, server.state));
    }
}
