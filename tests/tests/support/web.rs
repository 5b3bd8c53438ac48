//! A web server that does what servers do, and what they should not: on loopback, with or without TLS. One thread for each
//! connection, and bytes written by hand, so that a response can be as wrong as a test wants it.
#![allow(clippy::format_collect, reason = "some headers")]

use super::authority::Authority;
use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The number of its connection.
    pub(crate) connection: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        all.next().map(|(_, value)| value.as_str())
    }

    fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

#[derive(Clone)]
pub(crate) struct Web {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    kept: Mutex<Vec<u8>>,
    connections: AtomicUsize,
    /// Those of them that have ended.
    ended: AtomicUsize,
    /// Those that read nothing end.
    is_enough: AtomicBool,
    authority: Option<Authority>,
}

trait Line: Read + Write + Send {}
impl<T: Read + Write + Send> Line for T {}

impl Web {
    pub(crate) fn plain() -> Self {
        Self::start(Shared::default())
    }

    /// With certificates of an authority.
    pub(crate) fn encrypted(authority: &Authority) -> Self {
        Self::start(Shared { authority: Some(authority.clone()), ..Shared::default() })
    }

    fn start(shared: Shared) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let web = Self { port: listener.local_addr().unwrap().port(), shared: Arc::new(shared) };
        let shared = Arc::clone(&web.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    shared.serve(stream);
                    shared.ended.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        web
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Waits until all of them have ended.
    pub(crate) fn is_left(&self) {
        self.shared.is_enough.store(true, Ordering::Relaxed);
        while self.shared.ended.load(Ordering::Relaxed) < self.connections() {
            std::thread::yield_now();
        }
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        stream.set_nodelay(true).unwrap();
        let line: Box<dyn Line> = match &self.authority {
            Some(authority) => {
                let connection = ServerConnection::new(authority.server()).unwrap();
                Box::new(StreamOwned::new(connection, stream))
            }
            None => Box::new(stream),
        };
        let mut line = BufReader::new(line);
        while let Some(seen) = read(&mut line, number) {
            self.seen.lock().unwrap().push(seen.clone());
            if self.answer(&seen, &mut line).is_none() {
                return;
            }
        }
    }

    /// None: the connection ends.
    fn answer(&self, seen: &Seen, line: &mut BufReader<Box<dyn Line>>) -> Option<()> {
        let (path, query) = seen.path().split_once('?').unwrap_or((seen.path(), ""));
        let (route, rest) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
        let out = line.get_mut();
        let mut raw = |text: &str| out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
        match route {
            "bytes" => reply(out, 200, &[], &vec![b'x'; rest.parse().unwrap()]),
            "status" => reply(out, rest.parse().unwrap(), &[], b""),
            "redirect" => reply(out, 302, &[("Location", query)], b""),
            "cookie" => reply(out, 200, &[("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/")], b"{}"),
            "keep" => {
                self.kept.lock().unwrap().clone_from(&seen.body);
                reply(out, 200, &[], b"")
            }
            "kept" => reply(out, 200, &[("Content-Encoding", "gzip")], &self.kept.lock().unwrap()),
            "flaky" => {
                let before = self.seen.lock().unwrap().iter().filter(|seen| seen.path().starts_with("/flaky")).count();
                reply(out, if before % 3 == 0 { 200 } else { 503 }, &[("Retry-After", "0")], b"{}")
            }
            "chunks" => {
                raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
                 6\r\none\r\nt\r\n5\r\nwo\r\nx\r\n0\r\nX-Trailer: 1\r\n\r\n")
            }
            "endless" => {
                raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
                while raw(&chunk).is_some() {}
                None
            }
            "drips" => {
                raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                while raw("1\r\nx\r\n").is_some() {
                    std::thread::sleep(Duration::from_millis(10));
                }
                None
            }
            // Reads nothing, as long as the client has something to say.
            "deaf" => {
                while !self.is_enough.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                None
            }
            "silent" => wait_for_the_end(line),
            "stalls" => {
                raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.")?;
                wait_for_the_end(line)
            }
            "short" => raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.").and(None),
            "garbage" => raw("HELO there\r\n\r\n").and(None),
            "hangs-up" => None,
            "leaves" => reply(out, 200, &[], b"bye").and(None),
            "early" => raw("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n").and(None),
            "large-head" => raw(&format!("HTTP/1.1 200 OK\r\nX-Large: {}\r\n\r\n", "x".repeat(1 << 20))).and(None),
            "many-headers" => raw(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-One: 1\r\n".repeat(1000))).and(None),
            "two-lengths" => raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 3\r\n\r\nabc").and(None),
            // What a client takes for the response to its next request, if it goes by the length.
            "two-framings" => {
                raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled")
            }
            "extra" => raw(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
            ),
            _ => reply(
                out,
                200,
                &[("Content-Type", "application/json"), ("ETag", "\"e\"")],
                echo(seen).to_string().as_bytes(),
            ),
        }
    }
}

fn echo(seen: &Seen) -> Value {
    let body = String::from_utf8_lossy(&seen.body).chars().take(300).collect::<String>();
    let (method, path) = (seen.line.split(' ').next(), seen.path());
    json!({ "method": method, "path": path, "headers": seen.headers, "body": body, "length": seen.body.len() })
}

fn reply(out: &mut dyn Line, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Option<()> {
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    let head = format!("HTTP/1.1 {status} Some Words\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    out.write_all(&[head.as_bytes(), body].concat()).and_then(|()| out.flush()).ok()
}

/// Until the client ends the connection.
fn wait_for_the_end(line: &mut impl Read) -> Option<()> {
    let _ = std::io::copy(line, &mut std::io::sink());
    None
}

fn read(from: &mut impl BufRead, connection: usize) -> Option<Seen> {
    let line = text_line(from).filter(|line| !line.is_empty())?;
    let mut headers = Vec::new();
    while let Some(header) = text_line(from).filter(|line| !line.is_empty()) {
        let (name, value) = header.split_once(": ").unwrap_or((&header, ""));
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut seen = Seen { line, headers, body: Vec::new(), connection };
    if ["/early", "/deaf"].contains(&seen.path()) {
        return Some(seen);
    }
    let length = seen.header("content-length").map(|length| length.parse().unwrap());
    if seen.header("transfer-encoding").is_some() {
        seen.body = chunks(from)?;
    } else {
        seen.body = vec![0; length.unwrap_or(0)];
        from.read_exact(&mut seen.body).ok()?;
    }
    Some(seen)
}

fn chunks(from: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&text_line(from)?, 16).unwrap();
        let mut chunk = vec![0; length];
        from.read_exact(&mut chunk).ok()?;
        body.append(&mut chunk);
        assert_eq!(text_line(from)?, "");
        if length == 0 {
            return Some(body);
        }
    }
}

fn text_line(from: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line).ok()?;
    let line = line.strip_suffix(b"\r\n")?;
    Some(line.iter().copied().map(char::from).collect())
}
