//! Grants: labelled keys, and whose request is whose; and the operator's token, which is none.

mod file;
mod key;
mod operator;

pub(crate) use file::{Error, Grants};
pub(crate) use operator::{Operator, read as operator_token};

/// The label of the grant that everybody on this machine has while there are no keys.
pub(crate) const LOCAL: &str = "local";

/// On whose behalf a request is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The label of a grant.
    pub(crate) grant: String,
}

impl Principal {
    pub(crate) fn local() -> Self {
        Self { grant: LOCAL.into() }
    }
}
