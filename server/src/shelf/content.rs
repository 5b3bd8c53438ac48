//! Contents on the disk, named by their hashes in a folder of whoever has them: an execution, or an input. Neither a client nor a
//! guest has a part in any path.

use super::Error;
use super::kind::LOOKED_AT;
use crate::store::{self, FOR_NEW, Quota, Room, TooMuch};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Bytes copied at a time; all that a large file takes of memory.
const CHUNK: usize = 64 << 10;
/// The quota and the room on the disk are looked at in steps of so many bytes.
const STEP: u64 = 1 << 20;
/// The folder of what an execution was lent.
const LENT: &str = "lent";

/// Whose a content is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) grant: &'a str,
    /// An execution, or an input.
    pub(crate) id: Uuid,
}

/// A content that was written.
#[derive(Debug)]
pub(crate) struct Written {
    /// BLAKE3, in hexadecimal digits: also what it is found by.
    pub(crate) hash: String,
    pub(crate) size: u64,
    pub(crate) head: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Contents {
    folder: PathBuf,
    room: Room,
    quota: Quota,
}

/// The share of the quota that a write has taken so far; given back unless the write succeeds.
struct Share<'a> {
    contents: &'a Contents,
    grant: String,
    taken: u64,
}

impl Contents {
    pub(super) fn open(folder: PathBuf, quota: Quota) -> Result<Self, store::Error> {
        let made = make_folder(&folder);
        made.map_err(store::Error::file("make the folder", &folder))?;
        Ok(Self { room: Room::of(&folder), folder, quota })
    }

    /// Writes all that `source` gives, at most `most` bytes; it is on the disk when this returns.
    ///
    /// Every byte that is kept of a program's files, or of output that is too long, passes through `copy` here: it is the one place for
    /// whoever has to look at them.
    pub(super) fn put(&self, owner: Owner<'_>, source: &mut dyn Read, most: u64) -> Result<Written, Error> {
        let folder = self.folder(owner);
        let failed = |doing| {
            let folder = folder.clone();
            move |error| Error::Store(store::Error::file(doing, folder)(error))
        };
        make_folder(&folder).map_err(failed("make the folder"))?;
        let temporary = folder.join(format!("{}.new", Uuid::now_v7()));
        let mut share = Share { contents: self, grant: label(owner.grant), taken: 0 };
        let written = copy(source, &temporary, most, &mut share).and_then(|written| {
            let path = folder.join(&written.hash);
            // The same content once more takes no more room.
            let is_known = path.exists();
            fs::rename(&temporary, &path).map_err(failed("write"))?;
            File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed("sync the folder"))?;
            share.settle(if is_known { 0 } else { written.size });
            Ok(written)
        });
        if written.is_err() {
            // What is left of a write that failed is of no use.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    pub(super) fn get(&self, owner: Owner<'_>, hash: &str) -> io::Result<File> {
        File::open(self.folder(owner).join(hash))
    }

    /// Lends a content of `from` to `to`, which has it until [`Self::give_back`], whatever becomes of the first.
    pub(super) fn lend(&self, from: Owner<'_>, to: Owner<'_>, hash: &str) -> Result<(), Error> {
        let source = self.folder(from).join(hash);
        let folder = self.folder(to).join(LENT);
        let failed = |error| Error::Store(store::Error::file("lend", &source)(error));
        make_folder(&folder).map_err(failed)?;
        let target = folder.join(hash);
        if target.exists() {
            return Ok(());
        }
        let size = fs::metadata(&source).map_err(failed)?.len();
        // Counted twice: the first may be removed before this.
        let mut share = Share { contents: self, grant: label(to.grant), taken: 0 };
        share.reach(size)?;
        fs::hard_link(&source, target).map_err(failed)?;
        share.settle(size);
        Ok(())
    }

    pub(super) fn lent(&self, owner: Owner<'_>, hash: &str) -> io::Result<File> {
        File::open(self.folder(owner).join(LENT).join(hash))
    }

    pub(super) fn given(&self, execution: Owner<'_>, input: Uuid, hash: &str) -> io::Result<File> {
        given(&self.folder, execution, input, hash)
    }

    pub(super) fn give_back(&self, owner: Owner<'_>) {
        self.remove_folder(owner, &self.folder(owner).join(LENT));
    }

