//! Submissions that a client has given a key: the same one again is the same execution. A client whose connection broke
//! before the answer came may so ask once more without running its code twice.

use super::id::Id;
use crate::gate::Granted;
use serde::{Deserialize, Serialize};

/// What the argument is called.
const ARGUMENT: &str = "idempotency_key";

/// A key, and what was asked for with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(super) text: String,
    /// Of the arguments in canonical form.
    pub(super) arguments: [u8; 32],
}

impl Key {
    pub(super) fn of(granted: &Granted) -> Option<Self> {
        let text = granted.given().get(ARGUMENT)?.as_str()?.to_owned();
        Some(Self { text, arguments: *blake3::hash(granted.canonical().as_bytes()).as_bytes() })
    }
}

/// The execution that was submitted with a key before.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Keyed {
    pub(super) id: Id,
    pub(super) arguments: [u8; 32],
}

/// What a submission came to.
pub(crate) enum Submitted {
    New(std::sync::Arc<super::Live>),
    /// It was submitted before, with the same key.
    Known(Id),
}
