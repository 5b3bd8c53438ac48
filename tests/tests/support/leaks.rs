//! The ways to leak of `tests/leaks`, and a place to try them in: servers that record, a tool that has the value, policies.

use super::recorder::Recorder;
use super::server::{Server, command};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

/// Characters that every encoding writes otherwise.
pub(crate) const KEY: &str = "sk-live/7Qf+9Zt=Vw3_kL8m~Hc2";
pub(crate) const HMAC: &str = "hm/2Rb9~Xy+4Tq=uE-0pWs6_Jd5";

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

pub(crate) struct Place {
    pub(crate) server: Server,
    pub(crate) good: Recorder,
    pub(crate) other: Recorder,
    pub(crate) folder: TempDir,
}

impl Place {
    /// A server that logs all there is to log (but for messages of other servers, whole, by rmcp), with the secrets `KEY`, as a placeholder, and `HMAC`, revealed.
    pub(crate) fn start() -> Self {
        let (good, other) = (Recorder::start("127.0.0.1"), Recorder::start("127.0.0.2"));
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, value: &Value| {
            fs::write(folder.path().join(name), value.to_string()).unwrap();
        };
        file("policy.json", &policy(&good, &other));
        file(
            "mcp.json",
            &json!({ "mcpServers": { "Math": {
            "command": env!("CARGO_BIN_EXE_upstream-for-tests"), "env": { "LEAK": KEY },
        } } }),
        );
        let server = start(folder.path());
        Self { server, good, other, folder }
    }

    /// Runs a script as a job, which has a journal, and gives its status.
    pub(crate) fn run(&self, script: &str, secret: &str) -> Value {
        let arguments = json!({ "script": script, "required_secrets": [secret],
            "input_vars": { "GOOD": self.good.url, "OTHER": self.other.url } });
        let (failed, answer, text) = self.server.tool("asyncExecuteCode", arguments);
        assert!(!failed, "{text}");
        self.server.wait(answer["execution_uuid"].as_str().unwrap())
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

pub(crate) fn policy(good: &Recorder, other: &Recorder) -> Value {
    json!({ "version": "1", "default": "allow", "x-sandbox": {
        "egress": { "allow": [
            { "host": "127.0.0.1", "ports": [good.port] },
            { "host": "127.0.0.2", "ports": [other.port] },
        ] },
        "secrets": {
            "KEY": { "from": "env:EXUVIA_TEST_KEY", "hosts": ["127.0.0.1"] },
            "HMAC": { "from": "env:EXUVIA_TEST_HMAC", "hosts": ["127.0.0.1"], "reveal": true },
        },
    } })
}

pub(crate) fn start(folder: &Path) -> Server {
    let data = folder.join("data");
    let mut command = command(&data);
    for (flag, file) in [("--policy", "policy.json"), ("--mcp-config", "mcp.json")] {
        command.arg(flag).arg(folder.join(file));
    }
    let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    command.env("EXUVIA_LOG", "trace,rmcp=error").env("EXUVIA_TEST_KEY", KEY).env("EXUVIA_TEST_HMAC", HMAC);
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
