//! A server with the upstream server `Counts`, whose calls leave lines in a file that no death of anybody takes back.

use super::server::{Server, command};
use serde_json::json;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

pub(crate) struct Counts {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
}

impl Counts {
    /// `executions`: lines of that section of the configuration.
    pub(crate) fn start(executions: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = json!({ "mcpServers": { "Counts": {
            "command": env!("CARGO_BIN_EXE_upstream-for-tests"),
            "env": { "COUNTS": folder.path().join("counts") },
        } } });
        fs::write(folder.path().join("mcp.json"), upstream.to_string()).unwrap();
        fs::write(folder.path().join("policy.json"), POLICY).unwrap();
        configure(folder.path(), executions);
        let server = start(folder.path());
        Self { server, folder }
    }

    /// The same for the next start.
    pub(crate) fn configure(&self, executions: &str) {
        configure(self.folder.path(), executions);
    }

    /// Kills the server, and starts it anew.
    pub(crate) fn restart(&mut self) {
        self.server.kill();
        self.server = start(self.folder.path());
    }

    /// Starts it on the same data after something else has ended it.
    pub(crate) fn start_again(&mut self) {
        self.server.ended();
        self.server = start(self.folder.path());
    }

    /// All calls so far, in the order in which they came: the tool and its key.
    pub(crate) fn calls(&self) -> Vec<String> {
        made(&self.folder.path().join("counts"))
    }
}

/// The calls in such a file. One that its server died in the middle of writing down was not answered, and is none.
pub(crate) fn made(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_suffix(';')).map(str::to_owned).collect()
}

const POLICY: &str = r#"{ "version": "1", "default": "allow" }"#;

fn configure(folder: &Path, executions: &str) {
    fs::write(folder.join("exuvia.toml"), format!("[executions]\n{executions}")).unwrap();
}

fn start(folder: &Path) -> Server {
    let data = folder.join("data");
    let mut command = command(&data);
    for (flag, file) in [("--config", "exuvia.toml"), ("--mcp-config", "mcp.json"), ("--policy", "policy.json")] {
        command.arg(flag).arg(folder.join(file));
    }
    Server::of(command, data)
}
