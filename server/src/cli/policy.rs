//! `exuvia policy`: policies as their authors work on them. Nothing here needs a server.

use super::print::{error, out};
use super::{Failure, Status};
use crate::upstream::{self, Settings, Upstreams};
use exuvia_policies::{Arguments as CallArguments, Call, Grant, MemoryCounters, Policy};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long `scaffold` waits for servers.
const PATIENCE: Duration = Duration::from_secs(90);

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
    Scaffold {
        #[arg(long, value_name = "FILE", default_value = "mcp.json")]
        mcp_config: PathBuf,
    },
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
        What::Scaffold { mcp_config } => scaffold(mcp_config),
        What::Export { file, core } => {
            let policy = read(file)?;
            out(&if *core { policy.to_core_text() } else { policy.to_text() });
            Ok(Status::Finished)
        }
    }
}

fn read(path: &Path) -> Result<Policy, Failure> {
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

/// Reading is allowed, writing thirty times a minute, and what destroys is hidden. What a server claims of its tools is a
/// hint: the result is to be read before it is used.
fn scaffold(mcp_config: &Path) -> Result<Status, Failure> {
    let loaded = upstream::load(mcp_config).map_err(|error| Failure::Usage(upstream::chain(&error)))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { doing: "start the runtime", source })?;
    let document = runtime.block_on(async {
        let settings = Settings { guard: std::env::current_exe().ok(), ..Settings::default() };
        let upstreams = Upstreams::start(loaded.servers, settings);
        upstreams.settled(PATIENCE).await;
        for server in upstreams.servers().iter().filter(|server| upstreams.catalog().of_server(&server.name).is_empty())
        {
            error(&format!("exuvia: the tools of `{}` are not known, and are left out: {}", server.name, server.state));
        }
        let document = scaffolded(&upstreams.catalog());
        upstreams.stop().await;
        document
    });
    out(&serde_json::to_string_pretty(&document).unwrap_or_default());
    Ok(Status::Finished)
}

fn scaffolded(catalog: &upstream::Catalog) -> Value {
    let limited = |counter: &str, max: u32| json!({ "limits": [{ "counter": counter, "window": "minute", "max": max, "scope": "grant" }] });
    let mut tools = Map::new();
    for tool in ["executeCode", "asyncExecuteCode", "executeTool"] {
        tools.insert(tool.into(), limited(&format!("{}_rate", tool.to_lowercase()), 10));
    }
    for tool in ["checkCodeExecStatus", "cancelCodeExec", "listCodeExecs", "searchTools", "getToolDetails", "listTools"]
    {
        tools.insert(tool.into(), json!({}));
    }
    let mut hidden = Vec::new();
    for tool in catalog.tools() {
        let rules = match (tool.annotations.read_only, tool.annotations.destructive) {
            (true, _) => json!({}),
            (false, true) => {
                hidden.push(tool.alias.clone());
                continue;
            }
            (false, false) => limited(&format!("{}_rate", tool.alias.to_lowercase()), 30),
        };
        tools.insert(tool.alias.clone(), rules);
    }
    json!({ "version": "1", "default": "deny", "hide": hidden, "tools": tools })
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

    #[test]
    fn a_first_policy_can_be_read() {
        let document = scaffolded(&upstream::Catalog::default()).to_string();
        assert!(Policy::parse(&document).unwrap().is_callable("executeCode"));
    }
}
