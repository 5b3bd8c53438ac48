//! What is wrong with a document: each fault with the place it is at, and the nearest name that would have been right.

use std::fmt;

use crate::json;

/// Most faults reported of one document. A large file of another kind has one at every line.
pub(crate) const MAX_FAULTS: usize = 100;

/// Most characters of a name from a document that an error repeats.
const MAX_ECHO: usize = 80;

/// A document that was refused, with all that is wrong with it (the first 100 faults).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    faults: Vec<Fault>,
}

impl ParseError {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { faults }
    }

    /// At least one.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A JSON pointer; empty for the document as a whole.
    pub pointer: String,
    pub problem: Problem,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "(document)" } else { &self.pointer };
        write!(f, "{place}: {}", self.problem)
    }
}

/// What is wrong at one place of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    #[error("the document has {0} bytes, and may have {max}", max = json::MAX_BYTES)]
    TooLarge(usize),
    #[error("the document is not UTF-8")]
    NotUtf8,
    #[error("not JSON: {message} at line {line}, column {column}")]
    Syntax { message: String, line: usize, column: usize },
    #[error("not YAML that is taken: {message} at line {line}, column {column}")]
    Yaml { message: String, line: u64, column: u64 },
    #[error("with its aliases written out the document has more than {max} bytes", max = json::MAX_BYTES)]
    TooLargeWrittenOut,
    #[error("nested deeper than {max} levels", max = json::MAX_DEPTH)]
    TooDeep,
    #[error("the key `{0}` is there twice")]
    DuplicateKey(String),
    #[error("the number is too large to be compared exactly")]
    InexactNumber,
    #[error("expected {expected}, found {found}")]
    Type { expected: &'static str, found: &'static str },
    #[error("the field `{0}` is missing")]
    MissingField(&'static str),
    #[error("unknown field `{name}`{}", hint(.nearest.as_deref()))]
    UnknownField { name: String, nearest: Option<String> },
    #[error("unknown {what} `{name}`{}; known are {known}", hint(.nearest.as_deref()))]
    UnknownValue { what: &'static str, name: String, nearest: Option<String>, known: String },
    #[error("{0}")]
    Invalid(String),
    #[error("there may be at most {max} {what}")]
    TooMany { what: &'static str, max: usize },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

/// A name as an error repeats it: short, and on one line.
pub(crate) fn echo(name: &str) -> String {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut short: String = name.chars().take(MAX_ECHO).map(printable).collect();
    if name.chars().nth(MAX_ECHO).is_some() {
        short.push('…');
    }
    short
}

/// The known name that `name` was probably meant to be.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Comparing costs the product of the lengths, and a name from a document may be as long as the document.
    let name: String = name.chars().take(MAX_ECHO).collect();
    let allowed = (name.chars().count() / 3).max(1);
    let folded = name.to_lowercase();
    let distance = |known: &'a str| (strsim::damerau_levenshtein(&folded, &known.to_lowercase()), known);
    let best = known.into_iter().map(distance).min()?;
    (best.0 <= allowed).then(|| best.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["require", "deny_if", "limits"];
        assert_eq!(nearest("denyif", known).as_deref(), Some("deny_if"));
        assert_eq!(nearest("Requires", known).as_deref(), Some("require"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), known), None);
    }

    #[test]
    fn an_error_repeats_a_long_name_in_short() {
        assert_eq!(echo(&"é".repeat(100)), format!("{}…", "é".repeat(80)));
        assert_eq!(echo("a\nb"), "a\u{fffd}b");
    }
}
