//! A server that is no good at HTTP/2, or means no good: frames written by hand (RFC 9113), so that they can be as wrong as a
//! test wants them.

use super::authority::Authority;
use super::streams::listening;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

/// What it does with each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Answers it.
    Good,
    /// Sends something that is no frame.
    Garbage,
    /// A head that has no end.
    Continuations,
    /// 64 MiB of frames that ask for nothing or for an answer, then the response.
    Priorities,
    Pings,
    Settings,
    /// Many responses before the response.
    Informational,
    /// More of a body than it was allowed to send.
    BeyondTheWindow,
    /// A response that nobody asked for.
    Push,
    /// A head with a header that is about the connection.
    ConnectionHeader,
    /// Two lengths of the body that differ.
    TwoLengths,
    /// A body that is not as long as it says.
    Short,
    /// Says that it has not looked at this; the next connection is good.
    RefusesOnce,
    /// Says that it will take no more and has not looked at this; the next connection is good.
    UnseenOnce,
    /// The same, of every request.
    Unseen,
    /// Says that it will take no more, in the middle of a response that it then ends.
    LeavesInTheMiddle,
    /// The same, and ends the connection.
    BreaksOff,
}

#[derive(Clone)]
pub(crate) struct Frames {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
    /// Bytes of the head of each request.
    heads: Arc<Mutex<Vec<usize>>>,
    doing: Arc<Mutex<Doing>>,
}

const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const DATA: u8 = 0;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200`, which HPACK has a number for.
const OK: &[u8] = &[0x88];
const PREFACE: usize = 24;
const REFUSED_STREAM: u32 = 7;
const FLOOD: usize = 64 << 20;

impl Frames {
    pub(crate) fn start(authority: &Authority) -> Self {
        let acceptor = TlsAcceptor::from(authority.server_of_http2());
        let (connections, doing) = (Arc::<AtomicUsize>::default(), Arc::new(Mutex::new(Doing::Good)));
        let heads = Arc::<Mutex<Vec<usize>>>::default();
        let (counted, told, seen) = (Arc::clone(&connections), Arc::clone(&doing), Arc::clone(&heads));
        let port = listening(move |stream| {
            let (acceptor, counted, told, seen) =
                (acceptor.clone(), Arc::clone(&counted), Arc::clone(&told), Arc::clone(&seen));
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let number = counted.fetch_add(1, Ordering::Relaxed);
                let (from, to) = tokio::io::split(stream);
                // What goes wrong is the client's to tell.
                let _ = serve(from, to, &told, &seen, number).await;
            }
        });
        Self { port, connections, heads, doing }
    }

    pub(crate) fn does(&self, doing: Doing) {
        *self.doing.lock().unwrap() = doing;
        self.connections.store(0, Ordering::Relaxed);
    }

    pub(crate) fn heads(&self) -> Vec<usize> {
        self.heads.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin,
    told: &Mutex<Doing>,
    heads: &Mutex<Vec<usize>>,
    number: usize,
) -> io::Result<()> {
    from.read_exact(&mut [0; PREFACE]).await?;
    to.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    to.flush().await?;
    loop {
        let (kind, stream, length) = next(&mut from).await?;
        if kind != HEADERS {
            continue;
        }
        heads.lock().unwrap().push(length);
        let doing = *told.lock().unwrap();
        if floods(doing) {
            // The client's answers are read, as it would read no more itself.
            tokio::spawn(async move { tokio::io::copy(&mut from, &mut tokio::io::sink()).await });
            return flood(&mut to, doing, stream).await;
        }
        to.write_all(&answer(doing, stream, number)).await?;
        to.flush().await?;
        if matches!(doing, Doing::UnseenOnce | Doing::Unseen | Doing::BreaksOff)
            && !(doing == Doing::UnseenOnce && number > 0)
        {
            to.shutdown().await?;
            // A socket that is closed with something unread resets the connection, and a reset may overtake what was said.
            tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
            return Ok(());
        }
    }
}

/// The kind, the stream and the length of the next frame.
async fn next(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, u32, usize)> {
    let mut head = [0; 9];
    from.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    from.read_exact(&mut vec![0; length]).await?;
    Ok((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), length))
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header that is not in a table, by HPACK.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

fn go_away(last: u32) -> Vec<u8> {
    frame(GO_AWAY, 0, 0, &[last.to_be_bytes(), 0_u32.to_be_bytes()].concat())
}

fn floods(doing: Doing) -> bool {
    matches!(
        doing,
        Doing::Continuations
            | Doing::Priorities
            | Doing::Pings
            | Doing::Settings
            | Doing::Informational
            | Doing::BeyondTheWindow
    )
}

async fn flood(to: &mut (impl AsyncWrite + Unpin), doing: Doing, stream: u32) -> io::Result<()> {
    let one = match doing {
        Doing::Continuations => {
            to.write_all(&frame(HEADERS, 0, stream, OK)).await?;
            frame(CONTINUATION, 0, stream, &literal("x-more", "of the same").repeat(100))
        }
        Doing::Priorities => frame(PRIORITY, 0, stream + 2, &[0, 0, 0, 0, 1]),
        Doing::Pings => frame(PING, 0, 0, &[0; 8]),
        Doing::Settings => frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
        // `:status: 103`.
        Doing::Informational => frame(HEADERS, END_HEADERS, stream, &[0x08, 3, b'1', b'0', b'3']),
        _ => {
            to.write_all(&frame(HEADERS, END_HEADERS, stream, OK)).await?;
            frame(DATA, 0, stream, &[b'x'; 1 << 14])
        }
    };
    let many = one.repeat((1 << 16) / one.len() + 1);
    for _ in 0..FLOOD / many.len() {
        to.write_all(&many).await?;
    }
    to.write_all(&good(stream)).await?;
    to.flush().await?;
    // The client ends the connection.
    std::future::pending().await
}

fn good(stream: u32) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, END_STREAM, stream, b"good")].concat()
}

fn answer(doing: Doing, stream: u32, number: usize) -> Vec<u8> {
    let with = |headers: &[(&str, &str)], body: &[u8]| {
        let headers = headers.iter().flat_map(|(name, value)| literal(name, value));
        let head: Vec<u8> = OK.iter().copied().chain(headers).collect();
        [frame(HEADERS, END_HEADERS, stream, &head), frame(DATA, END_STREAM, stream, body)].concat()
    };
    match doing {
        Doing::Garbage => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        Doing::Push => {
            let promised = [&(2_u32.to_be_bytes()), OK].concat();
            [frame(PUSH_PROMISE, END_HEADERS, stream, &promised), good(stream)].concat()
        }
        Doing::ConnectionHeader => with(&[("connection", "close")], b"good"),
        Doing::TwoLengths => with(&[("content-length", "4"), ("content-length", "5")], b"good"),
        Doing::Short => with(&[("content-length", "100")], b"good"),
        Doing::RefusesOnce if number == 0 => frame(RST_STREAM, 0, stream, &REFUSED_STREAM.to_be_bytes()),
        Doing::UnseenOnce if number == 0 => go_away(0),
        Doing::Unseen => go_away(0),
        Doing::LeavesInTheMiddle => {
            let half = [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, 0, stream, b"go")].concat();
            [half, go_away(stream), frame(DATA, END_STREAM, stream, b"od")].concat()
        }
        Doing::BreaksOff => {
            let half = [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, 0, stream, b"go")].concat();
            [half, go_away(stream)].concat()
        }
        _ => good(stream),
    }
}
