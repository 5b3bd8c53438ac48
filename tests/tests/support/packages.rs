//! A server with packages, and an index of them: `uv-for-tests` stands for `uv`.
#![allow(clippy::format_collect, reason = "one short hash")]

use super::server::{Server, command};
use super::{Ran, binary};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A folder of wheels, a cache of its own beside the compiled Python of this user's, and a configuration.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["wheels", "cache"] {
            fs::create_dir(place.path(folder)).unwrap();
        }
        place.share_compiled();
        let config = format!(
            "[packages]\nuv = {:?}\nindex = {:?}\n",
            env!("CARGO_BIN_EXE_uv-for-tests"),
            place.path("wheels").display().to_string()
        );
        fs::write(place.path("exuvia.toml"), config).unwrap();
        let allow = [
            "greet>=1,<2",
            "words",
            "native",
            "source",
            "nowhere",
            "down",
            "hangs",
            "newer",
            "bad",
            "wrong",
            "old",
            "evil",
            "disguised",
        ];
        place.allow(&allow);
        let mut index = serde_json::Map::new();
        let mut add = |name: &str, version: &str, files: &[&str], requires: &[&str], wheel: Option<Vec<u8>>| {
            let sha256 = wheel.as_ref().map(|bytes| hex(&Sha256::digest(bytes)));
            if let (Some(bytes), Some(file)) = (wheel, files.first()) {
                fs::write(place.path("wheels").join(file), bytes).unwrap();
            }
            let entry = index.entry(name).or_insert_with(|| json!({}));
            entry[version] = json!({ "files": files, "requires": requires, "sha256": sha256 });
        };
        let pure = |name: &str, version: &str| format!("{name}-{version}-py3-none-any.whl");
        let greet = |version: &str| {
            wheel(&[
                ("greet/__init__.py", "from words import HELLO\ndef greet(name):\n    return f'{HELLO} {name}'\n"),
                (
                    &format!("greet-{version}.dist-info/METADATA"),
                    &format!("Metadata-Version: 2.1\nName: greet\nVersion: {version}\n"),
                ),
                ("greet.pth", "import os; os.abort()"),
            ])
        };
        add("greet", "1.2", &[&pure("greet", "1.2")], &["words"], Some(greet("1.2")));
        add("greet", "2.0", &[&pure("greet", "2.0")], &["words"], Some(greet("2.0")));
        add("words", "1.0", &[&pure("words", "1.0")], &[], Some(wheel(&[("words.py", "HELLO = 'hello'\n")])));
        add(
            "needs-more",
            "1.0",
            &[&pure("needs_more", "1.0")],
            &["secret-extra"],
            Some(wheel(&[("needs_more.py", "")])),
        );
        add("secret-extra", "6.6", &[&pure("secret_extra", "6.6")], &[], Some(wheel(&[("secret_extra.py", "")])));
        add("native", "3.1", &["native-3.1-cp313-cp313-manylinux_2_28_x86_64.whl"], &[], None);
        add("source", "1.0", &[], &[], None);
        add("newer", "1.0", &[&pure("newer", "1.0")], &["numpy>=99"], Some(wheel(&[("newer.py", "")])));
        add("bad", "1.0", &[&pure("bad", "1.0")], &[], Some(wheel(&[("../../bad.py", "")])));
        let native = wheel(&[("disguised/__init__.py", "from . import _fast"), ("disguised/_fast.so", "\u{7f}ELF")]);
        add("disguised", "1.0", &[&pure("disguised", "1.0")], &[], Some(native));
        add("wrong", "1.0", &[&pure("wrong", "1.0")], &[], Some(wheel(&[("wrong.py", "")])));
        add("old", "1.0", &[&pure("old", "1.0")], &[], Some(wheel(&[("old.py", "VERSION = 1")])));
        let json = serde_json::to_vec(&index).unwrap();
        fs::write(place.path("wheels/index.json"), json).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The compiled Python is the same for all, and takes a minute to make.
    fn share_compiled(&self) {
        let made = Command::new(binary()).args(["run", "-"]).stdin(std::process::Stdio::null()).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let cache = exuvia_cache();
        for entry in fs::read_dir(cache).unwrap().flatten().filter(|entry| entry.path().join("python.cwasm").exists()) {
            std::os::unix::fs::symlink(entry.path(), self.path("cache").join(entry.file_name())).unwrap();
        }
    }

    pub(crate) fn allow(&self, packages: &[&str]) {
        let policy = json!({ "version": "1", "default": "allow", "x-sandbox": { "packages": { "allow": packages } } });
        fs::write(self.path("policy.json"), policy.to_string()).unwrap();
    }

    pub(crate) fn serve(&self) -> Server {
        let data = self.path("data");
        let mut command = command(&data);
        command.env("EXUVIA_CACHE", self.path("cache")).arg("--config").arg(self.path("exuvia.toml"));
        command.arg("--policy").arg(self.path("policy.json")).env("TEST_SECRET", "value");
        Server::of(command, data)
    }

    pub(crate) fn exuvia(&self, arguments: &[&str], input: &str) -> Ran {
        self.exuvia_with(&[], arguments, input)
    }

    /// The same with more in its environment.
    pub(crate) fn exuvia_with(&self, variables: &[(&str, &OsStr)], arguments: &[&str], input: &str) -> Ran {
        fs::write(self.path("script.py"), input).unwrap();
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.folder.path()).envs(variables.iter().copied());
        command.env("EXUVIA_CACHE", self.path("cache")).env("EXUVIA_CONFIG", self.path("exuvia.toml"));
        Ran::from(command.output().unwrap())
    }

    /// How often `uv` was called.
    pub(crate) fn calls(&self) -> usize {
        fs::read_to_string(self.path("wheels/calls")).unwrap_or_default().lines().count()
    }

    /// The folders of layers.
    pub(crate) fn layers(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.path("cache/layers")).into_iter().flatten().flatten();
        all.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    }
}

fn exuvia_cache() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("EXUVIA_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("exuvia")))
        .unwrap_or_else(|| set("HOME").unwrap().join(".cache/exuvia"))
}

pub(crate) fn wheel(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, contents) in files {
        writer.start_file(*path, SimpleFileOptions::default()).unwrap();
        writer.write_all(contents.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn with(packages: &[&str], script: &str) -> Value {
    json!({ "script": script, "additional_imports": packages })
}
