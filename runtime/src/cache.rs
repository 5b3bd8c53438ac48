//! What is made once per machine and kept: the compiled snapshot and the unpacked library.
//!
//! An entry is a folder named by the hash of everything that decides its contents. It is made beside its place and
//! renamed into it, under a lock, so that a reader finds a whole entry or none, and two processes make one.

use crate::engine;
use crate::error::Error;
use crate::extension::Extension;
use crate::files::{Library, library};
use crate::progress::{Phase, Progress, Silent};
use crate::sealed::{Damage, Sealed};
use crate::{snapshot, verify};
use exuvia_python::Image;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmtime::Engine;

const MODULE: &str = "python.cwasm";
const LIBRARY: &str = "library";
const FILES: [&str; 2] = [MODULE, LIBRARY];

/// What an image finds of its host: the imports, the messages of `guest/ABI.md`, how files and their order and times are. An image of
/// another build goes on here only with the same, so each change of any of it raises this.
const HOST: u32 = 1;

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

    /// The place of the entry for the image with this digest compiled by `engine`, whether it is there or not.
    pub(crate) fn entry(&self, digest: &str, engine: &Engine) -> Entry {
        let mut key = blake3::Hasher::new();
        key.update(digest.as_bytes());
        key.update(engine::fingerprint(engine).as_bytes());
        key.update(&HOST.to_le_bytes());
        let name = key.finalize().to_hex();
        Entry { folder: self.folder.join(name.get(..32).unwrap_or_default()) }
    }

    /// The entry for the image with this digest, if it is there and whole.
    pub(crate) fn kept(&self, digest: &str, engine: &Engine) -> Result<Option<Entry>, Error> {
        let entry = self.entry(digest, engine);
        refuse_shared(&self.folder)?;
        refuse_shared(&entry.folder)?;
        Ok(entry.check(false).is_ok().then_some(entry))
    }

    /// The entry, made if it is missing and made anew if it is damaged.
    pub(crate) fn open(
        &self,
        image: &Image,
        extension: Option<&Extension>,
        engine: &Engine,
        progress: &dyn Progress,
    ) -> Result<Entry, Error> {
        let digest = digest(image, extension);
        if let Some(entry) = self.kept(&digest, engine)? {
            return Ok(entry);
        }
        let entry = self.entry(&digest, engine);
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
        let made = make(&self.folder, &entry.unfinished(), image, extension, progress)?;
        progress.begin(Phase::Saving);
        if entry.folder.exists() {
            fs::remove_dir_all(&entry.folder).map_err(Error::file("remove", &entry.folder))?;
        }
        fs::rename(made.keep(), &entry.folder).map_err(Error::file("create", &entry.folder))?;
        sync_folder(&self.folder)?;
        entry.sealed().stamp()?;
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

    /// Removes it, if it is there.
    ///
    /// # Errors
    /// When its folder cannot be removed.
    pub fn remove(&self) -> Result<(), Error> {
        if !self.folder.exists() {
            return Ok(());
        }
        let _lock = self.lock(&Silent)?;
        let Some(cache) = self.folder.parent() else { return Ok(()) };
        // Nobody finds half of it, whatever happens on the way.
        let away = cache.join(format!("{}removed", self.unfinished()));
        match fs::rename(&self.folder, away) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", &self.folder)(error)),
            _ => {
                self.remove_unfinished(cache);
                Ok(())
            }
        }
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
        let module = self.sealed().hash_of(MODULE).unwrap_or_default();
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
        self.sealed().check(read)
    }

    fn sealed(&self) -> Sealed<'_> {
        Sealed::new(&self.folder, &FILES)
    }

    fn lock(&self, progress: &dyn Progress) -> Result<File, Error> {
        lock(&self.folder.with_extension("lock"), || progress.begin(Phase::Waiting))
    }
}

/// Locks what is made beside the file `path`, which stays, so that nobody can lock one that was just removed. `waits` is called when
/// another process has it.
pub(crate) fn lock(path: &Path, waits: impl FnOnce()) -> Result<File, Error> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(Error::file("open", path))?;
    if file.try_lock().is_err() {
        waits();
        file.lock().map_err(Error::file("lock", path))?;
    }
    Ok(file)
}

/// What an image with an extension is, as a hash.
pub(crate) fn digest(image: &Image, extension: Option<&Extension>) -> String {
    extension.map_or_else(|| image.digest.to_owned(), |extension| extension.digest(image))
}

/// Makes an entry in a folder of its own below `cache`, named from `prefix` on.
fn make(
    cache: &Path,
    prefix: &str,
    image: &Image,
    extension: Option<&Extension>,
    progress: &dyn Progress,
) -> Result<tempfile::TempDir, Error> {
    progress.begin(Phase::Unpacking);
    let private = Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().prefix(prefix).permissions(private).tempdir_in(cache);
    let folder = folder.map_err(Error::file("create a folder in", cache))?;
    let path = folder.path().join(LIBRARY);
    unpack(image, extension, &path)?;
    let library = Arc::new(Library::open(&path)?);

    let python = zstd::decode_all(image.wasm).map_err(|source| Error::Image { what: "python.wasm.zst", source })?;
    let engine = engine::make()?;
    let snapshot = snapshot::make(&engine, &python, &library, progress)?;
    verify::restorable(&snapshot)?;
    progress.begin(Phase::Optimising);
    let compiled = engine.precompile_module(&snapshot).map_err(|source| Error::Compile { source })?;
    let path = folder.path().join(MODULE);
    write_synced(&path, &compiled)?;

    Sealed::new(folder.path(), &FILES).seal()?;
    sync_folder(folder.path())?;
    Ok(folder)
}

fn unpack(image: &Image, extension: Option<&Extension>, path: &Path) -> Result<(), Error> {
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
    if let Some(extension) = extension {
        extension.add_to(&mut writer).map_err(Error::file("write", path))?;
    }
    let file = writer.finish().map_err(Error::file("write", path))?;
    file.get_ref().sync_all().map_err(Error::file("write", path))
}

pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create(path).map_err(Error::file("create", path))?;
    file.write_all(bytes).map_err(Error::file("write", path))?;
    file.sync_all().map_err(Error::file("write", path))
}

/// Compiled code is loaded from here without being checked again, so nobody else may write to it.
pub(crate) fn create_private(folder: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(Error::file("create", folder))
}

/// Refuses a folder into which others than this user and root could have put compiled code.
pub(crate) fn refuse_shared(folder: &Path) -> Result<(), Error> {
    let Ok(metadata) = fs::metadata(folder) else { return Ok(()) };
    let owned = [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
    if owned && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::SharedCache { folder: folder.to_owned() })
}

pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file("write", folder))
}
