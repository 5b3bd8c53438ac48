//! The arguments of the tools that take code, checked: each error says what to do.

use crate::executions::{InSession, Priority, Reach, Request, seed};
use crate::packages;
use crate::sessions::Name;
use crate::shelf::{self, Wanted};
use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::time::{Duration, UNIX_EPOCH};

/// Seconds that `executeCode` may take: what clients wait for.
const SHORTEST: f64 = 30.0;
const LONGEST: f64 = 300.0;
/// A longer limit is as good as none.
const CENTURY: f64 = 100.0 * 365.0 * 24.0 * 3600.0;
/// Bytes of an `idempotency_key`.
const LONGEST_KEY: usize = 200;
/// Files that one execution may be given.
const MOST_FILES: usize = 100;
/// Secrets of one execution.
const MOST_SECRETS: usize = 100;
/// Names that every program has already.
const TAKEN: [&str; 1] = ["input_vars"];

/// What `executeCode` and `asyncExecuteCode` take.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CodeArguments {
    pub(crate) script: Option<String>,
    /// An early name of `script`.
    pub(crate) code: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) session_id: Option<String>,
    pub(crate) reset_session: Option<bool>,
    pub(crate) input_vars: Option<Map<String, Value>>,
    pub(crate) output_vars: Option<Value>,
    pub(crate) required_tools: Option<Vec<String>>,
    pub(crate) additional_imports: Option<Vec<String>>,
    pub(crate) local: Option<bool>,
    pub(crate) mcp_server_names: Option<Vec<String>>,
    pub(crate) timeout: Option<f64>,
    pub(crate) required_secrets: Option<Vec<String>>,
    pub(crate) priority: Option<Priority>,
    pub(crate) run_at: Option<Value>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) files: Option<Vec<Value>>,
}

/// Which of the two tools it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Sync,
    Async,
}

/// Reads a tool's arguments into `T`; the error names the field.
pub(super) fn read<T: DeserializeOwned>(arguments: Map<String, Value>) -> Result<T, String> {
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner().to_string();
        if path == "." { error } else { format!("`{path}`: {error}") }
    })
}

/// The request that the arguments ask for.
pub(crate) fn code(arguments: CodeArguments, way: Way) -> Result<Request, String> {
    let script = arguments.script.or(arguments.code).unwrap_or_default();
    if script.trim().is_empty() {
        return Err("`script` is missing or empty: give the Python code to run".into());
    }
    let later = [
        ("priority", arguments.priority.is_some()),
        ("run_at", arguments.run_at.is_some()),
        ("idempotency_key", arguments.idempotency_key.is_some()),
    ];
    if let Some((name, _)) = later.into_iter().find(|(_, given)| *given && way == Way::Sync) {
        return Err(format!("`{name}` is for jobs: give it to asyncExecuteCode"));
    }
    if arguments.idempotency_key.as_ref().is_some_and(|key| key.is_empty() || key.len() > LONGEST_KEY) {
        return Err(format!("`idempotency_key`: give 1 to {LONGEST_KEY} bytes"));
    }
    if arguments.run_at.is_some() && arguments.session_id.is_some() {
        return Err("`run_at` cannot be given with `session_id`: the session's other calls would wait for it".into());
    }
    let input_vars = arguments.input_vars.unwrap_or_default();
    let secrets = secrets(arguments.required_secrets.unwrap_or_default(), &input_vars)?;
    Ok(Request {
        script,
        name: arguments.name,
        description: arguments.description,
        inputs: inputs(input_vars)?,
        secrets,
        outputs: outputs(arguments.output_vars.unwrap_or_default())?,
        reach: Reach {
            servers: arguments.mcp_server_names.unwrap_or_default(),
            tools: arguments.required_tools.unwrap_or_default(),
        },
        wall: wall(arguments.timeout, way)?,
        priority: arguments.priority.unwrap_or_default(),
        run_at: arguments.run_at.map(|at| run_at(&at)).transpose()?,
        session: session(arguments.session_id.as_deref(), arguments.reset_session.unwrap_or_default())?,
        packages: packages::requirements(&arguments.additional_imports.unwrap_or_default())?,
        files: files(arguments.files.unwrap_or_default())?,
        seed: seed().map_err(|error| format!("no random numbers can be had from the system: {error}"))?,
    })
}

/// The session, unless its id is missing or empty.
fn session(id: Option<&str>, reset: bool) -> Result<Option<InSession>, String> {
    match id.filter(|id| !id.is_empty()) {
        Some(id) => Ok(Some(InSession { id: Name::parse(id)?, reset })),
        None if reset => Err("`reset_session` is given without a session: give its `session_id`".into()),
        None => Ok(None),
    }
}

