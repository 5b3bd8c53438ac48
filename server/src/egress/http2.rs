//! A connection that speaks HTTP/2: the exchanges of one execution share it, a stream each. An exchange that does not come to
//! its end takes it out of use for others, as it would have ended one of its own: the connection may be dead, or its server
//! hold on to what was not read.

use super::allowance::{Allowance, Metered};
use super::connection::{LARGEST_HEAD, Unanswered};
use super::failure::Failure;
use super::pool::LONGEST_IDLE;
use super::request::Asked;
use super::upload::Body;
use http::uri::{Scheme, Uri};
use http::{Version, header};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::rt::Executor;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Most bytes of one response, and of all responses of a connection, that wait for the program to read them. They are host
/// memory; a server that sends more ends its connection by that.
const STREAM_WINDOW: u32 = 512 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Longest frame, which is read into memory before anything is made of it. With the largest head it also bounds how many frames
/// a head may come in.
const LONGEST_FRAME: u32 = 16 << 10;
/// What a server can make its client remember of headers, for as long as the connection is.
const HEADER_TABLE: u32 = 4 << 10;
/// Bytes of a request's body that wait for the server, beside a piece of it.
const SEND_BUFFER: usize = 256 << 10;
/// Most exchanges at once over one connection; fewer if the server says so. Others get another connection.
const MOST_STREAMS: usize = 100;
/// Streams that were given up are remembered so many at a time, and so long, as the server may still send to them.
const MOST_GIVEN_UP: usize = 32;
const GIVEN_UP: Duration = Duration::from_secs(1);
/// Most streams that end as the server broke the protocol on them, before the connection does: each costs a frame in answer.
const MOST_BROKEN: usize = 64;

/// A connection, and who uses it.
pub(super) struct Shared {
    pub(super) address: IpAddr,
    sender: SendRequest<Body>,
    /// How many streams the server takes at once, by what it has said so far.
    most: Box<dyn Fn() -> usize + Send + Sync>,
    uses: Mutex<Uses>,
    allowance: Arc<Allowance>,
    tasks: CancellationToken,
    /// All that moves its bytes ends with it.
    _end: DropGuard,
}

struct Uses {
    streams: usize,
    is_retired: bool,
    /// When the last of its exchanges ended.
    since: Instant,
}

/// An exchange's part of a connection.
pub(super) struct Stream {
    of: Arc<Shared>,
    /// Of the request's body, while it is being sent.
    going: Weak<()>,
    is_over: bool,
}

impl Shared {
    pub(super) async fn speaking<S>(address: IpAddr, stream: S) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let tasks = Tasks(CancellationToken::new());
        let end = tasks.0.clone().drop_guard();
        let allowance = Arc::<Allowance>::default();
        let stream = TokioIo::new(Metered { stream, allowance: Arc::clone(&allowance) });
        let (sender, driver) = builder(tasks.clone())
            .handshake::<_, Body>(stream)
            .await
            .map_err(|error| Failure::Connect(error.to_string()))?;
        let most = driven(driver, &tasks);
        let uses = Mutex::new(Uses { streams: 0, is_retired: false, since: Instant::now() });
        Ok(Self { address, sender, most, uses, allowance, tasks: tasks.0, _end: end })
    }

    /// Whether it will ever serve another exchange.
    pub(super) fn is_usable(&self) -> bool {
        let uses = self.uses();
        let is_fresh = uses.streams > 0 || uses.since.elapsed() < LONGEST_IDLE;
        !uses.is_retired && is_fresh && !self.sender.is_closed()
    }

    /// A stream for one exchange, if there is room for it.
    pub(super) fn open(self: &Arc<Self>) -> Option<Stream> {
        if !self.is_usable() {
            return None;
        }
        let most = (self.most)().min(MOST_STREAMS);
        let mut uses = self.uses();
        if uses.streams >= most {
            return None;
        }
        uses.streams += 1;
        drop(uses);
        Some(Stream { of: Arc::clone(self), going: Weak::new(), is_over: false })
    }

    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    pub(super) async fn answered(&mut self, asked: Asked, body: Body) -> Result<Response<Incoming>, Unanswered> {
        self.going = body.going();
        let is_repeatable = asked.is_repeatable();
        let request = request(asked, body).map_err(Unanswered::Failed)?;
        let answered = self.of.sender.clone().try_send_request(request).await;
        answered.map_err(|mut error| match error.take_message() {
            Some(_) => Unanswered::Unsent(Failure::Disconnected),
            None => unanswered(error.error(), is_repeatable),
        })
    }

    /// The program took so many bytes of what came.
    pub(super) fn took(&self, bytes: usize) {
        self.of.allowance.took(bytes as u64);
    }

    /// The exchange came to its end. A body that its server has not read, and answered all the same, is not at its end.
    pub(super) fn over(mut self) {
        self.is_over = self.going.strong_count() == 0;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // What the server had sent by then is nobody's.
        self.of.allowance.took(STREAM_WINDOW.into());
        let mut uses = self.of.uses();
        uses.streams -= 1;
        uses.is_retired |= !self.is_over;
        uses.since = Instant::now();
        if uses.is_retired && uses.streams == 0 {
            self.of.tasks.cancel();
        }
    }
}

