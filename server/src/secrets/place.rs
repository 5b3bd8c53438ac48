//! Puts values in the places of their placeholders, in a request that leaves: written as its surroundings want it, whole or
//! in pieces. Who may have which is asked for each.

use super::bound::{Bound, Trace};
use super::forms::STRICT;
use super::placeholder;
use crate::gate::Denied;
use percent_encoding::percent_encode;
use std::borrow::Cow;
use std::sync::Arc;

/// Whether what a trace stands for may leave here.
pub(crate) type May<'m> = &'m mut dyn FnMut(Trace<'_>) -> Result<(), Denied>;

/// How a value is written where it is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    /// In a URL, and in a form that is sent as one.
    Percent,
    /// Within a string of JSON.
    Json,
    /// Within a text of XML or HTML.
    Markup,
}

impl Form {
    /// That of a body.
    pub(crate) fn of_body(content_type: Option<&str>) -> Self {
        let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
        let kind = kind.trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/x-www-form-urlencoded" => Self::Percent,
            "application/json" | "application/x-ndjson" => Self::Json,
            "application/xml" | "text/xml" | "text/html" => Self::Markup,
            other if other.ends_with("+json") => Self::Json,
            other if other.ends_with("+xml") => Self::Markup,
            _ => Self::Plain,
        }
    }

    fn write(self, value: &str, out: &mut Vec<u8>) {
        match self {
            Self::Plain => out.extend_from_slice(value.as_bytes()),
            Self::Percent => {
                percent_encode(value.as_bytes(), STRICT).for_each(|part| out.extend_from_slice(part.as_bytes()));
            }
            Self::Json => {
                let quoted = serde_json::to_string(value).unwrap_or_default();
                let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                out.extend_from_slice(inside.unwrap_or_default().as_bytes());
            }
            Self::Markup => value.chars().for_each(|character| match character {
                '&' => out.extend_from_slice(b"&amp;"),
                '<' => out.extend_from_slice(b"&lt;"),
                '>' => out.extend_from_slice(b"&gt;"),
                '"' => out.extend_from_slice(b"&quot;"),
                '\'' => out.extend_from_slice(b"&#39;"),
                other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }),
        }
    }
}

impl Bound {
    /// `bytes` as they leave.
    pub(crate) fn put<'b>(&self, bytes: &'b [u8], form: Form, may: May<'_>) -> Result<Cow<'b, [u8]>, Denied> {
        self.values(bytes, may)?;
        let (mut out, at) = self.puts(bytes, bytes.len(), form, may)?;
        if at == 0 {
            return Ok(Cow::Borrowed(bytes));
        }
        out.extend_from_slice(bytes.get(at..).unwrap_or_default());
        Ok(Cow::Owned(out))
    }

    /// The same for what comes in pieces.
    pub(crate) fn putting(self: &Arc<Self>, form: Form) -> Putting {
        Putting { bound: Arc::clone(self), form, held: Vec::new() }
    }

    /// Asks for each value that is there itself: the program was given it, or has put it together.
    fn values(&self, bytes: &[u8], may: May<'_>) -> Result<(), Denied> {
        let Some(scrubber) = self.scrubber() else { return Ok(()) };
        scrubber.each(bytes).into_iter().try_for_each(|name| may(Trace::Value(name)))
    }

    /// All up to the end of the last placeholder that begins before `end`, with their values, and where that is.
    fn puts(&self, bytes: &[u8], end: usize, form: Form, may: May<'_>) -> Result<(Vec<u8>, usize), Denied> {
        let (mut out, mut at) = (Vec::new(), 0);
        while let Some(found) = placeholder::find(bytes.get(at..).unwrap_or_default()) {
            let start = at + found;
            if start >= end {
                break;
            }
            let after = start + placeholder::LENGTH;
            let Some((name, value)) = self.of_placeholder(bytes.get(start..after).unwrap_or_default()) else {
                may(Trace::Stranger)?;
                break;
            };
            may(Trace::Placeholder(name))?;
            out.extend_from_slice(bytes.get(at..start).unwrap_or_default());
            form.write(value.expose(), &mut out);
            at = after;
        }
        Ok((out, at))
    }

    /// The first place at or after `from` whence on `bytes` may be the beginning of something to look at.
    fn open(&self, bytes: &[u8], from: usize) -> usize {
        let placeholder = placeholder::open(bytes, from);
        self.scrubber().map_or(placeholder, |scrubber| scrubber.open(bytes, from).min(placeholder))
    }
}

