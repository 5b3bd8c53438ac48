//! What was resolved, kept: each package with its version, its wheel and the hash of that. From then on nobody asks what the newest
//! version is until the lock is old.

use super::Error;
use exuvia_python::IMAGE;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Changed when a layer is made differently of the same wheels.
const FORMAT: &str = "exuvia layer 1";

/// One package of a resolution.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Locked {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Where the wheel is.
    pub(crate) url: String,
    pub(crate) sha256: String,
}

impl Locked {
    /// The wheel's file name.
    pub(crate) fn wheel(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }
}

/// A whole resolution, in order of the names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    pub(crate) packages: Vec<Locked>,
    /// The build of Python that its layer is compiled for.
    #[serde(default = "own")]
    image: String,
}

fn own() -> String {
    IMAGE.digest.into()
}

impl Lock {
    pub(crate) fn new(mut packages: Vec<Locked>) -> Self {
        packages.sort();
        Self { packages, image: own() }
    }

    /// Whether its layer can be made by this build, and not only opened.
    pub(crate) fn is_of_this_build(&self) -> bool {
        self.image == IMAGE.digest
    }

    /// The name of the layer that it makes: what is in it, and the Python that it is compiled for. Where the wheels were found is no
    /// part of it.
    pub(crate) fn layer(&self) -> String {
        let mut name = blake3::Hasher::new();
        name.update(FORMAT.as_bytes()).update(self.image.as_bytes());
        for package in &self.packages {
            for part in [&package.name, &package.version, &package.sha256] {
                name.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
            }
        }
        name.finalize().to_hex().get(..32).unwrap_or_default().to_owned()
    }
}

/// The locks of this user's cache: by the layers that they make, and for each question the layer that answers it.
#[derive(Debug, Clone)]
pub(crate) struct Locks {
    folder: PathBuf,
}

impl Locks {
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The lock of a layer.
    pub(crate) fn of_layer(&self, layer: &str) -> Option<Lock> {
        read(&self.folder.join(layer).with_extension("lock.json")).filter(|lock: &Lock| lock.layer() == layer)
    }

    /// The packages of a layer, as a command line names them.
    pub(crate) fn named(&self, layer: &str) -> Vec<String> {
        let packages = self.of_layer(layer).map(|lock| lock.packages).unwrap_or_default();
        packages.iter().map(|package| format!("{}=={}", package.name, package.version)).collect()
    }

    /// What was answered to `question` before, and how long ago.
    pub(crate) fn answered(&self, question: &str) -> Option<(Lock, Duration)> {
        let path = self.answer(question);
        let layer: String = read(&path)?;
        let written = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok()?;
        let lock = self.of_layer(&layer)?;
        Some((lock, SystemTime::now().duration_since(written).unwrap_or_default()))
    }

    pub(crate) fn keep(&self, question: Option<&str>, lock: &Lock) -> Result<(), Error> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(Error::file("create", &self.folder))?;
        let layer = lock.layer();
        let write = |path: &Path, bytes: io::Result<Vec<u8>>| {
            bytes.and_then(|bytes| replace(path, &bytes)).map_err(Error::file("write", path))
        };
        let json = serde_json::to_vec_pretty(lock).map_err(io::Error::from);
        write(&self.folder.join(&layer).with_extension("lock.json"), json)?;
        match question {
            Some(question) => write(&self.answer(question), serde_json::to_vec(&layer).map_err(io::Error::from)),
            None => Ok(()),
        }
    }

    /// Forgets all answers, so that each question is asked anew. The locks of layers stay: jobs and sessions go on with theirs.
    pub(crate) fn forget(&self) -> usize {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let answers = files.filter(|file| file.file_name().to_string_lossy().ends_with(".answer.json"));
        answers.filter(|file| fs::remove_file(file.path()).is_ok()).count()
    }

    fn answer(&self, question: &str) -> PathBuf {
        self.folder.join(question).with_extension("answer.json")
    }
}

/// Writes a file whole or not at all, whoever else does so.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(version: &str) -> Lock {
        let package = |name: &str| Locked {
            name: name.into(),
            version: version.into(),
            url: format!("https://a.example/{name}-{version}-py3-none-any.whl"),
            sha256: "00".into(),
        };
        Lock::new(vec![package("b"), package("a")])
    }

    /// A job goes on in its image under another build, and has to find its packages there. Seen to fail with names made of this build's digest.
    #[test]
    fn a_lock_of_another_build_is_found_by_the_name_of_its_layer() {
        let folder = tempfile::tempdir().unwrap();
        let locks = Locks::at(folder.path().join("locks"));
        let other = Lock { image: "another".into(), ..lock("1") };
        assert_ne!(other.layer(), lock("1").layer());
        locks.keep(None, &other).unwrap();
        let found = locks.of_layer(&other.layer()).unwrap();
        assert_eq!((&found, found.is_of_this_build()), (&other, false));
        assert!(lock("1").is_of_this_build());
    }

    #[test]
    fn a_layer_is_named_by_what_is_in_it() {
        let mut elsewhere = lock("1");
        elsewhere.packages[0].url = "https://b.example/a-1-py3-none-any.whl".into();
        assert_eq!(elsewhere.layer(), lock("1").layer());
        assert_ne!(lock("2").layer(), lock("1").layer());
        let mut other = lock("1");
        other.packages[0].sha256 = "01".into();
        assert_ne!(other.layer(), lock("1").layer());
    }

    /// Seen to fail with a lock that is not held against its layer's name.
    #[test]
    fn an_answer_is_kept_and_forgotten_and_a_lock_that_was_changed_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let locks = Locks::at(folder.path().join("locks"));
        assert!(locks.answered("q").is_none());
        locks.keep(Some("q"), &lock("1")).unwrap();
        assert_eq!(locks.answered("q").unwrap().0, lock("1"));
        assert_eq!(locks.forget(), 1);
        assert!(locks.answered("q").is_none());
        let layer = lock("1").layer();
        assert_eq!(locks.of_layer(&layer), Some(lock("1")));
        let path = folder.path().join("locks").join(format!("{layer}.lock.json"));
        let changed = fs::read_to_string(&path).unwrap().replace("\"00\"", "\"11\"");
        fs::write(&path, changed).unwrap();
        assert_eq!(locks.of_layer(&layer), None);
    }
}
