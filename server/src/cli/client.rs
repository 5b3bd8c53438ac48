//! `exuvia submit`, `status`, `list` and `cancel`: a running server, from the command line.

use super::shown::{lines, visible};
use super::{Failure, Status, files, inputs, print};
use crate::shelf::name::encoded;
use futures_util::stream::try_unfold;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Most bytes of an answer in JSON, and of one that says what is wrong: they are in memory.
const LARGEST_ANSWER: usize = 1 << 30;
const LARGEST_ERROR: usize = 1 << 20;

/// Bytes of a file that are sent at a time.
const PIECE: usize = 64 << 10;

/// Which server, and who asks.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// The server
    #[arg(long, value_name = "URL", env = "EXUVIA_URL", default_value = "http://127.0.0.1:8787")]
    url: String,
    /// A grant's key, where the server asks for one
    #[arg(long, value_name = "KEY", env = "EXUVIA_API_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// Submit a program to a running server and print its UUID
#[derive(Debug, clap::Args)]
pub(crate) struct Submit {
    /// The program; `-` for standard input
    file: PathBuf,
    /// Set a variable before the program starts
    #[arg(long = "input", value_name = "NAME=JSON")]
    input: Vec<String>,
    /// Set all variables of a JSON object
    #[arg(long, value_name = "FILE.json")]
    inputs: Option<PathBuf>,
    /// Keep a variable's value at the end
    #[arg(long = "output", value_name = "NAME")]
    output: Vec<String>,
    /// Let it call the tools of this upstream server only; may be given several times
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<String>,
    /// Stop it after this long
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// Submit it once, however often this command is given
    #[arg(long, value_name = "TEXT")]
    once: Option<String>,
    /// low, normal or high, among your own executions
    #[arg(long, value_name = "PRIORITY")]
    priority: Option<String>,
    /// Begin with it then, e.g. 2027-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    run_at: Option<String>,
    /// Give it a file, in /mnt/data under its own name or another; may be given several times
    #[arg(long = "file", value_name = "PATH[=NAME]")]
    files: Vec<String>,
    /// Have this package beside those that are built in; may be given several times
    #[arg(long = "with", value_name = "PACKAGE")]
    packages: Vec<String>,
    /// Give it this secret, as a variable of that name; may be given several times
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// Go on where the last call with this name ended
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    #[command(flatten)]
    at: Server,
}

/// Show where an execution is
#[derive(Debug, clap::Args)]
pub(crate) struct Look {
    uuid: String,
    /// Print its output as it comes, until it ends
    #[arg(long)]
    follow: bool,
    /// Print the whole status as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Server,
}

/// List executions, the newest first
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only those of this status
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Most executions to list
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    at: Server,
}

/// Stop an execution
#[derive(Debug, clap::Args)]
pub(crate) struct Cancel {
    uuid: String,
    #[command(flatten)]
    at: Server,
}

pub(crate) fn submit(arguments: &Submit) -> Result<Status, Failure> {
    let program = inputs::program(&arguments.file)?;
    let given = inputs::inputs(arguments.inputs.as_deref(), &arguments.input)?;
    let mut body = json!({ "script": program.source, "name": program.name, "input_vars": given });
    if let Some(fields) = body.as_object_mut() {
        add(fields, "output_vars", &arguments.output);
        add(fields, "mcp_server_names", &arguments.servers);
        add(fields, "additional_imports", &arguments.packages);
        add(fields, "required_secrets", &arguments.secrets);
        let words =
            [("idempotency_key", &arguments.once), ("priority", &arguments.priority), ("run_at", &arguments.run_at)];
        for (name, word) in words {
            if let Some(word) = word {
                fields.insert(name.into(), word.as_str().into());
            }
        }
        if let Some(timeout) = arguments.timeout {
            fields.insert("timeout".into(), timeout.as_secs_f64().into());
        }
        let mut given = Vec::new();
        for file in &arguments.files {
            let (path, name) = files::path_and_name(file);
            given.push(files::put(&path, Some(&name), &arguments.at)?);
        }
        add(fields, "files", &given);
        if let Some(session) = &arguments.session {
            fields.insert("session_id".into(), session.as_str().into());
        }
    }
    let status = arguments.at.ask(|client, url| client.post(format!("{url}/v1/executions")).json(&body))?;
    print::out(text(&status, "execution_uuid"));
    Ok(Status::Finished)
}

fn add(fields: &mut Map<String, Value>, name: &str, values: &[String]) {
    if !values.is_empty() {
        fields.insert(name.into(), values.into());
    }
}

