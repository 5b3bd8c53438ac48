//! `exuvia secrets`: what programs may use and not see. It works on the data folder, whether the server runs or not; a running
//! one notices at once.

use super::print::out;
use super::{Failure, Status, chain};
use crate::config::Data;
use crate::secrets::{NewKey, Rekeyed, Value, Vault, rekey};
use crate::upstream::Sealed;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most bytes read from standard input: more is no secret.
const MOST_READ: u64 = 1 << 20;
/// The variable that has the new key, when the key is changed.
const NEW_KEY: &str = "EXUVIA_NEW_KEY";

/// Keep secrets for programs: they use them and never see them
///
/// Values are sealed with the key in `EXUVIA_KEY`, or else with that in the file `key` of the data folder. Which program may use
/// which, and towards which hosts, the policy says.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The server's data folder
    #[arg(long, value_name = "DIR", env = "EXUVIA_DATA", global = true)]
    data: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Keep a value, which is asked for, or read from standard input
    Set {
        /// What policies and programs call it, e.g. `OPENAI_API_KEY`
        name: String,
    },
    /// List the names, when each was changed, and at most the end of each value
    List,
    /// Forget a value
    Remove { name: String },
    /// Seal everything with another key; a server that runs goes on
    ///
    /// The new key is a fresh one, or that in `EXUVIA_NEW_KEY` or in a file. A key in `EXUVIA_KEY` is changed by giving both there, the new
    /// one first, for as long as this takes.
    Rekey {
        /// A file with the new key, as `openssl rand -base64 32` prints one
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let data = Data::new(arguments.data.as_deref())?;
    data.make().map_err(|source| Failure::System { doing: "make the data folder", source })?;
    let sealed = Sealed::open(data.folder()).map_err(|error| Failure::Usage(chain(&error)))?;
    let sealed = Arc::new(sealed);
    let vault = Vault::at(data.folder(), Arc::clone(&sealed));
    let failed = |error: crate::secrets::VaultError| Failure::Usage(chain(&error));
    match &arguments.what {
        What::Set { name } => {
            let is_new = vault.set(name, &given(name)?).map_err(failed)?;
            let done = if is_new { "is kept" } else { "has another value" };
            out(&format!(
                "`{name}` {done}. A policy lets programs use it: \"x-sandbox\": {{ \"secrets\": {{ \"{name}\": {{ \"hosts\": [\"…\"] }} }} }}"
            ));
        }
        What::List => {
            let all = vault.list().map_err(failed)?;
            if all.is_empty() {
                out("There are no secrets: `exuvia secrets set NAME` keeps one.");
            }
            for kept in all {
                out(&format!("{}  {}  {}", kept.changed_at, kept.name, kept.value));
            }
        }
        What::Remove { name } => {
            vault.remove(name).map_err(failed)?;
            out(&format!("`{name}` is forgotten."));
        }
        What::Rekey { key_file } => {
            let new = new_key(key_file.as_deref())?;
            let done = rekey(data.folder(), &sealed, new, &mut crate::upstream::replace);
            let Rekeyed { secrets, others } = done.map_err(|error| Failure::Usage(chain(&error)))?;
            out(&format!("Sealed with the new key: secrets: {secrets}, files of MCP servers: {others}."));
        }
    }
    Ok(Status::Finished)
}

fn new_key(file: Option<&Path>) -> Result<NewKey, Failure> {
    if let Some(file) = file {
        return Sealed::key_in(file).map(NewKey::Given).map_err(|error| Failure::Usage(chain(&error)));
    }
    Ok(std::env::var(NEW_KEY).map_or(NewKey::Fresh, NewKey::Given))
}

/// The value: never an argument, which every process of the machine can read.
fn given(name: &str) -> Result<Value, Failure> {
    let bytes = if std::io::stdin().is_terminal() {
        let typed = rpassword::prompt_password(format!("Value of {name}: "));
        typed.map_err(|source| Failure::System { doing: "read the value", source })?.into_bytes()
    } else {
        let mut bytes = Vec::new();
        let read = std::io::stdin().take(MOST_READ).read_to_end(&mut bytes);
        read.map_err(|source| Failure::System { doing: "read standard input", source })?;
        bytes
    };
    Value::from_bytes(bytes).map_err(|unfit| Failure::Usage(format!("this cannot be a secret: {unfit}")))
}
