//! An HTTP server on this machine that keeps every byte that it receives, and answers with what it was sent.

use super::forms::{base64, hex, percent};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) struct Recorder {
    pub(crate) url: String,
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    /// On a free port of `address`.
    pub(crate) fn start(address: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let keeping = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keeping = Arc::clone(&keeping);
                // A client that goes away in the middle ends its own connection.
                thread::spawn(move || drop(serve(stream, &keeping)));
            }
        });
        Self { url: format!("http://{address}:{port}"), port, received }
    }

    /// All that was received since this was last asked.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}

fn serve(stream: TcpStream, received: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    loop {
        let request = request(&mut input)?;
        received.lock().unwrap().extend_from_slice(&request);
        out.write_all(&answer(&String::from_utf8_lossy(&request)))?;
    }
}

fn request(input: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if input.read_until(b'\n', &mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
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

fn chunks(input: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> std::io::Result<()> {
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
