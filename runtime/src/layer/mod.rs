//! Packages beside those of the image, as a read-only tree that runs share: a layer.
//!
//! A layer is a library file, sealed as an entry of the cache is, in a folder that its name decides; what decides the name is the
//! caller's. It is made under a lock, beside its place, and renamed into it. Whoever has one open holds a lock on its file, so that no
//! process removes it meanwhile.

mod compile;

use crate::cache::{self, Cache};
use crate::error::Error;
use crate::files::{Library, library};
use crate::sandbox::Sandbox;
use crate::sealed::Sealed;
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

const LIBRARY: &str = "library";
const FILES: [&str; 1] = [LIBRARY];
/// Its time of modification is when the layer was last opened.
const USED: &str = "used";
/// Most characters of a layer's name: as many as a hash of 64 bytes has.
const LONGEST_NAME: usize = 128;

/// Files by their paths, relative to `/packages`.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// One layer, open. Cheap to clone; it is not removed while a clone is there.
#[derive(Debug, Clone)]
pub struct Layer {
    name: Arc<str>,
    library: Arc<Library>,
}

impl Layer {
    /// What decides its contents, as a hash.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn library(&self) -> &Library {
        &self.library
    }
}

/// The layers of this user's cache.
#[derive(Debug, Clone)]
pub struct Layers {
    folder: PathBuf,
}

/// The right to make one layer, which no other process makes meanwhile.
#[derive(Debug)]
pub struct Making {
    layers: Layers,
    name: String,
    _lock: File,
}

impl Layers {
    /// Those in `cache`.
    pub fn new(cache: &Cache) -> Self {
        Self { folder: cache.folder().join("layers") }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The layer of that name, if there is a sound one.
    ///
    /// # Errors
    /// When the name cannot be one, others than this user could have put something there, or its file cannot be opened.
    pub fn open(&self, name: &str) -> Result<Option<Layer>, Error> {
        check_name(name)?;
        let folder = self.folder.join(name);
        cache::refuse_shared(&self.folder)?;
        cache::refuse_shared(&folder)?;
        let path = folder.join(LIBRARY);
        let Ok(file) = File::open(&path) else { return Ok(None) };
        // Before it is looked at: what is removed between the two stays readable here.
        if file.try_lock_shared().is_err() {
            return Ok(None);
        }
        if let Err(damage) = Sealed::new(&folder, &FILES).check(false) {
            tracing::warn!(?damage, folder = %folder.display(), "a layer of packages is damaged");
            return Ok(None);
        }
        if let Err(error) = File::create(folder.join(USED)) {
            tracing::debug!(%error, "could not note that a layer is used");
        }
        Ok(Some(Layer { name: name.into(), library: Arc::new(Library::layer(&path, file)) }))
    }

    /// Waits until no other process makes the layer of that name. Blocks its thread.
    ///
    /// # Errors
    /// When the name cannot be one, or the folder cannot be made or locked.
    pub fn making(&self, name: &str) -> Result<Making, Error> {
        check_name(name)?;
        cache::create_private(&self.folder)?;
        cache::refuse_shared(&self.folder)?;
        let lock = cache::lock(&self.folder.join(name).with_extension("lock"), || {})?;
        Ok(Making { layers: self.clone(), name: name.to_owned(), _lock: lock })
    }

    /// Removes those that were not used for longest until the others have at most `most` bytes; never one that somebody has open, or
    /// that `keep` names.
    pub fn prune(&self, most: u64, keep: &[String]) {
        let mut all: Vec<_> = self.list();
        all.sort_by_key(|layer| layer.used);
        let mut total: u64 = all.iter().map(|layer| layer.bytes).sum();
        for layer in all {
            if total <= most {
                break;
            }
            if !keep.contains(&layer.name) && self.remove(&layer.name) {
                tracing::info!(layer = layer.name, bytes = layer.bytes, "removed a layer of packages");
                total = total.saturating_sub(layer.bytes);
            }
        }
    }

    fn list(&self) -> Vec<Kept> {
        let Ok(folders) = fs::read_dir(&self.folder) else { return Vec::new() };
        let layers = folders.flatten().filter_map(|folder| {
            let path = folder.path();
            // Another process is at work on those.
            if folder.file_name().as_encoded_bytes().contains(&b'-') {
                return None;
            }
            let bytes = fs::metadata(path.join(LIBRARY)).ok()?.len();
            let used = fs::metadata(path.join(USED)).and_then(|used: Metadata| used.modified());
            let name = folder.file_name().into_string().ok()?;
            Some(Kept { name, bytes, used: used.unwrap_or(SystemTime::UNIX_EPOCH) })
        });
        layers.collect()
    }

    /// Whether it is gone: not when somebody has it open, or is making it.
    fn remove(&self, name: &str) -> bool {
        let folder = self.folder.join(name);
        let free = File::open(folder.join(LIBRARY)).is_ok_and(|file| file.try_lock().is_ok());
        let apart = self.folder.join(format!("old-{name}"));
        free && fs::rename(&folder, &apart).and_then(|()| fs::remove_dir_all(&apart)).is_ok()
    }
}

struct Kept {
    name: String,
    bytes: u64,
    used: SystemTime,
}

impl Making {
    /// What another process has made while this one waited.
    ///
    /// # Errors
    /// As [`Layers::open`].
    pub fn made(&self) -> Result<Option<Layer>, Error> {
        self.layers.open(&self.name)
    }

