//! Room on the disk, looked at before it is needed.

use super::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that are left free for what else writes to the disk, the audit log among it.
pub(super) const RESERVE: u64 = 16 << 20;
/// Bytes below which nothing new is begun, so that what is under way can be written to its end.
pub(crate) const FOR_NEW: u64 = 64 << 20;

/// The room on the disk that a folder is on.
#[derive(Debug)]
pub(crate) struct Room(PathBuf);

impl Room {
    pub(crate) fn of(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    pub(crate) fn at_least(&self, bytes: u64) -> Result<(), Error> {
        let disk = rustix::fs::statvfs(&self.0).map_err(|error| Error::Io(io::Error::from(error)))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= bytes { Ok(()) } else { Err(Error::Full) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_the_room_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room::of(folder.path());
        assert!(room.at_least(1).is_ok());
        assert!(matches!(room.at_least(u64::MAX), Err(Error::Full)));
        assert!(matches!(Room::of(&folder.path().join("gone")).at_least(1), Err(Error::Io(_))));
    }
}
