//! Live servers: children written in Python, and HTTP servers in this process.

mod http;

mod oauth;

use super::config::Stdio;

use super::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

/// No test waits this long unless it fails.
const LONG: Duration = Duration::from_secs(60);

/// The Python of this machine; tests that need it do nothing without one, and say so.
fn python() -> Option<&'static str> {
    static PYTHON: OnceLock<bool> = OnceLock::new();
    let there = *PYTHON.get_or_init(|| {
        let there =
            std::process::Command::new("python3").arg("--version").output().is_ok_and(|out| out.status.success());
        if !there {
            eprintln!("skipped: there is no python3");
        }
        there
    });
    there.then_some("python3")
}

fn settings() -> Settings {
    Settings { first_retry: Duration::from_millis(10), longest_retry: Duration::from_millis(50), ..Settings::default() }
}

/// The misbehaving server in one of its modes.
fn server(name: &str, mode: &[&str]) -> Server {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/upstream/tests/server.py");
    let arguments = [&[script], mode].concat().into_iter().map(str::to_owned).collect();
    let environment = BTreeMap::from([("SECRET".to_owned(), Secret::new("hunter2-hunter2"))]);
    Server::stdio(name, Stdio { command: "python3".into(), arguments, environment, folder: None })
}

async fn started(servers: Vec<Server>, settings: Settings) -> Upstreams {
    let upstreams = Upstreams::start(servers, settings);
    upstreams.settled(LONG).await;
    upstreams
}

fn state(upstreams: &Upstreams, name: &str) -> State {
    upstreams.server(name).unwrap().state
}

/// Waits until a server is in a state.
async fn until(upstreams: &Upstreams, name: &str, wanted: impl Fn(&State) -> bool) -> State {
    let mut state = upstreams.find(name).unwrap().state.subscribe();
    let reached = tokio::time::timeout(LONG, state.wait_for(wanted)).await;
    reached.expect("the state is not reached").unwrap().clone()
}

fn is_ready(state: &State) -> bool {
    matches!(state, State::Ready { .. })
}

async fn call_within(
    upstreams: &Upstreams,
    alias: &str,
    arguments: Value,
    within: Duration,
) -> Result<String, CallError> {
    let tool = upstreams.catalog().find(alias).cloned().unwrap_or_else(|| panic!("no {alias}"));
    let Value::Object(arguments) = arguments else { panic!() };
    let result = upstreams.call(&tool, arguments, within).await?;
    Ok(result.content[0].as_text().unwrap().text.clone())
}

async fn call(upstreams: &Upstreams, alias: &str, arguments: Value) -> Result<String, CallError> {
    call_within(upstreams, alias, arguments, LONG).await
}

fn is_alive(pid: &str) -> bool {
    // A zombie has no command line.
    std::fs::read(Path::new("/proc").join(pid).join("cmdline")).is_ok_and(|line| !line.is_empty())
}

#[tokio::test]
async fn servers_connect_and_answer_in_a_clean_environment() {
    let Some(_) = python() else { return };
    let upstreams = started(vec![server("my server", &["normal"])], settings()).await;
    assert!(matches!(state(&upstreams, "my server"), State::Ready { tools: 12, refused: 0 }));
    assert_eq!(call(&upstreams, "mcp_my_server_echo", json!({"text": "hi"})).await.unwrap(), "hi");
    let environment = call(&upstreams, "mcp_my_server_environment", json!({})).await.unwrap();
    let environment: BTreeMap<String, String> = serde_json::from_str(&environment).unwrap();
    // `python3` may be a script that sets variables of its own.
    let leaked: Vec<_> = environment.keys().filter(|name| name.starts_with("CARGO") || *name == "USER").collect();
    assert!(leaked.is_empty(), "{leaked:?}");
    assert_eq!(environment["SECRET"], "hunter2-hunter2");
    let refused = call(&upstreams, "mcp_my_server_refuse", json!({})).await.unwrap_err();
    assert_eq!(refused.to_string(), "the MCP server `my server` refused `refuse`: not like this (-32602)");
    upstreams.stop().await;
}

