//! A stand-in for `uv pip compile`, for tests without a network and on machines that have no `uv`: the same command line, the same
//! lock, the same words when there is no solution. It knows the packages that `index.json` in its folder of wheels lists, and notes
//! each call in `calls` beside it. The suite `packages` of `tests/interop` runs the same cases with the real one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test program")]

use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--version"] {
        println!("uv 0.0.0 (stand-in)");
        return;
    }
    let after = |flag: &str| {
        let places = arguments.iter().enumerate().filter(move |(_, argument)| *argument == flag);
        places.filter_map(|(place, _)| arguments.get(place + 1)).cloned().collect::<Vec<_>>()
    };
    for needed in ["--only-binary", "--no-python-downloads", "--no-config", "--no-index"] {
        assert!(arguments.iter().any(|argument| argument == needed), "{needed} is missing in {arguments:?}");
    }
    let folder = PathBuf::from(&after("--find-links")[0]);
    let mut calls = fs::File::options().create(true).append(true).open(folder.join("calls")).unwrap();
    writeln!(calls, "{}", std::env::vars().map(|(name, _)| name).collect::<Vec<_>>().join(" ")).unwrap();
    let is_here = after("--python-platform") == ["wasm32-pyodide2025"];
    let constraints =
        if after("--constraints").is_empty() { String::new() } else { fs::read_to_string("constraints.txt").unwrap() };
    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
    match resolve(&index, &fs::read_to_string("requirements.in").unwrap(), &constraints, is_here) {
        Ok(chosen) => print(&folder, &chosen),
        Err(words) => {
            eprintln!("{words}");
            std::process::exit(1);
        }
    }
}

type Chosen = BTreeMap<String, (String, Vec<String>, String)>;

fn resolve(index: &Value, requirements: &str, constraints: &str, is_here: bool) -> Result<Chosen, String> {
    let mut waiting: VecDeque<String> = requirements.lines().map(str::to_owned).collect();
    let mut chosen = Chosen::new();
    while let Some(text) = waiting.pop_front() {
        let (name, _) = split(&text);
        match name {
            "hangs" => loop {
                std::thread::park();
            },
            "down" => {
                return Err(
                    "error: Request failed after 3 retries\n  cause: Failed to fetch: http://127.0.0.1:9/down/".into(),
                );
            }
            _ => {}
        }
        if chosen.contains_key(name) {
            continue;
        }
        if let Some(built_in) = constraints.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("==")) {
            if !meets(built_in, split(&text).1) {
                return Err(no_solution("Because numpy is bound"));
            }
            continue;
        }
        let Some(versions) = index[name].as_object() else {
            return Err(no_solution(&format!(
                "Because {name} was not found in the provided package locations and you require {name}"
            )));
        };
        let bounds = constraints.lines().filter(|line| split(line).0 == name).map(|line| split(line).1);
        let bounds: Vec<&str> = bounds.chain([split(&text).1]).collect();
        let files = |version: &Value| -> Vec<String> {
            let all = version["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap().to_owned());
            all.filter(|file| !is_here || file.ends_with("-none-any.whl")).collect()
        };
        let fit = versions.iter().filter(|(version, of)| {
            bounds.iter().all(|bound| meets(version, bound)) && !files(of).is_empty() && of["yanked"] != true
        });
        let Some((version, of)) = fit.max_by_key(|(version, _)| number(version)) else {
            return Err(no_solution(&format!(
                "Because all versions of {name} have no usable wheels and you require {name}"
            )));
        };
        waiting.extend(of["requires"].as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()));
        let sha256 = of["sha256"].as_str().unwrap_or_default().to_owned();
        chosen.insert(name.to_owned(), (version.clone(), files(of), sha256));
    }
    Ok(chosen)
}

fn no_solution(why: &str) -> String {
    format!(
        "error: No solution found when resolving dependencies\n  cause: {why}, we can conclude that your requirements are unsatisfiable."
    )
}

fn split(requirement: &str) -> (&str, &str) {
    let end = requirement.find(['=', '<', '>']).unwrap_or(requirement.len());
    requirement.split_at(end)
}

fn meets(version: &str, bounds: &str) -> bool {
    bounds.split(',').filter(|bound| !bound.is_empty()).all(|bound| {
        let is = |sign: &str| bound.strip_prefix(sign).map(number);
        let version = number(version);
        is("==").is_none_or(|bound| version == bound)
            && is(">=").is_none_or(|bound| version >= bound)
            && is("<").is_none_or(|bound| version < bound)
    })
}

fn number(version: &str) -> Vec<u64> {
    version.split('.').filter_map(|part| part.parse().ok()).collect()
}

fn print(folder: &Path, chosen: &Chosen) {
    println!("lock-version = \"1.0\"\ncreated-by = \"uv\"\n");
    for (name, (version, files, sha256)) in chosen {
        println!("[[packages]]\nname = \"{name}\"\nversion = \"{version}\"");
        let wheels = files.iter().map(|file| {
            format!("{{ url = \"file://{}\", hashes = {{ sha256 = \"{sha256}\" }} }}", folder.join(file).display())
        });
        println!("wheels = [{}]\n", wheels.collect::<Vec<_>>().join(", "));
    }
}
