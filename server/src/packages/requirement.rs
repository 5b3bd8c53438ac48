//! What `additional_imports` names: packages that are built in, and requirements of others.

use exuvia_policies::Requirement;
use exuvia_python::IMAGE;

/// Most packages that one execution may name.
const MOST_NAMED: usize = 32;
/// Bytes of one requirement.
const LONGEST: usize = 300;

/// Built-in packages by the names that they are imported by, where those differ; and what is ours.
const ALIASES: [(&str, &str); 6] = [
    ("bs4", "beautifulsoup4"),
    ("dateutil", "python-dateutil"),
    ("yaml", "pyyaml"),
    ("datagen-sdk", "datagen-python-sdk"),
    ("datagen-python-sdk", "datagen-python-sdk"),
    ("exuvia", "exuvia"),
];

/// The version of a built-in package, by its name or by that of its module; empty for those that have none.
pub(crate) fn built_in(name: &str) -> Option<(&'static str, &'static str)> {
    let aliased = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, package)| *package);
    let name = aliased.unwrap_or(name);
    let listed = IMAGE.packages.iter().find(|(package, _)| *package == name).copied();
    listed.or_else(|| aliased.map(|package| (package, "")))
}

/// A sentence that lists what is built in.
pub(crate) fn built_in_list() -> String {
    let names: Vec<_> = IMAGE.packages.iter().map(|(name, _)| *name).collect();
    format!("Built in are {}; the standard library needs no entry.", names.join(", "))
}

/// The requirements among `given` that are not built in, each once, in their one spelling.
pub(crate) fn requirements(given: &[String]) -> Result<Vec<String>, String> {
    if given.len() > MOST_NAMED {
        return Err(format!("`additional_imports` has {} packages, more than the {MOST_NAMED} allowed", given.len()));
    }
    let mut others = Vec::new();
    for text in given {
        let requirement = read(text)?;
        match built_in(requirement.name()) {
            None => others.push(requirement.to_string()),
            Some((_, version)) if version.is_empty() || requirement.allows(version) => {}
            Some((name, version)) => {
                return Err(format!(
                    "`additional_imports` has `{requirement}`, but {name} {version} is built in, and there is no other: leave the \
                     bounds out, or adapt the script"
                ));
            }
        }
    }
    others.sort();
    others.dedup();
    Ok(others)
}

/// One requirement: a name and bounds, and nothing else that could be written there.
pub(crate) fn read(text: &str) -> Result<Requirement, String> {
    let shown: String = text.chars().take(LONGEST).collect::<String>().escape_debug().to_string();
    let wrong = |why: &str| format!("`additional_imports` has `{shown}`: {why}");
    if text.len() > LONGEST {
        return Err(wrong("it is too long"));
    }
    if text.contains('[') {
        return Err(wrong("extras are not known here: name the packages that the extra adds"));
    }
    Requirement::parse(text).map_err(|why| wrong(&format!("{why}; no URL, path, marker or option")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &[&str]) -> Result<Vec<String>, String> {
        requirements(&given.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_built_in_needs_nothing() {
        assert_eq!(
            of(&["numpy", "Pandas>=2", "python_dateutil", "yaml", "bs4", "PyYAML", "datagen-python-sdk"]),
            Ok(vec![])
        );
        let error = of(&["numpy>=99"]).unwrap_err();
        assert!(error.starts_with("`additional_imports` has `numpy>=99`, but numpy 2."), "{error}");
    }

    #[test]
    fn others_are_named_once_and_in_one_spelling() {
        assert_eq!(of(&["Rich >= 13", "humanize", "rich>=13", "A.B_c"]).unwrap(), ["a-b-c", "humanize", "rich>=13"]);
    }

    /// Seen to fail with any letter let into a name, with extras, and without each of the two bounds.
    #[test]
    fn what_is_more_than_a_name_and_bounds_is_refused() {
        for text in [
            "--index-url=https://evil.example",
            "-r /etc/passwd",
            "-e .",
            "a\n--index-url https://evil.example",
            "a @ https://evil.example/a-1-py3-none-any.whl",
            "https://evil.example/a.whl",
            "file:///etc/passwd",
            "./a",
            "../a.whl",
            "a.whl/",
            "a; python_version > '3'",
            "a --hash=sha256:00",
            "a>=1 --config-settings x=y",
            "a>=1\\\nb",
            "a # b",
            "rеquests",
            "",
        ] {
            let error = of(&[text]).unwrap_err();
            assert!(
                error.starts_with("`additional_imports` has `") && error.ends_with("no URL, path, marker or option"),
                "{error}"
            );
        }
        assert!(of(&["httpx[http2]"]).unwrap_err().ends_with("name the packages that the extra adds"));
        assert!(of(&["a".repeat(301).as_str()]).unwrap_err().ends_with("it is too long"));
        assert!(of(&["a"; 33]).unwrap_err().ends_with("has 33 packages, more than the 32 allowed"));
    }
}