/// Ids, or ids with names.
fn files(given: Vec<Value>) -> Result<Vec<Wanted>, String> {
    if given.len() > MOST_FILES {
        return Err(format!("`files` lists {}: give at most {MOST_FILES}", given.len()));
    }
    let read = |file: Value| {
        let wanted = match &file {
            Value::String(id) => id.parse().ok().map(|id| (id, None)),
            Value::Object(fields) if fields.keys().all(|field| matches!(field.as_str(), "id" | "name")) => {
                let name = fields.get("name").map(|name| name.as_str().map(str::to_owned));
                let id = fields.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
                id.filter(|_| name != Some(None)).map(|id| (id, name.flatten()))
            }
            _ => None,
        };
        let (id, name) = wanted.ok_or_else(|| {
            format!("`files` has {file}: give ids that POST /v1/files answered, or {{\"id\": \"…\", \"name\": \"in/rows.csv\"}}")
        })?;
        name.as_deref().map_or(Ok(()), shelf::name::check)?;
        Ok(Wanted { id, name, hash: String::new() })
    };
    given.into_iter().map(read).collect()
}

fn wall(timeout: Option<f64>, way: Way) -> Result<Option<Duration>, String> {
    let seconds = match (timeout, way) {
        (None, Way::Sync) => LONGEST,
        (None, Way::Async) => return Ok(None),
        (Some(seconds), Way::Sync) if !(SHORTEST..=LONGEST).contains(&seconds) => {
            return Err(format!(
                "`timeout` is {seconds}: give {SHORTEST} to {LONGEST} seconds, or use asyncExecuteCode for longer work"
            ));
        }
        (Some(seconds), Way::Async) if seconds.is_nan() || seconds <= 0.0 => {
            return Err(format!("`timeout` is {seconds}: give a number of seconds above 0, or leave it out"));
        }
        (Some(seconds), _) => seconds,
    };
    Ok(Some(Duration::from_secs_f64(seconds.min(CENTURY))))
}

