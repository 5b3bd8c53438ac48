//! `exuvia approvals`: what waits for a person, and what the person says.

use super::client::{field, text};
use super::operator::Operator;
use super::print::out;
use super::shown::{barred, visible};
use super::{Failure, Status};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Approve or deny the calls that wait for a person
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The server, when it is not the one of the data folder
    #[arg(long, value_name = "URL", env = "EXUVIA_URL", global = true)]
    url: Option<String>,
    /// The server's data folder, where its socket and the operator's token are
    #[arg(long, value_name = "DIR", env = "EXUVIA_DATA", global = true)]
    data: Option<PathBuf>,
    /// The operator's token, when it is not in the data folder
    #[arg(long, value_name = "TOKEN", env = "EXUVIA_OPERATOR_TOKEN", hide_env_values = true, global = true)]
    token: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Who asks for what, since when, and until when
    List,
    /// All of one request: the whole arguments, the rule, the reason, the execution
    Show { id: String },
    /// Let the call through, once
    Approve { id: String },
    /// Refuse the call
    Deny {
        id: String,
        /// What the caller is told
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let server = Operator::of(arguments.url.as_deref(), arguments.data.as_deref(), arguments.token.as_deref())?;
    let at = |path: String| server.url(&format!("/approvals{path}"));
    let one = |id: &str| {
        let is_plain = !id.is_empty() && id.chars().all(|character| character.is_ascii_hexdigit() || character == '-');
        if is_plain { Ok(id.to_owned()) } else { Err(Failure::Usage(format!("`{id}` is not the id of an approval"))) }
    };
    let answer = match &arguments.what {
        What::List => server.ask(|client| client.get(at(String::new())))?,
        What::Show { id } => {
            let path = format!("/{}", one(id)?);
            server.ask(|client| client.get(at(path)))?
        }
        What::Approve { id } => {
            let path = format!("/{}/approve", one(id)?);
            server.ask(|client| client.post(at(path)))?
        }
        What::Deny { id, reason } => {
            let path = format!("/{}/deny", one(id)?);
            server.ask(|client| client.post(at(path)).json(&json!({ "reason": reason })))?
        }
    };
    if arguments.json {
        out(&visible(&answer.to_string()));
        return Ok(Status::Finished);
    }
    match &arguments.what {
        What::List => list(&answer),
        What::Show { .. } => show(&answer),
        What::Approve { .. } => {
            out("Approved, once:\n");
            show(&answer);
        }
        What::Deny { .. } => out(&format!("Denied: {} of {}.", text_of(&answer, "tool"), text_of(&answer, "grant"))),
    }
    Ok(Status::Finished)
}

fn list(answer: &Value) {
    let open = field(answer, "approvals").as_array().map(Vec::as_slice).unwrap_or_default();
    if open.is_empty() {
        out("Nothing waits for approval.");
    }
    for one in open {
        let of = |name| text_of(one, name);
        let given = if text(one, "state") == "approved" { ", approved and not used yet" } else { "" };
        out(&format!("{}  {} asks for {}{given}", of("id"), of("grant"), of("tool")));
        out(&format!("    since {} until {}: {}", of("asked_at"), of("expires_at"), of("reason")));
    }
}

fn show(one: &Value) {
    let names = [
        ("approval", "id"),
        ("state", "state"),
        ("grant", "grant"),
        ("tool", "tool"),
        ("reason", "reason"),
        ("note", "note"),
        ("rule", "rule"),
        ("policy", "policy"),
        ("asked", "asked_at"),
        ("until", "expires_at"),
        ("execution", "execution_uuid"),
        ("its name", "execution_name"),
    ];
    for (label, name) in names.into_iter().filter(|(_, name)| !field(one, name).is_null()) {
        out(&format!("{label:10} {}", text_of(one, name)));
    }
    out("arguments, whole:");
    // What is printed ends its lines itself.
    out(barred(field(one, "arguments")).trim_end_matches('\n'));
}

fn text_of(one: &Value, name: &str) -> String {
    visible(text(one, name))
}
