//! Large values, as files beside the store: sled gives back the room of overwritten values slowly.

use super::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The folder of the files of all executions. Their names come from ids and hashes, never from a guest.
#[derive(Debug, Clone)]
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Writes `contents` for an execution, once however often it is asked; it is on the disk when this returns.
    /// Gives the name to read it by.
    pub(crate) fn put(&self, execution: Uuid, contents: &[u8]) -> Result<String, Error> {
        let name = blake3::hash(contents).to_hex().to_string();
        let folder = self.folder(execution);
        let path = folder.join(&name);
        if path.exists() {
            return Ok(name);
        }
        fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
        let temporary = folder.join(format!("{name}.new"));
        let written = write(&temporary, contents).and_then(|()| fs::rename(&temporary, &path));
        if let Err(error) = written {
            // What is left of a write that failed is of no use.
            let _ = fs::remove_file(&temporary);
            return Err(Error::file("write", path)(error));
        }
        sync_folder(&folder).map_err(Error::file("sync the folder", &folder))?;
        Ok(name)
    }

    /// Reads what [`Self::put`] named.
    pub(crate) fn get(&self, execution: Uuid, name: &str) -> Result<Vec<u8>, Error> {
        let path = self.folder(execution).join(name);
        let contents = fs::read(&path).map_err(Error::file("read", &path))?;
        if blake3::hash(&contents).to_hex().as_str() == name {
            return Ok(contents);
        }
        Err(Error::Record { key: path.display().to_string() })
    }

    /// Removes what [`Self::put`] named.
    pub(crate) fn remove_one(&self, execution: Uuid, name: &str) -> Result<(), Error> {
        let path = self.folder(execution).join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
            _ => Ok(()),
        }
    }

    /// Removes all files of an execution.
    pub(crate) fn remove(&self, execution: Uuid) -> Result<(), Error> {
        let folder = self.folder(execution);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", folder)(error)),
            _ => Ok(()),
        }
    }

    /// Ids begin with the time, so the folders of the last random bytes stay small and alike.
    fn folder(&self, execution: Uuid) -> PathBuf {
        let last = execution.as_bytes().last().copied().unwrap_or_default();
        self.0.join(format!("{last:02x}")).join(execution.to_string())
    }
}

fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    // The folder's own name too, for the first file of an execution.
    for folder in [Some(folder), folder.parent()].into_iter().flatten() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_finds_damage_and_removes() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path().join("files"));
        let id = Uuid::now_v7();
        let name = files.put(id, b"large").unwrap();
        assert_eq!(files.put(id, b"large").unwrap(), name);
        assert_eq!(files.get(id, &name).unwrap(), b"large");
        fs::write(files.folder(id).join(&name), b"changed").unwrap();
        assert!(matches!(files.get(id, &name), Err(Error::Record { .. })));
        files.remove(id).unwrap();
        files.remove(id).unwrap();
        assert!(matches!(files.get(id, &name), Err(Error::File { doing: "read", .. })));
    }
}
