//! `[files]`: how much programs may write, what of it is kept, and for how long.

use super::{Config, duration};
use crate::shelf;
use bytesize::ByteSize;
use serde::Deserialize;
use std::time::Duration;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Files {
    /// Most bytes of large files that one running program has on the disk.
    pub(crate) disk_per_execution: ByteSize,
    /// Most bytes of those of all running programs.
    pub(crate) disk_of_running: ByteSize,
    /// Most files of `/mnt/data` that are kept of one execution.
    pub(crate) count: usize,
    /// The largest that is kept, or taken from a client.
    pub(crate) largest: ByteSize,
    /// Most bytes kept of one execution, of its output besides the record among it.
    pub(crate) kept_per_execution: ByteSize,
    /// Most bytes kept of what one execution prints.
    pub(crate) printed: ByteSize,
    /// Most bytes of all files that are kept.
    pub(crate) disk: ByteSize,
    /// Most bytes of those of one grant.
    pub(crate) disk_per_grant: ByteSize,
    /// Files of clients are removed after this.
    #[serde(with = "duration")]
    pub(crate) expires: Duration,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            disk_per_execution: ByteSize::gib(1),
            disk_of_running: ByteSize::gib(16),
            count: 100,
            largest: ByteSize::mib(256),
            kept_per_execution: ByteSize::gib(1),
            printed: ByteSize::mib(64),
            disk: ByteSize::gib(16),
            disk_per_grant: ByteSize::gib(4),
            expires: Duration::from_secs(24 * 3600),
        }
    }
}

impl Config {
    pub(crate) fn shelf_settings(&self) -> shelf::Settings {
        let Files { largest, disk, disk_per_grant, expires, .. } = &self.files;
        shelf::Settings {
            largest: largest.as_u64(),
            disk: disk.as_u64(),
            disk_per_grant: disk_per_grant.as_u64(),
            expires: *expires,
        }
    }
}