/// A body that leaves in pieces. What may be the beginning of a placeholder is held back until it is known whether it is.
pub(crate) struct Putting {
    bound: Arc<Bound>,
    form: Form,
    held: Vec<u8>,
}

impl Putting {
    pub(crate) fn push(&mut self, piece: &[u8], may: May<'_>) -> Result<Vec<u8>, Denied> {
        let bytes = [std::mem::take(&mut self.held).as_slice(), piece].concat();
        // All of it: a value that ends in it lets nothing of it leave.
        self.bound.values(&bytes, may)?;
        let open = self.bound.open(&bytes, 0);
        let (mut out, at) = self.bound.puts(&bytes, open, self.form, may)?;
        let open = if at > open { self.bound.open(&bytes, at) } else { open };
        out.extend_from_slice(bytes.get(at..open).unwrap_or_default());
        self.held = bytes.get(open..).unwrap_or_default().to_vec();
        Ok(out)
    }

    /// What was held back: no more comes.
    pub(crate) fn end(&mut self, may: May<'_>) -> Result<Vec<u8>, Denied> {
        let held = std::mem::take(&mut self.held);
        Ok(self.bound.put(&held, self.form, may)?.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::bound::tests::{PLACEHOLDER, bound};
    use super::*;
    use proptest::prelude::*;

    fn put(text: &str, form: Form) -> Result<String, String> {
        let bound = bound("a/\"&+ value");
        let put = bound.put(text.as_bytes(), form, &mut |_| Ok(())).map_err(|denied| denied.reason)?;
        Ok(String::from_utf8(put.into_owned()).unwrap())
    }

    #[test]
    fn a_value_is_written_as_its_place_wants_it() {
        let text = format!("x{PLACEHOLDER}y");
        assert_eq!(put(&text, Form::Plain).unwrap(), "xa/\"&+ valuey");
        assert_eq!(put(&text, Form::Percent).unwrap(), "xa%2F%22%26%2B%20valuey");
        assert_eq!(put(&text, Form::Json).unwrap(), "xa/\\\"&+ valuey");
        assert_eq!(put(&text, Form::Markup).unwrap(), "xa/&quot;&amp;+ valuey");
        for (kind, form) in [
            ("application/json; charset=utf-8", Form::Json),
            ("application/vnd.api+JSON", Form::Json),
            ("application/x-www-form-urlencoded", Form::Percent),
            ("image/svg+xml", Form::Markup),
            ("text/plain", Form::Plain),
            ("multipart/form-data; boundary=x", Form::Plain),
        ] {
            assert_eq!(Form::of_body(Some(kind)), form, "{kind}");
        }
        assert_eq!(Form::of_body(None), Form::Plain);
    }

    #[test]
    fn what_may_not_leave_does_not() {
        let bound = bound("hunter2hunter2");
        let mut asked = Vec::new();
        let mut may = |trace: Trace<'_>| {
            asked.push(format!("{trace:?}"));
            Err(Denied::new("rule", "no"))
        };
        let stranger = PLACEHOLDER.replace('0', "1");
        for text in [PLACEHOLDER, &stranger, "is hunter2hunter2", "68756e7465723268756e74657232"] {
            assert!(bound.put(text.as_bytes(), Form::Plain, &mut may).is_err(), "{text}");
            assert!(bound.putting(Form::Plain).push(format!("{text} ").as_bytes(), &mut may).is_err(), "{text}");
        }
        assert_eq!(bound.put(b"nothing", Form::Plain, &mut may).unwrap(), &b"nothing"[..]);
        asked.dedup();
        assert_eq!(asked, ["Placeholder(\"KEY\")", "Stranger", "Value(\"KEY\")"]);
    }

    proptest! {
        /// However a body is cut, what leaves is the same as of the whole.
        #[test]
        fn pieces_make_no_difference(
            parts in proptest::collection::vec(0usize..4, 1..8),
            cuts in proptest::collection::vec(1usize..50, 1..40),
        ) {
            let parts = parts.iter().map(|part| [PLACEHOLDER, "exs_0", "e", "hunter2"][*part]);
            let text: String = parts.collect();
            let bound = bound("exs_hunter3");
            let whole = bound.put(text.as_bytes(), Form::Plain, &mut |_| Ok(())).unwrap().into_owned();
            let (mut putting, mut out, mut rest) = (bound.putting(Form::Plain), Vec::new(), text.as_bytes());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                out.extend(putting.push(piece, &mut |_| Ok(())).unwrap());
                rest = after;
            }
            out.extend(putting.end(&mut |_| Ok(())).unwrap());
            prop_assert_eq!(out, whole);
        }
    }
}
