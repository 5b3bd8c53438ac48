//! What is made once per machine and kept: the compiled snapshot and the unpacked library.
//!
//! An entry is a folder named by the hash of everything that decides its contents. It is made beside its place and
//! renamed into it, under a lock, so that a reader finds a whole entry or none, and two processes make one.

use crate::engine;
use crate::error::Error;
use crate::files::{Library, library};
use crate::progress::{Phase, Progress};
use crate::{snapshot, verify};
use exuvia_python::Image;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmtime::Engine;

const MODULE: &str = "python.cwasm";
const LIBRARY: &str = "library";
const SEAL: &str = "seal.json";
const STAMP: &str = "stamp.json";

/// The folder that holds the entries.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

/// One entry: a compiled snapshot and its library.
#[derive(Debug, Clone)]
pub struct Entry {
    folder: PathBuf,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// There is none.
    Missing,
    /// A file is not what it was when it was made.
    Changed(&'static str),
}

/// The files of an entry and their hashes, written when it is made.
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

impl Cache {
    /// A cache in `folder`, which is made when first needed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The user's own: `$EXUVIA_CACHE`, else `$XDG_CACHE_HOME/exuvia`, else `~/.cache/exuvia`.
    ///
    /// # Errors
    /// When none of the three variables is set.
    pub fn of_user() -> Result<Self, Error> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("EXUVIA_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("exuvia")))
            .or_else(|| set("HOME").map(|home| home.join(".cache/exuvia")))
            .map(Self::new)
            .ok_or(Error::NoCacheFolder)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The place of the entry for `image` compiled by `engine`, whether it is there or not.
    pub(crate) fn entry(&self, image: &Image, engine: &Engine) -> Entry {
        let mut key = blake3::Hasher::new();
        key.update(image.digest.as_bytes());
        key.update(engine::fingerprint(engine).as_bytes());
        key.update(env!("CARGO_PKG_VERSION").as_bytes());
        let name = key.finalize().to_hex();
        Entry { folder: self.folder.join(name.get(..32).unwrap_or_default()) }
    }

    /// The entry, made if it is missing and made anew if it is damaged.
    pub(crate) fn open(&self, image: &Image, engine: &Engine, progress: &dyn Progress) -> Result<Entry, Error> {
        let entry = self.entry(image, engine);
        refuse_shared(&self.folder)?;
        refuse_shared(&entry.folder)?;
        if entry.check(false).is_ok() {
            return Ok(entry);
        }
        create_private(&self.folder)?;
        let _lock = entry.lock(progress)?;
        entry.remove_unfinished(&self.folder);
        match entry.check(true) {
            Ok(()) => return Ok(entry),
            Err(Damage::Missing) => {}
            Err(damage) => {
                tracing::warn!(?damage, folder = %entry.folder.display(), "rebuilding a damaged cache entry");
            }
        }
        let made = make(&self.folder, &entry.unfinished(), image, progress)?;
        progress.begin(Phase::Saving);
        if entry.folder.exists() {
            fs::remove_dir_all(&entry.folder).map_err(Error::file("remove", &entry.folder))?;
        }
        fs::rename(made.keep(), &entry.folder).map_err(Error::file("create", &entry.folder))?;
        sync_folder(&self.folder)?;
        entry.stamp()?;
        progress.done();
        Ok(entry)
    }
}

impl Entry {
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.folder.join(LIBRARY)
    }

    /// What the names of folders begin with in which this entry is being made.
    fn unfinished(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        format!("new-{name}-")
    }

    /// Removes what a process left behind that was killed while it made this entry. Call it under the lock.
    fn remove_unfinished(&self, cache: &Path) {
        let prefix = self.unfinished();
        for left in fs::read_dir(cache).into_iter().flatten().flatten() {
            if left.file_name().to_string_lossy().starts_with(&prefix) {
                let removed = fs::remove_dir_all(left.path());
                tracing::debug!(?removed, folder = %left.path().display(), "removed an unfinished cache entry");
            }
        }
    }

    /// What the compiled snapshot is, as a hash: another one has another memory.
    pub(crate) fn identity(&self) -> String {
        let module = self.load::<Seal>(SEAL).and_then(|seal| seal.files.get(MODULE).cloned()).unwrap_or_default();
        let name = self.folder.file_name().unwrap_or_default();
        let mut identity = blake3::Hasher::new();
        identity.update(name.as_encoded_bytes()).update(module.as_bytes());
        identity.finalize().to_hex().to_string()
    }

    pub(crate) fn module(&self) -> PathBuf {
        self.folder.join(MODULE)
    }

