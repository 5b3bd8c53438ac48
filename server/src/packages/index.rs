//! Where packages come from: an index on the network, a folder of wheels, or what `uv` itself is configured with.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use url::Url;

/// What `packages.index` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Index {
    /// Whatever `uv` is configured with.
    #[default]
    OfUv,
    /// An index by its address, which may have a name and a password.
    Url(Url),
    /// Wheels in a folder, and no index.
    Folder(PathBuf),
}

impl Index {
    /// Reads an `http:`, `https:` or `file:` URL, or the path of a folder.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "give the URL of an index, or the absolute path of a folder of wheels";
        if Path::new(text).is_absolute() {
            return Ok(Self::Folder(text.into()));
        }
        let url = Url::parse(text).map_err(|_| WRONG)?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Self::Url(url)),
            "file" => url.to_file_path().map(Self::Folder).map_err(|()| WRONG),
            _ => Err(WRONG),
        }
    }

    /// What tells `uv` of it.
    pub(super) fn arguments(&self) -> Vec<String> {
        match self {
            // An address is in the environment: others can read what a process was started with.
            Self::OfUv | Self::Url(_) => Vec::new(),
            Self::Folder(folder) => vec!["--no-index".into(), "--find-links".into(), folder.display().to_string()],
        }
    }

    /// What `uv` finds in its environment.
    pub(super) fn variable(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Url(url) => Some(("UV_DEFAULT_INDEX", url.to_string())),
            Self::OfUv | Self::Folder(_) => None,
        }
    }

    /// What tells it from another one in the name of an answer.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::OfUv => {
                // Not all that is there is UTF-8.
                let named = |name: &OsStr| name.to_string_lossy().contains("INDEX");
                let escaped = |other: OsString| other.as_encoded_bytes().escape_ascii().to_string();
                let text = |value: OsString| value.into_string().unwrap_or_else(escaped) + "\n";
                std::env::vars_os().filter(|(name, _)| named(name)).map(|(_, value)| text(value)).collect()
            }
            Self::Url(url) => url.to_string(),
            Self::Folder(folder) => folder.display().to_string(),
        }
    }

    /// Whether a file lies in its folder.
    pub(super) fn has(&self, path: &Path) -> bool {
        match self {
            Self::Folder(folder) => {
                let inside = path.canonicalize().ok().zip(folder.canonicalize().ok());
                inside.is_some_and(|(path, folder)| path.starts_with(folder))
            }
            Self::OfUv | Self::Url(_) => false,
        }
    }

    pub(super) fn is_https(&self) -> bool {
        matches!(self, Self::Url(url) if url.scheme() == "https")
    }

    pub(super) fn is_loopback(&self) -> bool {
        let Self::Url(url) = self else { return false };
        match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// A file's address with the index's name and password, if it is on the same server. They go nowhere else.
    pub(super) fn with_credentials(&self, mut file: Url) -> Url {
        if let Self::Url(index) = self
            && index.origin() == file.origin()
            && file.username().is_empty()
        {
            // Both fail only for addresses that can have none.
            let _ = file.set_username(index.username());
            let _ = file.set_password(index.password());
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_an_address_or_a_folder() {
        assert_eq!(Index::parse("/srv/wheels"), Ok(Index::Folder("/srv/wheels".into())));
        assert_eq!(Index::parse("file:///srv/wheels"), Ok(Index::Folder("/srv/wheels".into())));
        assert!(
            Index::parse("https://index.example/simple").is_ok_and(|index| index.is_https() && !index.is_loopback())
        );
        assert!(Index::parse("http://127.0.0.1:3141/").is_ok_and(|index| index.is_loopback() && !index.is_https()));
        for wrong in ["wheels", "", "ftp://a.example", "--index-url=x", "https://"] {
            assert!(Index::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// Seen to fail with the origin not compared.
    #[test]
    fn credentials_go_to_their_own_server_only() {
        let index = Index::parse("https://me:secret@index.example/simple").unwrap();
        let with = |file: &str| index.with_credentials(Url::parse(file).unwrap()).to_string();
        assert_eq!(with("https://index.example/a.whl"), "https://me:secret@index.example/a.whl");
        for elsewhere in
            ["https://files.example/a.whl", "http://index.example/a.whl", "https://index.example:8443/a.whl"]
        {
            assert_eq!(with(elsewhere), elsewhere);
        }
    }
}
