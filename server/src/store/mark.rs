//! How far the store was when it was last made durable, kept beside it. sled drops a log from the first damaged place on
//! and says nothing; with the mark, what is missing then is noticed.

use super::Error;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const NAME: &str = "mark";

/// The file. What is written to it survives the end of the process; after a power cut it may be an older mark, which
/// says less and nothing wrong.
pub(super) struct Mark {
    path: PathBuf,
    file: File,
}

impl Mark {
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(Error::file("open", &path))?;
        Ok(Self { path, file })
    }

    /// The number of the last write that was durable; 0 when none is known.
    pub(super) fn read(&self) -> Result<u64, Error> {
        let mut bytes = [0; 16];
        match self.file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
            Err(error) => return Err(Error::file("read", &self.path)(error)),
        }
        let (number, inverse) = bytes.split_at(8);
        let [number, inverse] =
            [number, inverse].map(|half| u64::from_le_bytes(half.first_chunk().copied().unwrap_or_default()));
        Ok(if number == !inverse { number } else { 0 })
    }

    pub(super) fn write(&self, number: u64) -> Result<(), Error> {
        let bytes = [number.to_le_bytes(), (!number).to_le_bytes()].concat();
        self.file.write_all_at(&bytes, 0).map_err(Error::file("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_number_that_was_written_and_none_when_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Mark::open(folder.path()).unwrap();
        assert_eq!(open().read().unwrap(), 0);
        open().write(7).unwrap();
        assert_eq!(open().read().unwrap(), 7);
        std::fs::write(folder.path().join(NAME), [1; 16]).unwrap();
        assert_eq!(open().read().unwrap(), 0);
    }
}
