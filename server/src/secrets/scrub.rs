//! Takes the values of secrets, in all their forms, out of what comes by: whole texts, JSON, or a stream in pieces.

use super::forms;
use super::value::Value;
use crate::texts;
use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};
use serde_json::Value as Json;
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read};
use std::sync::Arc;

/// What stands in the place of JSON that cannot be looked through.
const UNREADABLE: &str = "[a value with a secret in it, which could not be taken out]";

/// Bytes of a file that are looked at together.
const PIECE: usize = 16 << 10;

/// One secret to look for.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a Value,
    /// What stands in its place.
    pub(super) mark: &'a str,
}

/// Finds the values of some secrets.
pub(crate) struct Scrubber {
    finder: AhoCorasick,
    /// What is looked for, sorted, and of which of `secrets` it is.
    forms: Vec<(Vec<u8>, usize)>,
    /// Names and marks.
    secrets: Vec<(Box<str>, Box<str>)>,
    longest: usize,
}

impl Scrubber {
    /// None when there is nothing to look for.
    pub(super) fn new(wanted: &[Wanted<'_>]) -> Result<Option<Self>, BuildError> {
        let mut all = BTreeMap::new();
        for (place, wanted) in wanted.iter().enumerate() {
            for form in forms::all(wanted.value.expose()) {
                all.entry(form).or_insert(place);
            }
        }
        let forms: Vec<_> = all.into_iter().collect();
        let Some(longest) = forms.iter().map(|(form, _)| form.len()).max() else { return Ok(None) };
        // The longest: of a value that begins with another, the rest would stay. A kind that is made quickly: it is for
        // one execution.
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::LeftmostLongest).kind(Some(AhoCorasickKind::ContiguousNFA));
        let finder = builder.build(forms.iter().map(|(form, _)| form))?;
        let secrets = wanted.iter().map(|wanted| (wanted.name.into(), wanted.mark.into())).collect();
        Ok(Some(Self { finder, forms, secrets, longest }))
    }

    /// The name of a secret whose value is in `bytes`.
    pub(crate) fn found(&self, bytes: &[u8]) -> Option<&str> {
        let found = self.finder.find(bytes)?;
        self.secret(found.pattern().as_usize()).map(|(name, _)| &**name)
    }

    /// The names of all secrets whose values are in `bytes`.
    pub(super) fn each(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let found = self.finder.find_iter(bytes);
        found.filter_map(|found| self.secret(found.pattern().as_usize())).map(|(name, _)| &**name).collect()
    }

    pub(crate) fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let mut clean = Vec::new();
        let mut at = 0;
        for found in self.finder.find_iter(bytes) {
            clean.extend_from_slice(bytes.get(at..found.start()).unwrap_or_default());
            clean.extend_from_slice(self.mark(found.pattern().as_usize()));
            at = found.end();
        }
        if at == 0 {
            return Cow::Borrowed(bytes);
        }
        clean.extend_from_slice(bytes.get(at..).unwrap_or_default());
        Cow::Owned(clean)
    }

    pub(crate) fn text(&self, text: &mut String) {
        if let Cow::Owned(clean) = self.bytes(text.as_bytes()) {
            // What is looked for is whole characters, so this loses nothing.
            *text = String::from_utf8_lossy(&clean).into_owned();
        }
    }

    /// JSON stays JSON: each text in it is looked at by itself, and so is each number.
    pub(crate) fn json(&self, json: &mut Box<RawValue>) {
        if self.found(json.get().as_bytes()).is_none() {
            return;
        }
        let clean = serde_json::from_str::<Json>(json.get()).ok().and_then(|mut value| {
            self.value(&mut value);
            to_raw_value(&value).ok()
        });
        // A number may have become another in reading, and a value be put together from two.
        let clean = clean.filter(|clean| self.found(clean.get().as_bytes()).is_none());
        if let Some(clean) = clean.or_else(|| to_raw_value(UNREADABLE).ok()) {
            *json = clean;
        }
    }

    /// The same of a value in memory.
    pub(crate) fn value(&self, value: &mut Json) {
        texts::each(value, &mut |text| self.text(text));
    }

    /// Looks at what comes in pieces.
    pub(crate) fn stream(self: &Arc<Self>) -> Stream {
        Stream { scrubber: Arc::clone(self), held: Vec::new() }
    }

    /// Looks at what is read through it.
    pub(crate) fn reader<R: Read>(self: &Arc<Self>, inner: R) -> Reader<R> {
        Reader { inner, stream: self.stream(), ready: Cursor::default(), is_over: false }
    }

    fn secret(&self, form: usize) -> Option<&(Box<str>, Box<str>)> {
        self.secrets.get(self.forms.get(form)?.1)
    }

    fn mark(&self, form: usize) -> &[u8] {
        self.secret(form).map_or(&[], |(_, mark)| mark.as_bytes())
    }

    /// The first place at or after `from` whence on `bytes` may be the beginning of a value, as far as there are any.
    pub(super) fn open(&self, bytes: &[u8], from: usize) -> usize {
        let first = from.max(bytes.len().saturating_sub(self.longest - 1));
        let begins = |tail: &[u8]| {
            // Those that begin with it come right after it.
            let next = self.forms.partition_point(|(form, _)| form.as_slice() <= tail);
            self.forms.get(next).is_some_and(|(form, _)| form.starts_with(tail))
        };
        (first..bytes.len()).find(|start| bytes.get(*start..).is_some_and(begins)).unwrap_or(bytes.len())
    }
}

