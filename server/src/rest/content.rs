//! A file's bytes as an answer: streamed from the disk, whole or a part of it, and never as something that a browser would run.

use super::error::Error;
use crate::shelf::kind;
use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream::try_unfold;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fs::File;
use std::io::{self, SeekFrom};
use std::ops::Range;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// Bytes read from the disk at a time.
const CHUNK: usize = 64 << 10;
/// What a page that a file may be is allowed to do: nothing.
const NOTHING: &str = "default-src 'none'; sandbox";

/// What is said of a file.
pub(super) struct Described<'a> {
    /// Its path; the last part is what it is saved as.
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    pub(super) size: u64,
    pub(super) hash: &'a str,
}

/// Answers with the file, or with the part of it that is asked for.
pub(super) async fn answer(described: Described<'_>, file: File, headers: &HeaderMap) -> Result<Response, Error> {
    let tag = format!("\"{}\"", described.hash);
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(IF_NONE_MATCH).is_some_and(|known| known.split(',').any(|one| one.trim() == tag || one.trim() == "*")) {
        return built(Response::builder().status(StatusCode::NOT_MODIFIED).header(ETAG, tag), Body::empty());
    }
    // A part of another content is of no use.
    let is_same = text(IF_RANGE).is_none_or(|known| known == tag);
    let size = described.size;
    let (status, part) = match text(RANGE).filter(|_| is_same).map_or(Asked::Whole, |range| asked(range, size)) {
        Asked::Whole => (StatusCode::OK, 0..size),
        Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Asked::Beyond => {
            let refusal = Response::builder().status(StatusCode::RANGE_NOT_SATISFIABLE);
            return built(refusal.header(CONTENT_RANGE, format!("bytes */{size}")), Body::empty());
        }
    };
    let mut response = described.response(status).header(CONTENT_LENGTH, part.end - part.start).header(ETAG, tag);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1));
        response = response.header(CONTENT_RANGE, range);
    }
    let body = streamed(file, part).await.map_err(|error| unreadable(&error))?;
    built(response, body)
}

impl Described<'_> {
    /// An answer that says what the file is, and that nobody is to take it for anything else.
    fn response(&self, status: StatusCode) -> http::response::Builder {
        Response::builder()
            .status(status)
            .header(CONTENT_TYPE, content_type(self.kind))
            .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(CONTENT_SECURITY_POLICY, NOTHING)
            .header(CONTENT_DISPOSITION, disposition(self.name, self.kind))
            .header(ACCEPT_RANGES, "bytes")
    }
}

fn built(response: http::response::Builder, body: Body) -> Result<Response, Error> {
    response.body(body).map_err(|error| unreadable(&error))
}

fn unreadable(error: &dyn std::error::Error) -> Error {
    Error::Plain(StatusCode::INTERNAL_SERVER_ERROR, format!("the file could not be read: {error}"))
}

/// How much of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    /// A part that it does not have.
    Beyond,
}

async fn streamed(file: File, part: Range<u64>) -> io::Result<Body> {
    let mut file = tokio::fs::File::from_std(file);
    file.seek(SeekFrom::Start(part.start)).await?;
    let file = file.take(part.end - part.start);
    Ok(Body::from_stream(try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        let count = file.read_buf(&mut chunk).await?;
        Ok::<_, io::Error>((count > 0).then(|| (Bytes::from(chunk), file)))
    })))
}

/// What `range` asks for of `size` bytes. Several parts, and what makes no sense, are answered with the whole, as HTTP allows.
fn asked(range: &str, size: u64) -> Asked {
    let ends = || {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| text.trim().parse::<u64>();
        Some(match (first.trim().is_empty(), last.trim().is_empty()) {
            (true, _) => (size.saturating_sub(number(last).ok()?), size),
            (false, true) => (number(first).ok()?, size),
            (false, false) => (number(first).ok()?, number(last).ok()?.saturating_add(1).min(size)),
        })
    };
    match ends() {
        None => Asked::Whole,
        Some((first, end)) if first < end => Asked::Part(first..end),
        Some(_) => Asked::Beyond,
    }
}

/// Text is in UTF-8, or it would not have been taken for text.
fn content_type(kind: &str) -> String {
    if kind::is_readable(kind) { format!("{kind}; charset=utf-8") } else { kind.to_owned() }
}

/// Shown where it is only if it is a picture that cannot contain a program; saved otherwise.
fn disposition(name: &str, kind: &str) -> String {
    let word = if kind::is_picture(kind) { "inline" } else { "attachment" };
    let name = name.rsplit('/').next().unwrap_or(name);
    format!("{word}; filename*=UTF-8''{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_http_has_them() {
        assert_eq!(asked("bytes=0-3", 10), Asked::Part(0..4));
        assert_eq!(asked("bytes=4-", 10), Asked::Part(4..10));
        assert_eq!(asked("bytes=-3", 10), Asked::Part(7..10));
        assert_eq!(asked("bytes=-30", 10), Asked::Part(0..10));
        assert_eq!(asked("bytes=0-99", 10), Asked::Part(0..10));
        assert_eq!(asked("bytes=0-18446744073709551615", 10), Asked::Part(0..10));
        for beyond in ["bytes=10-", "bytes=5-4", "bytes=-0"] {
            assert_eq!(asked(beyond, 10), Asked::Beyond, "{beyond}");
        }
        for ignored in ["bytes=0-1,3-4", "lines=1-2", "bytes=a-b", "bytes", "bytes=-"] {
            assert_eq!(asked(ignored, 10), Asked::Whole, "{ignored}");
        }
    }

    #[test]
    fn no_name_leaves_its_header_and_no_page_is_shown() {
        let named = disposition("plots/a\"\r\nset-cookie: x.html", "text/html");
        assert_eq!(named, "attachment; filename*=UTF-8''a%22%0D%0Aset%2Dcookie%3A%20x%2Ehtml");
        assert!(disposition("a.svg", "image/svg+xml").starts_with("attachment;"));
        assert!(disposition("a.png", "image/png").starts_with("inline;"));
    }
}