pub(crate) fn status(arguments: &Look) -> Result<Status, Failure> {
    let mut since = "0.0".to_owned();
    loop {
        let wait = if arguments.follow { 1.0 } else { 0.0 };
        let path = format!("/v1/executions/{}?wait_seconds={wait}&since={since}", arguments.uuid);
        let status = arguments.at.ask(|client, url| client.get(format!("{url}{path}")))?;
        let is_over = !field(&status, "success").is_null();
        if arguments.json {
            if is_over || !arguments.follow {
                print::out(&status.to_string());
            }
        } else {
            // What cannot be written is the reader's loss alone.
            let _ = std::io::stdout().write_all(text(&status, "stdout").as_bytes());
            let _ = std::io::stderr().write_all(text(&status, "stderr").as_bytes());
        }
        since.clone_from(&text(&status, "next").to_owned());
        if is_over || !arguments.follow {
            if !arguments.json {
                describe(&status);
            }
            return Ok(exit_status(&status));
        }
    }
}

pub(crate) fn list(arguments: &List) -> Result<Status, Failure> {
    let mut path = format!("/v1/executions?limit={}", arguments.limit);
    if let Some(status) = &arguments.status {
        path.push_str("&status=");
        path.push_str(status);
    }
    let listed = arguments.at.ask(|client, url| client.get(format!("{url}{path}")))?;
    let executions = field(&listed, "executions").as_array().map(Vec::as_slice).unwrap_or_default();
    for one in executions {
        let (uuid, status, when) = (text(one, "execution_uuid"), text(one, "status"), text(one, "submitted_at"));
        print::out(&format!("{uuid}  {status:9}  {when}  {}", visible(text(one, "name"))));
    }
    if executions.is_empty() {
        print::error("exuvia: there are none");
    }
    Ok(Status::Finished)
}

pub(crate) fn cancel(arguments: &Cancel) -> Result<Status, Failure> {
    let status = arguments.at.ask(|client, url| client.delete(format!("{url}/v1/executions/{}", arguments.uuid)))?;
    print::out(text(&status, "status"));
    Ok(Status::Finished)
}

fn describe(status: &Value) {
    if !field(status, "result").is_null() {
        print::out(&field(status, "result").to_string());
    }
    for (name, value) in field(status, "output_vars").as_object().into_iter().flatten() {
        print::out(&format!("{name} = {value}"));
    }
    let error = field(status, "error");
    if error.is_object() {
        let traceback = text(error, "traceback").trim_end();
        let message = format!("{}: {}", text(error, "type"), text(error, "message"));
        print::error(&lines(if traceback.is_empty() { &message } else { traceback }));
    }
    for one in field(status, "artifacts").as_array().into_iter().flatten() {
        let (size, name) = (field(one, "size"), visible(text(one, "name")));
        print::error(&format!("exuvia: it left `{name}` ({size} bytes)"));
    }
    print::error(&format!("exuvia: {}", text(status, "status")));
    for approval in field(status, "approvals").as_array().into_iter().flatten().filter_map(Value::as_str) {
        print::error(&format!("exuvia: a call waits for approval: `exuvia approvals show {approval}`"));
    }
}

fn exit_status(status: &Value) -> Status {
    match text(status, "status") {
        "failed" => Status::Raised,
        "cancelled" | "timed_out" => Status::Stopped,
        _ => Status::Finished,
    }
}

pub(super) fn field<'a>(object: &'a Value, name: &str) -> &'a Value {
    object.get(name).unwrap_or(&Value::Null)
}

pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

impl Server {
    pub(super) fn ask(
        &self,
        request: impl FnOnce(&reqwest::Client, &str) -> reqwest::RequestBuilder,
    ) -> Result<Value, Failure> {
        let url = &self.url;
        ask(url, crate::tls::builder(), |client| self.keyed(request(client, url.trim_end_matches('/'))))
    }
}

impl Server {
    /// Writes what is at `path`, of at most `most` bytes, to `target`, piece by piece as it comes.
    pub(super) fn fetch(&self, path: &str, target: &mut dyn Write, most: u64) -> Result<(), Failure> {
        let url = &self.url;
        runtime()?.block_on(async {
            let client = crate::tls::client().map_err(|error| Failure::Server(error.to_string()))?;
            let request = self.keyed(client.get(format!("{}{path}", url.trim_end_matches('/'))));
            let answer = request.send().await.map_err(|error| unreachable(url, &error))?;
            let mut answer = sound(url, answer).await?;
            let mut left = most;
            while let Some(piece) = answer.chunk().await.map_err(|error| unreachable(url, &error))? {
                left = left.checked_sub(piece.len() as u64).ok_or_else(|| too_large(&format!("{url}{path}"), most))?;
                files::written(target, &piece)?;
            }
            Ok(())
        })
    }

