//! MCP over a child's standard input and output: one JSON message a line.
//!
//! rmcp's own transport drops a line that is too long or makes no sense, and the call that it answers then waits until its
//! time is over. This one answers that call with an error at once.

use super::error::short;
use rmcp::RoleClient;
use rmcp::model::{ErrorCode, ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

/// The codes of the errors that this side makes. Servers have those from -32768 to -32000.
pub(super) const TOO_LARGE: ErrorCode = ErrorCode(-39_001);
pub(super) const GARBLED: ErrorCode = ErrorCode(-39_002);

/// How much of both ends of a line that is too long is kept, to find the id in it.
const END_KEPT: usize = 512;

/// The requests that have no answer yet, by id.
type Pending = Arc<Mutex<HashMap<String, RequestId>>>;

/// What a server wrote to its standard output that was no message.
#[derive(Debug, Default)]
pub(super) struct Noise(Mutex<(u64, String)>);

impl Noise {
    fn record(&self, line: &[u8]) {
        let mut noise = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = line.get(..line.len().min(200)).unwrap_or_default();
        *noise = (noise.0.saturating_add(1), short(&String::from_utf8_lossy(start)));
    }

    /// How many lines there were, and the start of the last one.
    pub(super) fn read(&self) -> Option<(u64, String)> {
        let noise = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (noise.0 > 0).then(|| noise.clone())
    }
}

pub(super) struct Pipe<R, W> {
    read: BufReader<R>,
    write: Arc<tokio::sync::Mutex<Option<W>>>,
    /// The line that is being read, as `receive` may be dropped at any wait.
    line: Vec<u8>,
    long: Option<Long>,
    /// Longest line that is kept whole, in bytes.
    most: usize,
    pending: Pending,
    queued: VecDeque<ServerJsonRpcMessage>,
    noise: Arc<Noise>,
}

/// The ends of a line that is too long.
#[derive(Debug, Default)]
struct Long {
    head: Vec<u8>,
    tail: VecDeque<u8>,
}

enum Line {
    Whole,
    Long(Long),
    End,
}

impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin + 'static> Pipe<R, W> {
    pub(super) fn new(read: R, write: W, most: usize, noise: Arc<Noise>) -> Self {
        Self {
            read: BufReader::with_capacity(64 << 10, read),
            write: Arc::new(tokio::sync::Mutex::new(Some(write))),
            line: Vec::new(),
            long: None,
            most,
            pending: Pending::default(),
            queued: VecDeque::new(),
            noise,
        }
    }

    /// Reads up to the next line's end. May be dropped and called again: all state is in `self`.
    async fn read_line(&mut self) -> Line {
        loop {
            let available = match self.read.fill_buf().await {
                Ok([]) | Err(_) => return Line::End,
                Ok(available) => available,
            };
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            let part = available.get(..taken).unwrap_or_default();
            if let Some(long) = &mut self.long {
                long.extend(part);
            } else if self.line.len() + part.len() > self.most {
                let mut long = Long::default();
                long.extend(&self.line);
                long.extend(part);
                // The buffer is given back: the bound is for the moment, not for ever.
                self.line = Vec::new();
                self.long = Some(long);
            } else {
                self.line.extend_from_slice(part);
            }
            self.read.consume(taken);
            if end.is_some() {
                return self.long.take().map_or(Line::Whole, Line::Long);
            }
        }
    }

    /// The message in a whole line, or None when it is none.
    fn parse(&self, line: &[u8]) -> Option<ServerJsonRpcMessage> {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        if let Ok(message) = serde_json::from_slice::<ServerJsonRpcMessage>(line) {
            let id = match &message {
                JsonRpcMessage::Response(response) => Some(&response.id),
                JsonRpcMessage::Error(error) => error.id.as_ref(),
                _ => None,
            };
            if let Some(id) = id {
                self.take(&id.to_string());
            }
            return Some(message);
        }
        let Ok(value) = serde_json::from_slice::<Value>(line) else {
            self.noise.record(line);
            return None;
        };
        // A notification that this protocol does not have is nobody's fault.
        if value.get("method").is_some() {
            return None;
        }
        self.noise.record(line);
        let id = value.get("id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned))?;
        let id = self.take(&id)?;
        Some(failed(id, GARBLED, "it is no message of MCP"))
    }

    /// Fails the request that a line that is too long answers. When its id cannot be found, every request may be the one:
    /// then all of them are failed, since otherwise one would wait in vain.
    fn refuse(&mut self, long: &Long) {
        let message = "the answer is too large";
        let tail: Vec<u8> = long.tail.iter().copied().collect();
        let found = [&long.head, &tail].into_iter().flat_map(|end| ids(end)).find_map(|id| self.take(&id));
        if let Some(id) = found {
            self.queued.push_back(failed(id, TOO_LARGE, message));
            return;
        }
        let all = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        self.queued.extend(all.into_values().map(|id| failed(id, TOO_LARGE, message)));
    }

    fn take(&self, id: &str) -> Option<RequestId> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }
}

