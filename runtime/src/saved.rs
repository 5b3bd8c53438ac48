//! The state that one call of a session leaves and the next begins with: the pages of memory that differ from the snapshot, the
//! files, and the few numbers beside them. Nothing in it is a Python object: it is memory, as it was.
//!
//! As bytes: the pages, the contents of the files, a JSON head that says what they are, and the head's place. Whoever keeps the
//! bytes must notice when they have changed: the guest's memory is not checked, and need not be, as any memory is the guest's
//! own affair. What the host relies on is checked here.

use crate::files::Content;
use crate::pages::{PAGE, large_buffer, large_zeros, populate};
use crate::wasi::KeptWasi;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::sync::mpsc;
use std::thread;

/// Ends every state.
const MAGIC: [u8; 8] = *b"exuvses1";
/// Bytes of the head's length and of [`MAGIC`].
const TRAILER: usize = 16;
/// Bytes in a row for which one system call is cheaper than the page faults that it saves.
const MUCH: usize = 64 << 10;
/// Bytes that are read at a time.
const PIECE: usize = 512 << 10;
/// Bytes from which on another thread is worth its beginning.
const LARGE: usize = 4 << 20;
/// Bytes that most heads fit in.
const ROOM_FOR_HEAD: usize = 16 << 10;
/// A WebAssembly page: memory is a whole number of them.
const WASM_PAGE: u64 = 64 << 10;

/// What a run in a session left behind.
#[derive(Debug)]
pub enum Left {
    /// The state with which the next call begins.
    State(Saved),
    /// It did not return normally, so the session is what it was before.
    Nothing,
    /// The state has at least so many bytes, which is too many.
    TooLarge(u64),
    /// The state could not be read from the instance.
    Failed(io::Error),
}

/// One state of a session.
pub struct Saved {
    bytes: Vec<u8>,
    head: Head,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// The snapshot that the pages differ from.
    snapshot: String,
    /// The layer of packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    packages: Option<String>,
    /// Bytes of linear memory.
    memory: u64,
    /// Runs of pages that differ: the first, and how many.
    pages: Vec<(u32, u32)>,
    wasi: KeptWasi,
    /// Effects begun so far.
    effects: i32,
}

/// What a state is made of, beside its bytes.
pub(crate) struct Parts<'a> {
    pub(crate) snapshot: &'a str,
    pub(crate) packages: Option<String>,
    pub(crate) memory: &'a [u8],
    /// Offsets of the pages that differ, in order.
    pub(crate) pages: &'a [usize],
    pub(crate) wasi: KeptWasi,
    pub(crate) contents: Vec<&'a Content>,
    pub(crate) effects: i32,
}

impl std::fmt::Debug for Saved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saved")
            .field("bytes", &self.bytes.len())
            .field("memory", &self.head.memory)
            .finish_non_exhaustive()
    }
}

