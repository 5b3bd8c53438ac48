//! What a session keeps of a run's WASI state: files, open descriptors, the monotonic clock.
//!
//! Random bytes are drawn from each call's own seed. Were the stream kept, a call that was stopped, after which the session is
//! what it was before, would be followed by one that draws the same keys and identifiers again.

use super::Wasi;
use super::descriptors::{Descriptor, Descriptors};
use crate::files::{Content, KeptFiles};
use serde::{Deserialize, Serialize};
use std::io;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptWasi {
    files: KeptFiles,
    /// Kept as they are: a Python file object of an earlier call knows its number, and must not find another file behind it.
    descriptors: Descriptors,
    /// What the monotonic clock last said, nanoseconds.
    monotonic: u64,
}

impl KeptWasi {
    /// Bytes of the contents of all files.
    pub(crate) fn contents(&self) -> u64 {
        self.files.contents()
    }

    /// Bytes that the files take.
    pub(crate) fn used(&self) -> u64 {
        self.files.used()
    }
}

impl Wasi {
    /// What the session keeps, and the contents of its files. The standard streams are each call's own.
    pub(crate) fn keep(&mut self) -> (KeptWasi, Vec<&Content>) {
        for replaced in self.descriptors.renew_first() {
            if let Descriptor::Node(node) = replaced {
                self.files.close(node.id);
            }
        }
        let (files, contents) = self.files.keep();
        (KeptWasi { files, descriptors: self.descriptors.clone(), monotonic: self.monotonic }, contents)
    }

    /// Begins where a call before this one ended. False when its files are larger than the limits, or make no sense.
    pub(crate) fn resume(&mut self, kept: &KeptWasi, contents: &[u8]) -> io::Result<bool> {
        if !self.files.can_bring_back(&kept.files) || !kept.descriptors.fit() {
            return Ok(false);
        }
        self.files.bring_back(&kept.files, contents)?;
        self.descriptors = kept.descriptors.clone();
        self.before = kept.monotonic;
        self.monotonic = kept.monotonic;
        Ok(true)
    }
}
