//! The images that servers keep in the cache: a mark for each, below its digest, of each data folder whose executions may need it.
//! One that has no mark any more, and that nothing else names, is removed.

use super::{Error, Images, make_private};
use exuvia_python::IMAGE;
use exuvia_runtime::{Cache, Sandbox};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What one data folder keeps.
pub(crate) struct Kept {
    cache: Cache,
    data: PathBuf,
}

impl Kept {
    pub(crate) fn new(cache: &Cache, data: &Path) -> Self {
        // As the working directory may be another the next time.
        let data = data.canonicalize().unwrap_or_else(|_| data.into());
        Self { cache: cache.clone(), data }
    }

    /// Keeps these images from now on, and no others.
    pub(crate) fn only(&self, needed: &HashSet<&str>) -> Result<(), Error> {
        for digest in needed {
            let Some(folder) = marks(&self.cache, digest) else { continue };
            make_private(&folder)?;
            clear(&folder);
            let mark = self.mark(&folder);
            fs::write(&mark, self.data.as_os_str().as_encoded_bytes()).map_err(Error::file("write", mark))?;
        }
        let mut others = all(&self.cache).into_iter().filter(|digest| !needed.contains(&**digest));
        others.try_for_each(|digest| self.let_go(&digest))
    }

    /// Drops the mark, and the image if that was the last. A folder that others have marked is not removed, as it is not empty.
    fn let_go(&self, digest: &str) -> Result<(), Error> {
        let Some(folder) = marks(&self.cache, digest) else { return Ok(()) };
        let mark = self.mark(&folder);
        let is_over = mark.exists() && fs::remove_file(&mark).is_ok() && {
            clear(&folder);
            fs::remove_dir(&folder).is_ok()
        };
        if !is_over {
            return Ok(());
        }
        if digest == IMAGE.digest || Images::new(&self.cache).of_digest(digest).is_some() {
            return Ok(());
        }
        tracing::info!(image = digest, "no execution needs this image any more: it is removed from the cache");
        Ok(Sandbox::entry(&self.cache, digest)?.remove()?)
    }

    fn mark(&self, folder: &Path) -> PathBuf {
        let name = blake3::hash(self.data.as_os_str().as_encoded_bytes()).to_hex();
        folder.join(name.get(..32).unwrap_or_default())
    }
}

/// The digests of all images that some data folder keeps.
pub(crate) fn all(cache: &Cache) -> Vec<String> {
    let folders = fs::read_dir(cache.folder().join(FOLDER)).into_iter().flatten().flatten();
    folders.filter_map(|folder| folder.file_name().into_string().ok()).collect()
}

/// The data folders that keep an image.
pub(crate) fn keepers(cache: &Cache, digest: &str) -> Vec<PathBuf> {
    let marks = marks(cache, digest).into_iter().flat_map(|folder| read(&folder));
    let mut folders: Vec<_> = marks.map(|(_, data)| data).filter(|data| data.exists()).collect();
    folders.sort();
    folders
}

/// Removes the marks of data folders that are gone.
fn clear(folder: &Path) {
    for (mark, _) in read(folder).filter(|(_, data)| !data.exists()) {
        let _ = fs::remove_file(mark);
    }
}

/// The marks in a folder, and the data folder of each.
fn read(folder: &Path) -> impl Iterator<Item = (PathBuf, PathBuf)> + use<> {
    let marks = fs::read_dir(folder).into_iter().flatten().flatten().map(|mark| mark.path());
    marks
        .filter_map(|mark| Some((fs::read(&mark).ok()?, mark)))
        .map(|(data, mark)| (mark, OsString::from_vec(data).into()))
}

/// Below the cache's folder.
pub(crate) const FOLDER: &str = "kept";

/// Where the marks of an image are. A digest is in hexadecimal; what a store has in its place is no path.
fn marks(cache: &Cache, digest: &str) -> Option<PathBuf> {
    let is_plain = !digest.is_empty() && digest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_plain.then(|| cache.folder().join(FOLDER).join(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_kept_until_the_last_data_folder_lets_it_go() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("cache"));
        let [one, other, gone] = ["one", "other", "gone"].map(|name| folder.path().join(name));
        for data in [&one, &other] {
            fs::create_dir(data).unwrap();
        }
        let [one, other, gone] = [one, other, gone].map(|data| Kept::new(&cache, &data));
        let entry = Sandbox::entry(&cache, "abc").unwrap();
        let mine = Sandbox::entry(&cache, IMAGE.digest).unwrap();
        for folder in [&entry, &mine] {
            fs::create_dir_all(folder.folder()).unwrap();
        }
        one.only(&HashSet::from(["abc", IMAGE.digest])).unwrap();
        other.only(&HashSet::from(["abc"])).unwrap();
        gone.only(&HashSet::from(["abc"])).unwrap();
        assert_eq!(keepers(&cache, "abc").len(), 2);
        // What is gone is not remembered for ever.
        let marks = || fs::read_dir(marks(&cache, "abc").unwrap()).unwrap().count();
        assert_eq!(marks(), 3);
        one.only(&HashSet::from(["abc", IMAGE.digest])).unwrap();
        assert_eq!(marks(), 2);
        gone.only(&HashSet::from(["abc"])).unwrap();
        one.only(&HashSet::new()).unwrap();
        assert!(entry.folder().exists() && mine.folder().exists());
        assert_eq!(all(&cache), ["abc"]);
        other.only(&HashSet::from([IMAGE.digest])).unwrap();
        assert!(!entry.folder().exists() && mine.folder().exists());
        assert_eq!(all(&cache), [IMAGE.digest]);
    }

    #[test]
    fn a_digest_leads_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("cache"));
        Kept::new(&cache, folder.path()).only(&HashSet::from(["../../elsewhere"])).unwrap();
        assert!(!folder.path().join("elsewhere").exists() && all(&cache).is_empty());
    }
}