/// Moves what goes over a connection. Gives what tells how many streams its server takes at once.
fn driven<S>(
    driver: Connection<TokioIo<Metered<S>>, Body, Tasks>,
    tasks: &Tasks,
) -> Box<dyn Fn() -> usize + Send + Sync>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let driver = Arc::new(Mutex::new(Some(driver)));
    let task = Arc::clone(&driver);
    tasks.execute(poll_fn(move |context| {
        let mut driver = task.lock().unwrap_or_else(PoisonError::into_inner);
        let polled = driver.as_mut().map(|driver| Pin::new(driver).poll(context));
        if matches!(polled, Some(Poll::Pending)) {
            return Poll::Pending;
        }
        // Requests that wait for it are told by this.
        driver.take();
        Poll::Ready(())
    }));
    Box::new(move || {
        let driver = driver.lock().unwrap_or_else(PoisonError::into_inner);
        driver.as_ref().map_or(0, Connection::current_max_send_streams)
    })
}

fn builder(tasks: Tasks) -> Builder<Tasks> {
    let mut builder = Builder::new(tasks);
    builder
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(LONGEST_FRAME)
        .max_header_list_size(u32::try_from(LARGEST_HEAD).unwrap_or(u32::MAX))
        .header_table_size(HEADER_TABLE)
        .max_send_buf_size(SEND_BUFFER)
        .initial_max_send_streams(MOST_STREAMS)
        .max_concurrent_reset_streams(MOST_GIVEN_UP)
        .reset_stream_duration(GIVEN_UP)
        .max_local_error_reset_streams(MOST_BROKEN);
    builder
}

/// A request as HTTP/2 has it: the host is part of the address, and how a body is framed and how long a connection is kept are
/// no headers.
fn request(asked: Asked, body: Body) -> Result<Request<Body>, Failure> {
    let Asked { method, target, mut headers, .. } = asked;
    let host = headers.remove(header::HOST);
    headers.remove(header::CONNECTION);
    headers.remove(header::TRANSFER_ENCODING);
    let mut parts = target.into_parts();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = host.and_then(|host| host.as_bytes().try_into().ok());
    let mut request = Request::new(body);
    *request.version_mut() = Version::HTTP_2;
    *request.method_mut() = method;
    *request.uri_mut() =
        Uri::from_parts(parts).map_err(|error| Failure::Request(format!("this is no host to talk to: {error}")))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// What became of a request that has no response. One that the server says it has not looked at counts as not sent. That it
/// leaves says so too, by the number of the last stream it has looked at, but hyper tells the same of the streams before that
/// one, or drops them, when it hears of it while it sends: this is believed only where a second time does no harm.
fn unanswered(error: &hyper::Error, is_repeatable: bool) -> Unanswered {
    let protocol =
        |why: String| Unanswered::Failed(Failure::Protocol(format!("the server's response is not HTTP: {why}")));
    if error.is_user() && is_repeatable {
        return Unanswered::Unsent(Failure::Disconnected);
    }
    let Some(source) = error.source() else { return Unanswered::Failed(Failure::Disconnected) };
    if let Some(own) = source.downcast_ref::<h2::Error>() {
        let reset = || Failure::Reset(format!("the server ended the exchange without a response: {own}"));
        let is_unseen = own.is_reset() && own.reason() == Some(h2::Reason::REFUSED_STREAM)
            || is_repeatable && own.is_go_away() && own.reason() == Some(h2::Reason::NO_ERROR);
        return match own.is_remote() {
            true if is_unseen => Unanswered::Unsent(reset()),
            true => Unanswered::Failed(reset()),
            false => protocol(own.to_string()),
        };
    }
    match source.downcast_ref::<io::Error>() {
        Some(own) if own.kind() == io::ErrorKind::InvalidData => protocol(own.to_string()),
        _ => Unanswered::Failed(Failure::Disconnected),
    }
}

/// The tasks of one connection, which end with it.
#[derive(Clone)]
struct Tasks(CancellationToken);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        tokio::spawn(self.0.clone().run_until_cancelled_owned(task));
    }
}
