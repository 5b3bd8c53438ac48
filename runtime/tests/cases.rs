//! Runs every program of `runtime/cases` and compares what comes of it with the file beside it (`cases/README.md`), in
//! the sandbox, and those that are marked so under this machine's CPython where it has the same version.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod support;

use exuvia_runtime::{Limits, Program};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::time::Timeless;
use support::{Place, Ran, limits};

/// All fields that a case may have; one that is not here is a mistake in the case.
const FIELDS: [&str; 18] = [
    "status",
    "stdout",
    "stdout_has",
    "stdout_has_not",
    "stderr",
    "inputs",
    "outputs_wanted",
    "result",
    "outputs",
    "missing",
    "reprs",
    "exit",
    "result_depth",
    "result_bytes_at_most",
    "result_is_marked",
    "error",
    "native",
    "host",
];

struct Case {
    name: String,
    source: String,
    expected: Value,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut programs: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "py")).collect();
    programs.sort();
    let case = |path: PathBuf| Case {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        source: fs::read_to_string(&path).unwrap(),
        expected: serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap(),
    };
    programs.into_iter().map(case).collect()
}

#[test]
fn in_the_sandbox() {
    let place = Place::new();
    let mut wrong = String::new();
    let cases = cases();
    assert!(cases.len() > 100);
    for case in &cases {
        let limits = Limits { memory: 512 << 20, files: 64 << 20, output: 1 << 20, ..limits() };
        let ran = place.run_on(&program(&case.expected, &case.source), &limits, Box::new(Timeless::default())).unwrap();
        wrong.extend(differences(&case.expected, &ran).iter().map(|line| format!("{}: {line}\n", case.name)));
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_eq!(place.sandbox.mismatches(), 0);
}

fn program(expected: &Value, source: &str) -> Program {
    let inputs = expected["inputs"].as_object().into_iter().flatten();
    let inputs = inputs.map(|(name, value)| (name.clone(), serde_json::value::to_raw_value(value).unwrap()));
    Program { inputs: inputs.collect(), outputs: texts(&expected["outputs_wanted"]), ..Program::new(source) }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// What is not as expected, in words.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    #[expect(clippy::needless_pass_by_value, reason = "most of what is compared is made for it")]
    fn same<T: Debug + PartialEq>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.0.push(format!("{what} is {found:?}, expected {expected:?}"));
        }
    }

    fn has(&mut self, what: &str, found: &str, parts: &Value) {
        let missing = texts(parts).into_iter().filter(|part| !found.contains(part.as_str()));
        self.0.extend(missing.map(|part| format!("{what} lacks {part:?}: {found:?}")));
    }
}

fn differences(expected: &Value, ran: &Ran) -> Vec<String> {
    let mut wrong = Differences::default();
    for field in expected.as_object().unwrap().keys() {
        if !FIELDS.contains(&field.as_str()) {
            wrong.0.push(format!("the case has an unknown field `{field}`"));
        }
    }
    let (kind, message) =
        ran.ending.strip_prefix("raised ").unwrap_or(&ran.ending).split_once(": ").unwrap_or_default();
    let exit = if kind == "SystemExit" { message.parse::<i64>().ok() } else { None };
    let status = if exit.is_some() { "finished" } else { ran.ending.split([' ', ':']).next().unwrap() };
    wrong.same("status", status, expected["status"].as_str().unwrap());
    wrong.same("exit", exit, expected["exit"].as_i64());
    if expected.get("stdout_has").or(expected.get("stdout_has_not")).is_none() {
        wrong.same("stdout", ran.stdout.as_str(), expected["stdout"].as_str().unwrap());
    }
    wrong.has("stdout", &ran.stdout, &expected["stdout_has"]);
    for part in texts(&expected["stdout_has_not"]) {
        wrong.same(&format!("`{part}` in stdout"), ran.stdout.contains(&part), false);
    }
    wrong.same("stderr", ran.stderr.as_str(), expected["stderr"].as_str().unwrap_or_default());
    wrong.same("outputs", map(&ran.outputs), map(&expected["outputs"]));
    wrong.same("missing", ran.missing.clone(), texts(&expected["missing"]));
    result(expected, ran, &mut wrong);
    for (field, value) in expected["error"].as_object().into_iter().flatten() {
        match field.as_str() {
            "type" => wrong.same("error.type", kind, value.as_str().unwrap()),
            "message" => wrong.same("error.message", message, value.as_str().unwrap()),
            "line" => wrong.same("error.line", ran.line.map(u64::from), value.as_u64()),
            "traceback" => wrong.same("error.traceback", ran.traceback.as_str(), value.as_str().unwrap()),
            "traceback_has" => wrong.has("error.traceback", &ran.traceback, value),
            _ => wrong.0.push(format!("the case has an unknown field `error.{field}`")),
        }
    }
    wrong.0
}

