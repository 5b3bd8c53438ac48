//! A real server on a port of its own, asked as clients ask.
#![allow(clippy::needless_pass_by_value, reason = "the arguments are written in place")]

use super::binary;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A server, and the folder of its data.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) data: PathBuf,
    key: Option<String>,
    agent: ureq::Agent,
    /// Removed with the server.
    folder: Option<TempDir>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self::start_in(folder.path(), &[]);
        server.folder = Some(folder);
        server
    }

    /// Starts a server on the data of an earlier one.
    pub(crate) fn start_in(folder: &Path, arguments: &[&str]) -> Self {
        let data = folder.join("data");
        let mut command = command(&data);
        command.args(arguments);
        Self::of(command, data)
    }

    /// Starts a server with a command of one's own.
    pub(crate) fn of(mut command: Command, data: PathBuf) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().map(Result::unwrap).unwrap_or_default();
        let url = first.strip_prefix("Exuvia serves MCP at ");
        assert!(url.is_some(), "it said {first:?}");
        let url = url.unwrap_or_default();
        // Read on, or it would wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let url = url.trim_end_matches("/mcp").to_owned();
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self { child, url, data, key: None, agent: config.into(), folder: None }
    }

    /// The same server, for whoever has this key.
    pub(crate) fn with_key(&mut self, key: Option<&str>) -> &mut Self {
        self.key = key.map(str::to_owned);
        self
    }

    /// Calls a tool: whether it failed, its structured content, and its text.
    pub(crate) fn tool(&self, name: &str, arguments: Value) -> (bool, Value, String) {
        let result = self.rpc("tools/call", json!({ "name": name, "arguments": arguments }));
        let text = result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        (result["isError"] == true, result["structuredContent"].clone(), text)
    }

    /// Runs a script to its end, and gives its structured content.
    pub(crate) fn execute(&self, script: &str) -> Value {
        self.tool("executeCode", json!({ "script": script })).1
    }

    /// Submits a script, and gives its UUID.
    pub(crate) fn submit(&self, script: &str) -> String {
        let (failed, answer, text) = self.tool("asyncExecuteCode", json!({ "script": script }));
        assert!(!failed, "{text}");
        answer["execution_uuid"].as_str().unwrap().to_owned()
    }

    /// Waits for the end of an execution, and gives its status.
    pub(crate) fn wait(&self, uuid: &str) -> Value {
        loop {
            let arguments = json!({ "execution_uuid": uuid, "wait_seconds": 30 });
            let (failed, status, text) = self.tool("checkCodeExecStatus", arguments);
            assert!(!failed, "{text}");
            if !status["success"].is_null() {
                return status;
            }
        }
    }

    pub(crate) fn rpc(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (status, answer) = self.post("/mcp", &request, &[("accept", "application/json, text/event-stream")]);
        assert_eq!(status, 200, "{answer}");
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].clone()
    }

    pub(crate) fn post(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> (u16, Value) {
        let mut request = self.agent.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        read(request.send(body.to_string()).unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        read(request.call().unwrap())
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.agent.put(format!("{}{path}", self.url)).header("content-type", "application/json");
        read(request.send(body.to_string()).unwrap())
    }

    pub(crate) fn delete(&self, path: &str) -> (u16, Value) {
        let mut request = self.agent.delete(format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        read(request.call().unwrap())
    }

    /// What is at `path`, as it is: its status, its headers, its bytes.
    pub(crate) fn bytes(&self, path: &str, headers: &[(&str, &str)]) -> (u16, ureq::http::HeaderMap, Vec<u8>) {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        let mut answer = request.call().unwrap();
        let bytes = answer.body_mut().with_config().limit(u64::MAX).read_to_vec().unwrap();
        (answer.status().as_u16(), answer.headers().clone(), bytes)
    }

    /// Gives a file, and gets what the server says of it.
    pub(crate) fn give(&self, name: &str, bytes: &[u8]) -> (u16, Value) {
        let mut request = self.agent.post(format!("{}/v1/files", self.url)).query("name", name);
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        read(request.send(bytes).unwrap())
    }

    /// A request of MCP that is refused: its error.
    pub(crate) fn refused(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (_, answer) = self.post("/mcp", &request, &[("accept", "application/json, text/event-stream")]);
        assert!(answer["error"].is_object(), "{answer}");
        answer["error"].clone()
    }

    /// Of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The folder that the process sees as the root of its files.
    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.id()))
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until something has ended it; its exit status.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.terminate();
        self.ended()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `exuvia serve` on any free port.
pub(crate) fn command(data: &Path) -> Command {
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    command.env("EXUVIA_LOG", "error").env_remove("EXUVIA_CONFIG").stdin(Stdio::null());
    command
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> (u16, Value) {
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
    (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
