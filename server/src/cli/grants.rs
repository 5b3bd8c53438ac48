//! `exuvia grants`: keys for those who may use the server.

use super::print::out;
use super::{Failure, Status};
use crate::config::Data;
use crate::grants::Grants;
use std::path::PathBuf;

/// Make and take away the keys by which clients come in
///
/// A running server notices at once. From the first grant on, nobody comes in without a key.
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
    /// Make a grant and show its key, this once
    Create {
        /// Whose it is, e.g. alice-laptop
        label: String,
    },
    /// List the grants
    List,
    /// Take a key away
    Revoke { label: String },
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let data = Data::new(arguments.data.as_deref())?;
    data.make().map_err(|source| Failure::System { doing: "make the data folder", source })?;
    let grants = Grants::at(data.grants());
    match &arguments.what {
        What::Create { label } => {
            let key = grants.create(label)?;
            out(&format!("The key of `{label}`, which is shown only now:\n\n  {key}\n"));
            out("Clients send it as `x-api-key: KEY` or `Authorization: Bearer KEY`.");
        }
        What::List => {
            let all = grants.list()?;
            if all.is_empty() {
                out("There are no grants: `exuvia grants create NAME` makes one.");
            }
            for grant in all {
                out(&format!("{}  {}", grant.created, grant.label));
            }
        }
        What::Revoke { label } => {
            grants.revoke(label)?;
            out(&format!("The key of `{label}` is of no use any more."));
        }
    }
    Ok(Status::Finished)
}