/// A moment, in milliseconds since 1970, from RFC 3339 or seconds.
fn run_at(given: &Value) -> Result<u64, String> {
    let since = match given {
        Value::String(text) => {
            humantime::parse_rfc3339_weak(text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        }
        other => other.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    };
    let milliseconds = since.and_then(|since| u64::try_from(since.as_millis()).ok());
    milliseconds.ok_or_else(|| {
        format!("`run_at` is {given}: give a time in UTC such as \"2027-01-31T08:00:00Z\", or seconds since 1970")
    })
}

fn inputs(given: Map<String, Value>) -> Result<IndexMap<String, Box<RawValue>>, String> {
    given
        .into_iter()
        .map(|(name, value)| {
            check_name("input_vars", &name)?;
            let value = to_raw_value(&value).map_err(|error| format!("`input_vars.{name}`: {error}"))?;
            Ok((name, value))
        })
        .collect()
}

/// Names of secrets; whether there are such is for the policy to say.
fn secrets(mut names: Vec<String>, inputs: &Map<String, Value>) -> Result<Vec<String>, String> {
    names.sort();
    names.dedup();
    if names.len() > MOST_SECRETS {
        return Err(format!("`required_secrets` has {} names: give at most {MOST_SECRETS}", names.len()));
    }
    for name in &names {
        check_name("required_secrets", name)?;
        if inputs.contains_key(name) {
            return Err(format!(
                "`{name}` is in `input_vars` and in `required_secrets`: choose another name for the input"
            ));
        }
    }
    Ok(names)
}

/// Names and types, from an object or a list.
fn outputs(given: Value) -> Result<IndexMap<String, Option<String>>, String> {
    let pairs: Vec<(String, Option<String>)> = match given {
        Value::Null => Vec::new(),
        Value::Array(names) => {
            let names = names.into_iter().map(|name| match name {
                Value::String(name) => Ok((name, None)),
                other => Err(format!("`output_vars` lists {other}: give names, as in [\"total\"]")),
            });
            names.collect::<Result<_, _>>()?
        }
        Value::Object(types) => types.into_iter().map(|(name, kind)| (name, type_name(&kind))).collect(),
        other => {
            return Err(format!(
                "`output_vars` is {other}: give names and types, as in {{\"total\": \"int\"}}, or a list of names"
            ));
        }
    };
    for (name, _) in &pairs {
        check_name("output_vars", name)?;
    }
    Ok(pairs.into_iter().collect())
}

/// A type as people write it: `"int"`, or `{"type": "integer"}`.
fn type_name(kind: &Value) -> Option<String> {
    kind.as_str().or_else(|| kind.get("type")?.as_str()).map(str::to_owned)
}

fn check_name(field: &str, name: &str) -> Result<(), String> {
    let mut characters = name.chars();
    let starts = characters.next().is_some_and(|first| first.is_alphabetic() || first == '_');
    if !starts || !characters.all(|character| character.is_alphanumeric() || character == '_') {
        return Err(format!("`{field}` has `{name}`, which is not a Python variable name"));
    }
    if TAKEN.contains(&name) || (name.starts_with("__") && name.ends_with("__")) {
        return Err(format!("`{field}` has `{name}`, which Python uses itself: choose another name"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(arguments: Value, way: Way) -> Result<Request, String> {
        let Value::Object(arguments) = arguments else { panic!("not an object") };
        code(read(arguments)?, way)
    }

    #[track_caller]
    fn refused(arguments: Value, expected: &str) {
        assert_eq!(request(arguments, Way::Sync).unwrap_err(), expected);
    }

    #[test]
    fn every_bad_argument_says_what_to_do() {
        refused(json!({}), "`script` is missing or empty: give the Python code to run");
        refused(
            json!({"script": "1", "timeout": 10}),
            "`timeout` is 10: give 30 to 300 seconds, or use asyncExecuteCode for longer work",
        );
        refused(json!({"script": 3}), "`script`: invalid type: integer `3`, expected a string");
        refused(
            json!({"script": "1", "required_tools": "x"}),
            "`required_tools`: invalid type: string \"x\", expected a sequence",
        );
        refused(
            json!({"script": "1", "input_vars": {"2x": 1}}),
            "`input_vars` has `2x`, which is not a Python variable name",
        );
        refused(
            json!({"script": "1", "input_vars": {"__name__": 1}}),
            "`input_vars` has `__name__`, which Python uses itself: choose another name",
        );
        refused(
            json!({"script": "1", "output_vars": 3}),
            "`output_vars` is 3: give names and types, as in {\"total\": \"int\"}, or a list of names",
        );
        assert!(
            request(json!({"script": "1", "additional_imports": ["Pandas>=2", "python_dateutil"]}), Way::Sync).is_ok()
        );
        let other = request(json!({"script": "1", "additional_imports": ["Polars>=1"]}), Way::Sync).unwrap();
        assert_eq!(other.packages, ["polars>=1"]);
        refused(
            json!({"script": "1", "additional_imports": ["--index-url=x"]}),
            "`additional_imports` has `--index-url=x`: a package is a name, and bounds as in `pydantic>=2,<3`; no URL, path, marker or option",
        );
        refused(
            json!({"script": "1", "required_secrets": ["KEY-1"]}),
            "`required_secrets` has `KEY-1`, which is not a Python variable name",
        );
        refused(
            json!({"script": "1", "required_secrets": ["KEY"], "input_vars": {"KEY": 1}}),
            "`KEY` is in `input_vars` and in `required_secrets`: choose another name for the input",
        );
        let named = request(json!({"script": "1", "required_secrets": ["B", "A", "B"]}), Way::Sync).unwrap();
        assert_eq!(named.secrets, ["A", "B"]);
        let error = request(json!({"scrip": "1"}), Way::Sync).unwrap_err();
        assert!(error.starts_with("`scrip`: unknown field `scrip`, expected one of `script`, `code`"), "{error}");
    }

    #[test]
    fn a_session_has_a_name_or_there_is_none() {
        let session = |arguments| request(arguments, Way::Sync).map(|request| request.session);
        assert_eq!(session(json!({"script": "1", "session_id": ""})), Ok(None));
        let named = session(json!({"script": "1", "session_id": "a b", "reset_session": true})).unwrap().unwrap();
        assert_eq!((named.id.as_str(), named.reset), ("a b", true));
        refused(
            json!({"script": "1", "session_id": "a\nb"}),
            "`session_id` has 3 characters: give 1 to 200, and no control characters",
        );
        refused(
            json!({"script": "1", "reset_session": true}),
            "`reset_session` is given without a session: give its `session_id`",
        );
    }

    #[test]
    fn a_job_may_take_as_long_as_it_likes() {
        assert_eq!(request(json!({"script": "1"}), Way::Async).unwrap().wall, None);
        assert_eq!(request(json!({"code": "1"}), Way::Sync).unwrap().wall, Some(Duration::from_secs(300)));
        let hour = request(json!({"script": "1", "timeout": 3600}), Way::Async).unwrap();
        assert_eq!(hour.wall, Some(Duration::from_secs(3600)));
        assert!(request(json!({"script": "1", "timeout": 0}), Way::Async).is_err());
        assert!(request(json!({"script": "1", "timeout": 1e300}), Way::Async).is_ok());
    }

    #[test]
    fn outputs_are_names_or_names_with_types() {
        let outputs = |given| request(json!({"script": "1", "output_vars": given}), Way::Sync).unwrap().outputs;
        assert_eq!(outputs(json!(["b", "a"])).keys().collect::<Vec<_>>(), ["b", "a"]);
        let typed = outputs(json!({"total": "int", "frame": {"type": "array"}, "any": null}));
        assert_eq!(typed["total"].as_deref(), Some("int"));
        assert_eq!(typed["frame"].as_deref(), Some("array"));
        assert_eq!(typed["any"], None);
    }
}
