//! From the bytes of a wheel to the files of a layer. A wheel is whatever its index serves: nothing in it is run here, nothing is
//! written to the disk under a name of its choice, and all of it is counted before it is unpacked.

use super::Error;
use super::lock::Locked;
use exuvia_runtime::Tree;
use std::io::{Cursor, Read};
use std::path::Path;
use zip::ZipArchive;

/// Bytes of one wheel as it is fetched.
pub(crate) const LARGEST_WHEEL: u64 = 64 << 20;
/// Most files, and most bytes of their contents, of all wheels of a layer together. They are host memory until the layer is written.
const MOST_FILES: usize = 20_000;
const MOST_BYTES: u64 = 192 << 20;
/// How an entry of a zip's directory begins.
const ENTRY: &[u8] = b"PK\x01\x02";
/// How programs and libraries of Linux and of macOS begin. Those of Windows are let be: wheels of all Python bring small ones, to start
/// scripts with.
const NATIVE: [&[u8]; 3] = [b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"];
/// What modules and libraries with native code are called.
const LIBRARIES: [&str; 4] = ["so", "pyd", "dll", "dylib"];
/// The kind of file in a Unix mode, and that of a link.
const KIND: u32 = 0o170_000;
const LINK: u32 = 0o120_000;

/// The files of several wheels, put together.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    pub(super) tree: Tree,
    bytes: u64,
}

/// The parts of a wheel's name that its file name says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WheelName<'a> {
    pub(super) name: String,
    pub(super) version: &'a str,
    /// Python, ABI, platform.
    pub(super) tags: [&'a str; 3],
}

impl<'a> WheelName<'a> {
    pub(super) fn parse(file: &'a str) -> Option<Self> {
        let parts: Vec<_> = file.strip_suffix(".whl")?.split('-').collect();
        let (name, version, tags) = match parts[..] {
            [name, version, python, abi, platform] | [name, version, _, python, abi, platform] => {
                (name, version, [python, abi, platform])
            }
            _ => return None,
        };
        Some(Self { name: name.replace(['_', '.'], "-").to_ascii_lowercase(), version, tags })
    }

    /// Whether it is for every machine: all Python.
    pub(super) fn is_pure(&self) -> bool {
        let [python, abi, platform] = self.tags;
        abi == "none" && platform == "any" && python.split('.').any(|tag| tag == "py3" || tag == "py313")
    }
}

impl Unpacked {
    /// Adds the files of a wheel. Of two files at one path the first one stays.
    pub(super) fn add(&mut self, package: &Locked, bytes: &[u8]) -> Result<(), Error> {
        let wheel = package.wheel();
        let wrong = |why: String| Error::Wheel { wheel: wheel.to_owned(), why };
        // Before anything is allocated for them. Whatever reads the archive finds no more entries than this.
        if bytes.windows(ENTRY.len()).filter(|window| *window == ENTRY).count() > MOST_FILES {
            return Err(wrong(format!("it has more than {MOST_FILES} files")));
        }
        let mut archive =
            ZipArchive::new(Cursor::new(bytes)).map_err(|error| wrong(format!("it is no zip archive ({error})")))?;
        for index in 0..archive.len() {
            let mut file = archive.by_index(index).map_err(|error| wrong(format!("it cannot be read ({error})")))?;
            let path = file.name().to_owned();
            if file.unix_mode().is_some_and(|mode| mode & KIND == LINK) {
                return Err(wrong(format!("`{}` is a link", path.escape_debug())));
            }
            if path.ends_with('/') {
                continue;
            }
            check(&path).map_err(|why| wrong(format!("`{}` {why}", path.escape_debug())))?;
            let Some(place) = place(&path) else { continue };
            let left = MOST_BYTES.saturating_sub(self.bytes);
            let mut contents = Vec::new();
            // What the archive says of sizes is its own word.
            let read = (&mut file).take(left + 1).read_to_end(&mut contents);
            read.map_err(|error| wrong(format!("`{}` cannot be unpacked ({error})", path.escape_debug())))?;
            self.bytes += contents.len() as u64;
            if self.bytes > MOST_BYTES {
                return Err(wrong(format!("the packages unpack to more than {MOST_BYTES} bytes")));
            }
            if is_native(place, &contents) {
                let where_it_is = format!("its wheel has `{}`", place.escape_debug());
                return Err(Error::Native {
                    name: package.name.clone(),
                    version: package.version.clone(),
                    where_it_is,
                });
            }
            self.tree.entry(place.to_owned()).or_insert(contents);
            if self.tree.len() > MOST_FILES {
                return Err(wrong(format!("the packages have more than {MOST_FILES} files")));
            }
        }
        Ok(())
    }
}

