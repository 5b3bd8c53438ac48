//! Fetches a value from where the policy says that it is.

use super::value::{Unfit, Value};
use super::vault::{self, Vault};
use exuvia_policies::SecretSource;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

/// Most bytes read of a file: more is no secret.
const MOST_READ: u64 = 1 << 20;

/// Why there is no value. For the log: names of variables and files are the operator's affair.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    #[error("could not read `{}`", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("`{0}` is not kept here: `exuvia secrets set {0}` keeps it")]
    NotKept(String),
    #[error("the value of {from} cannot be a secret: {why}")]
    Unfit { from: String, why: Unfit },
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

/// The value as it is now.
pub(crate) fn read(source: &SecretSource, vault: &Vault) -> Result<Value, Unavailable> {
    let unfit = |from: &str| {
        let from = format!("`{from}`");
        move |why| Unavailable::Unfit { from, why }
    };
    match source {
        SecretSource::Environment(name) => {
            let value = std::env::var_os(&**name).ok_or_else(|| Unavailable::Unset(name.to_string()))?;
            let value = value.into_string().map_err(|_| Unfit::NotText);
            value.and_then(Value::new).map_err(unfit(name))
        }
        SecretSource::File(path) => {
            let bytes = file(path).map_err(|source| Unavailable::File { path: PathBuf::from(&**path), source })?;
            Value::from_bytes(bytes).map_err(unfit(path))
        }
        SecretSource::Vault(name) => vault.get(name)?.ok_or_else(|| Unavailable::NotKept(name.to_string())),
        _ => Err(Unavailable::NotKept("a source of a newer policy".into())),
    }
}

fn file(path: &str) -> io::Result<Vec<u8>> {
    // A pipe would be waited for.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_READ).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Sealed;
    use std::sync::Arc;

    #[test]
    fn a_value_comes_from_where_the_policy_says() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = Arc::new(Sealed::of_file(&folder.path().join("key")).unwrap());
        let vault = Vault::at(folder.path(), sealed);
        let read = |source: &SecretSource| read(source, &vault).map_err(|error| error.to_string());
        let path = folder.path().join("secret");
        let of_file = SecretSource::File(path.to_str().unwrap().into());
        assert!(read(&of_file).unwrap_err().starts_with("could not read `/"));
        fs::write(&path, "from a file\n").unwrap();
        assert_eq!(read(&of_file).unwrap().expose(), "from a file");
        fs::write(&path, "short").unwrap();
        assert!(read(&of_file).unwrap_err().contains("cannot be a secret: it has fewer than 8 bytes"));
        let folder_itself = SecretSource::File(folder.path().to_str().unwrap().into());
        assert!(read(&folder_itself).unwrap_err().starts_with("could not read `/"));
        let kept = SecretSource::Vault("KEY".into());
        assert_eq!(read(&kept).unwrap_err(), "`KEY` is not kept here: `exuvia secrets set KEY` keeps it");
        vault.set("KEY", &Value::new("from the vault".into()).unwrap()).unwrap();
        assert_eq!(read(&kept).unwrap().expose(), "from the vault");
        let variable = SecretSource::Environment("EXUVIA_NOT_SET_BY_ANYBODY".into());
        assert_eq!(read(&variable).unwrap_err(), "the environment variable `EXUVIA_NOT_SET_BY_ANYBODY` is not set");
    }
}