impl Saved {
    /// Puts a state together from what an instance has.
    pub(crate) fn new(parts: Parts<'_>) -> io::Result<Self> {
        let contents = usize::try_from(parts.wasi.contents()).map_err(io::Error::other)?;
        let mut bytes = large_buffer(parts.pages.len() * PAGE + contents + ROOM_FOR_HEAD);
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for page in parts.pages {
            let live = parts.memory.get(*page..*page + PAGE);
            bytes.extend_from_slice(live.ok_or_else(|| io::Error::other("a page lies outside the memory"))?);
            let number = u32::try_from(*page / PAGE).map_err(io::Error::other)?;
            match runs.last_mut() {
                Some((first, count)) if *first + *count == number => *count += 1,
                _ => runs.push((number, 1)),
            }
        }
        for content in parts.contents {
            content.append_to(&mut bytes)?;
        }
        let head = Head {
            snapshot: parts.snapshot.to_owned(),
            packages: parts.packages,
            memory: parts.memory.len() as u64,
            pages: runs,
            wasi: parts.wasi,
            effects: parts.effects,
        };
        let before = bytes.len();
        serde_json::to_writer(&mut bytes, &head)?;
        let length = (bytes.len() - before) as u64;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&MAGIC);
        Ok(Self { bytes, head })
    }

    /// The state as bytes, for [`Self::from_bytes`].
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the bytes of a state from where they are kept, so many as there should be; into large pages, as fits their size. `seen` is given
    /// each piece as it comes: of a large state on a thread of its own, while the next is read.
    ///
    /// # Errors
    /// When they cannot be read, or are more or fewer.
    pub fn read(mut source: impl Read, size: usize, mut seen: impl FnMut(&[u8]) + Send) -> io::Result<Vec<u8>> {
        let mut bytes = large_zeros(size);
        if size < LARGE {
            source.read_exact(&mut bytes)?;
            seen(&bytes);
        } else {
            thread::scope(|scope| {
                let (pieces, coming) = mpsc::channel::<&[u8]>();
                thread::Builder::new().spawn_scoped(scope, move || coming.iter().for_each(seen))?;
                for piece in bytes.chunks_mut(PIECE) {
                    source.read_exact(piece)?;
                    // It takes all until there are no more.
                    let _ = pieces.send(piece);
                }
                Ok::<_, io::Error>(())
            })?;
        }
        if source.read(&mut [0])? == 0 { Ok(bytes) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Reads what [`Self::bytes`] gave.
    ///
    /// # Errors
    /// When it is not a state.
    pub fn from_bytes(bytes: Vec<u8>) -> io::Result<Self> {
        let wrong = |why: &'static str| io::Error::new(io::ErrorKind::InvalidData, why);
        let (rest, magic) = bytes.split_last_chunk::<8>().ok_or_else(|| wrong("it is cut"))?;
        let (rest, length) = rest.split_last_chunk::<8>().ok_or_else(|| wrong("it is cut"))?;
        if *magic != MAGIC {
            return Err(wrong("it does not end as a session does"));
        }
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(io::Error::other)?;
        let start = rest.len().checked_sub(length).ok_or_else(|| wrong("its head is longer than it is"))?;
        let (body, head) = rest.split_at_checked(start).ok_or_else(|| wrong("its head is longer than it is"))?;
        let head: Head = serde_json::from_slice(head)?;
        let mut next = 0;
        for (first, count) in &head.pages {
            if *first < next || *count == 0 {
                return Err(wrong("its pages are not in order"));
            }
            next = first.checked_add(*count).ok_or_else(|| wrong("a page lies outside the memory"))?;
        }
        let whole = head.memory.is_multiple_of(WASM_PAGE) && u64::from(next) * PAGE as u64 <= head.memory;
        if !whole || head.memory > crate::engine::MOST_MEMORY {
            return Err(wrong("a page lies outside the memory"));
        }
        if head.page_bytes() as u64 + head.wasi.contents() != body.len() as u64 || head.effects < 0 {
            return Err(wrong("its parts do not make up the whole"));
        }
        Ok(Self { bytes, head })
    }

    /// Whether `snapshot` is the one that the state belongs to.
    pub(crate) fn is_of(&self, snapshot: &str) -> bool {
        self.head.snapshot == snapshot
    }

    /// The name of the layer of packages that it was made with: a call that goes on from it needs the same.
    pub fn packages(&self) -> Option<&str> {
        self.head.packages.as_deref()
    }

    /// Bytes of linear memory.
    pub(crate) fn memory(&self) -> u64 {
        self.head.memory
    }

    pub(crate) fn effects(&self) -> i32 {
        self.head.effects
    }

    pub(crate) fn wasi(&self) -> &KeptWasi {
        &self.head.wasi
    }

    /// Bytes that the state needs of a run's memory limit.
    pub fn needs(&self) -> u64 {
        self.head.memory + self.head.wasi.used()
    }

    /// The contents of all files, one after the other.
    pub(crate) fn contents(&self) -> &[u8] {
        let end = self.bytes.len().saturating_sub(TRAILER);
        let start = self.head.page_bytes();
        let end = start + usize::try_from(self.head.wasi.contents()).unwrap_or(end);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Writes the pages over those of the snapshot in `memory`, which has the length of the state's; the snapshot itself has `snapshot`
    /// bytes.
    pub(crate) fn write_to(&self, memory: &mut [u8], snapshot: usize) -> io::Result<()> {
        let mut rest = self.bytes.as_slice();
        for (first, count) in &self.head.pages {
            let (start, length) = (*first as usize * PAGE, *count as usize * PAGE);
            let (run, after) = rest.split_at_checked(length).ok_or_else(|| io::Error::other("the state is cut"))?;
            let target = memory.get_mut(start..start + length);
            let target = target.ok_or_else(|| io::Error::other("a page lies outside the memory"))?;
            // Beyond the snapshot nobody lists written pages: such an instance is used once.
            let (within, beyond) = target.split_at_mut(snapshot.saturating_sub(start).min(length));
            for (range, huge) in [(within, false), (beyond, true)] {
                if range.len() >= MUCH {
                    populate(range, huge);
                }
            }
            target.copy_from_slice(run);
            rest = after;
        }
        Ok(())
    }
}

impl Head {
    fn page_bytes(&self) -> usize {
        self.pages.iter().map(|(_, count)| *count as usize * PAGE).sum()
    }
}
