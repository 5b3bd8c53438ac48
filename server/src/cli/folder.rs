//! Writing files whose names others chose into a folder of the user's: beneath it, through no link, and over nothing that is there.

use rustix::fs::{AtFlags, Mode, OFlags};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Bytes of one name, and folders in it.
const LONGEST: usize = 4096;
const DEEPEST: usize = 64;

pub(super) struct Folder {
    folder: OwnedFd,
    /// Whether a file that is there is replaced.
    replace: bool,
}

impl Folder {
    /// A folder, which is made if it is not there.
    pub(super) fn open(path: &Path, replace: bool) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { folder: rustix::fs::open(path, flags, Mode::empty())?, replace })
    }

    /// Writes all of `source` to the file `name`.
    pub(super) fn write(&self, name: &str, source: &mut dyn Read) -> io::Result<()> {
        io::copy(source, &mut self.create(name)?).map(drop)
    }

    /// A new file. A link on the way, or at the end, is an error: it would lead elsewhere.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let parts: Vec<_> = name.split('/').collect();
        let is_name = |part: &&str| !matches!(*part, "" | "." | "..") && !part.contains('\0');
        if name.len() > LONGEST || parts.len() > DEEPEST || !parts.iter().all(is_name) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no name for a file"));
        }
        let Some((last, folders)) = parts.split_last() else { return Err(io::ErrorKind::InvalidInput.into()) };
        let mut at = self.folder.try_clone()?;
        for folder in folders {
            match rustix::fs::mkdirat(&at, *folder, Mode::from(0o777)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            at = rustix::fs::openat(&at, *folder, flags, Mode::empty())?;
        }
        if self.replace {
            match rustix::fs::unlinkat(&at, *last, AtFlags::empty()) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&at, *last, flags, Mode::from(0o666))?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Seen to fail without `NOFOLLOW` of folders.
    #[test]
    fn nothing_is_written_outside_or_over_what_is_there() {
        let place = tempfile::tempdir().unwrap();
        let (inside, outside) = (place.path().join("inside"), place.path().join("outside"));
        fs::create_dir_all(&outside).unwrap();
        let write = |replace, name: &str| Folder::open(&inside, replace).unwrap().write(name, &mut &b"new"[..]);
        write(false, "a/b.txt").unwrap();
        assert_eq!(fs::read(inside.join("a/b.txt")).unwrap(), b"new");
        symlink(&outside, inside.join("link")).unwrap();
        symlink(outside.join("file"), inside.join("file")).unwrap();
        for replace in [false, true] {
            for name in ["../outside/x", "link/x", "/x", "", "a//b", "a/../../outside/x", ".", "a\0"] {
                assert!(write(replace, name).is_err(), "{name:?}");
            }
            assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        }
        fs::write(inside.join("mine"), b"old").unwrap();
        assert_eq!(write(false, "mine").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(write(false, "file").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(inside.join("mine")).unwrap(), b"old");
        write(true, "mine").unwrap();
        // The link itself is replaced.
        write(true, "file").unwrap();
        assert_eq!(fs::read(inside.join("mine")).unwrap(), b"new");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}