    /// Makes the layer of `tree` and of what its modules compile to in `sandbox`. Blocks its thread, for seconds.
    ///
    /// # Errors
    /// When a path is not a plain relative one, the modules cannot be compiled, or the folder cannot be written to.
    pub fn make(self, sandbox: &Sandbox, mut tree: Tree) -> Result<Layer, Error> {
        if let Some(path) = tree.keys().find(|path| !is_plain(path)) {
            return Err(Error::Packages { why: format!("`{}` is not the path of a file", path.escape_debug()) });
        }
        let layers = &self.layers.folder;
        let place = layers.join(&self.name);
        let new = layers.join(format!("new-{}", self.name));
        // Left by a process that was killed; nobody else makes this one.
        for left in [&new, &layers.join(format!("old-{}", self.name))] {
            let _ = fs::remove_dir_all(left);
        }
        cache::create_private(&new)?;
        let path = new.join(LIBRARY);
        write(&path, &tree)?;
        let file = File::open(&path).map_err(Error::file("open", &path))?;
        let sources = Layer { name: "sources".into(), library: Arc::new(Library::layer(&path, file)) };
        let compiled = compile::compile(sandbox, sources)?;
        tree.extend(compiled);
        write(&path, &tree)?;
        let sealed = Sealed::new(&new, &FILES);
        sealed.seal()?;
        cache::sync_folder(&new)?;
        if place.exists() {
            fs::remove_dir_all(&place).map_err(Error::file("remove", &place))?;
        }
        fs::rename(&new, &place).map_err(Error::file("create", &place))?;
        cache::sync_folder(layers)?;
        Sealed::new(&place, &FILES).stamp()?;
        let made = self.layers.open(&self.name)?;
        made.ok_or_else(|| Error::Packages {
            why: "they were changed in the very moment in which they were kept".into(),
        })
    }
}

/// A name is a hash in lower-case hexadecimal, and so of this folder: it may come from the record of another.
fn check_name(name: &str) -> Result<(), Error> {
    let is_hash =
        matches!(name.len(), 1..=LONGEST_NAME) && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hash.then_some(()).ok_or_else(|| Error::LayerName { name: name.chars().take(LONGEST_NAME).collect() })
}

/// Writes a library file with the contents of `tree`.
fn write(path: &Path, tree: &Tree) -> Result<(), Error> {
    // A new file each time: the one before may be open.
    let _ = fs::remove_file(path);
    let file = File::create(path).map_err(Error::file("create", path))?;
    let mut writer = library::Writer::new(BufWriter::new(file));
    for (name, contents) in tree {
        writer.add(name, &mut contents.as_slice()).map_err(Error::file("write", path))?;
    }
    let file = writer.finish().map_err(Error::file("write", path))?;
    file.get_ref().sync_all().map_err(Error::file("write", path))
}

/// Whether a path is relative and names each folder as it is.
fn is_plain(path: &str) -> bool {
    !path.contains(['\0', '\\'])
        && path.split('/').all(|name| !matches!(name, "" | "." | "..") && name.len() <= 255)
        && path.len() <= 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> (tempfile::TempDir, Layers) {
        let folder = tempfile::tempdir().unwrap();
        let layers = Layers::new(&Cache::new(folder.path()));
        cache::create_private(layers.folder()).unwrap();
        (folder, layers)
    }

    /// A layer as [`Making::make`] leaves it, without the compiled modules.
    fn place(layers: &Layers, name: &str, bytes: usize, age: u64) {
        let folder = layers.folder().join(name);
        cache::create_private(&folder).unwrap();
        write(&folder.join(LIBRARY), &Tree::from([("a.py".into(), vec![b'#'; bytes])])).unwrap();
        Sealed::new(&folder, &FILES).seal().unwrap();
        let used = File::create(folder.join(USED)).unwrap();
        used.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
    }

    fn names(layers: &Layers) -> Vec<String> {
        let mut names: Vec<_> = layers.list().into_iter().map(|layer| layer.name).collect();
        names.sort();
        names
    }

    #[test]
    fn the_least_lately_used_go_first_and_none_that_is_open_or_kept() {
        let (_folder, layers) = layers();
        for (name, age) in [("a", 50), ("b", 40), ("c", 30), ("d", 20)] {
            place(&layers, name, 10_000, age);
        }
        // The lock on its file keeps it.
        let open = layers.open("a").unwrap().unwrap();
        // Another process makes it, and holds no lock on its file meanwhile. Seen to fail with such names in the list.
        place(&layers, "new-e", 10_000, 60);
        // Opening made it the last used.
        File::options()
            .write(true)
            .open(layers.folder().join("a").join(USED))
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
        layers.prune(25_000, &["b".into()]);
        assert_eq!(names(&layers), ["a", "b"]);
        drop(open);
        layers.prune(0, &[]);
        assert_eq!(names(&layers), Vec::<String>::new());
        assert!(layers.folder().join("new-e").exists());
    }

    /// Seen to fail without the look at the name: a layer beside the folder is opened.
    #[test]
    fn a_name_is_a_hash() {
        let (folder, layers) = layers();
        place(&layers, "a", 100, 0);
        let beside = Layers { folder: folder.path().to_owned() };
        place(&beside, "b", 100, 0);
        for name in
            ["../b", "", ".", "a/../a", "A", "a.b", &folder.path().join("b").display().to_string(), &"a".repeat(129)]
        {
            let shown: String = name.chars().take(128).collect();
            let why = format!("`{shown}` is not the name of a layer of packages");
            assert_eq!(layers.open(name).unwrap_err().to_string(), why);
            assert_eq!(layers.making(name).unwrap_err().to_string(), why);
        }
        assert!(layers.open("a").unwrap().is_some() && layers.making("0f").is_ok());
    }

    #[test]
    fn a_damaged_layer_is_none() {
        let (_folder, layers) = layers();
        place(&layers, "a", 100, 0);
        assert!(layers.open("a").unwrap().is_some());
        let path = layers.folder().join("a").join(LIBRARY);
        let mut bytes = fs::read(&path).unwrap();
        bytes[50] ^= 1;
        fs::write(&path, bytes).unwrap();
        // The seal says so.
        assert!(layers.open("a").unwrap().is_none());
    }

    #[test]
    fn a_path_names_each_folder_as_it_is() {
        for path in ["a.py", "a/b/c.py", "a-1.dist-info/RECORD"] {
            assert!(is_plain(path), "{path}");
        }
        for path in ["", "/a", "a/", "a//b", "./a", "a/../b", "..", "a\\b", "a\0"] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
