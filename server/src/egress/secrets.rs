//! The secrets of one exchange: values are put in where the request leaves, and taken out where its response comes. It is
//! called by the passage alone, behind the decision on the request.

use super::failure::Failure;
use super::message::Begin;
use super::request::Asked;
use crate::executions::Live;
use crate::gate::{Asker, Denied, Gate};
use crate::secrets::{Bound, Form, Putting, Stream, Trace};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use exuvia_policies::{EgressPermit, Policy, SecretPlace};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use hyper::ext::ReasonPhrase;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a refusal is about.
const REQUEST: &str = "This request";
const BASIC: &[u8] = b"Basic ";

pub(super) struct Secrets {
    bound: Arc<Bound>,
    gate: Arc<Gate>,
    live: Arc<Live>,
    /// Those that were granted to this request, and for which part of it.
    granted: BTreeSet<(String, SecretPlace)>,
    sends: Option<Putting>,
    receives: Option<Stream>,
    /// One of them may go to this host: it is asked not to compress, as nothing is found in what is compressed.
    is_plain: bool,
    /// The length of a response to `HEAD` is not that of its body.
    is_head: bool,
}

/// Refuses a secret, or what stands for one, where it would be seen before anything is decided: in the name of the host, which
/// name servers are asked for, and in the method. Both are in the audit.
pub(super) fn before(bound: &Bound, gate: &Gate, live: &Arc<Live>, begin: &Begin) -> Result<(), Failure> {
    let traces = [&begin.host, &begin.method]
        .into_iter()
        .flat_map(|text| [bound.trace(text.as_bytes()), bound.trace(text.to_ascii_lowercase().as_bytes())]);
    match traces.flatten().next() {
        Some(trace) => Err(Failure::Denied(gate.withheld(Asker::program(live), "http", trace, REQUEST))),
        None => Ok(()),
    }
}

impl Secrets {
    pub(super) fn new(bound: Arc<Bound>, gate: Arc<Gate>, live: Arc<Live>, permit: &EgressPermit) -> Self {
        let goes = |policy: &Policy| bound.names().any(|name| policy.decide_secret(name, permit).is_ok());
        // Most executions have none: a policy is looked at only for those that have.
        let is_plain = !bound.is_empty() && gate.policy(live.grant()).is_some_and(|policy| goes(&policy));
        let receives = bound.scrubber().map(crate::secrets::Scrubber::stream);
        Self { bound, gate, live, granted: BTreeSet::new(), sends: None, receives, is_plain, is_head: false }
    }

