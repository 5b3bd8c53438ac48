//! `exuvia policy`: policies as their authors work on them. Nothing here needs a server.

mod import;
mod scaffold;

use super::print::{error, out};
use super::{Failure, Status};
use exuvia_policies::{Arguments as CallArguments, Call, Grant, MemoryCounters, Policy};
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
    /// What becomes of one call, by which rule, and what its conditions saw
    Explain {
        file: PathBuf,
        #[arg(long)]
        tool: String,
        /// The call's arguments
        #[arg(long, value_name = "JSON", default_value = "{}")]
        args: String,
        #[arg(long, default_value = "local")]
        grant: String,
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
        What::Explain { file, tool, args, grant } => explain(&read(file)?, tool, args, grant),
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

fn explain(policy: &Policy, tool: &str, args: &str, grant: &str) -> Result<Status, Failure> {
    let arguments =
        CallArguments::parse(args.as_bytes()).map_err(|error| Failure::Usage(format!("`--args`: {error}")))?;
    let grant = Grant::new(grant);
    let call = Call { grant: &grant, tool, arguments: &arguments, definition: None };
    let explanation = policy.explain(&call, crate::gate::now(), &MemoryCounters::new());
    out(&serde_json::to_string_pretty(&explanation).unwrap_or_default());
    Ok(Status::Finished)
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
