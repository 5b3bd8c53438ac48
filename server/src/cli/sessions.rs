//! `exuvia sessions`: what a running server keeps between calls.

use super::client::{Server, field, text};
use super::shown::visible;
use super::{Failure, Status, print};
use std::fmt::Write;

/// List and remove the sessions of a grant
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Your sessions, the last used first
    List {
        #[command(flatten)]
        at: Server,
    },
    /// Forget one: its variables and files
    Remove {
        id: String,
        #[command(flatten)]
        at: Server,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    match &arguments.what {
        What::List { at } => {
            let listed = at.ask(|client, url| client.get(format!("{url}/v1/sessions")))?;
            let sessions = field(&listed, "sessions").as_array().map(Vec::as_slice).unwrap_or_default();
            for one in sessions {
                let (id, used, expires) = (text(one, "session_id"), text(one, "used_at"), text(one, "expires_at"));
                let (calls, bytes) = (field(one, "calls"), field(one, "bytes"));
                print::out(&format!("{}  {calls} calls, {bytes} bytes, used {used}, expires {expires}", visible(id)));
            }
            if sessions.is_empty() {
                print::error("exuvia: there are none");
            }
        }
        What::Remove { id, at } => {
            at.ask(|client, url| client.delete(format!("{url}/v1/sessions/{}", encoded(id))))?;
            print::out("removed");
        }
    }
    Ok(Status::Finished)
}

/// As one part of a path.
fn encoded(id: &str) -> String {
    id.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}
