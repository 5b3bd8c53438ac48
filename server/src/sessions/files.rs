//! States on the disk, each in a file of its own that is written whole, synced, and only then given its name. Names are random: neither a
//! client nor a guest has a part in them.

use super::record::Record;
use crate::store::{Error, FOR_NEW, Room};
use exuvia_runtime::Saved;
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use uuid::Uuid;

/// The folder of all states: memory of programs, so its owner's alone.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    room: Room,
}

impl Files {
    pub(super) fn open(folder: PathBuf) -> Result<Self, Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(Error::file("make the folder", &folder))?;
        Ok(Self { room: Room::of(&folder), folder })
    }

    /// Writes a state; it is on the disk when this returns. Gives its name and its hash.
    pub(super) fn put(&self, state: &[u8]) -> Result<(Uuid, String), Error> {
        // A large one must not take the room that the store needs to go on.
        self.room.at_least(FOR_NEW.saturating_add(state.len() as u64))?;
        let hash = blake3::hash(state).to_hex().to_string();
        let name = Uuid::now_v7();
        let path = self.path(name);
        let temporary = path.with_extension("new");
        let written = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(state)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        if let Err(error) = written() {
            // What is left of a write that failed is of no use.
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_file(&path);
            return Err(Error::file("write", path)(error));
        }
        Ok((name, hash))
    }

    /// Reads the state of a session, all of it as it was written.
    pub(super) fn get(&self, record: &Record) -> io::Result<Saved> {
        let size = usize::try_from(record.size).map_err(io::Error::other)?;
        let file = File::open(self.path(record.file))?;
        let mut hasher = blake3::Hasher::new();
        let state = Saved::read(file, size, |piece| {
            hasher.update(piece);
        })?;
        if hasher.finalize().to_hex().as_str() != record.hash {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not what was written"));
        }
        Saved::from_bytes(state)
    }

    /// Removes a state that no record names.
    pub(super) fn remove(&self, name: Uuid) {
        if let Err(error) = fs::remove_file(self.path(name)) {
            // It is gone at the next start.
            tracing::debug!(%error, "could not remove the file of a session");
        }
    }

    /// Removes every file but those of `names`.
    pub(super) fn remove_all_but(&self, names: &HashSet<Uuid>) -> Result<(), Error> {
        let read = || Error::file("read the folder", &self.folder);
        for entry in fs::read_dir(&self.folder).map_err(read())? {
            let entry = entry.map_err(read())?;
            let name = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if !name.is_some_and(|name: Uuid| names.contains(&name)) {
                let removed = fs::remove_file(entry.path());
                tracing::debug!(?removed, "removed a file that no session has");
            }
        }
        Ok(())
    }

    fn path(&self, name: Uuid) -> PathBuf {
        self.folder.join(name.to_string())
    }
}
