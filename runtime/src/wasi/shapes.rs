//! Between our types and those of WASI.

use super::Errno;
use crate::files::{Kind, LONGEST_PATH, Stat};
use wasmtime_wasi::p1::types::{self, Error};
use wiggle::{GuestMemory, GuestPtr};

type Memory<'a> = GuestMemory<'a>;
type Result<T, E = Error> = std::result::Result<T, E>;

pub(super) fn text(memory: &Memory<'_>, path: GuestPtr<str>) -> Result<String> {
    if path.as_bytes().len() as usize > LONGEST_PATH {
        return Err(Errno::Nametoolong.into());
    }
    Ok(memory.as_cow_str(path)?.into_owned())
}

pub(super) fn filetype(kind: Kind) -> types::Filetype {
    match kind {
        Kind::File => types::Filetype::RegularFile,
        Kind::Folder => types::Filetype::Directory,
        Kind::Link => types::Filetype::SymbolicLink,
        Kind::Device(_) => types::Filetype::CharacterDevice,
    }
}

pub(super) fn filestat(stat: Stat) -> types::Filestat {
    types::Filestat {
        dev: 1,
        ino: stat.id.inode(),
        filetype: filetype(stat.kind),
        nlink: stat.links.into(),
        size: stat.size,
        atim: stat.accessed,
        mtim: stat.modified,
        ctim: stat.changed,
    }
}

/// A pipe: what standard input, output and error look like, so that nobody colours a traceback.
pub(super) fn pipe(rights: types::Rights) -> types::Fdstat {
    types::Fdstat {
        fs_filetype: types::Filetype::Unknown,
        fs_flags: types::Fdflags::empty(),
        fs_rights_base: rights,
        fs_rights_inheriting: rights,
    }
}

/// The time to set, of `atim`/`mtim` and the two flags that go with it.
pub(super) fn new_time(
    flags: types::Fstflags,
    given: types::Fstflags,
    current: types::Fstflags,
    time: u64,
    now: u64,
) -> Result<Option<u64>> {
    match (flags.contains(given), flags.contains(current)) {
        (true, true) => Err(Errno::Inval.into()),
        (true, false) => Ok(Some(time)),
        (false, true) => Ok(Some(now)),
        (false, false) => Ok(None),
    }
}
