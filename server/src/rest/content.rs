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
    let asked = text(RANGE).filter(|_| is_same).and_then(|range| part(range, described.size));
    let (status, part) = match asked {
        None => (StatusCode::OK, 0..described.size),
        Some(Some(part)) => (StatusCode::PARTIAL_CONTENT, part),
        Some(None) => {
            let range = format!("bytes */{}", described.size);
            let refusal = Response::builder().status(StatusCode::RANGE_NOT_SATISFIABLE).header(CONTENT_RANGE, range);
            return built(refusal, Body::empty());
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type(described.kind))
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(CONTENT_SECURITY_POLICY, NOTHING)
        .header(CONTENT_DISPOSITION, disposition(described.name, described.kind))
        .header(CONTENT_LENGTH, part.end - part.start)
        .header(ACCEPT_RANGES, "bytes")
        .header(ETAG, tag);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{}", part.start, part.end.saturating_sub(1), described.size);
        response = response.header(CONTENT_RANGE, range);
    }
    built(response, streamed(file, part).await.map_err(unreadable)?)
}

fn built(response: http::response::Builder, body: Body) -> Result<Response, Error> {
    response.body(body).map_err(|error| unreadable(io::Error::other(error)))
}

fn unreadable(error: io::Error) -> Error {
    Error::Plain(StatusCode::INTERNAL_SERVER_ERROR, format!("the file could not be read: {error}"))
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

/// The part that `range` names of `size` bytes: none when it is to be ignored, none within when there is no such part.
fn part(range: &str, size: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    // Several parts are answered with the whole, as they may be.
    if last.contains(',') {
        return None;
    }
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let count: u64 = last.parse().ok()?;
        return Some((count > 0 && size > 0).then(|| size.saturating_sub(count)..size));
    }
    let first: u64 = first.parse().ok()?;
    let end = if last.is_empty() { size } else { last.parse::<u64>().ok()?.saturating_add(1).min(size) };
    Some((first < end).then_some(first..end))
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
        assert_eq!(part("bytes=0-3", 10), Some(Some(0..4)));
        assert_eq!(part("bytes=4-", 10), Some(Some(4..10)));
        assert_eq!(part("bytes=-3", 10), Some(Some(7..10)));
        assert_eq!(part("bytes=-30", 10), Some(Some(0..10)));
        assert_eq!(part("bytes=0-99", 10), Some(Some(0..10)));
        assert_eq!(part("bytes=0-18446744073709551615", 10), Some(Some(0..10)));
        for beyond in ["bytes=10-", "bytes=5-4", "bytes=-0"] {
            assert_eq!(part(beyond, 10), Some(None), "{beyond}");
        }
        for ignored in ["bytes=0-1,3-4", "lines=1-2", "bytes=a-b", "bytes", "bytes=-"] {
            assert_eq!(part(ignored, 10), None, "{ignored}");
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
