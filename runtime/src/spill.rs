//! Bytes that lie on the disk instead of in memory: a guest's large files, and output that is too long to be kept in memory.
//!
//! Each is a file without a name, so it is gone with the process, however that ends, and no guest has a part in where it lies.
//! All of them together have a quota. Nothing is synced: what is written here is not meant to outlive the run, and the kernel
//! takes it into its cache without waiting for the disk.

use rustix::fs::{Mode, OFlags};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bytes copied at a time, by way of the stack: no system call may see a guest's memory (`fence`).
const CHUNK: usize = 16 << 10;
/// The quota is taken in steps of so many bytes, at each of which the free room on the disk is looked at.
const STEP: u64 = 1 << 20;
/// Bytes left free on the disk for everybody else: twice what a server needs to begin something new.
const LEFT_FREE: u64 = 128 << 20;
/// Descriptors that may be taken where the system names no limit.
const MOST_FILES: usize = 1 << 16;
/// What a file is called for the moment between its making and its loss of the name, where the file system needs one.
const PREFIX: &str = "spill-";

/// A folder for such bytes, and how many there may be. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spill(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    most: u64,
    used: AtomicU64,
    /// Each file holds a descriptor, of which sockets need some, too.
    most_files: usize,
    files: AtomicUsize,
    names: AtomicU64,
}

/// One file on the disk. Its room is given back when it is dropped.
#[derive(Debug)]
pub struct Spilled {
    spill: Spill,
    file: File,
    size: u64,
    /// Bytes of the quota that it holds: its size in whole steps.
    held: u64,
}

impl Spill {
    /// A place in `folder`, which is made if it is not there, for at most `most` bytes. Removes what a process that was killed has left.
    ///
    /// # Errors
    /// When the folder cannot be made or read, or no file in it.
    pub fn open(folder: &Path, most: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
                fs::remove_file(entry.path())?;
            }
        }
        let spill = Self::within(folder, most);
        // Said now, not to the first program that needs it.
        spill.file().map(drop)?;
        Ok(spill)
    }

    /// A place in the system's folder for large temporary files.
    pub fn temporary(most: u64) -> Self {
        Self::within(&Self::temporary_folder(), most)
    }

    /// The system's folder for large temporary files.
    pub fn temporary_folder() -> PathBuf {
        let chosen = std::env::var_os("TMPDIR").map(PathBuf::from);
        // `/tmp` is memory on many systems.
        let large = Some(PathBuf::from("/var/tmp")).filter(|folder| folder.is_dir());
        chosen.or(large).unwrap_or_else(std::env::temp_dir)
    }

    fn within(folder: &Path, most: u64) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let most_files = limit.and_then(|limit| usize::try_from(limit / 2).ok()).unwrap_or(MOST_FILES);
        Self(Arc::new(Inner {
            folder: folder.to_owned(),
            most,
            used: AtomicU64::new(0),
            most_files,
            files: AtomicUsize::new(0),
            names: AtomicU64::new(0),
        }))
    }

    /// Bytes in use by all files, in whole steps.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// A new, empty file.
    ///
    /// # Errors
    /// When there are too many, or the disk has no room for one.
    pub fn file(&self) -> io::Result<Spilled> {
        if self.0.files.fetch_add(1, Ordering::Relaxed) >= self.0.most_files {
            self.0.files.fetch_sub(1, Ordering::Relaxed);
            return Err(io::ErrorKind::StorageFull.into());
        }
        match self.0.nameless() {
            Ok(file) => Ok(Spilled { spill: self.clone(), file, size: 0, held: 0 }),
            Err(error) => {
                self.0.files.fetch_sub(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }
}

impl Inner {
    fn nameless(&self) -> io::Result<File> {
        let flags = OFlags::TMPFILE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(&self.folder, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(file.into()),
            // Some file systems have only files with names, and some kernels take the folder for what is to be opened.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => self.unnamed(),
            Err(error) => Err(error.into()),
        }
    }

    /// A file whose name is taken away at once.
    fn unnamed(&self) -> io::Result<File> {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{PREFIX}{}-{number}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        fs::remove_file(path)?;
        Ok(file)
    }

    /// Takes `more` bytes of the quota, if they are to be had there and on the disk.
    fn take(&self, more: u64) -> io::Result<()> {
        let fits = |used: u64| used.checked_add(more).filter(|used| *used <= self.most);
        if self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let disk = rustix::fs::statvfs(&self.folder);
        let free = disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        match free {
            Ok(free) if free >= more.saturating_add(LEFT_FREE) => Ok(()),
            other => {
                self.used.fetch_sub(more, Ordering::Relaxed);
                Err(other.err().map_or_else(|| io::ErrorKind::StorageFull.into(), io::Error::from))
            }
        }
    }
}

impl Spilled {
    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads at `offset`; the number of bytes, less than `buffer` has only at the end.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        read_at(&self.file, self.size, offset, buffer)
    }

    /// Its bytes, from the first to the last.
    pub fn reader(&self) -> impl Read + '_ {
        Reader { spilled: self, at: 0 }
    }

    /// Writes at `offset`, leaving a hole of zeros before it. When it fails its size is what it was.
    ///
    /// # Errors
    /// When the quota or the disk has no room.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.hold(end)?;
        let mut at = offset;
        let mut copy = [0; CHUNK];
        for piece in bytes.chunks(CHUNK) {
            let copy = copy.get_mut(..piece.len()).unwrap_or_default();
            copy.copy_from_slice(piece);
            if let Err(error) = self.file.write_all_at(copy, at) {
                // What is beyond the end must be zeros when the file grows over it.
                self.file.set_len(self.size)?;
                return Err(error);
            }
            at += piece.len() as u64;
        }
        self.size = self.size.max(end);
        Ok(())
    }

    /// Writes at the end.
    ///
    /// # Errors
    /// As [`Self::write_at`].
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_at(self.size, bytes)
    }

    /// Cuts it, or fills it up with zeros, which take no room on the disk yet.
    ///
    /// # Errors
    /// When the quota has no room.
    pub fn resize(&mut self, size: u64) -> io::Result<()> {
        self.hold(size)?;
        self.file.set_len(size)?;
        self.size = size;
        let held = in_steps(size);
        self.spill.0.used.fetch_sub(self.held.saturating_sub(held), Ordering::Relaxed);
        self.held = held;
        Ok(())
    }

    /// Fills an empty one with the first `size` bytes of `from`, which the kernel shares between both where it can.
    pub(crate) fn fill(&mut self, from: &File, size: u64) -> io::Result<()> {
        self.resize(size)?;
        let (mut read, mut written) = (0, 0);
        while written < size {
            let most = usize::try_from(size - written).unwrap_or(usize::MAX);
            match rustix::fs::copy_file_range(from, Some(&mut read), &self.file, Some(&mut written), most) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let mut copy = [0; CHUNK];
        while written < size {
            let count = read_at(from, size, written, &mut copy)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.file.write_all_at(copy.get(..count).unwrap_or_default(), written)?;
            written += count as u64;
        }
        Ok(())
    }

    /// Holds as much of the quota as `size` bytes need.
    fn hold(&mut self, size: u64) -> io::Result<()> {
        let needed = in_steps(size);
        if needed > self.held {
            self.spill.0.take(needed - self.held)?;
            self.held = needed;
        }
        Ok(())
    }
}

