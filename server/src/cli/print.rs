//! Writing to the terminal. A closed pipe is the reader's wish, not an error.

use std::io::Write;

pub(crate) fn error(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub(crate) fn out(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
