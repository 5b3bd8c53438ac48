//! `exuvia grants`: keys for those who may use the server.

use super::print::out;
use super::{Failure, Status};
use crate::config::Data;
use crate::grants::Grants;
use std::path::{Path, PathBuf};

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
        /// Its policy; without one, it may do nothing
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
    /// Give a grant a new key, and take the old one away
    Rotate {
        label: String,
        /// Another policy than before
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
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
        What::Create { label, policy } => {
            let policy = checked(policy.as_deref())?;
            show(label, &grants.create(label, policy.as_deref())?);
            if policy.is_none() {
                out(&format!(
                    "It may do nothing yet: `exuvia grants rotate {label} --policy FILE` gives it a policy, and another key."
                ));
            }
        }
        What::Rotate { label, policy } => {
            let policy = checked(policy.as_deref())?;
            show(label, &grants.rotate(label, policy.as_deref())?);
        }
        What::List => {
            let all = grants.list()?;
            if all.is_empty() {
                out("There are no grants: `exuvia grants create NAME` makes one.");
            }
            for grant in all {
                let policy = grant.policy.as_ref().map_or("no policy".into(), |path| path.display().to_string());
                out(&format!("{}  {}  {policy}", grant.created, grant.label));
            }
        }
        What::Revoke { label } => {
            grants.revoke(label)?;
            out(&format!("The key of `{label}` is of no use any more."));
        }
    }
    Ok(Status::Finished)
}

fn show(label: &str, key: &str) {
    out(&format!("The key of `{label}`, which is shown only now:\n\n  {key}\n"));
    out("Clients send it as `x-api-key: KEY` or `Authorization: Bearer KEY`.");
}

/// The whole path of a policy that is right.
fn checked(policy: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    let Some(path) = policy else { return Ok(None) };
    crate::gate::read(path).map_err(|error| Failure::Usage(error.to_string()))?;
    // Not what a link leads to: it may lead to another file later.
    let path = std::path::absolute(path).map_err(|source| Failure::System { doing: "find the policy", source })?;
    Ok(Some(path))
}
