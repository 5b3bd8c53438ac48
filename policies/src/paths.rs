//! Paths of URLs, and the prefixes that a rule allows. What one server takes for `/public/x`, another takes for `/admin`:
//! a path that can be read in two ways matches no prefix.

use serde::{Serialize, Serializer};

/// A path, or the beginning of one that ends with a whole segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PathPrefix(Box<str>);

impl PathPrefix {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.starts_with('/') || text.contains(['?', '#', '*']) {
            return Err("a path begins with `/`, as in `/v1/files`, and stands for all that is below it");
        }
        if !is_plain(text) {
            return Err(
                "a path has no `.`, `..` or empty segments, and no `;`, `\\`, or encoded `/`, `\\`, `.` or `%`",
            );
        }
        Ok(Self(text.into()))
    }

    pub(crate) fn is_all(&self) -> bool {
        self.0.as_ref() == "/"
    }

    /// Whether `path` is this one or below it. Spellings count: what is encoded differently is another path.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let below = |rest: &str| rest.is_empty() || rest.starts_with('/') || self.0.ends_with('/');
        path.strip_prefix(self.0.as_ref()).is_some_and(below) && is_plain(path)
    }
}

impl Serialize for PathPrefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Whether every server reads the path alike, whether it decodes, joins or cleans it before it looks.
fn is_plain(path: &str) -> bool {
    let is_visible = path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b';'));
    let mut segments = path.split('/').skip(1).peekable();
    let mut are_plain = true;
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        are_plain &= !matches!(segment, "." | "..") && (is_last || !segment.is_empty());
    }
    is_visible && are_plain && has_plain_escapes(path)
}

/// Whether each `%` begins an escape, and none is for what separates segments, makes them special, or is an escape
/// again once it was decoded.
fn has_plain_escapes(path: &str) -> bool {
    path.split('%').skip(1).all(|escape| {
        let digits = escape.as_bytes().first_chunk::<2>().and_then(|digits| str::from_utf8(digits).ok());
        let hex = |digits: &&str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = digits.filter(hex).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_some_and(|byte| !byte.is_ascii_control() && !b"/\\.;%?#".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(prefix: &str, path: &str) -> bool {
        PathPrefix::parse(prefix).unwrap().matches(path)
    }

    #[test]
    fn a_prefix_ends_with_a_segment() {
        for path in ["/v1", "/v1/", "/v1/files", "/v1/a%20b/c", "/v1/%C3%A4", "/v1/a.b/..c"] {
            assert!(matches("/v1", path), "{path}");
        }
        for path in ["/", "/v10", "/v", "/V1", "v1", "/%761", ""] {
            assert!(!matches("/v1", path), "{path}");
        }
        assert!(matches("/v1/", "/v1/files") && !matches("/v1/", "/v1"));
        assert!(matches("/", "/anything") && matches("/", "/"));
    }

    #[test]
    fn what_can_be_read_in_two_ways_matches_nothing() {
        for path in [
            "/v1/../admin",
            "/v1/..",
            "/v1/./x",
            "/v1/%2e%2e/admin",
            "/v1/%2E./admin",
            "/v1//admin",
            "/v1/..%2fadmin",
            "/v1/%2Fadmin",
            "/v1/..%5cadmin",
            "/v1\\..\\admin",
            "/v1/..;/admin",
            "/v1/x;y",
            "/v1/%3b",
            "/v1/%252e%252e/admin",
            "/v1/%00",
            "/v1/%",
            "/v1/%2",
            "/v1/%zz",
            "/v1/%u002e",
            "/v1/a b",
            "/v1/\r\nX: y",
            "/v1/ä",
        ] {
            assert!(!matches("/v1", path), "{path}");
            assert!(!matches("/", path), "{path}");
        }
    }

    #[test]
    fn a_rule_is_as_plain_as_the_paths() {
        for text in ["", "v1", "/v1/../x", "/v1//", "/%2e", "/v1?x=1", "/v1#x", "/v1/*", "/a b"] {
            assert!(PathPrefix::parse(text).is_err(), "{text}");
        }
    }
}
