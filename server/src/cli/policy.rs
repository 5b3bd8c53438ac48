//! `exuvia policy`: policies as their authors work on them. Nothing here needs a server.

mod import;
mod scaffold;

use super::client::field;
use super::operator::Operator;
use super::print::{error, out};
use super::{Failure, Status};
use crate::approvals;
use crate::shelf::name::encoded;
use exuvia_policies::{Arguments as CallArguments, Call, Count, Grant, MemoryCounters, Policy};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Check, explain, test and compare policies, and write a first one
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// All that is wrong with a policy, and what is right and probably not meant
    Check { file: PathBuf },
    /// What becomes of one call, by which rule, what its conditions saw, and what its limits have counted
    Explain {
        file: PathBuf,
        #[arg(long)]
        tool: String,
        /// The call's arguments
        #[arg(long, value_name = "JSON", default_value = "{}")]
        args: String,
        /// Whose call it is
        #[arg(long, default_value = "local")]
        grant: String,
        /// The data folder of the running server that has counted the grant's calls; without a server there, none is
        /// counted
        #[arg(long, value_name = "DIR", env = "EXUVIA_DATA")]
        data: Option<PathBuf>,
    },
    /// Run the policy's own tests
    Test { file: PathBuf },
    /// Where two policies differ
    Diff { old: PathBuf, new: PathBuf },
    /// Print a first policy, made from the tools of the servers in mcp.json
    Scaffold(scaffold::Arguments),
    /// Write a policy in this form from one of `PolicyLayer`'s, Intercept's or an older one; what is not kept is said
    Import(import::Arguments),
    /// Print a policy with all that was left out filled in
    Export {
        file: PathBuf,
        /// Without `x-sandbox`, for `PolicyLayer`; what that held is not enforced there
        #[arg(long)]
        core: bool,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    match &arguments.what {
        What::Check { file } => Ok(check(&read(file)?)),
        What::Explain { file, tool, args, grant, data } => {
            explain(&read(file)?, tool, args, &counted(grant, data.as_deref())?, grant)
        }
        What::Test { file } => Ok(test(&read(file)?)),
        What::Diff { old, new } => Ok(diff(&read(old)?, &read(new)?)),
        What::Scaffold(arguments) => scaffold::run(arguments),
        What::Import(arguments) => import::run(arguments),
        What::Export { file, core } => {
            let policy = read(file)?;
            out(&if *core { policy.to_core_text() } else { policy.to_text() });
            Ok(Status::Finished)
        }
    }
}

pub(super) fn read(path: &Path) -> Result<Policy, Failure> {
    let (_, policy) = crate::gate::read(path).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(policy)
}

fn check(policy: &Policy) -> Status {
    let findings = exuvia_policies::lint(policy);
    for finding in &findings {
        out(&format!("{}: {} [{}]", finding.rule, finding.message, finding.code));
    }
    if findings.is_empty() {
        out(&format!("nothing is wrong; this version is {}", policy.digest()));
        return Status::Finished;
    }
    Status::Raised
}

fn explain(
    policy: &Policy,
    tool: &str,
    args: &str,
    (counters, by): &(MemoryCounters, Option<String>),
    grant: &str,
) -> Result<Status, Failure> {
    let arguments =
        CallArguments::parse(args.as_bytes()).map_err(|error| Failure::Usage(format!("`--args`: {error}")))?;
    let grant = Grant::new(grant);
    let call = Call { grant: &grant, tool, arguments: &arguments, definition: None };
    let explanation = policy.explain(&call, crate::gate::now(), counters);
    let mut shown = json!(explanation);
    let limits = shown.get_mut("limits").and_then(Value::as_array_mut).into_iter().flatten();
    for (shown, limit) in
        limits.zip(&explanation.limits).filter_map(|(shown, limit)| Some((shown.as_object_mut()?, limit)))
    {
        shown.insert("free_at".into(), approvals::time(limit.free_at).into());
    }
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("counted_by".into(), json!(by));
    }
    out(&serde_json::to_string_pretty(&shown).unwrap_or_default());
    Ok(Status::Finished)
}

/// What the running server has counted of a grant's calls, and which server that is.
fn counted(grant: &str, data: Option<&Path>) -> Result<(MemoryCounters, Option<String>), Failure> {
    let Some(server) = Operator::of_folder(data) else { return Ok((MemoryCounters::new(), None)) };
    let url = server.url(&format!("/counters/{}", encoded(grant)));
    let answer = match server.ask(|client| client.get(url)) {
        Ok(answer) => answer,
        // A server that was killed leaves its socket.
        Err(Failure::Server(_)) => return Ok((MemoryCounters::new(), None)),
        Err(failure) => return Err(failure),
    };
    let counts: Vec<Count> = serde_json::from_value(field(&answer, "counts").clone())
        .map_err(|error| Failure::Server(format!("what `{}` has counted cannot be read: {error}", server.name())))?;
    Ok((MemoryCounters::restore(counts), Some(server.name().to_owned())))
}

fn test(policy: &Policy) -> Status {
    let results = policy.run_tests();
    for result in &results {
        let word = |expectation| json!(expectation).as_str().unwrap_or_default().to_owned();
        if result.passed() {
            out(&format!("ok      {}", result.name));
        } else {
            let (expected, got) = (word(result.expected), word(result.got));
            out(&format!("FAILED  {}: expected {expected}, got {got} by {}", result.name, result.rule));
        }
    }
    if results.is_empty() {
        error("exuvia: the policy has no tests: write them under `x-sandbox.tests`");
    }
    if results.iter().all(exuvia_policies::ExampleResult::passed) { Status::Finished } else { Status::Raised }
}

fn diff(old: &Policy, new: &Policy) -> Status {
    let mut lines = Vec::new();
    compare("", &old.to_json(), &new.to_json(), &mut lines);
    for line in &lines {
        out(line);
    }
    if lines.is_empty() { Status::Finished } else { Status::Raised }
}

/// One line for each place that differs. Both documents' depth is bounded by their reader.
pub(super) fn compare(place: &str, old: &Value, new: &Value, lines: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let at = |name: &str| format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
            for (name, value) in old {
                match new.get(name) {
                    Some(other) => compare(&at(name), value, other, lines),
                    None => lines.push(format!("- {}: {value}", at(name))),
                }
            }
            for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                lines.push(format!("+ {}: {value}", at(name)));
            }
        }
        (old, new) if old == new => {}
        (old, new) => {
            lines.push(format!("- {place}: {old}"));
            lines.push(format!("+ {place}: {new}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named_with_its_place() {
        let mut lines = Vec::new();
        let old = json!({ "default": "deny", "tools": { "a/b": { "limits": [1] }, "c": {} } });
        let new = json!({ "default": "allow", "tools": { "a/b": { "limits": [2] }, "d": {} } });
        compare("", &old, &new, &mut lines);
        assert_eq!(
            lines,
            [
                "- /default: \"deny\"",
                "+ /default: \"allow\"",
                "- /tools/a~1b/limits: [1]",
                "+ /tools/a~1b/limits: [2]",
                "- /tools/c: {}",
                "+ /tools/d: {}",
            ]
        );
    }
}