struct Reader<'a> {
    spilled: &'a Spilled,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.spilled.read_at(self.at, buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Drop for Spilled {
    fn drop(&mut self) {
        self.spill.0.used.fetch_sub(self.held, Ordering::Relaxed);
        self.spill.0.files.fetch_sub(1, Ordering::Relaxed);
    }
}

fn in_steps(size: u64) -> u64 {
    size.checked_next_multiple_of(STEP).unwrap_or(u64::MAX)
}

/// Reads at `offset` of a file of `size` bytes into `buffer`, which may be a guest's memory.
pub(crate) fn read_at(file: &File, size: u64, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
    let wanted = left.min(buffer.len());
    let mut from = offset;
    let mut copy = [0; CHUNK];
    for piece in buffer.get_mut(..wanted).unwrap_or_default().chunks_mut(CHUNK) {
        let copy = copy.get_mut(..piece.len()).unwrap_or_default();
        file.read_exact_at(copy, from)?;
        piece.copy_from_slice(copy);
        from += piece.len() as u64;
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn text(spilled: &Spilled) -> Vec<u8> {
        let mut bytes = vec![1; usize::try_from(spilled.size()).unwrap() + 9];
        let count = spilled.read_at(0, &mut bytes).unwrap();
        bytes.truncate(count);
        bytes
    }

    /// Seen to fail with a `Drop` that gives nothing back, and with a quota that is not looked at.
    #[test]
    fn the_quota_is_shared_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::open(folder.path(), 3 * MIB).unwrap();
        let (mut one, mut other) = (spill.file().unwrap(), spill.file().unwrap());
        one.write_at(2 * MIB - 1, b"x").unwrap();
        other.push(b"y").unwrap();
        assert_eq!(spill.used(), 3 * MIB);
        assert_eq!(one.push(b"z").unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        assert_eq!(one.size(), 2 * MIB);
        one.resize(1).unwrap();
        assert_eq!(spill.used(), 2 * MIB);
        drop((one, other));
        assert_eq!(spill.used(), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_was_cut_reads_as_zeros_when_it_grows_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut spilled = Spill::open(folder.path(), 4 * MIB).unwrap().file().unwrap();
        spilled.push(b"abcdef").unwrap();
        spilled.resize(2).unwrap();
        spilled.resize(4).unwrap();
        spilled.write_at(6, b"!").unwrap();
        assert_eq!(text(&spilled), b"ab\0\0\0\0!");
        let mut buffer = [9; 4];
        assert_eq!(spilled.read_at(99, &mut buffer).unwrap(), 0);
    }

    #[test]
    fn a_file_with_a_name_for_a_moment_is_as_good_and_what_was_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("spill-1-2"), b"left").unwrap();
        let spill = Spill::open(folder.path(), MIB).unwrap();
        let file = spill.0.unnamed().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        file.write_all_at(b"x", 0).unwrap();
    }

    #[test]
    fn a_copy_is_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::open(folder.path(), 4 * MIB).unwrap();
        let source = folder.path().join("source");
        fs::write(&source, b"input").unwrap();
        let mut spilled = spill.file().unwrap();
        spilled.fill(&File::open(&source).unwrap(), 5).unwrap();
        spilled.write_at(0, b"I").unwrap();
        assert_eq!(text(&spilled), b"Input");
        assert_eq!(fs::read(&source).unwrap(), b"input");
    }
}
