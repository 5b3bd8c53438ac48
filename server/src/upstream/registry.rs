//! The servers that were added while running (`addRemoteMcpServer`), kept across restarts in `servers.json`.

use super::config::{Server, address};
use super::files;
use super::sealed::{Sealed, SealedError};
use super::secret::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

const FILE: &str = "servers.json";

/// One server as it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) name: String,
    pub(crate) url: reqwest::Url,
    pub(crate) headers: BTreeMap<String, Secret>,
}

impl From<Registered> for Server {
    fn from(registered: Registered) -> Self {
        Self::http(&registered.name, registered.url, registered.headers)
    }
}

/// The file, and what is in it.
#[derive(Debug)]
pub(crate) struct Registry {
    path: PathBuf,
    sealed: Arc<Sealed>,
    servers: Mutex<BTreeMap<String, Registered>>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("could not {doing} `{}`", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("`{}` is damaged", path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error("server `{name}` of `{}` cannot be read", path.display())]
    Server { name: String, path: PathBuf, source: SealedError },
    #[error(transparent)]
    Seal(#[from] SealedError),
}

/// `servers.json`, as it is on disk.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnDisk {
    servers: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// For people; what counts is in `sealed`.
    address: String,
    sealed: String,
}

/// What an entry seals: its query and its headers may have keys.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inside {
    url: String,
    headers: BTreeMap<String, String>,
}

impl Registry {
    /// Reads the servers that are kept in `folder`.
    ///
    /// # Errors
    ///
    /// When the file is there and cannot be read. One server that cannot be opened is left out, and reported.
    pub(crate) fn open(folder: &Path, sealed: Arc<Sealed>) -> Result<(Self, Vec<RegistryError>), RegistryError> {
        let path = folder.join(FILE);
        // Not in the middle of a change of the key.
        let lock = sealed.lock()?;
        let on_disk = read(&path)?.unwrap_or_default();
        let mut servers = BTreeMap::new();
        let mut lost = Vec::new();
        for (name, entry) in on_disk.servers {
            match unsealed(&name, &entry, &sealed) {
                Ok(server) => drop(servers.insert(name, server)),
                Err(source) => lost.push(RegistryError::Server { name, path: path.clone(), source }),
            }
        }
        drop(lock);
        Ok((Self { path, sealed, servers: Mutex::new(servers) }, lost))
    }

    /// The file, with its servers sealed with the first key. What does not open stays as it is. None when there is no file.
    pub(crate) fn renewed(folder: &Path, sealed: &Sealed) -> Result<Option<(PathBuf, Vec<u8>)>, RegistryError> {
        let path = folder.join(FILE);
        let Some(mut on_disk) = read(&path)? else { return Ok(None) };
        for (name, entry) in &mut on_disk.servers {
            if let Ok(renewed) = sealed.renewed(&place(name), &entry.sealed) {
                entry.sealed = renewed;
            }
        }
        let text = text(&path, &on_disk)?;
        Ok(Some((path, text)))
    }

    pub(crate) fn all(&self) -> Vec<Registered> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    /// Keeps a server, in the place of one of the same name. It is on disk when this returns.
    pub(crate) fn put(&self, server: Registered) -> Result<(), RegistryError> {
        let name = server.name.clone();
        self.change(&name, |servers| drop(servers.insert(server.name.clone(), server))).map(drop)
    }

    /// Forgets a server, and says whether there was one.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, RegistryError> {
        self.change(name, |servers| drop(servers.remove(name)))
    }

    /// Changes the server `name`. Whether there was one. What does not open is not this process's to lose, and stays as it is.
    fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut BTreeMap<String, Registered>),
    ) -> Result<bool, RegistryError> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = servers.clone();
        change(&mut changed);
        let _lock = self.sealed.lock()?;
        let mut on_disk = read(&self.path)?.unwrap_or_default();
        let was_there = on_disk.servers.contains_key(name);
        on_disk.servers.retain(|other, entry| other != name && unsealed(other, entry, &self.sealed).is_err());
        for (name, server) in &changed {
            on_disk.servers.insert(name.clone(), sealed(server, &self.sealed)?);
        }
        let text = text(&self.path, &on_disk)?;
        files::replace(&self.path, &text).map_err(|source| RegistryError::File {
            doing: "write",
            path: self.path.clone(),
            source,
        })?;
        *servers = changed;
        Ok(was_there)
    }
}