    /// Gives a file of `size` bytes to the server, piece by piece: what it says of it.
    pub(super) fn give(&self, name: &str, file: std::fs::File, size: u64) -> Result<Value, Failure> {
        self.ask(|client, url| {
            let pieces = try_unfold(tokio::fs::File::from_std(file), |mut file| async move {
                let mut piece = Vec::with_capacity(PIECE);
                let count = file.read_buf(&mut piece).await?;
                Ok::<_, std::io::Error>((count > 0).then_some((piece, file)))
            });
            let body = reqwest::Body::wrap_stream(pieces);
            let address = format!("{url}/v1/files?name={}", encoded(name));
            client.post(address).header(http::header::CONTENT_LENGTH, size).body(body)
        })
    }

    fn keyed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        }
    }
}

impl Server {
    /// What the server answers at `path`, of at most `most` bytes.
    pub(super) fn bytes(&self, path: &str, most: usize) -> Result<Vec<u8>, Failure> {
        let runtime = runtime()?;
        let url = self.url.trim_end_matches('/');
        runtime.block_on(async {
            let client = crate::tls::client().map_err(|error| Failure::Server(error.to_string()))?;
            let request = self.keyed(client.get(format!("{url}{path}")));
            let answer = request.send().await.map_err(|error| unreachable(url, &error))?;
            let answer = sound(url, answer).await?;
            whole(answer, url, path, most).await
        })
    }
}

/// Asks the server at `url`, and gives its answer or what it says is wrong.
pub(super) fn ask(
    url: &str,
    client: reqwest::ClientBuilder,
    request: impl FnOnce(&reqwest::Client) -> reqwest::RequestBuilder,
) -> Result<Value, Failure> {
    runtime()?.block_on(async {
        let client = client.build().map_err(|error| Failure::Server(error.to_string()))?;
        let answer = request(&client).send().await.map_err(|error| unreachable(url, &error))?;
        let answer = whole(sound(url, answer).await?, url, "", LARGEST_ANSWER).await?;
        serde_json::from_slice(&answer).map_err(|error| no_answer(url, &error))
    })
}

/// All of an answer, which is in memory.
async fn whole(mut answer: reqwest::Response, url: &str, path: &str, most: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(url, &error))? {
        if bytes.len() + chunk.len() > most {
            return Err(too_large(&format!("{url}{path}"), most as u64));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large(place: &str, most: u64) -> Failure {
    Failure::Usage(format!("the answer of `{place}` has more than {most} bytes"))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|source| Failure::System { doing: "start the runtime", source })
}

/// An answer, unless it says that something is wrong.
async fn sound(url: &str, answer: reqwest::Response) -> Result<reqwest::Response, Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let body = whole(answer, url, "", LARGEST_ERROR).await?;
    let body: Value = serde_json::from_slice(&body).map_err(|error| no_answer(url, &error))?;
    let why = text(&body, "error").to_owned();
    Err(if status.is_server_error() { Failure::Server(why) } else { Failure::Usage(why) })
}

fn unreachable(url: &str, error: &reqwest::Error) -> Failure {
    no_answer(url, error)
}

fn no_answer(url: &str, error: &dyn std::error::Error) -> Failure {
    Failure::Server(format!(
        "no answer from `{url}` ({}): is `exuvia serve` running there? `--url` names another server",
        super::chain(error)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// A server that answers once, in chunks, as one does that does not know how much it will say.
    fn answering(status: &'static str, chunk: String, times: usize) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            lines.map_while(Result::ok).find(String::is_empty);
            let head = format!("HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\n\r\n");
            let chunk = format!("{:x}\r\n{chunk}\r\n", chunk.len());
            // Who does not read on is gone.
            let _ = stream.write_all((head + &chunk.repeat(times) + "0\r\n\r\n").as_bytes());
        });
        Server { url, key: None }
    }

    /// Seen to fail with what comes not counted.
    #[test]
    fn what_is_fetched_is_bounded() {
        let chunk = || "x".repeat(1000);
        let mut target = Vec::new();
        answering("200 OK", chunk(), 3).fetch("/given", &mut target, 3000).unwrap();
        assert_eq!(target.len(), 3000);
        let server = answering("200 OK", chunk(), 4);
        let mut target = Vec::new();
        let failure = server.fetch("/given", &mut target, 3000).unwrap_err();
        assert_eq!(failure.to_string(), format!("the answer of `{}/given` has more than 3000 bytes", server.url));
        assert!(target.len() <= 3000);
    }

    /// Seen to fail with such an answer read as a whole.
    #[test]
    fn what_is_wrong_is_said_in_short() {
        let server = answering("500 Internal Server Error", " ".repeat(LARGEST_ERROR), 2);
        let failure = server.ask(|client, url| client.get(url)).unwrap_err();
        assert_eq!(failure.to_string(), format!("the answer of `{}` has more than {LARGEST_ERROR} bytes", server.url));
        let server = answering("500 Internal Server Error", r#"{"error": "why"}"#.into(), 1);
        assert_eq!(server.ask(|client, url| client.get(url)).unwrap_err().to_string(), "why");
    }
}