#[tokio::test]
async fn a_slow_start_delays_no_other() {
    let Some(_) = python() else { return };
    let upstreams = Upstreams::start(vec![server("slow", &["silent"]), server("quick", &["normal"])], settings());
    until(&upstreams, "quick", is_ready).await;
    assert_eq!(call(&upstreams, "mcp_quick_echo", json!({"text": "hi"})).await.unwrap(), "hi");
    assert!(matches!(state(&upstreams, "slow"), State::Connecting));
    let explained = upstreams.explain("mcp_slow_tool").unwrap();
    assert_eq!(explained, "the tools of the MCP server `slow` are not known: it is connecting");
    upstreams.stop().await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_down_and_says_so() {
    let Some(_) = python() else { return };
    let settings =
        Settings { connect: Duration::from_millis(300), longest_retry: LONG, first_retry: LONG, ..settings() };
    let upstreams = started(vec![server("s", &["silent"])], settings).await;
    let State::Down { error, retry_at: Some(_) } = state(&upstreams, "s") else { panic!("{}", state(&upstreams, "s")) };
    assert_eq!(error, "it did not answer within 300ms");
    upstreams.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why_without_its_secrets() {
    let Some(_) = python() else { return };
    let missing = Stdio { command: "no-such-program-here".into(), ..Stdio::default() };
    let upstreams = started(vec![server("fails", &["fail"]), Server::stdio("none", missing)], settings()).await;
    let State::Down { error, .. } = state(&upstreams, "fails") else { panic!() };
    assert_eq!(error, "its process ended (exit status: 3) before it answered; it wrote to stderr: cannot start: ***");
    let State::Down { error, .. } = state(&upstreams, "none") else { panic!() };
    assert!(error.starts_with("could not start `no-such-program-here`: it is not in PATH ("), "{error}");
    upstreams.stop().await;
}

#[tokio::test]
async fn lines_that_are_no_messages_are_skipped() {
    let Some(_) = python() else { return };
    let upstreams = started(vec![server("s", &["chatter"])], settings()).await;
    assert_eq!(call(&upstreams, "mcp_s_garble", json!({})).await.unwrap(), "after garbage");
    let wrong = call(&upstreams, "mcp_s_wrong", json!({})).await.unwrap_err();
    assert!(matches!(wrong, CallError::Protocol { .. }), "{wrong}");
    assert!(is_ready(&state(&upstreams, "s")));
    upstreams.stop().await;
}

#[tokio::test]
async fn a_server_that_knows_only_the_old_handshake_is_asked_again() {
    let Some(_) = python() else { return };
    let upstreams = started(vec![server("s", &["strict"])], settings()).await;
    assert_eq!(call(&upstreams, "mcp_s_echo", json!({"text": "hi"})).await.unwrap(), "hi");
    upstreams.stop().await;
}

#[tokio::test]
async fn killed_during_a_call_it_is_restarted() {
    let Some(_) = python() else { return };
    let upstreams = started(vec![server("s", &["normal"])], settings()).await;
    let lost = call(&upstreams, "mcp_s_die", json!({})).await.unwrap_err();
    assert_eq!(
        lost.to_string(),
        "the connection to the MCP server `s` ended during `die`: its connection ended: its process ended (exit status: 7); \
         it wrote to stderr: I was told to die; whether it took effect is not known"
    );
    assert!(lost.in_doubt());
    until(&upstreams, "s", is_ready).await;
    assert_eq!(call(&upstreams, "mcp_s_echo", json!({"text": "again"})).await.unwrap(), "again");
    upstreams.stop().await;
}

#[tokio::test]
async fn restarts_go_on_until_one_succeeds() {
    let Some(_) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("starts");
    // Each attempt starts it twice: the second time with the older handshake.
    let upstreams = started(vec![server("s", &["fail-first", file.to_str().unwrap(), "5"])], settings()).await;
    let State::Down { error, .. } = state(&upstreams, "s") else { panic!() };
    assert!(error.contains("not yet"), "{error}");
    until(&upstreams, "s", is_ready).await;
    assert_eq!(std::fs::read(&file).unwrap().len(), 6);
    upstreams.stop().await;
}

#[test]
fn pauses_between_attempts_double_up_to_a_bound() {
    let settings = Settings::default();
    let seconds: Vec<_> = (0..10).map(|failures| settings.delay(failures).as_secs_f64()).collect();
    assert_eq!(seconds, [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
    assert_eq!(settings.delay(u32::MAX), Duration::from_secs(60));
}

#[tokio::test]
async fn while_it_is_down_its_tools_say_so() {
    let Some(_) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, gate) = (folder.path().join("starts"), folder.path().join("gate"));
    let settings = Settings { first_retry: LONG, longest_retry: LONG, ..settings() };
    let upstreams = started(vec![server("s", &["fail-first", file.to_str().unwrap(), "0"])], settings).await;
    drop(gate);
    call(&upstreams, "mcp_s_die", json!({})).await.unwrap_err();
    until(&upstreams, "s", |state| matches!(state, State::Down { .. })).await;
    let down = call(&upstreams, "mcp_s_echo", json!({})).await.unwrap_err();
    let CallError::Down { retry_in: Some(_), .. } = &down else { panic!("{down}") };
    assert!(!down.in_doubt());
    assert!(down.to_string().contains("The next attempt to reach it is in"), "{down}");
    // Somebody asks for an attempt now.
    upstreams.retry("s");
    until(&upstreams, "s", is_ready).await;
    upstreams.stop().await;
}

#[tokio::test]
async fn a_call_without_answer_ends_at_its_time() {
    let Some(_) = python() else { return };
    let upstreams = started(vec![server("s", &["normal"])], settings()).await;
    let short = Duration::from_millis(50);
    let timeout = call_within(&upstreams, "mcp_s_hang", json!({}), short).await.unwrap_err();
    assert!(matches!(timeout, CallError::Timeout { .. }) && timeout.in_doubt(), "{timeout}");
    // The answer that comes too late belongs to nobody, least of all to the next call.
    call_within(&upstreams, "mcp_s_late", json!({}), short).await.unwrap_err();
    assert_eq!(call(&upstreams, "mcp_s_echo", json!({"text": "mine"})).await.unwrap(), "mine");
    assert!(is_ready(&state(&upstreams, "s")));
    upstreams.stop().await;
}

#[tokio::test]
async fn an_answer_of_20_megabytes_is_refused_and_the_server_stays() {
    let Some(_) = python() else { return };
    let upstreams = started(vec![server("s", &["normal"])], settings()).await;
    let large = call(&upstreams, "mcp_s_big", json!({"number": 20_000_000})).await.unwrap_err();
    assert_eq!(large, CallError::TooLarge { tool: "big".into(), most: 16 << 20 });
    assert_eq!(call(&upstreams, "mcp_s_big", json!({"number": 1_000_000})).await.unwrap().len(), 1_000_000);
    upstreams.stop().await;
}

#[tokio::test]
async fn a_changed_list_is_taken_over() {
    let Some(_) = python() else { return };
    let upstreams = started(vec![server("s", &["normal"])], settings()).await;
    let before = upstreams.catalog();
    call(&upstreams, "mcp_s_change", json!({"text": "new-tool"})).await.unwrap();
    until(&upstreams, "s", |state| matches!(state, State::Ready { tools: 13, .. })).await;
    let after = upstreams.catalog();
    assert!(after.find("mcp_s_new_tool").is_some());
    assert!(Arc::ptr_eq(before.find("mcp_s_echo").unwrap(), after.find("mcp_s_echo").unwrap()));
    upstreams.stop().await;
}

#[tokio::test]
async fn a_list_without_end_is_bounded() {
    let Some(_) = python() else { return };
    let upstreams = started(vec![server("s", &["pages"])], settings()).await;
    // A thousand pages: one new tool each, and one tool on all of them.
    let State::Ready { tools, refused } = state(&upstreams, "s") else { panic!("{}", state(&upstreams, "s")) };
    assert_eq!((tools, refused), (1001, 1999));
    upstreams.stop().await;
}

#[tokio::test]
async fn calls_overlap_within_the_bound() {
    let Some(_) = python() else { return };
    let upstreams = started(vec![server("s", &["normal"])], Settings { parallel: 5, ..settings() }).await;
    // The server answers none before five are there, and says how many were there at most.
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let upstreams = upstreams.clone();
            tokio::spawn(async move { call(&upstreams, "mcp_s_hold", json!({"number": 5})).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "5");
    }
    upstreams.stop().await;
}

#[tokio::test]
async fn a_call_that_is_dropped_frees_its_place() {
    let Some(_) = python() else { return };
    let upstreams = started(vec![server("s", &["normal"])], Settings { parallel: 1, ..settings() }).await;
    let hanging = tokio::spawn({
        let upstreams = upstreams.clone();
        async move { call(&upstreams, "mcp_s_hang", json!({})).await }
    });
    // It has the only place once there is none left.
    let upstream = upstreams.find("s").unwrap();
    while upstream.permits.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let busy = call_within(&upstreams, "mcp_s_echo", json!({}), Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(busy, CallError::Busy { most: 1, .. }) && !busy.in_doubt(), "{busy}");
    hanging.abort();
    assert_eq!(call(&upstreams, "mcp_s_echo", json!({"text": "hi"})).await.unwrap(), "hi");
    upstreams.stop().await;
}

#[tokio::test]
async fn stopping_leaves_no_process() {
    let Some(_) = python() else { return };
    for mode in ["normal", "stubborn"] {
        let upstreams = started(vec![server("s", &[mode])], settings()).await;
        let pids = call(&upstreams, "mcp_s_spawn", json!({})).await.unwrap();
        let pids: Vec<_> = pids.split(' ').collect();
        // A process that has just been started has no command line for a moment.
        while !pids.iter().all(|pid| is_alive(pid)) {
            tokio::task::yield_now().await;
        }
        upstreams.stop().await;
        // The process itself has been waited for; what it started has been killed, and init will see to it.
        assert!(!is_alive(pids[0]), "{mode}");
        while is_alive(pids[1]) {
            tokio::task::yield_now().await;
        }
        let tool = upstreams.catalog().find("mcp_s_echo").cloned().unwrap();
        let gone = upstreams.call(&tool, JsonObject::new(), LONG).await.unwrap_err();
        assert!(matches!(gone, CallError::Gone { .. }), "{gone}");
    }
}

#[tokio::test]
async fn servers_come_and_go_at_run_time() {
    let Some(_) = python() else { return };
    let upstreams = started(Vec::new(), settings()).await;
    upstreams.add(server("s", &["normal"])).unwrap();
    assert_eq!(upstreams.add(server("s", &["normal"])).unwrap_err(), ChangeError::Exists("s".into()));
    assert!(is_ready(&upstreams.settled_one("s", LONG).await.unwrap()));
    let tool = upstreams.catalog().find("mcp_s_echo").cloned().unwrap();
    upstreams.update(server("s", &["chatter"])).await.unwrap();
    // Known tools stay known, and calls wait for the new connection.
    assert!(upstreams.catalog().find("mcp_s_echo").is_some());
    assert!(upstreams.call(&tool, JsonObject::new(), LONG).await.is_ok());
    upstreams.remove("s").await.unwrap();
    assert!(upstreams.catalog().tools().is_empty());
    assert_eq!(upstreams.remove("s").await.unwrap_err(), ChangeError::Unknown("s".into()));
    let gone = upstreams.call(&tool, JsonObject::new(), LONG).await.unwrap_err();
    assert_eq!(gone, CallError::Gone { server: "s".into() });
    assert!(upstreams.server("s").is_none());
}

#[tokio::test]
async fn disabled_and_misconfigured_servers_start_nothing() {
    let mut disabled = server("off", &["normal"]);
    disabled.disabled = true;
    let loaded = config::parse("{\"mcpServers\": {\"bad\": {}}}", Path::new("mcp.json"), &|_| None).unwrap();
    let mut servers = loaded.servers;
    servers.push(disabled);
    let upstreams = started(servers, settings()).await;
    let words: Vec<_> = upstreams.servers().iter().map(|status| status.state.word()).collect();
    assert_eq!(words, ["misconfigured", "disabled"]);
    upstreams.stop().await;
}
