//! `exuvia policy import`: a policy of others in our form.

use super::super::client::field;
use super::super::print::{error, out};
use super::super::shown::visible;
use super::super::{Failure, Status};
use crate::config::write_atomically;
use crate::{mcp, upstream};
use exuvia_policies::{Imported, Policy};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The policy, in JSON or YAML; `-` for standard input
    file: PathBuf,
    /// The server whose tools it names, as in mcp.json: `create_issue` is then `mcp_NAME_create_issue`
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Where to write it; `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "policy.json")]
    output: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let name = arguments.file.display();
    let text = read(&arguments.file).map_err(|error| Failure::Usage(format!("could not read `{name}`: {error}")))?;
    let named = |tool: &str| match &arguments.server {
        Some(server) => upstream::alias(server, tool),
        None => tool.to_owned(),
    };
    let Imported { policy, warnings } = Policy::import_as(text, named)
        .map_err(|error| Failure::Usage(format!("the policy `{name}` cannot be taken in:\n{error}")))?;
    for warning in &warnings {
        error(&format!("exuvia: {warning}"));
    }
    for name in strangers(&policy.to_json()) {
        error(&format!(
            "exuvia: no tool is called `{}` here, so what it says of it binds nothing: `--server NAME` takes its tools for those of a server",
            visible(&name)
        ));
    }
    let output = &arguments.output;
    if output == Path::new("-") {
        out(&policy.to_text());
        return Ok(Status::Finished);
    }
    if !arguments.force && output.symlink_metadata().is_ok() {
        return Err(Failure::Usage(format!("`{}` is there already: `--force` writes over it", output.display())));
    }
    write_atomically(output, (policy.to_text() + "\n").as_bytes())
        .map_err(|source| Failure::Usage(format!("could not write `{}`: {source}", output.display())))?;
    out(&format!("wrote `{}`, version {}", output.display(), policy.digest()));
    Ok(Status::Finished)
}

/// Names of tools that neither this server nor an upstream server can have.
fn strangers(policy: &Value) -> Vec<String> {
    let named = field(policy, "tools").as_object().into_iter().flat_map(|tools| tools.keys().map(String::as_str));
    let hidden = field(policy, "hide").as_array().into_iter().flatten().filter_map(Value::as_str);
    let sandbox = field(policy, "x-sandbox");
    let lists = ["approve_if", "pins"].into_iter().filter_map(|list| field(sandbox, list).as_object());
    let held = lists.flat_map(|by_tool| by_tool.keys().map(String::as_str));
    let tests = field(sandbox, "tests").as_array().into_iter().flatten();
    let tested = tests.filter_map(|test| field(field(test, "call"), "tool").as_str());
    let is_strange = |name: &&str| *name != "*" && !name.starts_with("mcp_") && !mcp::is_own(name);
    // Each is said once, wherever it is named.
    let strange: BTreeSet<_> = named.chain(hidden).chain(held).chain(tested).filter(is_strange).collect();
    strange.into_iter().map(str::to_owned).collect()
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    // One byte more than may be: the reader then says that it is too large.
    let most = u64::try_from(Policy::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut text)?;
    } else {
        File::open(path)?.take(most).read_to_end(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Seen to fail with a look at `tools` and `hide` alone.
    #[test]
    fn a_name_that_no_tool_has_is_seen_wherever_it_is() {
        let policy = json!({
            "tools": { "refund": {}, "mcp_S_a": {} },
            "hide": ["*", "hidden"],
            "x-sandbox": {
                "approve_if": { "refund": [], "approved": [] },
                "pins": { "pinned": "" },
                "tests": [{ "call": { "tool": "tested" } }, { "call": { "tool": "executeCode" } }],
            },
        });
        assert_eq!(strangers(&policy), ["approved", "hidden", "pinned", "refund", "tested"]);
    }
}
