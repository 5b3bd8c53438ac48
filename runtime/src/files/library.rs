//! A read-only tree that runs share: Python's library and the guest package below `/lib`, or a layer of packages.
//!
//! It is one file in the cache: all contents one after the other, then an index, then the index's place. It is read
//! with positioned reads, so that a warm process that opens no library file pays for none.

use super::node::Kind;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Marks the end of a complete library file.
const MAGIC: [u8; 8] = *b"exuvlib1";
/// Bytes read at a time, by way of the stack.
const CHUNK: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Library {
    path: PathBuf,
    file: File,
    /// The number of its top folder; the others follow.
    first: u32,
    entries: OnceLock<Vec<Entry>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    parent: u32,
    body: Body,
}

#[derive(Debug, Serialize, Deserialize)]
enum Body {
    File { at: u64, size: u64 },
    Folder(BTreeMap<String, u32>),
}

/// The library's top folder.
pub(crate) const ROOT: u32 = 0;
/// A layer's top folder. No library has so many entries.
pub(crate) const LAYER_ROOT: u32 = 1 << 31;

impl Library {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::file("open", path))?;
        Ok(Self::of(path, file, ROOT))
    }

    /// The layer in `file`, which `path` is the name of.
    pub(crate) fn layer(path: &Path, file: File) -> Self {
        Self::of(path, file, LAYER_ROOT)
    }

    fn of(path: &Path, file: File, first: u32) -> Self {
        Self { path: path.to_owned(), file, first, entries: OnceLock::new() }
    }

    /// Paths and contents of all files, in order of their folders.
    pub(crate) fn files(&self) -> Vec<(String, u32)> {
        let mut found = Vec::new();
        let mut folders = vec![(String::new(), self.first)];
        while let Some((path, id)) = folders.pop() {
            for (name, id) in self.children(id).into_iter().flatten() {
                let path = format!("{path}{name}");
                match self.stat(*id) {
                    Some((Kind::Folder, _)) => folders.push((path + "/", *id)),
                    _ => found.push((path, *id)),
                }
            }
        }
        found
    }

    fn entries(&self) -> &[Entry] {
        self.entries.get_or_init(|| {
            read_index(&self.file, self.first).unwrap_or_else(|error| {
                // The file's hash was checked when it was opened, so this is the disk failing under us. An empty
                // library makes imports fail in the program that needed them, and in no other.
                tracing::error!(path = %self.path.display(), %error, "the library index could not be read");
                vec![Entry { parent: self.first, body: Body::Folder(BTreeMap::new()) }]
            })
        })
    }

    fn get(&self, id: u32) -> Option<&Entry> {
        self.entries().get(id.checked_sub(self.first)? as usize)
    }

    pub(crate) fn parent(&self, id: u32) -> u32 {
        self.get(id).map_or(self.first, |entry| entry.parent)
    }

    pub(crate) fn child(&self, id: u32, name: &str) -> Option<u32> {
        match &self.get(id)?.body {
            Body::Folder(entries) => entries.get(name).copied(),
            Body::File { .. } => None,
        }
    }

    pub(crate) fn children(&self, id: u32) -> Option<&BTreeMap<String, u32>> {
        match &self.get(id)?.body {
            Body::Folder(entries) => Some(entries),
            Body::File { .. } => None,
        }
    }

    /// Its kind and size.
    pub(crate) fn stat(&self, id: u32) -> Option<(Kind, u64)> {
        Some(match &self.get(id)?.body {
            Body::File { size, .. } => (Kind::File, *size),
            Body::Folder(_) => (Kind::Folder, 0),
        })
    }

    /// Reads at `offset` into `buffer`, which may be a guest's memory: then no system call may write to it (`fence`). The
    /// number of bytes read, 0 at the end.
    pub(crate) fn read(&self, id: u32, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(Entry { body: Body::File { at, size }, .. }) = self.get(id) else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        let mut from = at.saturating_add(offset);
        let mut copy = [0; CHUNK];
        for piece in buffer.chunks_mut(CHUNK) {
            let copy = copy.get_mut(..piece.len()).unwrap_or_default();
            self.file.read_exact_at(copy, from)?;
            piece.copy_from_slice(copy);
            from += piece.len() as u64;
        }
        Ok(wanted)
    }
}

