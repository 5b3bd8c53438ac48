//! Regular expressions of a policy: linear in the text's length, and bounded in what one may cost.

use serde::{Serialize, Serializer};
use std::fmt;

/// Longest pattern, in bytes.
pub(crate) const MAX_PATTERN: usize = 2048;

/// Most patterns of one document. With [`MAX_COMPILED`] it bounds what a document's patterns may occupy: 128 MiB.
pub(crate) const MAX_PATTERNS: usize = 512;

/// Largest compiled form. `\w{1,200}` is short to write, and takes megabytes.
const MAX_COMPILED: usize = 256 << 10;

/// Largest cache that a thread may keep for matching one pattern.
const MAX_CACHE: usize = 512 << 10;

/// Deepest nesting of groups; the parser is recursive.
const MAX_NESTING: u32 = 50;

/// A regular expression, unanchored: it matches anywhere in a text.
#[derive(Clone)]
pub(crate) struct Pattern(regex::Regex);

impl Pattern {
    /// The error is one line for the document's author.
    pub(crate) fn new(source: &str) -> Result<Self, String> {
        if source.len() > MAX_PATTERN {
            return Err(format!("the pattern has {} bytes, and may have {MAX_PATTERN}", source.len()));
        }
        let built = regex::RegexBuilder::new(source)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_CACHE)
            .nest_limit(MAX_NESTING)
            .build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too large when compiled".to_owned(),
            error => {
                // The engine draws the pattern with a caret below; its last line says what is wrong.
                let text = error.to_string();
                let line = text.lines().last().unwrap_or_default();
                format!("not a regular expression: {}", line.trim_start_matches("error: "))
            }
        })
    }

    pub(crate) fn source(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn regex(&self) -> &regex::Regex {
        &self.0
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.source())
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.source())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_would_be_large_is_refused() {
        assert_eq!(Pattern::new(r"\w{1,200}").unwrap_err(), "the pattern is too large when compiled");
        assert!(Pattern::new(&"a".repeat(2049)).unwrap_err().starts_with("the pattern has 2049 bytes"));
        let nested = format!("{}a{}", "(".repeat(60), ")".repeat(60));
        assert!(Pattern::new(&nested).unwrap_err().starts_with("not a regular expression: "));
    }

    #[test]
    fn what_takes_other_engines_for_ever_is_linear_here() {
        let pattern = Pattern::new("(a+)+$").unwrap();
        let text = "a".repeat(100_000) + "b";
        assert!(!pattern.regex().is_match(&text));
    }

    #[test]
    fn an_error_is_one_line() {
        assert_eq!(Pattern::new("a(b").unwrap_err(), "not a regular expression: unclosed group");
        let lookahead = Pattern::new("(?=a)").unwrap_err();
        assert!(lookahead.contains("look-around"), "{lookahead}");
    }
}
