//! The arrows of the design: which crate may import which, and who alone may touch wasmtime and write `unsafe`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each crate of the workspace, and those of the workspace that it may import. A crate that is not here is refused.
const ARROWS: [(&str, &[&str]); 5] = [
    ("exuvia-policies", &[]),
    ("exuvia-python", &[]),
    ("exuvia-runtime", &["exuvia-python"]),
    ("exuvia", &["exuvia-policies", "exuvia-python", "exuvia-runtime"]),
    ("exuvia-tests", &["exuvia"]),
];

/// Crates of others that only some of ours may import, their tests aside.
const RESERVED: [(&str, &[&str]); 9] = [
    ("wasmtime", &["exuvia-runtime"]),
    ("wasmtime-wasi", &["exuvia-runtime"]),
    ("wasmtime-wizer", &["exuvia-runtime"]),
    ("wiggle", &["exuvia-runtime"]),
    ("wasmparser", &["exuvia-runtime"]),
    ("libc", &["exuvia-runtime"]),
    ("sled", &["exuvia"]),
    ("clap", &["exuvia"]),
    // Policies decide: they know no clock, disk or network.
    ("tokio", &["exuvia-runtime", "exuvia", "exuvia-tests"]),
];

/// One crate of the workspace, as its `Cargo.toml` has it.
#[derive(Debug)]
struct Package {
    manifest: PathBuf,
    imports: BTreeSet<String>,
    /// What only its tests, examples and benchmarks import.
    for_tests: BTreeSet<String>,
}

fn packages() -> BTreeMap<String, Package> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let package = |package: &Value| {
        let imports = |for_tests: bool| {
            let all = package["dependencies"].as_array().unwrap().iter();
            let wanted = all.filter(|import| (import["kind"] == "dev") == for_tests);
            wanted.map(|import| import["name"].as_str().unwrap().to_owned()).collect()
        };
        let manifest = package["manifest_path"].as_str().unwrap().into();
        let name = package["name"].as_str().unwrap().to_owned();
        (name, Package { manifest, imports: imports(false), for_tests: imports(true) })
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

#[test]
fn every_crate_is_in_the_design() {
    let found: BTreeSet<_> = packages().into_keys().collect();
    let known: BTreeSet<_> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, known);
}

#[test]
fn crates_import_along_the_arrows() {
    let packages = packages();
    let mut reversed = Vec::new();
    for (name, allowed) in ARROWS {
        let package = &packages[name];
        for import in package.imports.iter().chain(&package.for_tests) {
            if packages.contains_key(import) && !allowed.contains(&import.as_str()) {
                reversed.push(format!("{name} imports {import}"));
            }
        }
    }
    assert_eq!(reversed, [""; 0]);
}

#[test]
fn what_is_reserved_stays_where_it_belongs() {
    let mut misplaced = Vec::new();
    for (name, package) in packages() {
        for (import, allowed) in RESERVED {
            if package.imports.contains(import) && !allowed.contains(&name.as_str()) {
                misplaced.push(format!("{name} imports {import}"));
            }
        }
    }
    assert_eq!(misplaced, [""; 0]);
}

#[test]
fn unsafe_is_written_in_the_runtime_alone() {
    let mut written = Vec::new();
    for (name, package) in packages() {
        for file in rust_files(&package.manifest) {
            let text = fs::read_to_string(&file).unwrap();
            let is_marked = text.contains("#![expect(unsafe_code, reason = \"");
            if says_unsafe(&text) && !(name == "exuvia-runtime" && is_marked) {
                written.push(file);
            }
        }
    }
    assert_eq!(written, [""; 0].map(PathBuf::from));
}

#[test]
fn every_crate_keeps_the_lints() {
    for (name, package) in packages() {
        let manifest = fs::read_to_string(package.manifest).unwrap();
        assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{name}");
    }
}

fn rust_files(manifest: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![manifest.parent().unwrap().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty());
    files
}

/// Whether the keyword stands in `text` outside comments. Strings do not matter: nobody writes a block into one.
fn says_unsafe(text: &str) -> bool {
    let keyword = ["uns", "afe"].concat();
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let starts = ["{", "fn ", "impl ", "extern "].map(|next| format!("{keyword} {next}"));
    code.into_iter().any(|line| starts.iter().any(|start| line.contains(start.as_str())))
}
