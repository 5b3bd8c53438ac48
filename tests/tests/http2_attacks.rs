//! Servers that mean no good by HTTP/2: what each makes a program, and this process, suffer has an end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::{Value, json};
use support::frames::Doing;
use support::reach::Reach;

/// What a request says that meets such a server, and what the next one says, which meets a good one.
fn told(reach: &Reach, doing: Doing) -> Value {
    reach.frames.does(doing);
    let got = reach.run("told(lambda: httpx.get(FRAMES, timeout=None).text)");
    reach.frames.does(Doing::Good);
    assert_eq!(reach.run("httpx.get(FRAMES).text"), "good", "{doing:?}");
    got
}

const NOT_HTTP: &str = "httpx.RemoteProtocolError: the server's response is not HTTP: ";

#[test]
fn what_is_not_the_protocol_is_an_error() {
    let reach = Reach::start();
    for (doing, why) in [
        (Doing::Garbage, "connection error detected: frame with invalid size"),
        (Doing::Push, "connection error detected: unspecific protocol error detected"),
        (Doing::ConnectionHeader, "stream error detected: unspecific protocol error detected"),
        (Doing::TwoLengths, "stream error detected: unspecific protocol error detected"),
        (
            Doing::Continuations,
            "connection error detected: detected excessive load generating behavior (b\"too_many_continuations\")",
        ),
    ] {
        assert_eq!(told(&reach, doing), format!("{NOT_HTTP}{why}"), "{doing:?}");
    }
    let got = told(&reach, Doing::Short);
    assert!(got.as_str().unwrap().starts_with("httpx.RemoteProtocolError: the response ended before its end"), "{got}");
    let got = told(&reach, Doing::BeyondTheWindow);
    assert!(got.as_str().unwrap().contains("flow-control protocol violated"), "{got}");
}

/// What comes beside a response is nobody's to limit but `allowance.rs`. Seen to fail with it left out: then 64 MiB are read,
/// and the response behind them is good.
#[test]
fn a_flood_ends_its_connection() {
    let reach = Reach::start();
    for doing in [Doing::Priorities, Doing::Pings, Doing::Settings, Doing::Informational] {
        assert_eq!(told(&reach, doing), format!("{NOT_HTTP}the server sends what nobody asked for"), "{doing:?}");
    }
}

/// Seen to fail, its last line, with a `GOAWAY` believed whatever the method: then the order is sent twice.
#[test]
fn a_server_that_leaves_is_believed_where_that_does_no_harm() {
    let reach = Reach::start();
    let post = "httpx.post(FRAMES, content=b'order').text";
    reach.frames.does(Doing::RefusesOnce);
    assert_eq!(reach.run(post), "good");
    assert_eq!(reach.frames.connections(), 2);
    reach.frames.does(Doing::UnseenOnce);
    assert_eq!(reach.run("httpx.get(FRAMES).text"), "good");
    assert_eq!(reach.frames.connections(), 2);
    reach.frames.does(Doing::Unseen);
    is_disconnected(&reach.run("told(lambda: httpx.get(FRAMES).text)"));
    assert_eq!(reach.frames.connections(), 3);
    reach.frames.does(Doing::UnseenOnce);
    is_disconnected(&reach.run(&format!("told(lambda: {post})")));
    assert_eq!(reach.frames.connections(), 1);
}

#[test]
fn a_server_that_leaves_ends_what_it_began() {
    let reach = Reach::start();
    reach.frames.does(Doing::LeavesInTheMiddle);
    assert_eq!(reach.run("[httpx.get(FRAMES).text for _ in range(2)]"), json!(["good", "good"]));
    // More than two where it left while a request was being sent.
    assert!(reach.frames.connections() >= 2);
    reach.frames.does(Doing::BreaksOff);
    is_disconnected(&reach.run("told(lambda: httpx.post(FRAMES, content=b'order').text)"));
    assert_eq!(reach.frames.connections(), 1);
}

/// In which of its words depends on whether the request was still being sent.
fn is_disconnected(got: &Value) {
    const WORDS: [&str; 3] = [
        "the server ended the connection without a response",
        "the server ended the connection before the end of the response",
        "the server ended the exchange without a response",
    ];
    let text = got.as_str().unwrap();
    let why = text.strip_prefix("httpx.RemoteProtocolError: ").unwrap_or_else(|| panic!("{text}"));
    assert!(WORDS.iter().any(|words| why.starts_with(words)), "{text}");
}

/// Seen to fail with nothing taken from `left` in `passage.rs`.
#[test]
fn a_body_without_an_end_is_ended_by_its_limits() {
    let reach = Reach::with(&[], json!([]), json!({}), "largest_response = \"1MB\"\nidle_timeout = \"1s\"\n");
    let got = reach.run(
        "[told(lambda: httpx.get(f'{STREAMS}/endless')), told(lambda: httpx.get(f'{STREAMS}/stalls', timeout=None)),
          told(lambda: httpx.get(f'{STREAMS}/bytes/999000').status_code)]",
    );
    assert_eq!(
        got,
        json!([
            "httpx.ReadError: the response is larger than the 1000000 bytes that this server takes: ask for less of it, or raise \
             `egress.largest_response`",
            "httpx.ReadTimeout: the server sent nothing for 1s",
            200
        ])
    );
}
