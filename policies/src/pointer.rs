//! Where in a document something is, as a JSON pointer (RFC 6901). It is a chain of borrowed steps, written out only
//! when there is something to report.

use std::fmt;

#[derive(Clone, Copy)]
pub(crate) enum Pointer<'a> {
    Root,
    Field(&'a Pointer<'a>, &'a str),
    Index(&'a Pointer<'a>, usize),
}

impl<'a> Pointer<'a> {
    pub(crate) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(parent, name) => write!(f, "{parent}/{}", escape(name)),
            Self::Index(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

/// One step of a pointer, with `~` and `/` escaped.
pub(crate) fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}
