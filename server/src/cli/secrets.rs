//! `exuvia secrets`: what programs may use and not see. It works on the data folder, whether the server runs or not; a running
//! one notices at once.

use super::print::out;
use super::{Failure, Status, chain};
use crate::config::Data;
use crate::secrets::{Value, Vault};
use crate::upstream::Sealed;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::sync::Arc;

/// Most bytes read from standard input: more is no secret.
const MOST_READ: u64 = 1 << 20;

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
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let data = Data::new(arguments.data.as_deref())?;
    data.make().map_err(|source| Failure::System { doing: "make the data folder", source })?;
    let sealed = Sealed::open(data.folder()).map_err(|error| Failure::Usage(chain(&error)))?;
    let vault = Vault::at(data.folder(), Arc::new(sealed));
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
    }
    Ok(Status::Finished)
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
