//! Folders of files that are made once and used by every later start: sealed with hashes, and read again only when the file
//! system says that something has touched them.

use crate::cache::write_synced;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const SEAL: &str = "seal.json";
const STAMP: &str = "stamp.json";

/// What is wrong with such a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// There is none.
    Missing,
    /// A file is not what it was when it was made.
    Changed(&'static str),
}

/// A folder, and the files in it that are sealed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed<'a> {
    folder: &'a Path,
    files: &'static [&'static str],
}

/// The files and their hashes, written when they are made.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    files: BTreeMap<String, String>,
}

/// What the file system said of the files when their hashes were last checked. While it says the same they are not
/// read again: hashing 100 MB takes longer than starting Python. No user can set `changed` (ctime) back.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stamp {
    files: BTreeMap<String, Stat>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stat {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<Metadata> for Stat {
    fn from(metadata: Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl<'a> Sealed<'a> {
    pub(crate) fn new(folder: &'a Path, files: &'static [&'static str]) -> Self {
        Self { folder, files }
    }

    /// Writes the hashes of the files as they are now.
    pub(crate) fn seal(&self) -> Result<(), Error> {
        let mut files = BTreeMap::new();
        for name in self.files {
            let path = self.folder.join(name);
            files.insert((*name).to_owned(), hash(&path).map_err(Error::file("read", &path))?);
        }
        let seal = serde_json::to_vec_pretty(&Seal { files }).unwrap_or_default();
        write_synced(&self.folder.join(SEAL), &seal)
    }

    /// The hash that a file was sealed with.
    pub(crate) fn hash_of(&self, name: &str) -> Option<String> {
        self.load::<Seal>(SEAL)?.files.get(name).cloned()
    }

    /// Whether all is what it was; with `read`, by reading all of it.
    pub(crate) fn check(&self, read: bool) -> Result<(), Damage> {
        let Some(seal) = self.load::<Seal>(SEAL) else {
            return Err(if self.folder.exists() { Damage::Changed(SEAL) } else { Damage::Missing });
        };
        if !read && self.load::<Stamp>(STAMP).is_some_and(|stamp| self.stat().is_ok_and(|now| now == stamp)) {
            return Ok(());
        }
        for name in self.files {
            let found = hash(&self.folder.join(name)).ok();
            if found.is_none() || found.as_ref() != seal.files.get(*name) {
                return Err(Damage::Changed(name));
            }
        }
        // A read-only cache is read whole each time, which is slow and right.
        if let Err(error) = self.stamp() {
            tracing::debug!(%error, "could not stamp what is cached");
        }
        Ok(())
    }

    /// Notes what the file system says of the files, whose hashes are right.
    pub(crate) fn stamp(&self) -> Result<(), Error> {
        let path = self.folder.join(STAMP);
        let stamp = self.stat().map_err(Error::file("read", self.folder))?;
        let bytes = serde_json::to_vec_pretty(&stamp).unwrap_or_default();
        let mut file =
            tempfile::NamedTempFile::new_in(self.folder).map_err(Error::file("create a file in", self.folder))?;
        file.write_all(&bytes).map_err(Error::file("write", &path))?;
        file.persist(&path).map_err(|error| error.error).map_err(Error::file("write", &path))?;
        Ok(())
    }

    fn stat(&self) -> io::Result<Stamp> {
        let mut stamp = Stamp::default();
        for name in self.files {
            stamp.files.insert((*name).to_owned(), fs::metadata(self.folder.join(name))?.into());
        }
        Ok(stamp)
    }

    fn load<T: for<'b> Deserialize<'b>>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.folder.join(name)).ok()?).ok()
    }
}

fn hash(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
}
