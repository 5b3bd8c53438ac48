//! A web server that speaks HTTP/2, on loopback, with TLS: what servers do, and what they should not, within the protocol.

use super::authority::Authority;
use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What it takes at once over one connection.
pub(crate) const MOST_AT_ONCE: u32 = 10;

#[derive(Clone)]
pub(crate) struct Streams {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    seen: Mutex<Vec<Value>>,
    together: Mutex<HashMap<usize, Arc<Barrier>>>,
    /// How the bodies of requests, and responses without an end, ended: the path, and the length or why.
    ends: Mutex<Vec<(String, String)>>,
}

impl Streams {
    pub(crate) fn start(authority: &Authority) -> Self {
        let shared = Arc::<Shared>::default();
        let acceptor = TlsAcceptor::from(authority.server_of_http2());
        let served = Arc::clone(&shared);
        let port = listening(move |stream| {
            let (acceptor, shared) = (acceptor.clone(), Arc::clone(&served));
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let number = shared.connections.fetch_add(1, Ordering::Relaxed);
                let mut builder = h2::server::Builder::new();
                builder.max_concurrent_streams(MOST_AT_ONCE).max_header_list_size(1 << 20);
                if let Ok(connection) = builder.handshake(stream).await {
                    serve(connection, number, &shared).await;
                }
            }
        });
        Self { port, shared }
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// The requests so far, as they came.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How the request's body for such a path ended, once it has.
    pub(crate) fn end(&self, path: &str) -> String {
        loop {
            if let Some((_, end)) = self.shared.ends.lock().unwrap().iter().find(|(of, _)| of == path) {
                return end.clone();
            }
            std::thread::yield_now();
        }
    }
}

/// Serves each connection to a port of its own, on a thread of its own, until the test ends. The port.
pub(super) fn listening<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream));
            }
        });
    });
    told.recv().unwrap()
}

async fn serve(mut connection: Connection<TlsStream<TcpStream>, Bytes>, number: usize, shared: &Arc<Shared>) {
    while let Some(Ok((request, respond))) = connection.accept().await {
        match request.uri().path() {
            // What is under way goes on.
            "/leaves" => connection.graceful_shutdown(),
            "/drops" => return,
            _ => {}
        }
        let shared = Arc::clone(shared);
        tokio::spawn(async move { shared.answer(request, respond, number).await });
    }
}

impl Shared {
    /// None: the stream has ended, in whatever way.
    async fn answer(
        &self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        number: usize,
    ) -> Option<()> {
        let path = request.uri().path().to_owned();
        let (route, rest) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
        let before = self.seen.lock().unwrap().iter().filter(|seen| seen["path"] == path.as_str()).count();
        let (mut told, body) = echo(request, number);
        self.seen.lock().unwrap().push(told.clone());
        match route {
            "early" => return reply(respond, 413, b"").await,
            "hoards" => {
                reply(respond, 413, b"").await?;
                return hoard(body).await;
            }
            "deaf" => return hoard(body).await,
            "refused" => return reset(respond, Reason::REFUSED_STREAM),
            "refused-once" if before == 0 => return reset(respond, Reason::REFUSED_STREAM),
            "resets" => return reset(respond, Reason::INTERNAL_ERROR),
            _ => {}
        }
        match whole(body).await {
            Ok(length) => {
                told["length"] = json!(length);
                if length > 0 {
                    self.ends(&path, &length);
                }
            }
            Err(error) => return self.ends(&path, &error),
        }
        match route {
            "bytes" => reply(respond, 200, &vec![b'x'; rest.parse().unwrap()]).await,
            "together" => {
                let all = rest.parse().unwrap();
                let barrier =
                    self.together.lock().unwrap().entry(all).or_insert_with(|| Arc::new(Barrier::new(all))).clone();
                barrier.wait().await;
                reply(respond, 200, told.to_string().as_bytes()).await
            }
            "silent" => gone(&mut respond).await,
            "stalls" => {
                let mut body = begin(&mut respond, &[("content-length", "100")])?;
                send(&mut body, b"ten bytes.").await?;
                poll_fn(|context| body.poll_reset(context)).await.ok().map(drop)
            }
            "cut" => {
                let mut body = begin(&mut respond, &[])?;
                send(&mut body, b"half of it").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
                body.send_reset(if rest.is_empty() { Reason::NO_ERROR } else { Reason::INTERNAL_ERROR });
                None
            }
            "endless" => {
                let mut body = begin(&mut respond, &[])?;
                while send(&mut body, &[b'x'; 1 << 14]).await.is_some() {}
                self.ends(&path, &"given up")
            }
            "drips" => {
                let mut body = begin(&mut respond, &[])?;
                while send(&mut body, b"x").await.is_some() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                self.ends(&path, &"given up")
            }
            "headers" => {
                let names: Vec<_> = (0..rest.parse().unwrap()).map(|n| format!("x-{n}")).collect();
                let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
                begin(&mut respond, &headers)?.send_data(Bytes::new(), true).ok()
            }
            "large-head" => {
                begin(&mut respond, &[("x-large", &"x".repeat(300 << 10))])?.send_data(Bytes::new(), true).ok()
            }
            "ends" => {
                let ends = self.ends.lock().unwrap().clone();
                reply(respond, 200, json!(ends).to_string().as_bytes()).await
            }
            _ if told["method"] == "HEAD" => {
                let response = Response::builder().status(200).header("content-length", 100).body(()).unwrap();
                respond.send_response(response, true).ok().map(drop)
            }
            _ => reply(respond, 200, told.to_string().as_bytes()).await,
        }
    }
}

