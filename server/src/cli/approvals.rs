//! `exuvia approvals`: what waits for a person, and what the person says.

use super::client::{ask, field, text};
use super::print::out;
use super::shown::{barred, visible};
use super::{Failure, Status};
use crate::config::Data;
use crate::grants::operator_token;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Approve or deny the calls that wait for a person
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The server
    #[arg(long, value_name = "URL", env = "EXUVIA_URL", default_value = "http://127.0.0.1:8787", global = true)]
    url: String,
    /// The server's data folder, where the operator's token is
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
    let at = |path: String| format!("{}/operator/v1/approvals{path}", arguments.url.trim_end_matches('/'));
    let one = |id: &str| {
        let is_plain = !id.is_empty() && id.chars().all(|character| character.is_ascii_hexdigit() || character == '-');
        if is_plain { Ok(id.to_owned()) } else { Err(Failure::Usage(format!("`{id}` is not the id of an approval"))) }
    };
    let answer = match &arguments.what {
        What::List => arguments.ask(|client| client.get(at(String::new())))?,
        What::Show { id } => {
            let path = format!("/{}", one(id)?);
            arguments.ask(|client| client.get(at(path)))?
        }
        What::Approve { id } => {
            let path = format!("/{}/approve", one(id)?);
            arguments.ask(|client| client.post(at(path)))?
        }
        What::Deny { id, reason } => {
            let path = format!("/{}/deny", one(id)?);
            arguments.ask(|client| client.post(at(path)).json(&json!({ "reason": reason })))?
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

impl Arguments {
    fn ask(&self, request: impl FnOnce(&Client) -> RequestBuilder) -> Result<Value, Failure> {
        let token = if let Some(token) = &self.token {
            token.clone()
        } else {
            let data = Data::new(self.data.as_deref())?;
            operator_token(&data.operator_token()).map_err(|error| {
                Failure::Usage(format!("{error}; `--data` names the server's data folder, `--token` gives the token"))
            })?
        };
        ask(&self.url, |client| request(client).bearer_auth(token))
    }
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
