//! What a secret looks like when it was leaked: written here anew, so that a fault of the server's is not repeated.
#![allow(clippy::cast_possible_truncation, clippy::string_slice, reason = "short ASCII texts of the tests' own")]

use std::fmt::Write;

pub(crate) fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

pub(crate) fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut percent, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            percent.push(char::from(byte));
        } else {
            write!(percent, "%{byte:02X}").unwrap();
        }
        percent
    })
}

pub(crate) fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |group: u32, place: u32| char::from(DIGITS[(group >> (18 - 6 * place) & 63) as usize]);
    let mut encoded = String::new();
    for bytes in text.as_bytes().chunks(3) {
        let group = (0..3).fold(0, |group, place| group << 8 | u32::from(bytes.get(place).copied().unwrap_or(0)));
        let digits = bytes.len() as u32 + 1;
        encoded.extend((0..4).map(|place| if place < digits { digit(group, place) } else { '=' }));
    }
    encoded
}

/// What of `secret` is found in `bytes`, if anything is. With `whole`, only the value and what it is encoded as; else also
/// what is cut from it or turned around.
pub(crate) fn leaked(bytes: &[u8], secret: &str, whole: bool) -> Option<String> {
    let mut forms = vec![secret.to_owned(), hex(secret), hex(secret).to_uppercase(), percent(secret)];
    forms.push(secret.replace('/', "\\/"));
    for before in ["", "a", "ab"] {
        // Without the digits that what is before and after has a part in.
        let encoded = base64(&format!("{before}{secret}"));
        let inner = encoded[before.len() * 4 / 3 + usize::from(!before.is_empty())..].trim_end_matches('=');
        let inner = inner[..inner.len() - 1].to_owned();
        forms.push(inner.replace('+', "-").replace('/', "_"));
        forms.push(inner);
    }
    if !whole {
        let half = secret.len() / 2;
        forms.extend([secret.chars().rev().collect(), secret[..half].to_owned(), secret[half..].to_owned()]);
    }
    forms.into_iter().find(|form| bytes.windows(form.len()).any(|window| window == form.as_bytes()))
}
