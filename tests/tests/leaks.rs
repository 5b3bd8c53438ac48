//! Ways to leak a secret, each tried: nothing of it is in what the client gets, in what other servers receive, or in anything that
//! this server writes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::Value;
use support::forms::leaked;
use support::leaks::{HMAC, KEY, Place, Reached, Way, ways};

/// What became of one way.
struct Tried<'w> {
    way: &'w Way,
    status: Value,
    /// The files that it left: their names, and all that is in them. The first of it is the file as it is.
    left: Vec<(String, Vec<Vec<u8>>)>,
}

impl<'w> Tried<'w> {
    fn new(place: &Place, way: &'w Way, secret: &str) -> Self {
        let status = place.run(&way.script, secret);
        let left = place.left(&status);
        Self { way, status, left }
    }

    /// What a client gets, as it gets it.
    fn shown(&self) -> Vec<&[u8]> {
        let files = self.left.iter().flat_map(|(name, contents)| [name.as_bytes(), &contents[0]]);
        files.collect()
    }

    /// What a client can unpack of that.
    fn packed(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.left.iter().flat_map(|(_, contents)| &contents[1..])
    }

    fn is_denied(&self) -> bool {
        self.status.to_string().contains("[POLICY DENIED]")
    }

    /// What of `secret` came where it must not, in the words of a failure.
    fn strays(&self, place: &Place, secret: &str, whole: bool) -> Vec<String> {
        let Way { name, verdict, .. } = self.way;
        let answer = self.status.to_string();
        let Reached { good, other, safe, bare, impostor } = &place.reached;
        let others = [("the other host", other), ("the host without TLS", bare), ("the host of another", impostor)];
        let others = others.map(|(what, recorder)| (what, recorder.take()));
        let seen = [("its answer", answer.as_bytes())].into_iter();
        let seen = seen.chain(self.shown().into_iter().map(|bytes| ("its files", bytes)));
        let seen = seen.chain(others.iter().map(|(what, bytes)| (*what, bytes.as_slice())));
        let found = seen.filter_map(|(what, bytes)| Some((what, leaked(bytes, secret, whole)?, bytes)));
        let mut strays: Vec<_> = found
            .map(|(what, form, bytes)| {
                let shown: String = String::from_utf8_lossy(bytes).chars().take(2000).collect();
                format!("{name}: `{form}` is in {what}: {shown}")
            })
            .collect();
        let over_tls = verdict.starts_with("sent over TLS");
        let is_sent = verdict.starts_with("sent") && !over_tls;
        for (what, recorder, expected) in [("", good, is_sent), (" with TLS", safe, over_tls)] {
            let received = recorder.take();
            if leaked(&received, secret, true).is_some() != expected {
                let received = String::from_utf8_lossy(&received).into_owned();
                strays
                    .push(format!("{name}: the host{what} that it is for was sent {received:?}, and it got {answer}"));
            }
        }
        if self.is_denied() != verdict.ends_with("denied") {
            strays.push(format!("{name} is not {verdict}: {answer}"));
        }
        strays
    }
}

/// What is in what the server wrote, and in what somebody on the way sees of a connection with TLS.
fn in_what_is_written(place: &mut Place, secret: &str, whole: bool) -> Vec<String> {
    place.server.stop();
    let mut written = place.written();
    let wire = place.reached.safe.wire();
    assert!(!wire.is_empty());
    written.push(("what came over TLS, as it came".into(), wire));
    let strays = written.into_iter().filter_map(|(name, bytes)| Some((leaked(&bytes, secret, whole)?, name)));
    strays.map(|(form, name)| format!("`{form}` is in {name}")).collect()
}

/// Seen to fail with each of these left out alone: that a secret is for some hosts, that it needs TLS, and for which parts of a request it is; the refusal
/// of placeholders of others, of names of headers, of names of tools, and of names and values of their arguments; the refusal of
/// responses that are compressed; scrubbing of a response's headers, of their names, of its reason and its body, and of tools' answers.
#[test]
fn a_program_with_a_placeholder_has_nothing_to_leak() {
    let mut place = Place::start();
    let ways = ways("placeholder.txt");
    let mut strays = Vec::new();
    for way in &ways {
        let tried = Tried::new(&place, way, "KEY");
        strays.extend(tried.strays(&place, KEY, false));
        for contents in tried.packed().filter_map(|contents| leaked(contents, KEY, false)) {
            strays.push(format!("{}: `{contents}` is packed in its files", way.name));
        }
    }
    strays.extend(in_what_is_written(&mut place, KEY, false));
    assert!(strays.is_empty(), "{}", strays.join("\n"));
    assert!(ways.len() >= 110);
}

/// Whether what became of a way is what its verdict says. What no answer has ("progress", and what was never set) is looked for where
/// it could be, and no more.
fn is_as_said(tried: &Tried) -> bool {
    let Tried { way, status, .. } = tried;
    let mark = "[secret HMAC]";
    let has_mark = |bytes: &[u8]| bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
    let is_marked = status.to_string().contains(mark) || tried.shown().into_iter().any(has_mark);
    let is_packed = tried.packed().any(|contents| leaked(contents, HMAC, true).is_some());
    match way.verdict.as_str() {
        "scrubbed" => (is_marked || way.name == "progress" || way.name.ends_with("never set")) && !is_packed,
        "listed" => status["success"] == true && !is_marked && !is_packed,
        "packed" => status["success"] == true && is_packed,
        _ => true,
    }
}

/// Seen to fail, besides what makes the test above fail, with each of these left out alone: the search for values in what leaves, and in names of hosts;
/// scrubbing of standard output and error, of results, of errors, of warnings, of what failed requests are told, of what a journal has, of
/// tables in HTML, of files and of their names.
#[test]
fn a_value_that_a_program_has_is_taken_out_of_what_it_says() {
    let mut place = Place::start();
    let ways = ways("revealed.txt");
    let mut strays = Vec::new();
    for way in &ways {
        let tried = Tried::new(&place, way, "HMAC");
        strays.extend(tried.strays(&place, HMAC, true));
        if !is_as_said(&tried) {
            let left: Vec<_> = tried.left.iter().map(|(name, _)| name).collect();
            strays.push(format!("{} is not {}: {} {left:?}", way.name, way.verdict, tried.status));
        }
    }
    strays.extend(in_what_is_written(&mut place, HMAC, true));
    assert!(strays.is_empty(), "{}", strays.join("\n"));
    assert!(ways.len() >= 65);
}
