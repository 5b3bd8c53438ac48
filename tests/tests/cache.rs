//! What is compiled once per machine, and everything that can be wrong with it. Compiling takes a minute, so one test does
//! it, for all that need it; the others work on copies of the user's own cache.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use support::{Ran, binary};
use tempfile::TempDir;

const FILES: [&str; 3] = ["python.cwasm", "library", "seal.json"];

/// A folder with a program, and a cache that is a copy of the user's.
struct Place {
    folder: TempDir,
    cache: PathBuf,
    entry: PathBuf,
}

impl Place {
    fn empty() -> Self {
        // Where the user's cache is, as there is room for it; `/tmp` may be small.
        let folder = tempfile::tempdir_in(users_entry().parent().unwrap().parent().unwrap()).unwrap();
        fs::write(folder.path().join("program.py"), "import pandas as pd\nprint(pd.Series([1, 2]).sum())").unwrap();
        let cache = folder.path().join("cache");
        fs::create_dir(&cache).unwrap();
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
        let entry = cache.join(users_entry().file_name().unwrap());
        Self { folder, cache, entry }
    }

    fn copied() -> Self {
        let place = Self::empty();
        fs::create_dir(&place.entry).unwrap();
        for name in FILES {
            fs::copy(users_entry().join(name), place.entry.join(name)).unwrap();
        }
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.folder.path()).env("EXUVIA_CACHE", &self.cache);
        command.env_remove("EXUVIA_LOG").stdin(Stdio::null());
        command
    }

    fn run(&self) -> Ran {
        self.command(&["run", "program.py"]).output().unwrap().into()
    }

    /// What `doctor` finds wrong with the cache: a file's name, `empty`, or nothing.
    fn damage(&self) -> Option<String> {
        let ran = Ran::from(self.command(&["doctor"]).output().unwrap());
        if ran.stdout.contains("\n  empty: ") {
            return Some("empty".into());
        }
        let line = ran.stdout.lines().find(|line| line.contains("is not what it was when it was made"))?;
        Some(line.split('`').nth(1).unwrap().rsplit('/').next().unwrap().to_owned())
    }

    /// The command in a mount namespace of its own, after `setup`. None where that is not allowed.
    fn with_mounts(&self, setup: &str) -> Option<Ran> {
        let allowed = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|output| output.status.success());
        let script = format!("{setup} && exec \"$0\" run program.py");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).arg(binary()).arg(&self.cache).current_dir(self.folder.path());
        command.env("EXUVIA_CACHE", &self.cache).env_remove("EXUVIA_LOG").stdin(Stdio::null());
        allowed.then(|| command.output().unwrap().into())
    }
}

/// The entry in the user's cache that this binary uses, made if it is not there.
fn users_entry() -> &'static Path {
    static ENTRY: OnceLock<PathBuf> = OnceLock::new();
    ENTRY.get_or_init(|| {
        let mut run = Command::new(binary()).args(["run", "-"]).stdin(Stdio::null()).spawn().unwrap();
        assert!(run.wait().unwrap().success());
        let doctor = Ran::from(Command::new(binary()).arg("doctor").output().unwrap());
        let line = doctor.stdout.lines().find_map(|line| line.trim().strip_prefix("ready: ")).unwrap();
        line.rsplit_once(" (").unwrap().0.into()
    })
}

fn is_right(ran: &Ran) {
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "3\n", ""));
}

