//! Reads the log, and holds every line against the chain.

use super::chain::{Head, Key, Link};
use super::log::CURRENT;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Whether the log is as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Sound { lines: u64 },
    Broken { place: String, what: String },
}

/// All lines, the oldest first.
pub(crate) fn lines(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    let files = files(folder)?.into_iter().map(File::open).collect::<io::Result<Vec<_>>>()?;
    Ok(files.into_iter().flat_map(|file| BufReader::new(file).lines()))
}

/// Looks at every line.
pub(crate) fn verify(folder: &Path) -> io::Result<Verdict> {
    let broken = |place: &str, what: String| Ok(Verdict::Broken { place: place.to_owned(), what });
    let key = Key::read(folder)?;
    let head = match Head::read(folder, &key) {
        Ok(Some(head)) => head,
        // It is written before the first line.
        Ok(None) => return broken("head.json", "it is missing, and with it where the log ends".into()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return broken("head.json", error.to_string()),
        Err(error) => return Err(error),
    };
    let mut walk = Walk { key: &key, expected: head.first.max(1), before: None, lines: 0 };
    for path in files(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (index, line) in BufReader::new(File::open(&path)?).lines().enumerate() {
            if let Err(what) = walk.step(&line?) {
                return broken(&format!("{name}:{}", index + 1), what);
            }
        }
    }
    if walk.expected <= head.last {
        return broken(CURRENT, format!("the lines {} to {} are missing at the end", walk.expected, head.last));
    }
    Ok(Verdict::Sound { lines: walk.lines })
}

struct Walk<'k> {
    key: &'k Key,
    expected: u64,
    before: Option<String>,
    lines: u64,
}

impl Walk<'_> {
    fn step(&mut self, line: &str) -> Result<(), String> {
        let Some(Link { number, before, seal }) = self.key.check(line) else {
            return Err("the line was changed".into());
        };
        let expected = self.expected;
        if number == expected + 1 {
            return Err(format!("the line {expected} is missing before it"));
        }
        if number != expected {
            return Err(format!("the line {number} stands in the place of the line {expected}"));
        }
        if self.before.as_ref().is_some_and(|last| *last != before) {
            return Err("the line before it was replaced".into());
        }
        self.expected += 1;
        self.lines += 1;
        self.before = Some(seal);
        Ok(())
    }
}

/// Takes into the head what was written after it, and removes half a line. A line that does not fit stays, for
/// [`verify`] to find.
pub(super) fn catch_up(folder: &Path, key: &Key, head: &mut Head) -> io::Result<()> {
    let path = folder.join(CURRENT);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        OpenOptions::new().write(true).open(&path)?.set_len(whole as u64)?;
    }
    for line in text.get(..whole).unwrap_or_default().lines() {
        let Some(Link { number, before, seal }) = key.check(&line?) else { continue };
        if number == head.last + 1 && before == head.seal {
            *head = Head { first: head.first.max(1), last: number, seal };
        }
    }
    if head.last == 0 { Ok(()) } else { head.write(folder, key) }
}

/// The files that were closed, and the current one.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = full_files(folder)?;
    let current = folder.join(CURRENT);
    if current.exists() {
        files.push(current);
    }
    Ok(files)
}

/// The files that were closed, the oldest first.
pub(super) fn full_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if number_in_name(&path).is_some() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The number of the last line of a file that was closed.
pub(super) fn number_in_name(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("audit-")?.strip_suffix(".jsonl")?.parse().ok()
}
