//! From what the guest says to a request that means one thing to whoever reads it: no name or value that ends a line, one
//! length, one host. The guest is not trusted to have used a library that sees to it.

use super::failure::Failure;
use super::message::Begin;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Uri};

/// Most headers of a request, and most bytes of their names and values together.
const MOST_HEADERS: usize = 256;
const LARGEST_HEAD: usize = 128 << 10;
/// Longest path with its query, in bytes.
const LONGEST_TARGET: usize = 64 << 10;
const LONGEST_METHOD: usize = 32;

/// What belongs to a connection, which is not the guest's: `Connection` itself is looked at below.
const NOT_THE_GUESTS: [&str; 7] =
    ["proxy-connection", "proxy-authorization", "proxy-authenticate", "te", "trailer", "upgrade", "http2-settings"];

/// The parts of a request that can be sent as they are.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) headers: HeaderMap,
    /// Bytes of the body, when that is known.
    pub(super) length: Option<u64>,
    /// The client asked for the connection to be closed behind it.
    pub(super) closes: bool,
    /// The client asked for a body in chunks, though it is all there.
    pub(super) is_chunked: bool,
}

impl Asked {
    /// `whole`: bytes of a body that comes with the request, not in pieces.
    pub(super) fn read(begin: &Begin, whole: Option<usize>) -> Result<Self, Failure> {
        let method = method(&begin.method)?;
        let target = target(&begin.target)?;
        let (mut headers, given) = headers(begin)?;
        let (length, is_chunked) = length(&begin.headers, whole)?;
        if is_chunked {
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        } else if let Some(length) = length.filter(|length| given.length || *length > 0) {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        Ok(Self { method, target, headers, length, closes: given.closes, is_chunked })
    }

    /// The path, as it is sent.
    pub(super) fn path(&self) -> &str {
        self.target.path()
    }

    /// Whether asking twice does no harm, by the meaning of its method.
    pub(super) fn is_repeatable(&self) -> bool {
        self.method.is_safe()
    }
}

fn wrong(why: impl Into<String>) -> Failure {
    Failure::Request(why.into())
}

fn method(text: &str) -> Result<Method, Failure> {
    let refused = || wrong("a request's method is a word of at most 32 letters, as in `GET`");
    let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| text.len() <= LONGEST_METHOD);
    let method = method.ok_or_else(refused)?;
    if method == Method::CONNECT {
        return Err(wrong("`CONNECT` is for proxies, and there are none here: the host makes the connections"));
    }
    Ok(method)
}

fn target(text: &str) -> Result<Uri, Failure> {
    if !text.starts_with('/') {
        return Err(wrong(
            "a request is for a path, which begins with `/`: there are no proxies here, the host makes the connections",
        ));
    }
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if !is_plain || text.len() > LONGEST_TARGET {
        return Err(wrong(format!(
            "a path has at most {LONGEST_TARGET} bytes, all of them printable ASCII and no `#`"
        )));
    }
    let parsed: Result<PathAndQuery, _> = text.parse();
    // What was decided on is what is sent.
    let parsed = parsed.ok().filter(|parsed| parsed.as_str() == text);
    parsed.map(Uri::from).ok_or_else(|| wrong("the path has characters that have to be encoded with `%`"))
}

/// What was among the headers that are looked at one by one.
#[derive(Default)]
struct Given {
    closes: bool,
    length: bool,
}

