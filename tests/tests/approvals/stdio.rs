//! A server on standard input has no port; the operator has its socket in the data folder.

use super::*;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use support::server::command;

/// A server that its client has started, as agents do.
struct Started {
    child: Child,
    input: ChildStdin,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    folder: TempDir,
    data: PathBuf,
    calls: u32,
}

impl Started {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Longer than a socket's address may be.
        let data = folder.path().join("d".repeat(100));
        let mut command = command(&data);
        command.args(["--stdio", "--mcp-config"]).arg(folder.path().join("mcp.json"));
        command.arg("--policy").arg(folder.path().join("policy.json"));
        fs::write(folder.path().join("policy.json"), asking("15m").to_string()).unwrap();
        let servers = json!({ "mcpServers": { "Math": { "command": env!("CARGO_BIN_EXE_upstream-for-tests") } } });
        fs::write(folder.path().join("mcp.json"), servers.to_string()).unwrap();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut started = Self { child, input, lines: BufReader::new(output).lines(), folder, data, calls: 0 };
        let client = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        started.rpc("initialize", &client);
        started.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        while !started.tool("listTools", &json!({})).to_string().contains("mcp_Math_add") {}
        started
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
    }

    fn rpc(&mut self, method: &str, params: &Value) -> Value {
        self.calls += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.calls, "method": method, "params": params }));
        loop {
            let answer: Value = serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap();
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{answer}");
                return answer["result"].clone();
            }
        }
    }

    fn tool(&mut self, name: &str, arguments: &Value) -> Value {
        self.rpc("tools/call", &json!({ "name": name, "arguments": arguments }))["structuredContent"].clone()
    }

    fn status(&mut self, uuid: &str) -> Value {
        self.tool("checkCodeExecStatus", &json!({ "execution_uuid": uuid, "wait_seconds": 1 }))
    }

    /// `exuvia approvals`, which is not told where the server is.
    fn approvals(&self, arguments: &[&str], token: Option<&str>) -> Ran {
        let mut command = Command::new(binary());
        command.arg("approvals").args(arguments).arg("--data").arg(&self.data);
        command.env_remove("EXUVIA_OPERATOR_TOKEN").env_remove("EXUVIA_URL");
        command.args(token.iter().flat_map(|token| ["--token", token]));
        command.output().unwrap().into()
    }

    fn asked(&self) -> String {
        eventually(|| {
            let ran = self.approvals(&["list", "--json"], None);
            assert_eq!(ran.status, Some(0), "{}", ran.stderr);
            let listed: Value = serde_json::from_str(&ran.stdout).unwrap();
            listed["approvals"][0]["id"].as_str().map(str::to_owned)
        })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_operator_of_a_server_on_standard_input_decides_with_the_command_line() {
    let mut server = Started::new();
    let socket = server.data.join("operator.sock");
    let about = fs::metadata(&socket).unwrap();
    assert!(about.file_type().is_socket());
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    let submitted = server.tool("asyncExecuteCode", &json!({ "script": CAUGHT }));
    let uuid = submitted["execution_uuid"].as_str().unwrap().to_owned();
    let id = server.asked();
    assert_eq!(server.status(&uuid)["status"], "waiting_approval");
    assert_eq!(server.approvals(&["approve", &id], None).status, Some(0));
    eventually(|| Some(server.status(&uuid)).filter(|status| status["result"] == 103));
    // And a no.
    let submitted = server.tool("asyncExecuteCode", &json!({ "script": CAUGHT }));
    let uuid = submitted["execution_uuid"].as_str().unwrap().to_owned();
    let id = server.asked();
    assert_eq!(server.approvals(&["deny", &id, "--reason", "not today"], None).status, Some(0));
    let said = json!([RULE, "A person denied this call: not today"]);
    eventually(|| Some(server.status(&uuid)).filter(|status| status["result"] == said));
}

/// The socket is no way around the token, and opens nothing else. Seen to fail with the operator's ways unguarded there.
#[test]
fn nobody_else_decides_at_the_operator_s_socket() {
    let mut server = Started::new();
    let submitted = server.tool("asyncExecuteCode", &json!({ "script": CAUGHT }));
    let uuid = submitted["execution_uuid"].as_str().unwrap().to_owned();
    let id = server.asked();
    let wrong = server.approvals(&["approve", &id], Some("exo_wrong"));
    assert_eq!((wrong.status, wrong.stderr.as_str()), (Some(64), "exuvia: this is not the operator's token\n"));
    let made: Ran =
        Command::new(binary()).args(["grants", "create", "alice", "--data"]).arg(&server.data).output().unwrap().into();
    let key = made.stdout.split_whitespace().find(|word| word.starts_with("exv_")).unwrap();
    let of_grant = server.approvals(&["approve", &id], Some(key));
    assert_eq!(
        (of_grant.status, of_grant.stderr.as_str()),
        (Some(64), "exuvia: a grant's key is not the operator's token: grants decide nothing\n")
    );
    let token = fs::read_to_string(server.data.join("operator.token")).unwrap();
    for (path, head, status) in [
        (format!("POST /operator/v1/approvals/{id}/approve"), String::new(), "401"),
        ("GET /v1/executions".to_owned(), format!("authorization: Bearer {}\r\n", token.trim()), "404"),
        ("POST /mcp".to_owned(), format!("x-api-key: {key}\r\n"), "403"),
    ] {
        let mut stream = connect(&server.data);
        write!(stream, "{path} HTTP/1.1\r\nhost: localhost\r\n{head}content-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
    assert_eq!(server.status(&uuid)["status"], "waiting_approval", "nothing was decided");
    assert_eq!(server.approvals(&["approve", &id], None).status, Some(0));
    eventually(|| Some(server.status(&uuid)).filter(|status| status["result"] == 103));
}

/// By the folder, as the address is too long.
fn connect(data: &Path) -> std::os::unix::net::UnixStream {
    use std::os::fd::AsRawFd;
    let folder = fs::File::open(data).unwrap();
    let path = format!("/proc/self/fd/{}/operator.sock", folder.as_raw_fd());
    std::os::unix::net::UnixStream::connect(path).unwrap()
}

/// Also a server with a port is found by its data folder alone; one that is gone is said to be.
#[test]
fn a_server_is_found_by_its_data_folder() {
    let place = Place::new();
    let (_, asked, _) = place.add(101);
    let approvals = |arguments: &[&str]| -> Ran {
        let mut command = Command::new(binary());
        command.arg("approvals").args(arguments).arg("--data").arg(&place.server.data);
        command.env_remove("EXUVIA_OPERATOR_TOKEN").env_remove("EXUVIA_URL").output().unwrap().into()
    };
    let id = asked["approval"].as_str().unwrap();
    assert_eq!(approvals(&["approve", id]).status, Some(0));
    assert!(!place.add(101).0);
    let Place { mut server, folder } = place;
    server.kill();
    let mut command = Command::new(binary());
    command.args(["approvals", "list", "--data"]).arg(&server.data).env_remove("EXUVIA_URL");
    let gone: Ran = command.output().unwrap().into();
    let expected = format!("exuvia: no answer from `{}` (", server.data.join("operator.sock").display());
    assert!(gone.status == Some(3) && gone.stderr.starts_with(&expected), "{gone:?}");
    // What was left is no hindrance.
    let server = Server::start_in(folder.path(), &[]);
    let mut command = Command::new(binary());
    command.args(["approvals", "list", "--data"]).arg(&server.data).env_remove("EXUVIA_URL");
    assert_eq!(Ran::from(command.output().unwrap()).stdout, "Nothing waits for approval.\n");
}