impl Long {
    fn extend(&mut self, part: &[u8]) {
        let room = END_KEPT.saturating_sub(self.head.len());
        self.head.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
        self.tail.extend(part.get(part.len().saturating_sub(END_KEPT)..).unwrap_or_default());
        let excess = self.tail.len().saturating_sub(END_KEPT);
        self.tail.drain(..excess);
    }
}

/// The values of all `"id":` in `text`. A server may put misleading ones there, but they can only fail its own calls.
fn ids(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let mut ids = Vec::new();
    for (_, after) in text.match_indices("\"id\"").filter_map(|(at, key)| text.split_at_checked(at + key.len())) {
        let Some(value) = after.trim_start().strip_prefix(':') else { continue };
        let value = value.trim_start().trim_start_matches('"');
        let id: String = value.chars().take_while(char::is_ascii_alphanumeric).collect();
        ids.push(id);
    }
    ids
}

fn failed(id: RequestId, code: ErrorCode, message: &'static str) -> ServerJsonRpcMessage {
    ServerJsonRpcMessage::error(ErrorData::new(code, message, None), Some(id))
}

impl<R, W> Transport<RoleClient> for Pipe<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        if let JsonRpcMessage::Request(request) = &item {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.insert(request.id.to_string(), request.id.clone());
        }
        let write = Arc::clone(&self.write);
        async move {
            let mut bytes = serde_json::to_vec(&item)?;
            bytes.push(b'\n');
            let mut write = write.lock().await;
            let pipe = write.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            pipe.write_all(&bytes).await?;
            pipe.flush().await
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            if let Some(message) = self.queued.pop_front() {
                return Some(message);
            }
            match self.read_line().await {
                Line::End => return None,
                Line::Long(long) => self.refuse(&long),
                Line::Whole => {
                    let line = std::mem::take(&mut self.line);
                    let message = self.parse(&line);
                    if message.is_some() {
                        return message;
                    }
                }
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        // The end of its input is how a server is told to end.
        self.write.lock().await.take();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmcp::model::{ClientJsonRpcMessage, ClientRequest, Extensions, PingRequest, PingRequestMethod};

    type Duplex = tokio::io::DuplexStream;

    /// A pipe with a bound of 100 bytes, waiting for answers to requests 7 and 8, that receives `text`.
    async fn received(text: &str) -> (Vec<Value>, Option<(u64, String)>) {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let (read, write) = tokio::io::split(ours);
        let noise = Arc::new(Noise::default());
        let mut pipe: Pipe<_, tokio::io::WriteHalf<Duplex>> = Pipe::new(read, write, 100, Arc::clone(&noise));
        for id in [7, 8] {
            let ping = ClientRequest::PingRequest(PingRequest {
                method: PingRequestMethod,
                extensions: Extensions::default(),
            });
            pipe.send(ClientJsonRpcMessage::request(ping, RequestId::Number(id))).await.unwrap();
        }
        theirs.write_all(text.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut messages = Vec::new();
        while let Some(message) = pipe.receive().await {
            messages.push(serde_json::to_value(message).unwrap());
        }
        (messages, noise.read())
    }

    #[tokio::test]
    async fn messages_between_noise() {
        let text = "starting up\n\n{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n{\"jsonrpc\":\"2.0\",\"method\":\"window/log\"}\n";
        let (messages, noise) = received(text).await;
        // The notification is not MCP's, but well-formed: rmcp ignores it.
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0]["id"], 7);
        assert_eq!(noise, Some((1, "starting up".into())));
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_fails_its_call_alone() {
        let body = "x".repeat(3000);
        for text in [
            format!("{{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":{{\"t\":\"{body}\"}}}}\n"),
            format!("{{\"result\":{{\"t\":\"{body}\"}},\"jsonrpc\":\"2.0\",\"id\": 8}}\n"),
        ] {
            let (messages, _) = received(&text).await;
            assert_eq!(messages.len(), 1, "{messages:?}");
            assert_eq!((&messages[0]["id"], &messages[0]["error"]["code"]), (&8.into(), &TOO_LARGE.0.into()));
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_and_has_no_id_fails_all() {
        let (messages, _) =
            received(&format!("{}\n{{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":{{}}}}\n", "y".repeat(200))).await;
        assert_eq!(messages.iter().filter(|message| message["error"]["code"] == TOO_LARGE.0).count(), 2);
    }

    #[tokio::test]
    async fn an_answer_that_is_no_message_fails_its_call() {
        let (messages, noise) = received("{\"id\":7,\"answer\":true}\n{\"id\":9}\n[]\n").await;
        assert_eq!(messages.len(), 1);
        assert_eq!((&messages[0]["id"], &messages[0]["error"]["code"]), (&7.into(), &GARBLED.0.into()));
        assert_eq!(noise.unwrap().0, 3);
    }

    #[tokio::test]
    async fn an_unfinished_line_ends_with_the_stream() {
        assert!(received("{\"jsonrpc\":\"2.0\",\"id\":7").await.0.is_empty());
        assert!(received(&"z".repeat(5000)).await.0.is_empty());
    }
}