/// None when there is no file.
fn read(path: &Path) -> Result<Option<OnDisk>, RegistryError> {
    match fs::read(path) {
        Ok(bytes) => {
            let on_disk = serde_json::from_slice(&bytes);
            on_disk.map(Some).map_err(|source| RegistryError::Damaged { path: path.into(), source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RegistryError::File { doing: "read", path: path.into(), source }),
    }
}

fn text(path: &Path, on_disk: &OnDisk) -> Result<Vec<u8>, RegistryError> {
    serde_json::to_vec_pretty(on_disk).map_err(|source| RegistryError::Damaged { path: path.into(), source })
}

fn place(name: &str) -> String {
    format!("server {name}")
}

fn sealed(server: &Registered, sealed: &Sealed) -> Result<Entry, SealedError> {
    let headers = server.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
    let inside = Inside { url: server.url.to_string(), headers };
    let inside = serde_json::to_vec(&inside).unwrap_or_default();
    let address = Server::from(server.clone()).transport.to_string();
    Ok(Entry { address, sealed: sealed.seal(&place(&server.name), &inside)? })
}

fn unsealed(name: &str, entry: &Entry, sealed: &Sealed) -> Result<Registered, SealedError> {
    let inside = sealed.unseal(&place(name), &entry.sealed)?;
    // What opens was written here; it can be wrong only when another version wrote it.
    let wrong = || SealedError::Opened("this version's".into());
    let inside: Inside = serde_json::from_slice(&inside).map_err(|_| wrong())?;
    let url = address(&inside.url).map_err(|_| wrong())?;
    let headers = inside.headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    Ok(Registered { name: name.to_owned(), url, headers })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(name: &str) -> Registered {
        let url = address("https://example.org/mcp?key=topsecret").unwrap();
        let headers = BTreeMap::from([("Authorization".to_owned(), Secret::new("Bearer topsecret"))]);
        Registered { name: name.into(), url, headers }
    }

    #[test]
    fn servers_are_kept_and_their_secrets_are_not_readable() {
        let folder = tempfile::tempdir().unwrap();
        let key = || Arc::new(Sealed::of_file(&folder.path().join("key")).unwrap());
        let (registry, _) = Registry::open(folder.path(), key()).unwrap();
        assert!(registry.all().is_empty());
        registry.put(registered("a")).unwrap();
        registry.put(registered("b")).unwrap();
        assert!(registry.remove("a").unwrap());
        assert!(!registry.remove("a").unwrap());
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(text.contains("https://example.org/mcp") && !text.contains("topsecret"), "{text}");
        let (again, lost) = Registry::open(folder.path(), key()).unwrap();
        assert!(lost.is_empty());
        assert_eq!(again.all(), [registered("b")]);
    }

    /// Seen to fail with servers that are not sealed for their names, and with a file that is written from what opened alone.
    #[test]
    fn one_server_that_cannot_be_opened_is_reported_and_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let key = Arc::new(Sealed::of_file(&folder.path().join("key")).unwrap());
        let (registry, _) = Registry::open(folder.path(), Arc::clone(&key)).unwrap();
        registry.put(registered("a")).unwrap();
        registry.put(registered("b")).unwrap();
        // As if one entry had been given another's name, so that its token would go to another address.
        let path = folder.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap().replace("\"a\"", "\"c\"");
        fs::write(&path, text).unwrap();
        let (registry, lost) = Registry::open(folder.path(), Arc::clone(&key)).unwrap();
        assert_eq!(registry.all(), [registered("b")]);
        assert!(lost[0].to_string().starts_with("server `c` of `"), "{}", lost[0]);
        // It is still there after a change of another, and goes when it is told to.
        registry.put(registered("d")).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("\"c\""));
        assert!(registry.remove("c").unwrap() && !registry.remove("c").unwrap());
        assert!(!fs::read_to_string(&path).unwrap().contains("\"c\""));
        fs::write(&path, "{").unwrap();
        assert!(matches!(Registry::open(folder.path(), key), Err(RegistryError::Damaged { .. })));
    }
}
