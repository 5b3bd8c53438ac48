//! Writing small files such that a crash leaves the old or the new one, never half of one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Only for its owner: what these files hold are keys, tokens, and configurations that may have them.
pub(crate) const PRIVATE: u32 = 0o600;

/// Digits of the names of files that are being written.
const RANDOM: usize = 16;

/// Replaces `path` by a file of `bytes`. It gets the mode of the file that it replaces, or else is its owner's alone.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link is kept, and what it leads to replaced: people keep their configuration elsewhere.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = fs::metadata(&path).map_or(PRIVATE, |metadata| metadata.permissions().mode());
    let temporary = write_beside(&path, bytes)?;
    let replaced =
        fs::set_permissions(&temporary, Permissions::from_mode(mode)).and_then(|()| fs::rename(&temporary, &path));
    if replaced.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    replaced?;
    sync_folder(&path)
}

/// Makes a file that must not be there yet, whole or not at all.
pub(super) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_beside(path, bytes)?;
    // A link fails where a file is, unlike a renaming.
    let linked = fs::hard_link(&temporary, path);
    let _ = fs::remove_file(&temporary);
    linked?;
    sync_folder(path)
}

/// Removes what a process left beside `path` that died while it replaced it.
pub(crate) fn clear_beside(path: &Path) {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let prefix = format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy());
    for beside in path.parent().map(fs::read_dir).into_iter().flatten().flatten().flatten() {
        let name = beside.file_name().to_string_lossy().into_owned();
        let random = name.strip_prefix(&prefix).unwrap_or_default();
        if random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let _ = fs::remove_file(beside.path());
        }
    }
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let temporary = path.with_file_name(format!(".{name}.{:0RANDOM$x}", u64::from_le_bytes(random)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| temporary)
}

/// Makes the new name last through a loss of power.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen to fail with another mode for what is new.
    #[test]
    fn a_replaced_file_keeps_its_mode_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        replace(&file, b"one").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, PRIVATE);
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(link.is_symlink());
        assert_eq!(create(&file, b"three").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