/// Refuses a path that leads out of the layer, or that two systems read differently.
fn check(path: &str) -> Result<(), &'static str> {
    if path.starts_with('/') || path.contains([':', '\\', '\0']) {
        return Err("is no relative path");
    }
    if path.split('/').any(|name| matches!(name, "" | "." | "..") || name.len() > 255) || path.len() > 1024 {
        return Err("is no plain path");
    }
    Ok(())
}

/// Whether a file has native code, whatever its wheel says of itself. A program would find out only where it imports it.
fn is_native(path: &str, contents: &[u8]) -> bool {
    // `b.so.1` is one, too.
    let name = path.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    LIBRARIES.iter().any(|library| has(name, library)) || NATIVE.iter().any(|begin| contents.starts_with(begin))
}

/// Where a file of a wheel goes; none for what is left out: `.pth` files run code when a Python starts, scripts are for a shell, headers
/// for a compiler, and compiled code is ours to make.
fn place(path: &str) -> Option<&str> {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let path = if has(first, "data") {
        let (kind, rest) = rest.split_once('/')?;
        matches!(kind, "purelib" | "platlib").then_some(rest)?
    } else {
        path
    };
    let is_pth = !path.contains('/') && has(path, "pth");
    (!is_pth && !has(path, "pyc")).then_some(path)
}

