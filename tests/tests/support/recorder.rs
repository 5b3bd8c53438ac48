//! An HTTP server on this machine that keeps every byte that it receives, and answers with what it was sent. With TLS it keeps, too,
//! what somebody on the way would see.

use super::authority::Authority;
use super::forms::{base64, hex, percent};
use rustls::{ServerConnection, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) struct Recorder {
    pub(crate) url: String,
    pub(crate) port: u16,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    received: Mutex<Vec<u8>>,
    wire: Mutex<Vec<u8>>,
}

/// A connection that keeps what comes over it as it is.
struct Tapped {
    stream: TcpStream,
    kept: Arc<Kept>,
}

trait Line: Read + Write + Send {}
impl<T: Read + Write + Send> Line for T {}

impl Recorder {
    /// On a free port of `address`.
    pub(crate) fn start(address: &str) -> Self {
        Self::with(address, address, None)
    }

    /// The same, with TLS, and called by a name in its URL.
    pub(crate) fn encrypted(address: &str, name: &str, authority: &Authority) -> Self {
        Self::with(address, name, Some(authority.clone()))
    }

    /// Without it, by a name.
    pub(crate) fn named(address: &str, name: &str) -> Self {
        Self::with(address, name, None)
    }

    fn with(address: &str, name: &str, authority: Option<Authority>) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if authority.is_some() { "https" } else { "http" };
        let recorder = Self { url: format!("{scheme}://{name}:{port}"), port, kept: Arc::default() };
        let kept = Arc::clone(&recorder.kept);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let stream = Tapped { stream, kept: Arc::clone(&kept) };
                let authority = authority.clone();
                // A client that goes away in the middle ends its own connection.
                thread::spawn(move || drop(serve(stream, authority.as_ref())));
            }
        });
        recorder
    }

    /// All that was received since this was last asked.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.kept.received.lock().unwrap())
    }

    /// All that came over the connections, as it came.
    pub(crate) fn wire(&self) -> Vec<u8> {
        self.kept.wire.lock().unwrap().clone()
    }
}

impl Read for Tapped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.kept.wire.lock().unwrap().extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

impl Write for Tapped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn serve(stream: Tapped, authority: Option<&Authority>) -> io::Result<()> {
    let kept = Arc::clone(&stream.kept);
    let line: Box<dyn Line> = match authority {
        Some(authority) => Box::new(StreamOwned::new(ServerConnection::new(authority.server()).unwrap(), stream)),
        None => Box::new(stream),
    };
    let mut line = BufReader::new(line);
    loop {
        let request = request(&mut line)?;
        kept.received.lock().unwrap().extend_from_slice(&request);
        line.get_mut().write_all(&answer(&String::from_utf8_lossy(&request)))?;
        line.get_mut().flush()?;
    }
}

fn request(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if input.read_until(b'\n', &mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let mut body = Vec::new();
    if let Some(length) = header(&text, "content-length") {
        body.resize(length.parse().unwrap(), 0);
        input.read_exact(&mut body)?;
    } else if header(&text, "transfer-encoding").is_some() {
        chunks(input, &mut body)?;
    }
    head.extend(body);
    Ok(head)
}

fn chunks(input: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        input.read_exact(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        body.extend_from_slice(&chunk[..length]);
    }
}

fn header(request: &str, name: &str) -> Option<String> {
    let lines = request.split("\r\n\r\n").next()?.lines().skip(1);
    let all = lines.filter_map(|line| line.split_once(':'));
    all.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
}

/// What the path asks for, made of the request or of its header `X-Key`.
fn answer(request: &str) -> Vec<u8> {
    let target = request.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let key = header(request, "x-key").unwrap_or_default();
    let to = query.split('&').find_map(|pair| pair.strip_prefix("to=")).unwrap_or_default();
    let to = to.replace("%3A", ":").replace("%2F", "/").replace("%3F", "?").replace("%3D", "=");
    match path {
        "/echo" => ok("", request),
        "/cookie" => ok(&format!("Set-Cookie: key={key}\r\n"), "set"),
        "/header" => ok(&format!("X-Echo: {key}\r\nX-Encoded: {}\r\n", base64(&format!("a{key}"))), "sent"),
        "/header-name" => ok(&format!("X-{}: 1\r\n", hex(&key)), "sent"),
        "/reason" => format!("HTTP/1.1 200 {key}\r\nContent-Length: 0\r\n\r\n").into(),
        "/slowly" => slowly(request),
        "/base64" => ok("", &base64(&format!("ab{key}c"))),
        "/hex" => ok("", &hex(&key)),
        "/json" => ok("Content-Type: application/json\r\n", &format!("{{\"key\": \"{}\"}}", key.replace('/', "\\/"))),
        "/percent" => ok("", &percent(&key)),
        "/compressed" => ok("Content-Encoding: gzip\r\n", request),
        "/reversed" => ok("", &key.chars().rev().collect::<String>()),
        "/error" => format!("HTTP/1.1 500 {key}\r\nContent-Length: {}\r\n\r\n{key}", key.len()).into(),
        "/redirect" => format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into(),
        "/redirect-with" => {
            format!("HTTP/1.1 302 Found\r\nLocation: {to}{}\r\nContent-Length: 0\r\n\r\n", percent(&key)).into()
        }
        _ => ok("", "ok"),
    }
}

fn ok(headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into()
}

/// Each byte in a chunk of its own.
fn slowly(body: &str) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for byte in body.bytes() {
        answer.extend_from_slice(b"1\r\n");
        answer.push(byte);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
}
