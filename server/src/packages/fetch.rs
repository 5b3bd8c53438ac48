//! Fetches the wheels of a lock. `uv` could, and would unpack them as they come, however large they get; so it only says where they
//! are, and they are fetched here, bounded, into memory, and held against their hashes before anything looks into them.

use super::lock::{Lock, Locked};
use super::wheel::{LARGEST_WHEEL, Unpacked};
use super::{Error, Index, Leave};
use exuvia_runtime::Tree;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::time::Duration;
use url::Url;

/// How long a connection may take, and how long a server may be silent.
const CONNECT: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_secs(30);

/// The files of all packages, which `leave` is spent for.
pub(super) async fn fetch(index: &Index, lock: &Lock, leave: Leave) -> Result<Tree, Error> {
    drop(leave);
    let client = client(index)?;
    let mut unpacked = Unpacked::default();
    for package in &lock.packages {
        let failed = |why: String| Error::Fetch { wheel: package.wheel().to_owned(), why };
        let bytes = wheel(index, &client, package).await.map_err(failed)?;
        let found = hex(&Sha256::digest(&bytes));
        if found != package.sha256 {
            return Err(failed(format!("its SHA-256 is {found}, not {} as when it was chosen", package.sha256)));
        }
        unpacked.add(package, &bytes)?;
    }
    Ok(unpacked.tree)
}

async fn wheel(index: &Index, client: &reqwest::Client, package: &Locked) -> Result<Vec<u8>, String> {
    let url = Url::parse(&package.url).map_err(|error| error.to_string())?;
    match url.scheme() {
        // Of the operator's own folder, and of no other: an index on the network must not name files of this machine.
        "file" => {
            let path = url.to_file_path().ok().filter(|path| index.has(path));
            from_file(path.ok_or("it lies outside of the folder of packages")?)
        }
        "http" | "https" => from_network(client, index.with_credentials(url)).await,
        other => Err(format!("its address begins with `{other}:`")),
    }
}

fn from_file(path: std::path::PathBuf) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_WHEEL + 1).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST_WHEEL { Err(too_large()) } else { Ok(bytes) }
}

async fn from_network(client: &reqwest::Client, url: Url) -> Result<Vec<u8>, String> {
    // Without the address: it may have a password in it.
    let failed = |error: reqwest::Error| crate::cli::chain(&error.without_url());
    let mut response = client.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    if response.content_length().is_some_and(|length| length > LARGEST_WHEEL) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if (bytes.len() + chunk.len()) as u64 > LARGEST_WHEEL {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large() -> String {
    format!("it has more than {LARGEST_WHEEL} bytes")
}

fn client(index: &Index) -> Result<reqwest::Client, Error> {
    crate::tls::install();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("exuvia/", env!("CARGO_PKG_VERSION")))
        .https_only(index.is_https())
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE);
    // A proxy would look for this machine's own server on its own.
    let builder = if index.is_loopback() { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| Error::Index { why: error.to_string() })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;
    use std::path::Path;

    fn locked(url: &str, sha256: &str) -> Locked {
        Locked { name: "a".into(), version: "1".into(), url: url.into(), sha256: sha256.into() }
    }

    /// What is said of a wheel at `url`.
    async fn fetched(index: &Index, url: &str) -> String {
        let lock = Lock::new(vec![locked(url, "")]);
        super::fetch(index, &lock, Leave::Operator).await.map(drop).unwrap_err().to_string()
    }

    fn file(path: &Path) -> String {
        Url::from_file_path(path).unwrap().into()
    }

    /// A server that answers one request with `head`, and then as many bytes as are wanted.
    fn endless(head: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a-1-py3-none-any.whl", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // An answer that comes before its request is none.
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            let piece = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
            let mut written = stream.write_all(head.as_bytes());
            while written.is_ok() {
                written = stream.write_all(piece.as_bytes());
            }
        });
        url
    }

    /// Seen to fail with any file let through.
    #[tokio::test]
    async fn a_wheel_lies_in_the_folder_or_on_the_network_and_nowhere_else() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let other = elsewhere.path().join("a-1-py3-none-any.whl");
        std::fs::write(&other, "PK").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join("b-1-py3-none-any.whl")).unwrap();
        let index = Index::Folder(folder.path().into());
        let outside = "it lies outside of the folder of packages";
        for path in [&other, &folder.path().join("b-1-py3-none-any.whl"), Path::new("/etc/passwd")] {
            let said = fetched(&index, &file(path)).await;
            assert!(said.ends_with(outside), "{said}");
        }
        // An index on the network that names a file of this machine.
        let network = Index::parse("http://127.0.0.1:9/simple").unwrap();
        let said = fetched(&network, &file(&other)).await;
        assert!(said.ends_with(outside), "{said}");
        let said = fetched(&network, "ftp://127.0.0.1/a-1-py3-none-any.whl").await;
        assert!(said.ends_with("its address begins with `ftp:`"), "{said}");
        // In the folder it is read, and held against its hash.
        std::fs::copy(&other, folder.path().join("c-1-py3-none-any.whl")).unwrap();
        let said = fetched(&index, &file(&folder.path().join("c-1-py3-none-any.whl"))).await;
        assert!(said.contains("its SHA-256 is ") && said.ends_with(", not  as when it was chosen"), "{said}");
    }

    /// Seen to fail with `https_only` left out: then what listens is asked.
    #[tokio::test]
    async fn an_index_with_tls_leads_to_nothing_without() {
        let url = endless("HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n");
        let said = fetched(&Index::parse("https://127.0.0.1:9/simple").unwrap(), &url).await;
        assert!(said.contains("URL scheme is not allowed"), "{said}");
    }

    /// Seen to fail without the bound of a file, and of what comes from the network.
    #[tokio::test]
    async fn a_wheel_that_is_too_large_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a-1-py3-none-any.whl");
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let too_large =
            format!("could not fetch the wheel `a-1-py3-none-any.whl`: it has more than {LARGEST_WHEEL} bytes");
        assert_eq!(fetched(&Index::Folder(folder.path().into()), &file(&path)).await, too_large);
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            let url = endless(head);
            assert_eq!(fetched(&Index::parse(&url).unwrap(), &url).await, too_large, "{head}");
        }
    }
}
