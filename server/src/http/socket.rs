//! A socket in the data folder, for the operator on this machine: there also when the server has no port.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Longest path that a socket's address has room for, in bytes.
const LONGEST: usize = 100;

/// A socket that listens. Its name goes with it.
pub(crate) struct Socket {
    listener: Option<UnixListener>,
    path: PathBuf,
}

impl Socket {
    /// Listens at `path`. One that another process has left there is replaced: whoever opens a socket has the data folder
    /// to themselves.
    pub(crate) fn bind(path: PathBuf) -> io::Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&Address::of(&path)?.path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { listener: Some(listener), path })
    }

    pub(super) fn listener(&mut self) -> io::Result<UnixListener> {
        self.listener.take().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_file(&self.path);
    }
}

/// The address of a socket, for as long as this lives.
pub(crate) struct Address {
    pub(crate) path: PathBuf,
    /// What a long path is shortened by.
    _folder: Option<File>,
}

impl Address {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if path.as_os_str().len() <= LONGEST {
            return Ok(Self { path: path.into(), _folder: None });
        }
        let folder = File::open(folder)?;
        let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Ok(Self { path: short, _folder: Some(folder) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn a_socket_is_its_owner_s_and_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("a".repeat(100));
        fs::create_dir(&long).unwrap();
        for folder in [folder.path(), &long] {
            let path = folder.join("operator.sock");
            // Left by a process that was killed.
            drop(std::os::unix::net::UnixListener::bind(Address::of(&path).unwrap().path).unwrap());
            assert!(path.exists());
            let socket = Socket::bind(path.clone()).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let address = Address::of(&path).unwrap();
            assert!(UnixStream::connect(&address.path).await.is_ok());
            drop(socket);
            assert!(!path.exists());
        }
    }
}