fn map(object: &Value) -> BTreeMap<&String, &Value> {
    object.as_object().into_iter().flatten().collect()
}

fn result(expected: &Value, ran: &Ran, wrong: &mut Differences) {
    if let Some(depth) = expected["result_depth"].as_u64() {
        let mut found = 0;
        let mut value = &ran.result;
        while let Some(inner) = value.as_array().and_then(|list| list.first()) {
            (value, found) = (inner, found + 1);
        }
        wrong.same("depth of result", found, depth);
    } else if let Some(most) = expected["result_bytes_at_most"].as_u64() {
        let size = ran.result.to_string().len() as u64;
        wrong.same(&format!("{size} bytes of result within {most}"), size <= most, true);
        wrong.same("marks", ran.reprs.is_empty(), false);
    } else {
        wrong.same("result", &ran.result, expected.get("result").unwrap_or(&Value::Null));
        wrong.same("reprs", ran.reprs.clone(), texts(&expected["reprs"]));
    }
}

#[test]
fn under_this_machines_cpython() {
    // None of the same version: nothing to compare with.
    let Some(python) = native_python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = String::new();
    for mut case in cases().into_iter().filter(|case| case.expected["native"] == true) {
        let place = folder.path().join(&case.name);
        fs::create_dir(&place).unwrap();
        fs::write(place.join("script.py"), &case.source).unwrap();
        let output = Command::new(python).arg("script.py").current_dir(&place).env("NO_COLOR", "1").output().unwrap();
        let error = case.expected.get_mut("error").and_then(Value::as_object_mut);
        if let Some(error) = error {
            // The line, and the last line of a group's traceback, have no plain form in what CPython prints.
            error.remove("line");
            if error["type"] == "ExceptionGroup" {
                error.remove("type");
                error.remove("message");
            }
        }
        let ran = as_in_the_sandbox(&output, &place);
        wrong.extend(differences(&case.expected, &ran).iter().map(|line| format!("{}: {line}\n", case.name)));
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// A CPython 3.13, by its own word.
fn native_python() -> Option<&'static str> {
    let is_same = |python: &&str| {
        let version = Command::new(python).args(["-c", "import sys; print(*sys.version_info[:2])"]).output();
        version.is_ok_and(|version| version.stdout == b"3 13\n")
    };
    ["python3.13", "python3", "python"].into_iter().find(is_same)
}

fn as_in_the_sandbox(output: &std::process::Output, folder: &Path) -> Ran {
    let stderr = String::from_utf8_lossy(&output.stderr).replace(&format!("{}/", folder.display()), "");
    let last = stderr.trim_end().lines().last().unwrap_or_default().trim_start_matches([' ', '|']).to_owned();
    let failed = !output.status.success();
    Ran {
        ending: if failed { format!("raised {last}") } else { "finished".into() },
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        traceback: stderr.clone(),
        stderr: if failed { String::new() } else { stderr },
        result: Value::Null,
        outputs: Value::Null,
        missing: Vec::new(),
        reprs: Vec::new(),
        line: None,
        cut: 0,
        artifacts: Vec::new(),
        peak_memory: 0,
        cpu: Duration::ZERO,
    }
}