fn has(path: &str, wanted: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    fn package() -> Locked {
        Locked {
            name: "a".into(),
            version: "1".into(),
            url: "https://x.example/a-1-py3-none-any.whl".into(),
            sha256: String::new(),
        }
    }

    fn wheel(files: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, contents) in files {
            writer.start_file(*path, SimpleFileOptions::default()).unwrap();
            writer.write_all(contents.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn unpack(bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut unpacked = Unpacked::default();
        unpacked.add(&package(), bytes).map_err(|error| error.to_string())?;
        Ok(unpacked.tree.into_keys().collect())
    }

    /// Seen to fail with each of the three let in: `.pth`, scripts and headers, compiled code.
    #[test]
    fn what_would_run_or_be_in_the_way_is_left_out() {
        let bytes = wheel(&[
            ("a/__init__.py", ""),
            ("a/x.pth", "data"),
            ("a.pth", "import os; os.system('x')"),
            ("evil.PTH", "import os"),
            ("a-1.data/scripts/a", "#!/bin/sh"),
            ("a-1.data/headers/a.h", ""),
            ("a-1.data/purelib/b.py", ""),
            ("a-1.data/purelib/c.pth", ""),
            ("a/__pycache__/x.cpython-313.pyc", "code"),
            ("a-1.dist-info/METADATA", ""),
        ]);
        // `place` leaves them out.
        assert_eq!(unpack(&bytes).unwrap(), ["a-1.dist-info/METADATA", "a/__init__.py", "a/x.pth", "b.py"]);
    }

    /// Seen to fail with `check` left out; then the layer refuses the path, as in `runtime`.
    #[test]
    fn a_path_that_leads_out_is_refused() {
        for (path, why) in [
            ("../evil.py", "is no plain path"),
            ("a/../../evil.py", "is no plain path"),
            ("a//b.py", "is no plain path"),
            ("./a.py", "is no plain path"),
            ("/etc/passwd", "is no relative path"),
            ("C:/a.py", "is no relative path"),
            ("a\\..\\b.py", "is no relative path"),
            ("a-1.data/purelib/../../evil.py", "is no plain path"),
        ] {
            let error = unpack(&wheel(&[("a/ok.py", ""), (path, "x")])).unwrap_err();
            let path = path.escape_debug();
            assert_eq!(error, format!("the wheel `a-1-py3-none-any.whl` cannot be used: `{path}` {why}"));
        }
    }

    /// Seen to fail with the mode not looked at.
    #[test]
    fn a_link_is_refused() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("a/passwd", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let error = unpack(&writer.finish().unwrap().into_inner()).unwrap_err();
        // By its mode: its contents would be a file with the link's target.
        assert_eq!(error, "the wheel `a-1-py3-none-any.whl` cannot be used: `a/passwd` is a link");
    }

    /// Seen to fail with the names let be, and with the contents.
    #[test]
    fn native_code_is_refused_whatever_the_wheel_is_called() {
        for (path, contents) in [
            ("a/_fast.cpython-313-x86_64-linux-gnu.so", ""),
            ("a/_fast.PYD", ""),
            ("a.libs/libz.so.1.2", ""),
            ("a-1.data/platlib/a/libz.dylib", ""),
            ("a/data", "\u{7f}ELF and more"),
        ] {
            let error = unpack(&wheel(&[("a/ok.py", ""), (path, contents)])).unwrap_err();
            let place = path.trim_start_matches("a-1.data/platlib/");
            assert_eq!(
                error,
                format!(
                    "`a` 1 has native code, which cannot be loaded here: its wheel has `{place}`; use a package that is all Python, or \
                     what is built in"
                )
            );
        }
        // The start of a script on Windows, and what is only called so in a part.
        let harmless = [("a/t64.exe", "MZ"), ("a/so.py", ""), ("a/libz.so.txt", ""), ("a/1.2", "")];
        assert_eq!(unpack(&wheel(&harmless)).unwrap().len(), 4);
    }

    /// Seen to fail without the count of bytes.
    #[test]
    fn a_bomb_is_noticed_while_it_is_unpacked() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        writer.start_file("a/zeros", options).unwrap();
        let zeros = vec![0; 1 << 20];
        for _ in 0..=(MOST_BYTES >> 20) {
            writer.write_all(&zeros).unwrap();
        }
        let bytes = writer.finish().unwrap().into_inner();
        assert!(bytes.len() < 1 << 20);
        // `take` bounds each file, the count behind it all of them.
        let error = unpack(&bytes).unwrap_err();
        assert!(error.ends_with(&format!("the packages unpack to more than {MOST_BYTES} bytes")), "{error}");
    }

    /// Seen to fail without that count.
    #[test]
    fn a_million_files_are_counted_before_they_are_listed() {
        let mut bytes = ENTRY.repeat(1_000_000);
        bytes.extend_from_slice(&wheel(&[("a.py", "")]));
        // The count comes before the archive is read.
        let error = unpack(&bytes).unwrap_err();
        assert!(error.ends_with(&format!("it has more than {MOST_FILES} files")), "{error}");
        assert!(unpack(b"no zip").unwrap_err().contains("it is no zip archive"));
    }

    /// Two wheels, each of which has less. Seen to fail without the count.
    #[test]
    fn the_files_of_all_wheels_are_counted_together() {
        let mut unpacked = Unpacked::default();
        let mut add = |folder: &str| {
            let names: Vec<_> = (0..=MOST_FILES / 2).map(|number| format!("{folder}/{number}")).collect();
            let files: Vec<_> = names.iter().map(|name| (&**name, "")).collect();
            unpacked.add(&package(), &wheel(&files)).map_err(|error| error.to_string())
        };
        add("a").unwrap();
        let error = add("b").unwrap_err();
        assert!(error.ends_with(&format!("the packages have more than {MOST_FILES} files")), "{error}");
    }

    /// Seen to fail with all of them called pure.
    #[test]
    fn the_name_of_a_wheel_says_what_it_is_for() {
        let pure = |file| WheelName::parse(file).unwrap().is_pure();
        assert!(pure("a-1-py3-none-any.whl") && pure("a-1-py2.py3-none-any.whl") && pure("a-1-7-py3-none-any.whl"));
        assert!(!pure("a-1-cp313-cp313-manylinux_2_17_x86_64.whl") && !pure("a-1-py3-none-win_amd64.whl"));
        assert!(!pure("a-1-py2-none-any.whl") && !pure("a-1-cp313-abi3-any.whl"));
        assert_eq!(WheelName::parse("Ruamel_Yaml-1-py3-none-any.whl").unwrap().name, "ruamel-yaml");
        assert_eq!(WheelName::parse("a-1.tar.gz"), None);
    }
}