fn flip_a_byte(path: &Path, at: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_copy_works_and_is_stamped() {
    let place = Place::copied();
    assert_eq!(place.damage(), None);
    is_right(&place.run());
    assert_eq!(names(&place.entry), ["library", "python.cwasm", "seal.json", "stamp.json"]);
    // A stamp that says nothing costs time, not more.
    fs::write(place.entry.join("stamp.json"), "{}").unwrap();
    is_right(&place.run());
    fs::remove_file(place.entry.join("stamp.json")).unwrap();
    is_right(&place.run());
}

#[test]
fn every_damage_is_found() {
    let place = Place::copied();
    is_right(&place.run());
    for name in FILES {
        let path = place.entry.join(name);
        let (whole, size) = (users_entry().join(name), fs::metadata(&path).unwrap().len());
        // In a seal, a byte of a hash; whose hash that is, is not what the hash says.
        let found = if name == "seal.json" { "library" } else { name };
        for at in [size / 2, 40] {
            flip_a_byte(&path, at);
            assert!(
                place.damage().is_some_and(|damage| damage == found || damage == "seal.json"),
                "byte {at} of {name}"
            );
            fs::copy(&whole, &path).unwrap();
            assert_eq!(place.damage(), None);
        }
        File::options().write(true).open(&path).unwrap().set_len(size - 1).unwrap();
        assert_eq!(place.damage().as_deref(), Some(name), "{name} without its last byte");
        fs::write(&path, "").unwrap();
        assert_eq!(place.damage().as_deref(), Some(name), "{name} without contents");
        fs::remove_file(&path).unwrap();
        assert_eq!(place.damage().as_deref(), Some(name), "without {name}");
        fs::copy(&whole, &path).unwrap();
        assert_eq!(place.damage(), None);
    }
    fs::remove_dir_all(&place.entry).unwrap();
    assert_eq!(place.damage().as_deref(), Some("empty"));
}

#[test]
fn a_damaged_entry_is_made_anew_once_whoever_comes() {
    let place = Place::copied();
    is_right(&place.run());
    // Damage that the file system's own times do not tell: only the change time does.
    let module = place.entry.join("python.cwasm");
    let modified = fs::metadata(&module).unwrap().modified().unwrap();
    flip_a_byte(&module, fs::metadata(&module).unwrap().len() / 2);
    File::options().write(true).open(&module).unwrap().set_modified(modified).unwrap();
    // A process that was killed while it made this entry, one that is making another, and an entry of another version.
    let key = place.entry.file_name().unwrap().to_str().unwrap();
    for folder in [&format!("new-{key}-stale"), "new-0123-other", "0123456789abcdef"] {
        fs::create_dir(place.cache.join(folder)).unwrap();
        fs::write(place.cache.join(folder).join("library"), "x").unwrap();
    }

    let mut first =
        place.command(&["run", "program.py"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(first.stderr.take().unwrap());
    while !said.contains("unpacking the library") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    // The first holds the lock now, and will for a while.
    let second = place.run();
    stderr.read_to_string(&mut said).unwrap();
    let first = Ran::from(first.wait_with_output().unwrap());
    assert_eq!((first.status, first.stdout.as_str()), (Some(0), "3\n"));
    let lines: Vec<_> = said.lines().filter(|line| !line.contains(" WARN ")).collect();
    assert_eq!(
        lines,
        [
            "Preparing Python for this machine. This is done once; later starts take milliseconds.",
            "  unpacking the library",
            "  compiling the interpreter",
            "  starting it and importing NumPy and pandas",
            "  compiling it for speed, which takes longest",
            "  saving the result",
        ]
    );
    assert!(said.contains("rebuilding a damaged cache entry"), "{said}");
    assert_eq!((second.status, second.stdout.as_str()), (Some(0), "3\n"));
    assert_eq!(
        second.stderr,
        "Preparing Python for this machine. This is done once; later starts take milliseconds.\n  waiting for another process that is preparing it\n"
    );

    is_right(&place.run());
    assert_eq!(names(&place.cache), ["0123456789abcdef", key, &format!("{key}.lock"), "new-0123-other"]);
    // The same image gives the same snapshot, byte for byte.
    for name in FILES {
        assert!(
            fs::read(place.entry.join(name)).unwrap() == fs::read(users_entry().join(name)).unwrap(),
            "{name} differs"
        );
    }
    assert_eq!(fs::metadata(&place.entry).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_cache_that_others_can_write_to_is_refused() {
    for inside in [false, true] {
        let place = Place::copied();
        let folder = if inside { &place.entry } else { &place.cache };
        for mode in [0o777, 0o720, 0o702] {
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
            let ran = place.run();
            let why = format!(
                "exuvia: others can write to the cache folder `{}`, and so decide what is run: `chmod go-w` it, or choose another\n",
                folder.display()
            );
            assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr), (Some(3), "", why));
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        is_right(&place.run());
    }
}

#[test]
fn a_read_only_cache_is_used_as_it_is() {
    let read_only = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\"";
    let place = Place::copied();
    let Some(ran) = place.with_mounts(read_only) else { return };
    is_right(&ran);
    let place = Place::empty();
    let ran = place.with_mounts(read_only).unwrap();
    let lock = place.entry.with_extension("lock");
    let why = format!("exuvia: could not open `{}`: Read-only file system (os error 30)\n", lock.display());
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr), (Some(3), "", why));
}

#[test]
fn a_full_disk_is_told_and_nothing_is_left() {
    let place = Place::empty();
    let full = "mount -t tmpfs -o size=8m,mode=700 none \"$1\" && trap 'ls -A \"$1\"' EXIT && \"$0\" run program.py; exit $?; true";
    let Some(ran) = place.with_mounts(full) else { return };
    assert_eq!(
        (ran.status, ran.stdout.as_str()),
        (Some(3), format!("{}.lock\n", place.entry.file_name().unwrap().to_str().unwrap()).as_str()),
        "{}",
        ran.stderr
    );
    let last = ran.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("exuvia: could not write `")
            && last.ends_with("/library`: No space left on device (os error 28)"),
        "{last}"
    );
}
