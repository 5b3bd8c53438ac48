//! Why packages cannot be had, and what to do about it.

use crate::gate::Denied;
use exuvia_runtime as runtime;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{}", .0.text())]
    Denied(Denied),
    #[error("there is no package `{name}` on the index{}", or_near(.near))]
    Unknown { name: String, near: Vec<String> },
    #[error(
        "`{name}` {version} has native code, which cannot be loaded here: {where_it_is}; use a package that is all Python, or what is \
         built in"
    )]
    Native { name: String, version: String, where_it_is: String },
    #[error(
        "`{name}` has no wheel for every machine: what there is has native code or is source to be built, which is not done here. \
         Use another package or version"
    )]
    NoWheel { name: String },
    #[error("these packages need {name} {needed}, but {name} {built_in} is built in: ask for other versions of them")]
    BuiltIn { name: String, needed: String, built_in: String },
    #[error("these packages cannot be had together: {why}")]
    Unsolvable { why: String },
    #[error("the resolution has {count} packages, more than the {most} allowed")]
    TooMany { count: usize, most: usize },
    #[error("the index of packages does not answer: {why}; try again later, or tell the operator")]
    Index { why: String },
    #[error(
        "there is no `uv`, which finds packages: install it with `pip install uv`, or name it in the configuration \
         (`packages.uv`); tried `{}`",
        .tried.display()
    )]
    NoUv { tried: PathBuf },
    #[error("`uv` needs more than {} s to find the packages; name versions (`rich>=13`), or try again later", .0.as_secs())]
    Slow(Duration),
    #[error("the packages have not come in {} s: the index, or where its wheels lie, is too slow; try again later, or tell the operator", .0.as_secs())]
    Dripping(Duration),
    #[error("`uv` failed: {why}")]
    Uv { why: String },
    #[error("the wheel `{wheel}` cannot be used: {why}")]
    Wheel { wheel: String, why: String },
    #[error("could not fetch the wheel `{wheel}`: {why}")]
    Fetch { wheel: String, why: String },
    #[error("the packages that this began with are gone, and cannot be fetched again: {why}")]
    Gone { why: String },
    #[error(
        "the session has other packages: it keeps those of its first call. Give `reset_session: true`, or another `session_id`, to have {wanted}"
    )]
    OfSession { wanted: String },
    #[error("could not {doing} `{}`: {source}", .path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{}", crate::cli::chain(.0))]
    Runtime(#[from] runtime::Error),
    #[error("there is no image `{name}`: `exuvia image build` makes one, `exuvia image list` lists them")]
    NoImage { name: String },
    #[error("`{name}` is not a name for an image: give letters, digits, `-` and `_`")]
    ImageName { name: String },
    #[error("the preparation of packages was ended in the middle")]
    Lost,
}

impl Error {
    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }

    /// The type that a client reads.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Denied(_) => "PolicyDenied",
            Self::OfSession { .. } => "SessionError",
            Self::Gone { .. } => "Interrupted",
            _ => "PackageError",
        }
    }
}

fn or_near(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!(": did you mean {}, which is built in?", near.join(" or ")) }
}
