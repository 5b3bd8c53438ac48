//! The guest's file system: a read-only library and a writable overlay, in memory but for large files, which lie in files without
//! names (`spill`). No path that a guest names is ever opened.
//!
//! - `library`, `shared`: the trees that runs share;
//! - `node`: files, folders and links of one run;
//! - `content`, `contents`: the bytes of files, where they are, and what they cost;
//! - `resolve`: from a path to a node;
//! - `tree`: the operations;
//! - `artifacts`: what the program leaves in its working folder;
//! - `keep`: what a session keeps of it all.
//!
//! Descriptors and WASI's view of all this are `wasi`'s.

mod artifacts;
mod content;
mod contents;
mod keep;
pub(crate) mod library;
mod node;
mod resolve;
mod shared;
mod tree;

pub use artifacts::{Artifact, Artifacts, LeftOut};
pub(crate) use content::Content;
pub use content::Input;
pub(crate) use keep::KeptFiles;
pub(crate) use library::Library;
pub(crate) use node::{Device, Id, Kind, Stat};
pub(crate) use resolve::LONGEST_PATH;
pub(crate) use shared::Shared;
pub(crate) use tree::{Files, Open};

/// Why an operation on the file system failed; each is one `errno`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    NotFound,
    Exists,
    NotFolder,
    IsFolder,
    NotEmpty,
    ReadOnly,
    Full,
    TooLarge,
    Loop,
    NameTooLong,
    Invalid,
    Busy,
    Io,
}

impl Fault {
    /// For a message to the operator.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::NotFound => "no such folder",
            Self::Exists => "it is there already",
            Self::NotFolder => "a part of the path is not a folder",
            Self::IsFolder => "it is a folder",
            Self::NotEmpty => "the folder is not empty",
            Self::ReadOnly => "only `/tmp` and `/mnt/data` can be written to",
            Self::Full => "the limit on files is reached",
            Self::TooLarge => "it is too large",
            Self::Loop => "too many links",
            Self::NameTooLong => "the name is too long",
            Self::Invalid => "it would lie below itself",
            Self::Busy => "it is in use",
            Self::Io => "the disk could not be read or written",
        }
    }
}

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;
