//! Where a secret of the configuration comes from: the file of the configuration is no place for it.

use crate::upstream::Secret;
use serde::{Deserialize, Deserializer, de::Error};
use std::fs;
use std::path::PathBuf;

#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A variable of the environment.
    Env(String),
    /// The text of a file, without white space at its ends.
    File(PathBuf),
}

impl Source {
    /// The secret, or why there is none.
    pub(crate) fn read(&self) -> Result<Secret, String> {
        let value = match self {
            Self::Env(name) => {
                std::env::var(name).map_err(|_| format!("the environment variable `{name}` is not set"))?
            }
            Self::File(path) => {
                fs::read_to_string(path).map_err(|error| format!("could not read `{}`: {error}", path.display()))?
            }
        };
        let value = value.trim();
        if value.is_empty() { Err("it is empty".into()) } else { Ok(Secret::new(value)) }
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.into())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            // Not repeated: it may be the secret itself.
            _ => Err(D::Error::custom("a secret is not written here: write `env:NAME` or `file:PATH`")),
        }
    }
}