fn read_index(file: &File, first: u32) -> io::Result<Vec<Entry>> {
    let length = file.metadata()?.len();
    let mut footer = [0; 16];
    let end = length.checked_sub(footer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
    file.read_exact_at(&mut footer, end)?;
    let (place, magic) = footer.split_at(8);
    if magic != MAGIC {
        return Err(io::Error::other("it has no footer"));
    }
    let start = u64::from_le_bytes(place.try_into().unwrap_or_default());
    let size = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
    let mut index = vec![0; size];
    file.read_exact_at(&mut index, start)?;
    let mut entries: Vec<Entry> = serde_json::from_slice(&index).map_err(io::Error::other)?;
    if first != ROOT {
        for entry in &mut entries {
            entry.parent = entry.parent.saturating_add(first);
            if let Body::Folder(children) = &mut entry.body {
                for id in children.values_mut() {
                    *id = id.saturating_add(first);
                }
            }
        }
    }
    Ok(entries)
}

/// Writes a library file.
pub(crate) struct Writer<W> {
    out: W,
    at: u64,
    entries: Vec<Entry>,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W) -> Self {
        let root = Entry { parent: ROOT, body: Body::Folder(BTreeMap::new()) };
        Self { out, at: 0, entries: vec![root] }
    }

    /// Adds a file; `path` is relative to `/lib`.
    pub(crate) fn add(&mut self, path: &str, contents: &mut impl Read) -> io::Result<()> {
        let size = io::copy(contents, &mut self.out)?;
        let body = Body::File { at: self.at, size };
        self.at += size;
        let mut parent = ROOT;
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        for folder in folders.split('/').filter(|name| !name.is_empty()) {
            parent = match self.lookup(parent, folder) {
                Some(id) => id,
                None => self.insert(parent, folder, Body::Folder(BTreeMap::new()))?,
            };
        }
        self.insert(parent, name, body)?;
        Ok(())
    }

    /// Writes the index and gives back the writer.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        serde_json::to_writer(&mut self.out, &self.entries)?;
        self.out.write_all(&self.at.to_le_bytes())?;
        self.out.write_all(&MAGIC)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn lookup(&self, parent: u32, name: &str) -> Option<u32> {
        match &self.entries.get(parent as usize)?.body {
            Body::Folder(entries) => entries.get(name).copied(),
            Body::File { .. } => None,
        }
    }

    fn insert(&mut self, parent: u32, name: &str, body: Body) -> io::Result<u32> {
        let id = u32::try_from(self.entries.len()).map_err(io::Error::other)?;
        self.entries.push(Entry { parent, body });
        match self.entries.get_mut(parent as usize).map(|entry| &mut entry.body) {
            Some(Body::Folder(entries)) => entries.insert(name.to_owned(), id),
            _ => return Err(io::Error::other(format!("`{name}` lies below a file"))),
        };
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("library");
        let mut writer = Writer::new(File::create(&path).unwrap());
        writer.add("python3.13/json/__init__.py", &mut &b"hello"[..]).unwrap();
        writer.add("python3.13/re.py", &mut &b"world!"[..]).unwrap();
        writer.finish().unwrap();

        let library = Library::open(&path).unwrap();
        let python = library.child(ROOT, "python3.13").unwrap();
        let re = library.child(python, "re.py").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(library.read(re, 1, &mut buffer).unwrap(), 5);
        assert_eq!(&buffer[..5], b"orld!");
        assert_eq!(library.read(re, 99, &mut buffer).unwrap(), 0);
        assert_eq!(library.stat(re), Some((Kind::File, 6)));
        assert_eq!(library.parent(re), python);
        assert_eq!(library.child(re, "x"), None);
    }
}