    /// Whether the entry is whole; with `read`, by reading all of it.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self, read: bool) -> Result<(), Damage> {
        let Some(seal) = self.load::<Seal>(SEAL) else {
            return Err(if self.folder.exists() { Damage::Changed(SEAL) } else { Damage::Missing });
        };
        if !read && self.load::<Stamp>(STAMP).is_some_and(|stamp| self.stat().is_ok_and(|now| now == stamp)) {
            return Ok(());
        }
        for name in [MODULE, LIBRARY] {
            let found = hash(&self.folder.join(name)).ok();
            if found.is_none() || found.as_ref() != seal.files.get(name) {
                return Err(Damage::Changed(name));
            }
        }
        // A read-only cache is read whole each time, which is slow and right.
        if let Err(error) = self.stamp() {
            tracing::debug!(%error, "could not stamp the cache entry");
        }
        Ok(())
    }

    /// Held until the entry is made; the file stays, so that nobody can lock one that was just removed.
    fn lock(&self, progress: &dyn Progress) -> Result<File, Error> {
        let path = self.folder.with_extension("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        if file.try_lock().is_err() {
            progress.begin(Phase::Waiting);
            file.lock().map_err(Error::file("lock", &path))?;
        }
        Ok(file)
    }

    fn stat(&self) -> io::Result<Stamp> {
        let mut stamp = Stamp::default();
        for name in [MODULE, LIBRARY] {
            stamp.files.insert(name.to_owned(), fs::metadata(self.folder.join(name))?.into());
        }
        Ok(stamp)
    }

    fn stamp(&self) -> Result<(), Error> {
        let path = self.folder.join(STAMP);
        let stamp = self.stat().map_err(Error::file("read", &self.folder))?;
        let bytes = serde_json::to_vec_pretty(&stamp).unwrap_or_default();
        let mut file =
            tempfile::NamedTempFile::new_in(&self.folder).map_err(Error::file("create a file in", &self.folder))?;
        file.write_all(&bytes).map_err(Error::file("write", &path))?;
        file.persist(&path).map_err(|error| error.error).map_err(Error::file("write", &path))?;
        Ok(())
    }

    fn load<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.folder.join(name)).ok()?).ok()
    }
}

/// Makes an entry in a folder of its own below `cache`, named from `prefix` on.
fn make(cache: &Path, prefix: &str, image: &Image, progress: &dyn Progress) -> Result<tempfile::TempDir, Error> {
    progress.begin(Phase::Unpacking);
    let private = Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().prefix(prefix).permissions(private).tempdir_in(cache);
    let folder = folder.map_err(Error::file("create a folder in", cache))?;
    let path = folder.path().join(LIBRARY);
    unpack(image, &path)?;
    let library = Arc::new(Library::open(&path)?);

    let python = zstd::decode_all(image.wasm).map_err(|source| Error::Image { what: "python.wasm.zst", source })?;
    let engine = engine::make()?;
    let snapshot = snapshot::make(&engine, &python, &library, progress)?;
    verify::restorable(&snapshot)?;
    progress.begin(Phase::Optimising);
    let compiled = engine.precompile_module(&snapshot).map_err(|source| Error::Compile { source })?;
    let path = folder.path().join(MODULE);
    write_synced(&path, &compiled)?;

    let mut files = BTreeMap::new();
    for name in [MODULE, LIBRARY] {
        let path = folder.path().join(name);
        files.insert(name.to_owned(), hash(&path).map_err(Error::file("read", &path))?);
    }
    let path = folder.path().join(SEAL);
    let seal = serde_json::to_vec_pretty(&Seal { files }).unwrap_or_default();
    write_synced(&path, &seal)?;
    sync_folder(folder.path())?;
    Ok(folder)
}

fn unpack(image: &Image, path: &Path) -> Result<(), Error> {
    let damaged = |source| Error::Image { what: "library.tar.zst", source };
    let file = File::create(path).map_err(Error::file("create", path))?;
    let mut writer = library::Writer::new(BufWriter::new(file));
    let mut archive = tar::Archive::new(zstd::Decoder::new(image.library).map_err(damaged)?);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        if entry.header().entry_type().is_file() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            writer.add(name.trim_start_matches("./"), &mut entry).map_err(Error::file("write", path))?;
        }
    }
    for (name, contents) in image.guest {
        writer.add(&format!("exuvia/{name}"), &mut &**contents).map_err(Error::file("write", path))?;
    }
    let file = writer.finish().map_err(Error::file("write", path))?;
    file.get_ref().sync_all().map_err(Error::file("write", path))
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

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create(path).map_err(Error::file("create", path))?;
    file.write_all(bytes).map_err(Error::file("write", path))?;
    file.sync_all().map_err(Error::file("write", path))
}

/// Compiled code is loaded from here without being checked again, so nobody else may write to it.
fn create_private(folder: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(Error::file("create", folder))
}

/// Refuses a folder into which others than this user and root could have put compiled code.
fn refuse_shared(folder: &Path) -> Result<(), Error> {
    let Ok(metadata) = fs::metadata(folder) else { return Ok(()) };
    let owned = [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
    if owned && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::SharedCache { folder: folder.to_owned() })
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file("write", folder))
}
