//! Secrets of programs: a program holds a placeholder, and the value is put into those requests that the policy lists.
//!
//! - `value`: one value, which nothing shows; `vault`: those that are kept here, sealed; `rekey`: the key changed; `source`: where
//!   values come from;
//! - `placeholder`: what a program holds instead; `bound`: the secrets of one execution;
//! - `place`: puts values into what leaves;
//! - `forms`: what a value looks like in other encodings; `scrub`: takes all of them out of what comes by;
//! - `memory`: keeps what this process has in its memory to itself.
//!
//! What may be done with a secret is decided by `gate`.

mod bound;
mod forms;
mod memory;
mod place;
mod placeholder;
mod rekey;
mod scrub;
mod source;
mod value;
mod vault;

pub(crate) use bound::{Bound, Trace};
pub(crate) use memory::{close_memory, no_core_files};
pub(crate) use place::{Form, Putting};
pub(crate) use placeholder::Scope;
pub(crate) use rekey::{NewKey, Rekeyed, rekey};
pub(crate) use scrub::{Scrubber, Stream};
pub(crate) use value::Value;
pub(crate) use vault::{Error as VaultError, Vault};

use crate::upstream::Sealed;
use exuvia_policies::{Policy, SecretSource};
use indexmap::IndexMap;
use serde_json::value::{RawValue, to_raw_value};
use std::path::Path;
use std::sync::Arc;

/// What is shown of a value to whoever may not have it.
pub(crate) const MASK: &str = "********";

/// The secrets of a server.
pub(crate) struct Secrets {
    pub(crate) vault: Vault,
    placeholders: placeholder::Maker,
}

/// A secret that a grant may use, as it is told.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// The same for all: neither a part of the value nor its length.
    pub(crate) value: &'static str,
    /// Whether there is a value.
    pub(crate) is_set: bool,
}

impl Secrets {
    /// The secrets that are kept in `folder`, sealed with `sealed`.
    pub(crate) fn open(folder: &Path, sealed: Arc<Sealed>) -> Result<Self, VaultError> {
        let vault = Vault::at(folder, sealed);
        let placeholders = placeholder::Maker::of(&vault.prepare()?);
        Ok(Self { vault, placeholders })
    }

    /// Those of a data folder whose server does not run; none when there is no key, or nothing was kept with it. Nothing is written.
    pub(crate) fn existing(folder: &Path) -> Result<Option<Self>, VaultError> {
        let Some(sealed) = Sealed::existing(folder)? else { return Ok(None) };
        let vault = Vault::at(folder, Arc::new(sealed));
        let root = vault.root()?;
        Ok(root.map(|root| Self { placeholders: placeholder::Maker::of(&root), vault }))
    }

    /// What stands for the secrets of these names in `scope`.
    pub(crate) fn placeholders(&self, scope: Scope<'_>, names: &[String]) -> IndexMap<String, Box<RawValue>> {
        let made = names.iter().filter_map(|name| {
            let placeholder = to_raw_value(&self.placeholders.make(scope, name)).ok()?;
            Some((name.clone(), placeholder))
        });
        made.collect()
    }

    /// Those that a policy lists.
    pub(crate) fn listed(&self, policy: Option<&Policy>) -> Vec<Listed> {
        let all = policy.into_iter().flat_map(Policy::secrets);
        let listed = all.map(|(name, source)| Listed { name: name.into(), value: MASK, is_set: self.is_set(source) });
        listed.collect()
    }

    /// Whether a program may ask for these secrets, or what to do about it.
    pub(crate) fn check(&self, policy: Option<&Policy>, names: &[String], in_session: bool) -> Result<(), String> {
        for name in names {
            let Some(Ok(binding)) = policy.map(|policy| policy.decide_binding(name)) else {
                return Err(format!("there is no secret `{name}`: `getUserSecrets` lists those that exist"));
            };
            if binding.reveals() && in_session {
                return Err(not_in_session(name));
            }
            if !self.is_set(binding.source()) {
                return Err(no_value(name));
            }
        }
        Ok(())
    }

    fn is_set(&self, source: &SecretSource) -> bool {
        source::read(source, &self.vault).is_ok()
    }
}

/// A session's memory is kept on the disk as it is.
fn not_in_session(name: &str) -> String {
    format!(
        "the value of the secret `{name}` itself is in the program's memory, which a session keeps on the disk: leave out          `session_id`"
    )
}

fn no_value(name: &str) -> String {
    format!("the secret `{name}` has no value here: its operator gives it one; the server's log says what is wrong")
}
