//! What a value looks like in the encodings that programs and servers put texts into. What is not here (reversed, hashed,
//! compressed, cut in pieces) is not found: SECURITY.md lists it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode};
use std::collections::BTreeSet;
use std::fmt::Write;
use url::form_urlencoded;

/// What RFC 3986 lets stand in any part, and so Python's `quote(text, safe="")`.
pub(super) const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Python's `quote(text)`.
const PYTHON: &AsciiSet = &STRICT.remove(b'/');
/// `encodeURIComponent` of JavaScript.
const SCRIPT: &AsciiSet = &STRICT.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');
/// A query as browsers write it.
const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'\'');

/// All that is looked for, the value itself among it.
pub(super) fn all(value: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([value.as_bytes().to_vec()]);
    percent(value, &mut forms);
    base64(value.as_bytes(), &mut forms);
    json(value, &mut forms);
    html(value, &mut forms);
    wide(value, &mut forms);
    let hex = each_byte(value, "", false);
    forms.insert(hex.to_ascii_uppercase().into_bytes());
    forms.insert(hex.into_bytes());
    forms
}

fn percent(value: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let sets = [STRICT, PYTHON, SCRIPT, QUERY].map(|set| percent_encode(value.as_bytes(), set).to_string());
    let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let whole = each_byte(value, "%", true);
    for text in sets.into_iter().chain([form, whole]) {
        forms.insert(with_small_digits(&text).into_bytes());
        forms.insert(text.into_bytes());
    }
}

/// In base64, as a part of something longer: what stands before it moves it by 0, 1 or 2 bytes. The digits at its ends that
/// depend on its neighbours are left out.
fn base64(value: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    for before in 0..3 {
        let moved = [vec![0; before], value.to_vec()].concat();
        let (first, last) = ((before * 8).div_ceil(6), moved.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&moved), URL_SAFE_NO_PAD.encode(&moved)] {
            forms.extend(encoded.get(first..last).map(|digits| digits.as_bytes().to_vec()));
        }
    }
}

fn json(value: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let quoted = serde_json::to_string(value).unwrap_or_default();
    let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    // Some servers have ASCII alone, some a backslash before each `/`, some both.
    let mut plain = [String::new(), String::new()];
    for character in inside.chars() {
        for (text, is_large) in plain.iter_mut().zip([false, true]) {
            if character.is_ascii() {
                text.push(character);
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = if is_large { write!(text, "\\u{unit:04X}") } else { write!(text, "\\u{unit:04x}") };
            }
        }
    }
    for text in plain.into_iter().chain([inside.to_owned()]) {
        forms.insert(text.replace('/', "\\/").into_bytes());
        forms.insert(text.into_bytes());
    }
}

fn html(value: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let text = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for (double, single) in [("\"", "'"), ("&quot;", "&#39;"), ("&quot;", "&#x27;"), ("&#34;", "&#39;")] {
        forms.insert(text.replace('"', double).replace('\'', single).into_bytes());
    }
}

/// In files that are not in UTF-8, as those of NumPy (UTF-32) and of some programs of Windows (UTF-16).
fn wide(value: &str, forms: &mut BTreeSet<Vec<u8>>) {
    forms.insert(value.encode_utf16().flat_map(u16::to_le_bytes).collect());
    forms.insert(value.encode_utf16().flat_map(u16::to_be_bytes).collect());
    forms.insert(value.chars().flat_map(|character| u32::from(character).to_le_bytes()).collect());
}

fn each_byte(value: &str, before: &str, is_large: bool) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        let _ = if is_large { write!(text, "{before}{byte:02X}") } else { write!(text, "{before}{byte:02x}") };
        text
    })
}

/// The same with `%2f` for `%2F`.
fn with_small_digits(text: &str) -> String {
    let mut digits = 0;
    let small = text.chars().map(|character| {
        if character == '%' {
            digits = 2;
            return character;
        }
        let is_digit = digits > 0;
        digits -= usize::from(is_digit);
        if is_digit { character.to_ascii_lowercase() } else { character }
    });
    small.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    fn has(value: &str, text: &str) -> bool {
        let text = text.as_bytes();
        all(value).iter().any(|form| text.windows(form.len()).any(|window| window == form))
    }

    #[test]
    fn a_value_is_found_in_every_encoding() {
        let value = "p4ss/W:rd+'\"<é>";
        assert!(!has(value, "p4ss%2FW%3Ard"), "a part alone is none");
        for text in [
            "p4ss%2FW%3Ard%2B%27%22%3C%C3%A9%3E",
            "p4ss%2fW%3ard%2b%27%22%3c%c3%a9%3e",
            "p4ss/W%3Ard%2B%27%22%3C%C3%A9%3E",
            "p4ss%2FW%3Ard%2B'%22%3C%C3%A9%3E",
            r#"{"key": "p4ss/W:rd+'\"<é>"}"#,
            r#"{"key": "p4ss/W:rd+'\"<\u00e9>"}"#,
            r#"{"key": "p4ss\/W:rd+'\"<\u00E9>"}"#,
            "<p>p4ss/W:rd+&#39;&quot;&lt;é&gt;</p>",
            "703473732f573a72642b27223cc3a93e",
            "703473732F573A72642B27223CC3A93E",
        ] {
            assert!(has(value, text), "{text}");
        }
    }

    #[test]
    fn a_value_is_found_in_wide_characters() {
        let value = "correct horse";
        let wide = |before: usize, after: usize| -> String {
            let one = |letter: char| ["\0".repeat(before), letter.to_string(), "\0".repeat(after)].concat();
            value.chars().map(one).collect()
        };
        for (before, after) in [(0, 1), (1, 0), (0, 3)] {
            assert!(has(value, &wide(before, after)), "{before} {after}");
        }
    }

    #[test]
    fn base64_is_found_wherever_it_begins() {
        let value = "correct horse";
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "x", "xy", "xyz"] {
                let text = format!("{before}{value}{after}");
                assert!(has(value, &STANDARD.encode(&text)), "{text}");
                assert!(has(value, &URL_SAFE_NO_PAD.encode(&text)), "{text}");
            }
        }
        assert!(!has(value, &STANDARD.encode("correct house")));
    }
}