    pub(super) fn remove(&self, owner: Owner<'_>) {
        self.remove_folder(owner, &self.folder(owner));
    }

    /// Most owners have nothing here.
    fn remove_folder(&self, owner: Owner<'_>, folder: &Path) {
        let size = size_of(folder);
        match fs::remove_dir_all(folder) {
            Ok(()) => self.quota.take_back(&label(owner.grant), 0, size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                // What is left is counted, and gone at the next start.
                tracing::warn!(%error, "could not remove files");
            }
        }
    }

    /// Looks at what an earlier process left. What `is_kept` does not know, and what was not written to its end, is removed; the
    /// rest is counted.
    pub(super) fn sweep(&self, is_kept: impl Fn(Uuid) -> bool) -> io::Result<()> {
        for grant in folders(&self.folder)? {
            let label = grant.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for shard in folders(&grant)? {
                for folder in folders(&shard)? {
                    let id = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
                    if !id.is_some_and(&is_kept) {
                        fs::remove_dir_all(&folder)?;
                        continue;
                    }
                    for entry in fs::read_dir(&folder)?.flatten() {
                        if entry.path().extension().is_some_and(|extension| extension == "new") {
                            fs::remove_file(entry.path())?;
                        }
                    }
                    self.quota.add(&label, size_of(&folder));
                }
            }
        }
        Ok(())
    }

    fn folder(&self, owner: Owner<'_>) -> PathBuf {
        folder_of(&self.folder, owner)
    }
}

fn copy(source: &mut dyn Read, path: &Path, most: u64, share: &mut Share<'_>) -> Result<Written, Error> {
    let writing = |error| Error::Store(store::Error::file("write", path)(error));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(writing)?;
    let mut hash = blake3::Hasher::new();
    let (mut size, mut head, mut chunk) = (0_u64, Vec::new(), vec![0; CHUNK]);
    loop {
        let count = match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::Source(error)),
        };
        let bytes = chunk.get(..count).unwrap_or_default();
        size += count as u64;
        if size > most {
            return Err(Error::TooLarge { most });
        }
        share.reach(size)?;
        head.extend(bytes.iter().take(LOOKED_AT - head.len().min(LOOKED_AT)));
        hash.update(bytes);
        file.write_all(bytes).map_err(writing)?;
    }
    file.sync_all().map_err(writing)?;
    Ok(Written { hash: hash.finalize().to_hex().to_string(), size, head })
}

impl Share<'_> {
    /// Takes what `size` bytes need in whole steps.
    fn reach(&mut self, size: u64) -> Result<(), Error> {
        let needed = size.next_multiple_of(STEP);
        if needed <= self.taken {
            return Ok(());
        }
        let more = needed - self.taken;
        self.contents.room.at_least(FOR_NEW.saturating_add(more))?;
        self.contents.quota.replace(&self.grant, 0, more).map_err(|too_much| match too_much {
            TooMuch::OfGrant => Error::GrantFull,
            TooMuch::OfAll => Error::Full,
        })?;
        self.taken = needed;
        Ok(())
    }

    /// Keeps `size` bytes of what was taken.
    fn settle(mut self, size: u64) {
        self.contents.quota.take_back(&self.grant, size, self.taken);
        self.taken = 0;
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.contents.quota.take_back(&self.grant, 0, self.taken);
    }
}

/// What an execution was given, below the folder of all contents: lent to it until it is over, from then on what is left of the input.
pub(crate) fn given(all: &Path, execution: Owner<'_>, input: Uuid, hash: &str) -> io::Result<File> {
    let input = Owner { grant: execution.grant, id: input };
    let lent = File::open(folder_of(all, execution).join(LENT).join(hash));
    lent.or_else(|_| File::open(folder_of(all, input).join(hash)))
}

/// Ids begin with the time, so the folders of the last random bytes stay small and alike.
fn folder_of(all: &Path, owner: Owner<'_>) -> PathBuf {
    let last = owner.id.as_bytes().last().copied().unwrap_or_default();
    all.join(label(owner.grant)).join(format!("{last:02x}")).join(owner.id.to_string())
}

/// The folder of a grant. Its label may have characters that no folder can have.
fn label(grant: &str) -> String {
    blake3::hash(grant.as_bytes()).to_hex().chars().take(32).collect()
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

/// Bytes of the files in a folder and in those below it.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => size_of(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
