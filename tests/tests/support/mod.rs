//! The binary under test, and what a process printed.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod authority;
pub(crate) mod counts;
pub(crate) mod forms;
pub(crate) mod frames;
pub(crate) mod leaks;
pub(crate) mod names;
pub(crate) mod packages;
pub(crate) mod reach;
pub(crate) mod recorder;
pub(crate) mod records;
pub(crate) mod server;
pub(crate) mod streams;
pub(crate) mod unpack;
pub(crate) mod web;

use std::path::Path;
use std::process::Output;

/// The binary under test. It is `exuvia` under another name: cargo tells a test only of binaries of its own package.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_exuvia-under-test"))
}

/// What a process printed, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// None when a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