fn headers(begin: &Begin) -> Result<(HeaderMap, Given), Failure> {
    let size: usize = begin.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if begin.headers.len() > MOST_HEADERS || size > LARGEST_HEAD {
        return Err(wrong(format!("a request has at most {MOST_HEADERS} headers of {LARGEST_HEAD} bytes together")));
    }
    let authority = authority(begin);
    let mut headers = HeaderMap::with_capacity(begin.headers.len() + 1);
    let mut given = Given::default();
    let host = HeaderValue::from_str(&authority).map_err(|_| wrong("this is no host to talk to"))?;
    headers.insert(header::HOST, host);
    for (name, text) in &begin.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong("a header's name is letters, digits and `-`, without spaces and line ends"))?;
        let value = value(text)
            .ok_or_else(|| wrong(format!("the header `{name}` has a line end, or no byte for a character")))?;
        match name.as_str() {
            "host" if is_same_host(text, begin, &authority) => {}
            "host" => {
                return Err(wrong(format!(
                    "the header `Host` says something else than the URL, which has `{authority}`: leave it out"
                )));
            }
            "content-length" => given.length = true,
            // How the body is framed is the host's, and `length` looks at what the guest says of it. So is how long a
            // connection is kept.
            "transfer-encoding" | "keep-alive" => {}
            "connection" => {
                given.closes |= closes(text)?;
                headers.insert(name, value);
            }
            other if NOT_THE_GUESTS.contains(&other) => {
                return Err(wrong(format!(
                    "the header `{other}` is about the connection, which is the host's: leave it out"
                )));
            }
            _ => {
                headers.append(name, value);
            }
        }
    }
    Ok((headers, given))
}

/// A value whose characters are its bytes.
fn value(text: &str) -> Option<HeaderValue> {
    let bytes: Option<Vec<u8>> = text.chars().map(|character| u8::try_from(character).ok()).collect();
    HeaderValue::from_bytes(&bytes?).ok()
}

/// The host as a URL has it, with the port unless it is the scheme's own.
fn authority(begin: &Begin) -> String {
    let host = if begin.host.contains(':') { format!("[{}]", begin.host) } else { begin.host.clone() };
    let own = exuvia_policies::Scheme::from(begin.scheme).port();
    if begin.port == own { host } else { format!("{host}:{}", begin.port) }
}

/// The port may be there when it need not be.
fn is_same_host(text: &str, begin: &Begin, authority: &str) -> bool {
    let text = text.trim_ascii();
    let with_port =
        || text.strip_suffix(&format!(":{}", begin.port)).is_some_and(|host| host.eq_ignore_ascii_case(authority));
    text.eq_ignore_ascii_case(authority) || with_port()
}

/// Whether the client wants the connection closed; what else it may want of it is not its to say.
fn closes(text: &str) -> Result<bool, Failure> {
    match text.trim_ascii().to_ascii_lowercase().as_str() {
        "close" => Ok(true),
        "keep-alive" | "" => Ok(false),
        _ => Err(wrong("the header `Connection` may be `keep-alive` or `close` here: the connection is the host's")),
    }
}

/// The length of the body, and whether it is to be in chunks. What the headers say has to be what is the case.
fn length(headers: &[(String, String)], whole: Option<usize>) -> Result<(Option<u64>, bool), Failure> {
    let all = |wanted: &str| {
        let wanted = wanted.to_owned();
        headers.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(&wanted)).map(|(_, value)| value.as_str())
    };
    let mut stated = None;
    for text in all("content-length") {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let length: Option<u64> = text.parse().ok().filter(|_| is_number);
        let length = length.ok_or_else(|| wrong("the header `Content-Length` is not a number"))?;
        if stated.is_some_and(|stated| stated != length) {
            return Err(wrong("there are two `Content-Length` headers that differ"));
        }
        stated = Some(length);
    }
    let mut is_chunked = false;
    for text in all("transfer-encoding") {
        if !text.trim_ascii().eq_ignore_ascii_case("chunked") || is_chunked {
            return Err(wrong("the header `Transfer-Encoding` may only be `chunked`"));
        }
        is_chunked = true;
    }
    if is_chunked && stated.is_some() {
        return Err(wrong("a body has `Content-Length` or `Transfer-Encoding`, not both"));
    }
    let whole = whole.and_then(|whole| u64::try_from(whole).ok());
    match (stated, whole) {
        (Some(stated), Some(whole)) if stated != whole => {
            Err(wrong(format!("the header `Content-Length` is {stated}, but the body has {whole} bytes")))
        }
        (_, Some(whole)) => Ok((Some(whole), is_chunked)),
        (stated, None) => Ok((stated, is_chunked)),
    }
}
