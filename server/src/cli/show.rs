//! `exuvia show`: what happened to an execution, one line for each thing.

use super::client::{field, text};
use super::kept::Where;
use super::print::out;
use super::shown::visible;
use super::{Failure, Status};
use serde_json::Value;

/// Show what happened to an execution: its calls, waits, decisions, restarts and usage
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    uuid: String,
    /// Show what its calls asked for, not the names of the arguments alone
    #[arg(long)]
    values: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let timeline = arguments.at.timeline(&arguments.uuid, arguments.values)?;
    if arguments.json {
        out(&timeline.to_string());
        return Ok(Status::Finished);
    }
    for line in lines(&timeline) {
        out(&line);
    }
    Ok(Status::Finished)
}

fn lines(timeline: &Value) -> Vec<String> {
    let name = visible(text(timeline, "name"));
    let mut lines = vec![format!("{}  {}  {name}", text(timeline, "execution_uuid"), text(timeline, "status"))];
    lines.push(format!("submitted {}", text(timeline, "submitted_at")));
    lines.extend(field(timeline, "events").as_array().into_iter().flatten().map(event));
    match number(timeline, "left_out") {
        0 => {}
        more => lines.push(format!("            … and {more} more, which are left out")),
    }
    let journal = field(timeline, "journal");
    match text(journal, "state") {
        "none" => lines.push("journal     none: only jobs have one".into()),
        "removed" => lines.push("journal     removed to make room: see `retention.journals`".into()),
        "damaged" => lines.push(format!("journal     DAMAGED after what is shown: {}", visible(text(journal, "why")))),
        _ => lines.push(format!("journal     {} bytes", number(journal, "bytes"))),
    }
    for stream in ["stdout", "stderr"] {
        let printed = field(timeline, stream);
        let bytes = number(printed, "bytes");
        if bytes > 0 {
            lines.push(format!("{stream}      {bytes} bytes: {}", visible(text(printed, "first_line"))));
        }
    }
    let error = field(timeline, "error");
    if error.is_object() {
        let line = field(error, "line").as_u64().map_or_else(String::new, |line| format!(" (line {line})"));
        lines.push(format!("error       {}: {}{line}", visible(text(error, "type")), visible(text(error, "message"))));
    }
    lines.push(usage(timeline));
    lines
}

fn usage(timeline: &Value) -> String {
    let usage = field(timeline, "usage");
    let seconds = |name: &str| field(usage, name).as_f64().unwrap_or_default() / 1e3;
    let mebibytes = number(usage, "peak_memory_bytes") >> 20;
    format!(
        "usage       {} calls, {:.3} s, of which {:.3} s computing, {mebibytes} MiB",
        number(timeline, "tool_calls"),
        seconds("wall_ms"),
        seconds("cpu_ms"),
    )
}

fn event(event: &Value) -> String {
    let when = match field(event, "ms").as_u64() {
        Some(ms) => format!("+{}.{:03} s", ms / 1000, ms % 1000),
        None => String::new(),
    };
    format!("{when:>10}  {}", what(event))
}

fn what(event: &Value) -> String {
    let shown = |name: &str| visible(text(event, name));
    let effect = number(event, "effect");
    match text(event, "event") {
        "queued" => "queued".into(),
        "began" => "began".into(),
        "resumed" => "goes on in another process: the one before was killed or stopped".into(),
        "sleeps" => format!("#{effect} sleeps {} s", field(event, "seconds")),
        "asks" => format!("#{effect} {}", asks(event)),
        "progress" => {
            let percent = field(event, "fraction").as_f64().unwrap_or_default() * 100.0;
            format!("#{effect} progress {percent:.0} % {}", shown("step"))
        }
        "decided" => format!("   {}", decided(event)),
        "answered" => {
            let (took, error) = (number(event, "took_ms"), shown("error"));
            let bytes = field(event, "bytes").as_u64().map_or_else(|| "gone".into(), |bytes| format!("{bytes} bytes"));
            let error = if error.is_empty() { error } else { format!(", {error}") };
            format!("#{effect} answered after {took} ms: {bytes}{error}")
        }
        "in_doubt" => format!("#{effect} is IN DOUBT: {} had left, and has no answer", shown("tool")),
        "called" => {
            let (took, error) = (number(event, "took_ms"), shown("error"));
            let error = if error.is_empty() { error } else { format!(": {error}") };
            format!("called {} for {took} ms{error}", shown("tool"))
        }
        "ended" => format!("ended: {}", shown("status")),
        _ => visible(&event.to_string()),
    }
}

fn asks(event: &Value) -> String {
    let shown = |name: &str| visible(text(event, name));
    if field(event, "request").is_string() {
        return shown("request") + if field(event, "is_cut") == true { "…" } else { "" };
    }
    let positional = usize::try_from(number(event, "positional")).unwrap_or_default();
    let names = field(event, "arguments").as_array().into_iter().flatten().filter_map(Value::as_str).map(visible);
    let cut = (field(event, "is_cut") == true).then(|| "…".to_owned());
    let all: Vec<_> = std::iter::repeat_n("_".to_owned(), positional.min(16)).chain(names).chain(cut).collect();
    let what = match (text(event, "op"), shown("tool")) {
        ("call", tool) => tool,
        (op, tool) if tool.is_empty() => visible(op),
        (op, tool) => format!("{} {tool}", visible(op)),
    };
    format!("{what}({})", all.join(", "))
}

fn decided(event: &Value) -> String {
    let shown = |name: &str| visible(text(event, name));
    let (tool, rule, message) = (shown("tool"), shown("rule"), shown("message"));
    let said = match text(event, "decision") {
        "allow" => format!("allowed: {tool} by {rule}"),
        "deny" => format!("DENIED: {tool} by {rule}"),
        "shadow" => format!("allowed in shadow mode: {tool}, else denied by {rule}"),
        "approval" => format!("a person is asked: {tool} by {rule}, approval {}", shown("approval")),
        decision => format!("{} by {}: {tool}, approval {}", visible(decision), shown("by"), shown("approval")),
    };
    if message.is_empty() { said } else { format!("{said}: {message}") }
}

fn number(object: &Value, name: &str) -> u64 {
    field(object, name).as_u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_program_chose_cannot_forge_a_line() {
        let asks = json!({ "event": "asks", "ms": 1, "effect": 1, "op": "call", "tool": "mcp_\u{1b}[2J\n+9 s ended",
            "positional": 1, "arguments": ["a\rb"], "is_cut": true });
        assert_eq!(event(&asks), "  +0.001 s  #1 mcp_\\u001b[2J\\u000a+9 s ended(_, a\\u000db, …)");
    }

    #[test]
    fn what_is_not_known_is_shown_as_it_is() {
        let unknown = json!({ "event": "new", "ms": 61_005, "what": "x\n" });
        assert_eq!(event(&unknown), " +61.005 s  {\"event\":\"new\",\"ms\":61005,\"what\":\"x\\n\"}");
        let http = json!({ "event": "asks", "effect": 2, "op": "http", "positional": 0, "arguments": ["url"] });
        assert_eq!(what(&http), "#2 http(url)");
    }
}