/// A stream that is looked at. What may be the beginning of a value is held back until it is known whether it is one.
pub(crate) struct Stream {
    scrubber: Arc<Scrubber>,
    held: Vec<u8>,
}

impl Stream {
    /// Takes the next piece, and gives what can be let through.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let bytes = [std::mem::take(&mut self.held).as_slice(), piece].concat();
        let scrubber = &self.scrubber;
        let (mut clean, mut at) = (Vec::with_capacity(bytes.len()), 0);
        let mut open = scrubber.open(&bytes, 0);
        while let Some(found) = scrubber.finder.find(bytes.get(at..).unwrap_or_default()) {
            let (start, end) = (at + found.start(), at + found.end());
            // A longer one may begin there.
            if start >= open {
                break;
            }
            clean.extend_from_slice(bytes.get(at..start).unwrap_or_default());
            clean.extend_from_slice(scrubber.mark(found.pattern().as_usize()));
            at = end;
            if at > open {
                open = scrubber.open(&bytes, at);
            }
        }
        clean.extend_from_slice(bytes.get(at..open).unwrap_or_default());
        self.held = bytes.get(open..).unwrap_or_default().to_vec();
        clean
    }

    /// What was held back: no more comes.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        self.scrubber.bytes(&held).into_owned()
    }
}

/// A [`Stream`] of what is read.
pub(crate) struct Reader<R> {
    inner: R,
    stream: Stream,
    ready: Cursor<Vec<u8>>,
    is_over: bool,
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.ready.read(buffer)?;
            if read > 0 || self.is_over || buffer.is_empty() {
                return Ok(read);
            }
            let mut piece = [0; PIECE];
            let clean = match self.inner.read(&mut piece)? {
                0 => {
                    self.is_over = true;
                    self.stream.end()
                }
                read => self.stream.push(piece.get(..read).unwrap_or_default()),
            };
            self.ready = Cursor::new(clean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scrubber(values: &[&str]) -> Arc<Scrubber> {
        let values: Vec<_> = values.iter().map(|text| Value::new((*text).into()).unwrap()).collect();
        let marks: Vec<_> = (0..values.len()).map(|place| format!("<{place}>")).collect();
        let wanted = values.iter().zip(&marks).map(|(value, mark)| Wanted { name: mark, value, mark });
        Arc::new(Scrubber::new(&wanted.collect::<Vec<_>>()).unwrap().unwrap())
    }

    fn in_pieces(scrubber: &Arc<Scrubber>, pieces: &[&[u8]]) -> String {
        let mut stream = scrubber.stream();
        let mut clean: Vec<u8> = pieces.iter().flat_map(|piece| stream.push(piece)).collect();
        clean.extend(stream.end());
        String::from_utf8(clean).unwrap()
    }

    #[test]
    fn a_value_is_found_over_the_borders_of_pieces() {
        let scrubber = scrubber(&["correct horse", "correct horse battery"]);
        let text = b"a correct horse, a correct horse battery, a correct";
        let whole = "a <0>, a <1>, a correct";
        assert_eq!(String::from_utf8_lossy(&scrubber.bytes(text)), whole);
        for size in 1..text.len() {
            let pieces: Vec<_> = text.chunks(size).collect();
            assert_eq!(in_pieces(&scrubber, &pieces), whole, "{size}");
        }
    }

    #[test]
    fn only_what_may_be_a_beginning_is_held_back() {
        let mut stream = scrubber(&["correct horse"]).stream();
        assert_eq!(stream.push(b"is this correct? correct h"), b"is this correct? ");
        assert_eq!(stream.push(b"ouse\n"), b"correct house\n");
    }

    #[test]
    fn json_stays_json() {
        let scrubber = scrubber(&["nineteen\\n", "1234567890"]);
        let clean = |text: &str| {
            let mut json = RawValue::from_string(text.into()).unwrap();
            scrubber.json(&mut json);
            json.get().to_owned()
        };
        assert_eq!(clean(r#"{"a": 1.0, "b": [2]}"#), r#"{"a": 1.0, "b": [2]}"#, "untouched");
        assert_eq!(clean(r#"["x nineteen\\n", 1234567890, 1]"#), r#"["x <0>","<1>",1]"#);
        assert_eq!(clean(r#"{"1234567890": null}"#), r#"{"<1>":null}"#);
        // A match in the middle of an escape would leave no JSON; what only looks like the value is withheld.
        assert_eq!(clean(r#""\nineteen\\n""#), format!("{UNREADABLE:?}"));
        let deep = format!("{}1234567890{}", "[".repeat(300), "]".repeat(300));
        assert_eq!(clean(&deep), format!("{UNREADABLE:?}"));
    }

    proptest! {
        /// However a text is cut, what comes out is the same as of the whole.
        #[test]
        fn pieces_make_no_difference(text in "[ab]{0,80}", cuts in proptest::collection::vec(1usize..9, 1..80)) {
            let scrubber = scrubber(&["aabaabaa", "abaabaab", "aabaabaabb", "babababab"]);
            let whole = String::from_utf8(scrubber.bytes(text.as_bytes()).into_owned()).unwrap();
            let (mut rest, mut pieces) = (text.as_bytes(), Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(in_pieces(&scrubber, &pieces), whole);
        }
    }
}
