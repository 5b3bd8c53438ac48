//! Checks that the committed artefact is the one that its manifest names, and lists the guest package for embedding.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The folders of the guest package, and where their files lie below `/lib/exuvia`.
const GUEST: [(&str, &str); 2] = [("guest/exuvia_guest", "exuvia_guest/"), ("guest/lib", "")];

#[expect(clippy::indexing_slicing, reason = "indexing a JSON value gives null where nothing is")]
fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo::rerun-if-changed=dist");
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(root.join("dist/manifest.json"))?)?;
    for name in ["python.wasm.zst", "library.tar.zst"] {
        let expected = manifest["files"][name]["sha256"].as_str().unwrap_or_default();
        let found = hex(&Sha256::digest(fs::read(root.join("dist").join(name))?));
        if found != expected {
            return Err(format!(
                "python-wasm/dist/{name} has the SHA-256 {found}, but dist/manifest.json says {expected}: \
                 restore it with `git checkout python-wasm/dist`"
            )
            .into());
        }
    }

    let mut files = Vec::new();
    for (folder, prefix) in GUEST {
        println!("cargo::rerun-if-changed={folder}");
        collect(&root.join(folder), prefix, &mut files)?;
    }
    files.sort();

    let mut digest = Sha256::new();
    digest.update(manifest["digest"].as_str().ok_or("dist/manifest.json has no digest")?);
    let mut list = String::from("[\n");
    for (name, path) in &files {
        let contents = fs::read(path)?;
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(name);
        digest.update((contents.len() as u64).to_le_bytes());
        digest.update(&contents);
        // Not the checkout's path: another one may compile with the same target folder, after this has run.
        let path = path.strip_prefix(&root)?.to_str().ok_or("a file's name is not UTF-8")?;
        writeln!(list, "    ({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{path}\"))),")?;
    }
    list.push(']');
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("guest.rs"), list)?;
    println!("cargo::rustc-env=EXUVIA_IMAGE_DIGEST={}", hex(&digest.finalize()));
    let mut packages = String::from("[\n");
    for (name, package) in manifest["packages"].as_object().ok_or("dist/manifest.json lists no packages")? {
        let version = package["version"].as_str().ok_or("a package in dist/manifest.json has no version")?;
        writeln!(packages, "    ({name:?}, {version:?}),")?;
    }
    packages.push(']');
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("packages.rs"), packages)?;
    for (variable, package) in [("PYTHON", "python"), ("NUMPY", "numpy"), ("PANDAS", "pandas")] {
        let version = manifest["versions"][package].as_str().unwrap_or_default();
        println!("cargo::rustc-env=EXUVIA_{variable}_VERSION={version}");
    }
    Ok(())
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::ErrorKind::InvalidData)?;
        if entry.file_type()?.is_dir() {
            if name != "__pycache__" {
                collect(&entry.path(), &format!("{prefix}{name}/"), files)?;
            }
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "py") {
            files.push((format!("{prefix}{name}"), entry.path()));
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
