//! The ways to leak of `tests/leaks`, and a place to try them in: servers that record, a tool that has the value, policies.

use super::authority::Authority;
use super::names::Names;
use super::recorder::Recorder;
use super::server::{Server, command};
use super::unpack::unpacked;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

/// Characters that every encoding writes otherwise.
pub(crate) const KEY: &str = "sk-live/7Qf+9Zt=Vw3_kL8m~Hc2";
pub(crate) const HMAC: &str = "hm/2Rb9~Xy+4Tq=uE-0pWs6_Jd5";
/// One that could be a request's method.
pub(crate) const WORD: &str = "correcthorsebattery";

/// One way.
pub(crate) struct Way {
    pub(crate) name: String,
    pub(crate) verdict: String,
    pub(crate) script: String,
}

/// Those of a file in `tests/leaks`.
pub(crate) fn ways(file: &str) -> Vec<Way> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("leaks").join(file);
    let text = fs::read_to_string(path).unwrap();
    let ways = text.split("\n### ").skip(1).map(|way| {
        let (head, script) = way.split_once('\n').unwrap();
        let (name, verdict) = head.split_once(" | ").unwrap();
        Way { name: name.into(), verdict: verdict.into(), script: script.into() }
    });
    ways.collect()
}

/// The name of the server with TLS that secrets are for, and another name of it that they are not for.
const SAFE: &str = "safe.test";
const ALIAS: &str = "alias.test";

pub(crate) struct Place {
    pub(crate) server: Server,
    pub(crate) reached: Reached,
    pub(crate) folder: TempDir,
}

/// The servers that a program may ask, by the policy.
pub(crate) struct Reached {
    /// On this machine, which secrets are for.
    pub(crate) good: Recorder,
    /// The same, which they are not for.
    pub(crate) other: Recorder,
    /// With TLS, by the name that secrets are for.
    pub(crate) safe: Recorder,
    /// Of the same name, without TLS.
    pub(crate) bare: Recorder,
    /// Of the same name, with a certificate of somebody whom the server does not trust.
    pub(crate) impostor: Recorder,
}

impl Reached {
    fn start(authority: &Authority) -> Self {
        Self {
            good: Recorder::start("127.0.0.1"),
            other: Recorder::start("127.0.0.2"),
            safe: Recorder::encrypted("127.0.0.1", SAFE, authority),
            bare: Recorder::named("127.0.0.1", SAFE),
            impostor: Recorder::encrypted("127.0.0.1", SAFE, &Authority::new(&[SAFE])),
        }
    }

    fn inputs(&self) -> Value {
        let alias = self.safe.url.replace(SAFE, ALIAS);
        json!({ "GOOD": self.good.url, "OTHER": self.other.url, "SAFE": self.safe.url, "BARE": self.bare.url,
            "IMPOSTOR": self.impostor.url, "ALIAS": alias })
    }
}

impl Place {
    /// A server that logs all that it and what sends its requests have to say, with the secrets `KEY`, as a placeholder, and `HMAC` and `WORD`, revealed.
    pub(crate) fn start() -> Self {
        let authority = Authority::new(&[SAFE, ALIAS]);
        let reached = Reached::start(&authority);
        let names = Names::start(&[(SAFE, &["127.0.0.1"]), (ALIAS, &["127.0.0.1"])]);
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        write("policy.json", policy(&reached).to_string());
        let upstream = json!({ "command": env!("CARGO_BIN_EXE_upstream-for-tests"), "env": { "LEAK": KEY } });
        write("mcp.json", json!({ "mcpServers": { "Math": upstream } }).to_string());
        write("ca.pem", authority.pem().to_owned());
        let ca_file = folder.path().join("ca.pem").display().to_string();
        write("exuvia.toml", format!("[egress]\nca_file = {ca_file:?}\ndns = \"{}\"\n", names.address));
        let server = start(folder.path());
        Self { server, reached, folder }
    }

    /// Runs a script as a job, which has a journal, and gives its status.
    pub(crate) fn run(&self, script: &str, secret: &str) -> Value {
        let outputs = if script.contains("leaked =") { json!(["leaked"]) } else { json!([]) };
        let arguments = json!({ "script": script, "required_secrets": [secret], "output_vars": outputs,
            "input_vars": self.reached.inputs() });
        let (failed, answer, text) = self.server.tool("asyncExecuteCode", arguments);
        assert!(!failed, "{text}");
        let mut status = self.server.wait(answer["execution_uuid"].as_str().unwrap());
        status["execution_uuid"] = answer["execution_uuid"].clone();
        status
    }

    /// The files that an execution left: the name of each with its bytes and all that they unpack to, as a client gets them.
    pub(crate) fn left(&self, status: &Value) -> Vec<(String, Vec<Vec<u8>>)> {
        let id = status["execution_uuid"].as_str().unwrap();
        let (_, listed) = self.server.get(&format!("/v1/executions/{id}/files"));
        let all = ["files", "output"].into_iter().flat_map(|kind| listed[kind].as_array().unwrap());
        let left = all.map(|one| {
            let uri = one["uri"].as_str().unwrap();
            let path = uri.strip_prefix("exuvia:/").unwrap();
            let (status, _, bytes) = self.server.bytes(&format!("/v1{path}"), &[]);
            assert_eq!(status, 200, "{uri}");
            (one["name"].as_str().unwrap().to_owned(), unpacked(&bytes))
        });
        left.collect()
    }

    /// All that the server has written: its folder, and its log.
    pub(crate) fn written(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.server.data.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push((path.display().to_string(), fs::read(&path).unwrap()));
                }
            }
        }
        files.push(("log".into(), fs::read(self.folder.path().join("log")).unwrap()));
        files
    }
}

fn policy(reached: &Reached) -> Value {
    let Reached { good, other, safe, bare, impostor } = reached;
    let of_tests = [safe.port, bare.port, impostor.port];
    json!({ "version": "1", "default": "allow", "x-sandbox": {
        "egress": { "allow": [
            { "host": "127.0.0.1", "ports": [good.port, safe.port, bare.port, impostor.port] },
            { "host": "127.0.0.2", "ports": [other.port] },
            { "host": SAFE, "ports": of_tests },
            { "host": ALIAS, "ports": of_tests },
        ] },
        "secrets": {
            "KEY": { "from": "env:EXUVIA_TEST_KEY", "hosts": ["127.0.0.1", SAFE] },
            "HMAC": { "from": "env:EXUVIA_TEST_HMAC", "hosts": ["127.0.0.1", SAFE], "reveal": true },
            "WORD": { "from": "env:EXUVIA_TEST_WORD", "hosts": ["127.0.0.1"], "reveal": true },
        },
    } })
}

pub(crate) fn start(folder: &Path) -> Server {
    let data = folder.join("data");
    let mut command = command(&data);
    for (flag, file) in [("--config", "exuvia.toml"), ("--policy", "policy.json"), ("--mcp-config", "mcp.json")] {
        command.arg(flag).arg(folder.join(file));
    }
    let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    command
        .env(
            "EXUVIA_LOG",
            "info,exuvia=trace,exuvia_runtime=trace,hyper=trace,hyper_util=trace,rustls=trace,rmcp=error",
        )
        .env("EXUVIA_TEST_KEY", KEY)
        .env("EXUVIA_TEST_HMAC", HMAC)
        .env("EXUVIA_TEST_WORD", WORD);
    let server = Server::of(
        {
            command.stderr(Stdio::from(log));
            command
        },
        data,
    );
    while server.get("/readyz").1["servers"][0]["status"] != "ready" {}
    server
}
