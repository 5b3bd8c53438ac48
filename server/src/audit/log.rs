//! Writes the log. A file that is full gets a name of its own, and the oldest are removed.

use super::chain::{Head, Key};
use super::{Decided, Entry, verify};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A file that has grown to this is closed.
const LARGEST_FILE: u64 = 16 << 20;
/// Files that are kept. With the size of one, it bounds the log.
const MOST_FILES: usize = 16;

pub(super) const CURRENT: &str = "audit.jsonl";

/// The log of one server.
pub(crate) struct Audit {
    folder: PathBuf,
    key: Key,
    end: Mutex<End>,
    largest_file: u64,
}

struct End {
    file: File,
    size: u64,
    head: Head,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not {doing} the audit log in `{}`: {source}", .folder.display())]
    Io { doing: &'static str, folder: PathBuf, source: io::Error },
}

impl Audit {
    /// Opens the log in `folder`, which goes on where it ended.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        Self::with_files_of(folder, LARGEST_FILE)
    }

    fn with_files_of(folder: &Path, largest_file: u64) -> Result<Self, Error> {
        Self::opened(folder, largest_file).map_err(|source| Error::Io { doing: "open", folder: folder.into(), source })
    }

    fn opened(folder: &Path, largest_file: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let key = Key::open(folder)?;
        let mut head = match Head::read(folder, &key)? {
            Some(head) => head,
            None => first_head(folder, &key)?,
        };
        // Lines come before the head: those after it are what a process that was killed had still written.
        verify::catch_up(folder, &key, &mut head)?;
        let file = append(folder)?;
        let size = file.metadata()?.len();
        Ok(Self { folder: folder.into(), key, end: Mutex::new(End { file, size, head }), largest_file })
    }

    /// Writes decisions that are made together, a line for each, in one write. When this fails, nothing of them must happen.
    pub(crate) fn append(&self, decided: &[Decided<'_>]) -> Result<(), Error> {
        let failed = |source| Error::Io { doing: "write", folder: self.folder.clone(), source };
        let fields = decided.iter().map(|decided| serde_json::to_string(&Entry::new(decided)));
        let fields = fields.collect::<Result<Vec<_>, _>>().map_err(|error| failed(error.into()))?;
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&mut end, &fields).map_err(failed)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn write(&self, end: &mut End, all: &[String]) -> io::Result<()> {
        if end.size >= self.largest_file {
            self.rotate(end)?;
        }
        let (mut lines, mut head) = (String::new(), end.head.clone());
        for fields in all {
            let (line, seal) = self.key.line(head.last + 1, &head.seal, fields);
            lines += &line;
            head = Head { first: head.first.max(1), last: head.last + 1, seal };
        }
        if let Err(error) = end.file.write_all(lines.as_bytes()) {
            // Half a line would end the chain for good.
            let _ = end.file.set_len(end.size);
            return Err(error);
        }
        end.size += lines.len() as u64;
        end.head = head;
        end.head.write(&self.folder, &self.key)
    }

    fn rotate(&self, end: &mut End) -> io::Result<()> {
        end.file.sync_all()?;
        // Names in the order of their lines.
        let name = format!("audit-{:020}.jsonl", end.head.last);
        fs::rename(self.folder.join(CURRENT), self.folder.join(name))?;
        end.file = append(&self.folder)?;
        end.size = 0;
        let full = verify::full_files(&self.folder)?;
        for old in full.iter().take(full.len().saturating_sub(MOST_FILES - 1)) {
            let last = verify::number_in_name(old).unwrap_or_default();
            // The head first: a file that is still there is no gap.
            end.head.first = last + 1;
            end.head.write(&self.folder, &self.key)?;
            fs::remove_file(old)?;
        }
        Ok(())
    }
}

/// The head of a log without a line. It is written before the first one: where there are lines, somebody has removed it, to
/// cut off others.
fn first_head(folder: &Path, key: &Key) -> io::Result<Head> {
    for file in verify::files(folder)? {
        if fs::metadata(file)?.len() > 0 {
            let why = "the ends of its chain are missing; move it away to begin another";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
    }
    let head = Head::default();
    head.write(folder, key)?;
    Ok(head)
}

fn append(folder: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(folder.join(CURRENT))
}

#[cfg(test)]
mod tests {
    use super::super::{Decision, Verdict, verify};
    use super::*;
    use crate::gate::Asker;

    fn write(audit: &Audit, tools: std::ops::Range<u32>) {
        for tool in tools {
            let tool = format!("tool{tool}");
            let of = Decided::of(Asker::client("local"), &tool);
            audit.append(&[Decided { decision: Decision::Allow, rule: "/tools/t", ..of }]).unwrap();
        }
    }

    /// A log of ten lines, changed by `change`, and what is then found.
    fn after(change: impl FnOnce(&mut Vec<String>)) -> Verdict {
        let folder = tempfile::tempdir().unwrap();
        write(&Audit::open(folder.path()).unwrap(), 0..10);
        let path = folder.path().join(CURRENT);
        let mut lines: Vec<_> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        change(&mut lines);
        fs::write(&path, lines.iter().fold(String::new(), |text, line| text + line + "\n")).unwrap();
        verify(folder.path()).unwrap()
    }

    fn broken(place: &str, what: &str) -> Verdict {
        Verdict::Broken { place: place.into(), what: what.into() }
    }

    #[test]
    fn a_line_that_is_edited_cut_or_moved_is_named() {
        assert_eq!(after(|_| {}), Verdict::Sound { lines: 10 });
        let edit = |lines: &mut Vec<String>| lines[3] = lines[3].replace("\"allow\"", "\"deny\"");
        assert_eq!(after(edit), broken("audit.jsonl:4", "the line was changed"));
        let cut = |lines: &mut Vec<String>| drop(lines.remove(3));
        assert_eq!(after(cut), broken("audit.jsonl:4", "the line 4 is missing before it"));
        assert_eq!(
            after(|lines| lines.swap(3, 5)),
            broken("audit.jsonl:4", "the line 6 stands in the place of the line 4")
        );
        let twice = |lines: &mut Vec<String>| lines.insert(4, lines[3].clone());
        assert_eq!(after(twice), broken("audit.jsonl:5", "the line 4 stands in the place of the line 5"));
        let first = |lines: &mut Vec<String>| drop(lines.remove(0));
        assert_eq!(after(first), broken("audit.jsonl:1", "the line 1 is missing before it"));
        let end = |lines: &mut Vec<String>| lines.truncate(8);
        assert_eq!(after(end), broken("audit.jsonl", "the lines 9 to 10 are missing at the end"));
        assert_eq!(after(Vec::clear), broken("audit.jsonl", "the lines 1 to 10 are missing at the end"));
    }

    /// A log of three lines, from which all but the first were cut, and the ends of the chain with them.
    fn without_ends() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(&Audit::open(folder.path()).unwrap(), 0..3);
        fs::remove_file(folder.path().join("head.json")).unwrap();
        let path = folder.path().join(CURRENT);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.split_inclusive('\n').next().unwrap()).unwrap();
        folder
    }