    /// The head of a request that leaves. `streams`: its body follows in pieces.
    pub(super) fn request(&mut self, permit: &EgressPermit, asked: &mut Asked, streams: bool) -> Result<(), Failure> {
        self.is_head = asked.method == Method::HEAD;
        asked.target = self.target(permit, &asked.target)?;
        asked.headers = self.headers(permit, &asked.headers)?;
        if self.is_plain {
            asked.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if streams && !self.bound.is_empty() {
            // It may grow on its way.
            asked.headers.remove(CONTENT_LENGTH);
            self.sends = Some(self.bound.putting(form(asked)));
        }
        Ok(())
    }

    /// Whether the bytes that leave are not those that the program counts.
    pub(super) fn changes_length(&self) -> bool {
        self.sends.is_some()
    }

    /// A body that leaves whole.
    pub(super) fn whole(&mut self, permit: &EgressPermit, body: &[u8], asked: &mut Asked) -> Result<Vec<u8>, Failure> {
        let bound = Arc::clone(&self.bound);
        let put = bound.put(body, form(asked), &mut |trace| self.may(permit, trace, SecretPlace::Body));
        let put = put.map_err(Failure::Denied)?.into_owned();
        if put.len() != body.len() && asked.length.is_some() {
            asked.length = Some(put.len() as u64);
            asked.headers.insert(CONTENT_LENGTH, HeaderValue::from(put.len()));
        }
        Ok(put)
    }

    /// A piece of a body that leaves in pieces.
    pub(super) fn leaves(&mut self, permit: &EgressPermit, piece: Vec<u8>) -> Result<Vec<u8>, Failure> {
        self.put(permit, |sends, may| sends.push(&piece, may)).unwrap_or(Ok(piece))
    }

    /// What was held back of it.
    pub(super) fn left(&mut self, permit: &EgressPermit) -> Result<Vec<u8>, Failure> {
        self.put(permit, Putting::end).unwrap_or_else(|| Ok(Vec::new()))
    }

    fn put(
        &mut self,
        permit: &EgressPermit,
        put: impl FnOnce(&mut Putting, &mut dyn FnMut(Trace<'_>) -> Result<(), Denied>) -> Result<Vec<u8>, Denied>,
    ) -> Option<Result<Vec<u8>, Failure>> {
        let mut sends = self.sends.take()?;
        let left = put(&mut sends, &mut |trace| self.may(permit, trace, SecretPlace::Body));
        self.sends = Some(sends);
        Some(left.map_err(Failure::Denied))
    }

    /// The head of a response.
    pub(super) fn response(&mut self, head: &mut Parts) -> Result<(), Failure> {
        let Some(scrubber) = self.bound.scrubber() else { return Ok(()) };
        let is_encoded = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
        if head.headers.get_all(CONTENT_ENCODING).iter().any(is_encoded) {
            if self.is_plain {
                return Err(Failure::Read(
                    "the server compressed its response, although it was asked not to: what is compressed cannot be looked \
                     through for the values of secrets, so it is not handed over"
                        .into(),
                ));
            }
            // Of a host that no secret goes to. It cannot be looked through, and so is not changed.
            self.receives = None;
        }
        let names: Vec<_> =
            head.headers.keys().filter(|name| scrubber.found(name.as_str().as_bytes()).is_some()).cloned().collect();
        for name in names {
            head.headers.remove(name);
        }
        for value in head.headers.values_mut() {
            let clean = scrubber.bytes(value.as_bytes()).into_owned();
            *value = HeaderValue::from_bytes(&clean).unwrap_or_else(|_| HeaderValue::from_static(""));
        }
        let reason = head.extensions.get::<ReasonPhrase>();
        if reason.is_some_and(|reason| scrubber.found(reason.as_bytes()).is_some()) {
            head.extensions.remove::<ReasonPhrase>();
        }
        Ok(())
    }

    /// A piece of a response's body.
    pub(super) fn comes(&mut self, piece: Bytes) -> Bytes {
        match &mut self.receives {
            Some(receives) => receives.push(&piece).into(),
            None => piece,
        }
    }

    /// What was held back of it.
    pub(super) fn came(&mut self) -> Bytes {
        self.receives.as_mut().map(|receives| receives.end().into()).unwrap_or_default()
    }

    /// The length of a response's body, once its first piece is there; it may be all of it.
    pub(super) fn length(&self, head: &mut Parts, first: usize, is_all: bool) {
        if self.is_head || self.receives.is_none() || !head.headers.contains_key(CONTENT_LENGTH) {
            return;
        }
        if is_all {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(first));
        } else {
            head.headers.remove(CONTENT_LENGTH);
        }
    }

    fn target(&mut self, permit: &EgressPermit, target: &Uri) -> Result<Uri, Failure> {
        let text = target.to_string();
        let (path, query) = text.split_once('?').map_or((text.as_str(), None), |(path, query)| (path, Some(query)));
        let mut put = self.text(permit, path.as_bytes(), Form::Percent, SecretPlace::Path)?;
        if let Some(query) = query {
            put.push(b'?');
            put.extend(self.text(permit, query.as_bytes(), Form::Percent, SecretPlace::Query)?);
        }
        if put == text.as_bytes() {
            return Ok(target.clone());
        }
        Uri::try_from(put)
            .map_err(|_| Failure::Request("the address is too long with the values of its secrets".into()))
    }

    fn headers(&mut self, permit: &EgressPermit, headers: &HeaderMap) -> Result<HeaderMap, Failure> {
        let mut all = HeaderMap::with_capacity(headers.len() + 1);
        for (name, value) in headers {
            if let Some(trace) = self.bound.trace(name.as_str().as_bytes()) {
                let denied = self.gate.withheld(Asker::program(&self.live), "http", trace, REQUEST);
                return Err(Failure::Denied(denied));
            }
            all.append(name.clone(), self.header(permit, name, value)?);
        }
        Ok(all)
    }

    fn header(
        &mut self,
        permit: &EgressPermit,
        name: &HeaderName,
        value: &HeaderValue,
    ) -> Result<HeaderValue, Failure> {
        let bytes = value.as_bytes();
        let put = match basic(bytes) {
            // A name and a password, which may be a secret each.
            Some(inside) => {
                let inside = self.text(permit, &inside, Form::Plain, SecretPlace::Header)?;
                [BASIC, STANDARD.encode(inside).as_bytes()].concat()
            }
            None => self.text(permit, bytes, Form::Plain, SecretPlace::Header)?,
        };
        if put == bytes {
            return Ok(value.clone());
        }
        let wrong = || {
            Failure::Request(format!(
                "the value of a secret in the header `{name}` has characters that no header can have"
            ))
        };
        let mut put = HeaderValue::from_bytes(&put).map_err(|_| wrong())?;
        put.set_sensitive(true);
        Ok(put)
    }

    fn text(&mut self, permit: &EgressPermit, text: &[u8], form: Form, place: SecretPlace) -> Result<Vec<u8>, Failure> {
        let bound = Arc::clone(&self.bound);
        let put = bound.put(text, form, &mut |trace| self.may(permit, trace, place));
        Ok(put.map_err(Failure::Denied)?.into_owned())
    }

    /// Asks the gate, once for each secret and part of the request.
    fn may(&mut self, permit: &EgressPermit, trace: Trace<'_>, place: SecretPlace) -> Result<(), Denied> {
        let asker = Asker::program(&self.live);
        let (Trace::Placeholder(name) | Trace::Value(name)) = trace else {
            return Err(self.gate.withheld(asker, "http", trace, REQUEST));
        };
        let key = (name.to_owned(), place);
        if !self.granted.contains(&key) {
            let _ = self.gate.put_in(asker, name, permit, place)?;
            self.granted.insert(key);
        }
        Ok(())
    }
}

fn form(asked: &Asked) -> Form {
    Form::of_body(asked.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()))
}

/// What is in a header of basic authentication.
fn basic(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = value.split_at_checked(BASIC.len())?;
    if !scheme.eq_ignore_ascii_case(BASIC) {
        return None;
    }
    STANDARD.decode(encoded.trim_ascii()).ok()
}
