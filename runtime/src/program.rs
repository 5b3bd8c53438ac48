//! A program and what it is given.

use crate::error::Error;
use crate::files::Input;
use crate::layer::Layer;
use crate::outcome::MOST_NAMES;
use indexmap::IndexMap;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Most bytes of a program's source and inputs. The message is host memory before it is the guest's.
const LARGEST_MESSAGE: usize = 64 << 20;

/// One Python program and everything that decides what it does.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// The source text.
    pub source: String,
    /// The file name that tracebacks show; `script.py` when empty.
    pub name: String,
    /// Variables set before the program starts, also found together, by name, in `input_vars`.
    pub inputs: IndexMap<String, Box<RawValue>>,
    /// Further variables, which are not in `input_vars`.
    pub globals: IndexMap<String, Box<RawValue>>,
    /// Names whose values are read after the program has ended; at most 10,000.
    pub outputs: Vec<String>,
    /// Files that lie in the program's working directory, or at an absolute path below `/tmp` or `/mnt/data`.
    pub files: BTreeMap<String, Input>,
    /// Packages beside those of the image, below `/packages` at the end of `sys.path`.
    pub packages: Option<Layer>,
    /// Decides all randomness of the run.
    pub seed: [u8; 32],
}

impl Program {
    /// A program with nothing but a source, and a seed of zeros.
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), ..Self::default() }
    }

    /// The program message of `python-wasm/guest/ABI.md`; with `session`, of one call of a session.
    pub(crate) fn message(&self, session: bool) -> Result<Vec<u8>, Error> {
        if self.outputs.len() > MOST_NAMES {
            return Err(Error::TooManyOutputs { count: self.outputs.len(), most: MOST_NAMES });
        }
        let source = self.source.as_bytes();
        let mut message = Vec::with_capacity(4 + source.len());
        let length = u32::try_from(source.len()).unwrap_or(u32::MAX);
        message.extend_from_slice(&length.to_le_bytes());
        message.extend_from_slice(source);
        if session || !self.is_plain() {
            let settings = Settings {
                name: (!self.name.is_empty()).then_some(&self.name),
                inputs: &self.inputs,
                globals: &self.globals,
                outputs: &self.outputs,
                session,
                packages: self.packages.is_some(),
            };
            serde_json::to_writer(&mut message, &settings)
                .map_err(|error| Error::Guest { what: format!("its settings could not be written: {error}") })?;
        }
        if message.len() > LARGEST_MESSAGE {
            return Err(Error::ProgramTooLarge { size: message.len(), most: LARGEST_MESSAGE });
        }
        Ok(message)
    }

    fn is_plain(&self) -> bool {
        self.name.is_empty()
            && self.inputs.is_empty()
            && self.globals.is_empty()
            && self.outputs.is_empty()
            && self.packages.is_none()
    }
}

#[derive(serde::Serialize)]
struct Settings<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a String>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    inputs: &'a IndexMap<String, Box<RawValue>>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    globals: &'a IndexMap<String, Box<RawValue>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    outputs: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    session: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    packages: bool,
}
