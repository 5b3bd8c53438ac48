//! A server whose programs may reach a web server of the test's, by names that a name server of the test's knows.
#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_debug_formatting,
    reason = "values are written where they are passed, and TOML quotes as Rust does"
)]

use super::authority::Authority;
use super::frames::Frames;
use super::names::Names;
use super::server::{Server, command};
use super::streams::Streams;
use super::web::Web;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

pub(crate) struct Reach {
    pub(crate) server: Server,
    /// Encrypted: `https://web.test:PORT`.
    pub(crate) web: Web,
    pub(crate) plain: Web,
    /// Speaks HTTP/2: `https://web.test:PORT`, too.
    pub(crate) streams: Streams,
    /// Speaks it wrongly, as a test says.
    pub(crate) frames: Frames,
    pub(crate) names: Names,
    folder: TempDir,
}

/// What programs of these tests have before their own lines.
const PRELUDE: &str = r"
import httpx, requests, urllib.request, urllib3
def told(function):
    try:
        return function()
    except Exception as raised:
        return f'{type(raised).__module__}.{type(raised).__name__}: {raised}'
";

impl Reach {
    /// The web servers may be reached by the name `web.test` and at `127.0.0.1`.
    pub(crate) fn start() -> Self {
        Self::with(&[], json!([]), json!({}), "")
    }

    /// `table`: names beside that. `allow`: rules beside these; `"ports": "web"` is those of the web servers. `caps`: of the policy. `config`: lines of `[egress]`.
    pub(crate) fn with(table: &[(&str, &[&str])], allow: Value, caps: Value, config: &str) -> Self {
        Self::of(table, allow, json!({ "caps": caps }), config)
    }

    /// `more`: of `x-sandbox`; `address`, of the rule for `127.0.0.1`.
    pub(crate) fn of(table: &[(&str, &[&str])], allow: Value, mut more: Value, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(&["web.test", "127.0.0.1"]);
        let (web, plain) = (Web::encrypted(&authority), Web::plain());
        let (streams, frames) = (Streams::start(&authority), Frames::start(&authority));
        let own: [(&str, &[&str]); 1] = [("web.test", &["127.0.0.1"])];
        let names = Names::start(&[&own, table].concat());
        let ports = [web.port, plain.port, streams.port, frames.port];
        let mut rules =
            vec![json!({ "host": "web.test", "ports": ports }), json!({ "host": "127.0.0.1", "ports": ports })];
        if let Some(Value::Object(of_the_address)) = more.as_object_mut().unwrap().remove("address") {
            rules[1].as_object_mut().unwrap().extend(of_the_address);
        }
        rules.extend(allow.as_array().unwrap().iter().cloned());
        for rule in rules.iter_mut().filter(|rule| rule["ports"] == "web") {
            rule["ports"] = json!(ports);
        }
        more["egress"] = json!({ "allow": rules });
        let policy = json!({ "version": "1", "default": "allow", "x-sandbox": more });
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        write("policy.json", policy.to_string());
        write("ca.pem", authority.pem().to_owned());
        let ca_file = folder.path().join("ca.pem");
        let egress = format!("[egress]\nca_file = {ca_file:?}\ndns = \"{}\"\n{config}", names.address);
        write("exuvia.toml", egress);
        let server = start(folder.path());
        Self { server, web, plain, streams, frames, names, folder }
    }

    /// What a program's last expression gives, with the ports and the prelude in front of it.
    pub(crate) fn run(&self, script: &str) -> Value {
        let status = self.server.execute(&self.script(script));
        assert!(status["error"].is_null(), "{}", status["error"]["traceback"].as_str().unwrap_or_default());
        status["result"].clone()
    }

    pub(crate) fn script(&self, script: &str) -> String {
        let (web, plain, streams, frames) = (self.web.port, self.plain.port, self.streams.port, self.frames.port);
        format!(
            "{PRELUDE}WEB, PLAIN = 'https://web.test:{web}', 'http://web.test:{plain}'\nPORT, PLAIN_PORT = {web}, {plain}\n\
             STREAMS, FRAMES = 'https://web.test:{streams}', 'https://web.test:{frames}'\nSTREAMS_PORT = {streams}\n{script}"
        )
    }

    /// The lines of the audit about HTTP.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.server.data.join("audit/audit.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["tool"] == "http").collect()
    }

    /// Kills the server, and starts it anew on its data.
    pub(crate) fn restart(&mut self) {
        self.server.kill();
        self.server = start(self.folder.path());
    }
}

fn start(folder: &Path) -> Server {
    let data = folder.join("data");
    let mut command = command(&data);
    for (flag, file) in [("--config", "exuvia.toml"), ("--policy", "policy.json")] {
        command.arg(flag).arg(folder.join(file));
    }
    Server::of(command, data)
}