    /// Seen to fail with a missing head taken for that of an empty log.
    #[test]
    fn a_log_without_its_ends_is_not_sound() {
        let folder = without_ends();
        let missing = broken("head.json", "it is missing, and with it where the log ends");
        assert_eq!(verify(folder.path()).unwrap(), missing);
        fs::write(folder.path().join(CURRENT), "").unwrap();
        assert_eq!(verify(folder.path()).unwrap(), missing);
        let fresh = tempfile::tempdir().unwrap();
        drop(Audit::open(fresh.path()).unwrap());
        assert_eq!(verify(fresh.path()).unwrap(), Verdict::Sound { lines: 0 });
    }

    /// Or it would have ends again. Seen to fail with a head that is made whatever lines there are.
    #[test]
    fn a_log_without_its_ends_does_not_go_on() {
        let error = Audit::open(without_ends().path()).err().unwrap().to_string();
        assert!(error.ends_with("the ends of its chain are missing; move it away to begin another"), "{error}");
    }

    #[test]
    fn a_log_goes_on_after_a_restart_and_over_its_files() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..3 {
            let audit = Audit::with_files_of(folder.path(), 1000).unwrap();
            write(&audit, round * 10..round * 10 + 10);
        }
        assert_eq!(verify(folder.path()).unwrap(), Verdict::Sound { lines: 30 });
        let files = verify::full_files(folder.path()).unwrap();
        assert!(files.len() > 2);
        fs::remove_file(&files[1]).unwrap();
        assert!(matches!(verify(folder.path()).unwrap(), Verdict::Broken { .. }));
    }

    /// Seen to fail with only the first of them written.
    #[test]
    fn decisions_that_are_made_together_are_a_line_each() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path()).unwrap();
        let of = |tool| Decided { decision: Decision::Allow, ..Decided::of(Asker::client("local"), tool) };
        audit.append(&[of("a"), of("b"), of("c")]).unwrap();
        audit.append(&[of("d")]).unwrap();
        assert_eq!(verify(folder.path()).unwrap(), Verdict::Sound { lines: 4 });
        let path = folder.path().join(CURRENT);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"b\"", "\"x\"")).unwrap();
        assert_eq!(verify(folder.path()).unwrap(), broken("audit.jsonl:2", "the line was changed"));
    }

    #[test]
    fn old_files_are_removed_and_that_is_no_gap() {
        let folder = tempfile::tempdir().unwrap();
        write(&Audit::with_files_of(folder.path(), 1).unwrap(), 0..40);
        assert_eq!(verify::full_files(folder.path()).unwrap().len(), MOST_FILES - 1);
        assert_eq!(verify(folder.path()).unwrap(), Verdict::Sound { lines: 16 });
        fs::remove_file(&verify::full_files(folder.path()).unwrap()[0]).unwrap();
        assert!(matches!(verify(folder.path()).unwrap(), Verdict::Broken { .. }));
    }

    #[test]
    fn half_a_line_of_a_process_that_was_killed_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        write(&Audit::open(folder.path()).unwrap(), 0..3);
        let mut file = append(folder.path()).unwrap();
        file.write_all(b"{\"number\":4,\"bef").unwrap();
        write(&Audit::open(folder.path()).unwrap(), 3..5);
        assert_eq!(verify(folder.path()).unwrap(), Verdict::Sound { lines: 5 });
    }
}
