//! The key that approvals are bound with: random, made once for each data folder, its owner's alone.

use super::Error;
use crate::config::write_atomically;
use exuvia_policies::ApprovalKey;
use std::fs;
use std::io;
use std::path::Path;

/// The key in the file `path`, which is made if there is none.
pub(super) fn open(path: &Path) -> Result<ApprovalKey, Error> {
    let failed = |doing| move |source| Error::Key { doing, path: path.display().to_string(), source };
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut key = [0; 32];
            getrandom::fill(&mut key)?;
            write_atomically(path, &key).map_err(failed("write"))?;
            key.to_vec()
        }
        Err(error) => return Err(failed("read")(error)),
    };
    let wrong = |_| io::Error::new(io::ErrorKind::InvalidData, "it is no key of 32 bytes: remove it to have a new one");
    let key: [u8; 32] = bytes.as_slice().try_into().map_err(wrong).map_err(failed("use"))?;
    Ok(ApprovalKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("approvals.key");
        open(&path).unwrap();
        let made = fs::read(&path).unwrap();
        assert_eq!((made.len(), fs::metadata(&path).unwrap().permissions().mode() & 0o777), (32, 0o600));
        open(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), made);
        fs::write(&path, "short").unwrap();
        assert!(open(&path).is_err());
    }
}
