//! Why a person is not asked, or why what they say has no effect.

use super::Id;
use crate::store;
use exuvia_policies::ApprovalError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no approval `{0}` to be given: it was used or has expired, or its execution has ended")]
    Unknown(Id),
    #[error("{0}")]
    State(#[from] ApprovalError),
    #[error("{0} calls of this grant wait for approval already, which is the most")]
    TooMany(usize),
    #[error("its arguments have more than {0} bytes, which is more than a person can be shown")]
    TooLarge(usize),
    #[error("the approval could not be kept: {0}")]
    Store(#[from] store::Error),
    #[error("the approval has no form in JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("there is no randomness: {0}")]
    Random(#[from] getrandom::Error),
    #[error("could not {doing} `{path}`: {source}")]
    Key { doing: &'static str, path: String, source: std::io::Error },
}
