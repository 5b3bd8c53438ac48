//! `exuvia policy scaffold`: a first policy, from what the connected servers say of their tools. What a server claims is a
//! hint: the result is to be read before it is used.

use super::super::print::{error, out};
use super::super::{Failure, Status};
use crate::upstream::{self, Catalog, Settings, Upstreams};
use exuvia_policies::Policy;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How long it waits for servers.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[arg(long, value_name = "FILE", default_value = "mcp.json")]
    mcp_config: PathBuf,
    /// How often each tool that writes may be called: a number per min, hour or day
    #[arg(long, value_name = "RATE", default_value = "30/min")]
    writes: Rate,
    /// Tools whose calls a person approves, whatever they do; `*` stands for any text. May be given several times
    #[arg(long, value_name = "PATTERN")]
    approve: Vec<String>,
}

/// So many calls in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    max: u32,
    window: &'static str,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no rate: write `30/min`, `100/hour` or `5/day`");
        let (max, window) = text.split_once('/').ok_or_else(wrong)?;
        let window = match window.trim() {
            "min" | "minute" => "minute",
            "hour" => "hour",
            "day" => "day",
            _ => return Err(wrong()),
        };
        Ok(Self { max: max.trim().parse().map_err(|_| wrong())?, window })
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let loaded = upstream::load(&arguments.mcp_config).map_err(|error| Failure::Usage(upstream::chain(&error)))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { doing: "start the runtime", source })?;
    let document = runtime.block_on(async {
        let settings = Settings { guard: std::env::current_exe().ok(), ..Settings::default() };
        let upstreams = Upstreams::start(loaded.servers, settings);
        upstreams.settled(PATIENCE).await;
        let catalog = upstreams.catalog();
        for server in upstreams.servers().iter().filter(|server| catalog.of_server(&server.name).is_empty()) {
            error(&format!("exuvia: the tools of `{}` are not known, and are left out: {}", server.name, server.state));
        }
        let document = document(&catalog, arguments);
        upstreams.stop().await;
        document
    })?;
    // As the reader of policies prints it, so that an edit of it shows as just that.
    let policy = Policy::parse(document.to_string())
        .map_err(|error| Failure::Usage(format!("the servers' tools make no right policy:\n{error}")))?;
    out(&policy.to_text());
    Ok(Status::Finished)
}

fn document(catalog: &Catalog, arguments: &Arguments) -> Result<Value, Failure> {
    let mut tools = Map::new();
    for tool in ["executeCode", "asyncExecuteCode", "executeTool"] {
        tools.insert(tool.into(), limited(tool, Rate { max: 10, window: "minute" }));
    }
    for tool in ["checkCodeExecStatus", "cancelCodeExec", "listCodeExecs", "searchTools", "getToolDetails", "listTools"]
    {
        tools.insert(tool.into(), json!({}));
    }
    for pattern in &arguments.approve {
        if !catalog.tools().iter().any(|tool| fits(pattern, &tool.alias)) {
            return Err(Failure::Usage(format!("`--approve {pattern}` fits no tool of the servers that answered")));
        }
    }
    let (mut hidden, mut approved) = (Vec::new(), Map::new());
    for tool in catalog.tools() {
        let (alias, annotations) = (&tool.alias, &tool.annotations);
        if arguments.approve.iter().any(|pattern| fits(pattern, alias)) {
            approved.insert(alias.clone(), json!([{ "conditions": [], "reason": format!("every call of {alias}") }]));
        } else if annotations.destructive && !annotations.read_only {
            hidden.push(alias.clone());
            continue;
        }
        let entry = if annotations.read_only { json!({}) } else { limited(alias, arguments.writes) };
        tools.insert(alias.clone(), entry);
    }
    let mut document = json!({ "version": "1", "default": "deny", "hide": hidden, "tools": tools });
    if let (Some(fields), false) = (document.as_object_mut(), approved.is_empty()) {
        fields.insert("x-sandbox".into(), json!({ "approve_if": approved }));
    }
    Ok(document)
}

fn limited(tool: &str, rate: Rate) -> Value {
    let counter = format!("{}_rate", tool.to_lowercase());
    json!({ "limits": [{ "counter": counter, "window": rate.window, "max": rate.max, "scope": "grant" }] })
}

/// Whether `name` fits a pattern, in which `*` stands for any text. The parts between are looked for from left to right.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in [
            ("a", "a"),
            ("a*", "a"),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a*c", "abbc"),
            ("*", ""),
            ("*b*", "abc"),
            ("a*b*c", "a1b2c"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a*c", "ab"), ("*c", "cb"), ("ab*ba", "aba"), ("", "a"), ("a*b*c", "a1c")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_first_policy_can_be_read() {
        let mut arguments =
            Arguments { mcp_config: PathBuf::new(), writes: Rate { max: 30, window: "minute" }, approve: Vec::new() };
        let made = document(&Catalog::default(), &arguments).unwrap().to_string();
        assert!(Policy::parse(made).unwrap().is_callable("executeCode"));
        arguments.approve.push("mcp_None*".into());
        let error = document(&Catalog::default(), &arguments).unwrap_err().to_string();
        assert_eq!(error, "`--approve mcp_None*` fits no tool of the servers that answered");
    }

    #[test]
    fn a_rate_is_a_number_and_a_window() {
        assert_eq!("30/min".parse(), Ok(Rate { max: 30, window: "minute" }));
        assert_eq!("5 / day".parse(), Ok(Rate { max: 5, window: "day" }));
        for wrong in ["30", "x/min", "1/week", "-1/min"] {
            assert_eq!(
                wrong.parse::<Rate>(),
                Err(format!("`{wrong}` is no rate: write `30/min`, `100/hour` or `5/day`"))
            );
        }
    }
}