impl Shared {
    fn ends(&self, path: &str, how: &dyn ToString) -> Option<()> {
        self.ends.lock().unwrap().push((path.to_owned(), how.to_string()));
        None
    }
}

fn echo(request: Request<RecvStream>, number: usize) -> (Value, RecvStream) {
    let (parts, body) = request.into_parts();
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
        .collect();
    let told = json!({
        "method": parts.method.as_str(), "path": parts.uri.path(), "query": parts.uri.query(),
        "authority": parts.uri.authority().map(ToString::to_string), "scheme": parts.uri.scheme_str(),
        "headers": headers, "version": format!("{:?}", parts.version), "connection": number,
    });
    (told, body)
}

/// Keeps the body, and takes nothing of it.
async fn hoard(body: RecvStream) -> Option<()> {
    std::future::pending::<()>().await;
    drop(body);
    None
}

async fn whole(mut body: RecvStream) -> Result<usize, h2::Error> {
    let mut length = 0;
    while let Some(piece) = body.data().await {
        let piece = piece?;
        length += piece.len();
        body.flow_control().release_capacity(piece.len())?;
    }
    Ok(length)
}

fn begin(respond: &mut SendResponse<Bytes>, headers: &[(&str, &str)]) -> Option<SendStream<Bytes>> {
    let mut response = Response::builder().status(200);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    respond.send_response(response.body(()).unwrap(), false).ok()
}

/// Sends when the client takes it.
async fn send(body: &mut SendStream<Bytes>, mut bytes: &[u8]) -> Option<()> {
    while !bytes.is_empty() {
        body.reserve_capacity(bytes.len());
        let room = poll_fn(|context| body.poll_capacity(context)).await?.ok()?;
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        body.send_data(Bytes::copy_from_slice(now), false).ok()?;
        bytes = later;
    }
    Some(())
}

async fn reply(mut respond: SendResponse<Bytes>, status: u16, body: &[u8]) -> Option<()> {
    let response = Response::builder().status(status).header("content-length", body.len());
    let mut stream = respond.send_response(response.body(()).unwrap(), body.is_empty()).ok()?;
    if body.is_empty() {
        return Some(());
    }
    send(&mut stream, body).await?;
    stream.send_data(Bytes::new(), true).ok()
}

fn reset(mut respond: SendResponse<Bytes>, why: Reason) -> Option<()> {
    respond.send_reset(why);
    None
}

/// Until the client has given the stream up.
async fn gone(respond: &mut SendResponse<Bytes>) -> Option<()> {
    poll_fn(|context| respond.poll_reset(context)).await.ok().map(drop)
}
