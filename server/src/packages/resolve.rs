//! From requirements to a lock, with `uv`; and when there is none, why.
//!
//! It is asked for the platform that is nearest to ours among those it knows, so that a wheel of all Python is the only one that
//! fits. What is built in is there as wheels without contents, of the one version that there is: a resolution agrees with it, or there
//! is none. When there is none, `uv` is asked once more, for an ordinary machine: what it then finds says what is in the way.

use super::lock::{Lock, Locked};
use super::uv::{Said, Uv};
use super::wheel::WheelName;
use super::{Error, Index};
use crate::executions::nearest;
use exuvia_python::IMAGE;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The platform whose rules are nearest to those of ours, which `uv` does not know.
const PLATFORM: &str = "wasm32-pyodide2025";
/// A machine for which most wheels with native code are made.
const USUAL: &str = "x86_64-manylinux_2_40";
/// Most packages of a resolution.
const MOST_PACKAGES: usize = 128;
/// Characters of what `uv` explains.
const LONGEST_WHY: usize = 600;
const MOST_TAGS: usize = 4;

/// What `uv` prints, as far as it matters (`pylock.toml`, PEP 751).
#[derive(Debug, Default, Deserialize)]
struct Resolution {
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    wheels: Vec<Wheel>,
}

#[derive(Debug, Deserialize)]
struct Wheel {
    #[serde(default)]
    url: String,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Resolves `requirements`; `bounds` hold for whatever else is needed, too.
pub(super) async fn resolve(
    uv: &Uv,
    index: &Index,
    built_in: &[(String, String)],
    requirements: &[String],
    bounds: &[String],
    work: &Path,
) -> Result<Lock, Error> {
    let folder = tempfile::Builder::new()
        .prefix("resolve-")
        .tempdir_in(work)
        .map_err(Error::file("create a folder in", work))?;
    let folder = folder.path();
    prepare(folder, built_in, requirements, bounds)?;
    let fixed = ["--find-links", "built-in", "--constraints", "constraints.txt"];
    let said = uv.compile(folder, index, PLATFORM, &fixed).await?;
    if said.succeeded {
        return lock(&read(&said)?, built_in);
    }
    if let Some(error) = plain(&said) {
        return Err(error);
    }
    let usual = uv.compile(folder, index, USUAL, &["--find-links", "built-in"]).await?;
    Err(why(&said, &usual, built_in))
}

/// Writes what `uv` reads.
fn prepare(
    folder: &Path,
    built_in: &[(String, String)],
    requirements: &[String],
    bounds: &[String],
) -> Result<(), Error> {
    let write =
        |name: &str, text: String| fs::write(folder.join(name), text).map_err(Error::file("write", folder.join(name)));
    write("requirements.in", requirements.join("\n") + "\n")?;
    let fixed = built_in.iter().map(|(name, version)| format!("{name}=={version}"));
    // Where both bound a package, what is built in counts.
    let bounds = bounds.iter().filter(|bound| !built_in.iter().any(|(name, _)| is_of(bound, name))).cloned();
    write("constraints.txt", fixed.chain(bounds).collect::<Vec<_>>().join("\n") + "\n")?;
    let wheels = folder.join("built-in");
    fs::create_dir(&wheels).map_err(Error::file("create", &wheels))?;
    for (name, version) in built_in {
        let path = wheels.join(format!("{}-{version}-py3-none-any.whl", name.replace('-', "_")));
        let bytes = empty_wheel(name, version).map_err(Error::file("write", &path))?;
        fs::write(&path, bytes).map_err(Error::file("write", &path))?;
    }
    Ok(())
}

fn is_of(requirement: &str, name: &str) -> bool {
    let rest = requirement.strip_prefix(name);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-'))
}

/// A wheel that says what it is, and has nothing in it.
fn empty_wheel(name: &str, version: &str) -> std::io::Result<Vec<u8>> {
    let mut wheel = ZipWriter::new(Cursor::new(Vec::new()));
    let info = format!("{}-{version}.dist-info", name.replace('-', "_"));
    for (file, text) in [
        ("METADATA", format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")),
        ("WHEEL", "Wheel-Version: 1.0\nGenerator: exuvia\nRoot-Is-Purelib: true\nTag: py3-none-any\n".into()),
        ("RECORD", String::new()),
    ] {
        wheel.start_file(format!("{info}/{file}"), SimpleFileOptions::default())?;
        wheel.write_all(text.as_bytes())?;
    }
    Ok(wheel.finish()?.into_inner())
}

fn read(said: &Said) -> Result<Resolution, Error> {
    toml::from_str(&said.stdout)
        .map_err(|error| Error::Uv { why: format!("its lock cannot be read: {}", error.message()) })
}

/// The packages that are not built in, each with its wheel.
fn lock(resolution: &Resolution, built_in: &[(String, String)]) -> Result<Lock, Error> {
    let others: Vec<_> = resolution.packages.iter().filter(|package| !is_built_in(package, built_in)).collect();
    if others.len() > MOST_PACKAGES {
        return Err(Error::TooMany { count: others.len(), most: MOST_PACKAGES });
    }
    let locked = others.into_iter().map(|package| {
        let wheel = pure(package).ok_or_else(|| no_pure(package))?;
        let sha256 = wheel.hashes.get("sha256").cloned();
        let sha256 = sha256.ok_or_else(|| Error::Uv { why: format!("it knows no SHA-256 of `{}`", package.name) })?;
        let (name, version) = (package.name.clone(), package.version.clone());
        Ok(Locked { name, version, url: wheel.url.clone(), sha256 })
    });
    Ok(Lock::new(locked.collect::<Result<_, Error>>()?))
}

fn is_built_in(package: &Package, built_in: &[(String, String)]) -> bool {
    built_in.iter().any(|(name, _)| *name == package.name)
}

/// The wheel for every machine, if it is one of that package.
fn pure(package: &Package) -> Option<&Wheel> {
    package.wheels.iter().find(|wheel| {
        let name = wheel.url.rsplit('/').next().and_then(WheelName::parse);
        name.is_some_and(|name| name.is_pure() && name.name == package.name)
    })
}

/// A package of which there are wheels, none of them for every machine.
fn no_pure(package: &Package) -> Error {
    let mut tags: Vec<_> = package
        .wheels
        .iter()
        .filter_map(|wheel| Some(WheelName::parse(wheel.url.rsplit('/').next()?)?.tags.join("-")))
        .collect();
    tags.sort();
    tags.dedup();
    let more = tags.len().saturating_sub(MOST_TAGS);
    tags.truncate(MOST_TAGS);
    if tags.is_empty() {
        return Error::NoWheel { name: package.name.clone() };
    }
    if more > 0 {
        tags.push(format!("{more} more"));
    }
    let where_it_is = format!("its wheels are for {}", tags.join(", "));
    Error::Native { name: package.name.clone(), version: package.version.clone(), where_it_is }
}

/// What needs no second question.
fn plain(said: &Said) -> Option<Error> {
    if let Some(error) = unknown(said) {
        return Some(error);
    }
    if said.stderr.contains("No solution found") {
        return None;
    }
    let is_network =
        ["Failed to fetch", "Request failed", "error sending request", "Connection", "timed out", "HTTP status"];
    let why =
        said.stderr.lines().filter(|line| !line.starts_with("warning:")).map(str::trim).collect::<Vec<_>>().join("; ");
    let why = without_passwords(&why).chars().take(LONGEST_WHY).collect();
    Some(if is_network.iter().any(|word| said.stderr.contains(word)) {
        Error::Index { why }
    } else {
        Error::Uv { why }
    })
}

/// The package that the index does not have.
fn unknown(said: &Said) -> Option<Error> {
    let (before, _) = said.stderr.split_once(" was not found in the p")?;
    let name = before.rsplit(|c: char| c.is_whitespace()).next().filter(|name| !name.is_empty())?.to_owned();
    let near = nearest(&name, IMAGE.packages.iter().map(|(name, _)| *name));
    Some(Error::Unknown { name, near })
}

/// Why there is no resolution, by what an ordinary machine would get.
fn why(said: &Said, usual: &Said, built_in: &[(String, String)]) -> Error {
    let explained = || {
        let text = said.stderr.split_once("cause:").map_or(&*said.stderr, |(_, cause)| cause);
        let words: Vec<_> = text.split_once("hint:").map_or(text, |(text, _)| text).split_whitespace().collect();
        let text = without_passwords(&words.join(" "));
        // The conclusion comes last.
        let skipped = text.chars().count().saturating_sub(LONGEST_WHY);
        let cut: String = text.chars().skip(skipped).collect();
        if skipped > 0 { format!("… {cut}") } else { cut }
    };
    if !usual.succeeded {
        match unknown(usual) {
            // Another version of what is built in is needed, and the index has none at all.
            Some(Error::Unknown { name, .. }) if built_in.iter().any(|(other, _)| *other == name) => {
                return Error::Unsolvable { why: explained() };
            }
            Some(error) => return error,
            None => {}
        }
        return match without_wheel(&usual.stderr) {
            Some(name) => Error::NoWheel { name },
            None => Error::Unsolvable { why: explained() },
        };
    }
    let Ok(resolution) = read(usual) else { return Error::Unsolvable { why: explained() } };
    let others = resolution.packages.iter().filter(|package| !is_built_in(package, built_in));
    if let Some(native) = others.into_iter().find(|package| pure(package).is_none()) {
        return no_pure(native);
    }
    let differs = resolution.packages.iter().find_map(|package| {
        let (name, version) = built_in.iter().find(|(name, _)| *name == package.name)?;
        (*version != package.version).then(|| (name.clone(), package.version.clone(), version.clone()))
    });
    match differs {
        Some((name, needed, built_in)) => Error::BuiltIn { name, needed, built_in },
        None => Error::Unsolvable { why: explained() },
    }
}

/// The name in `all versions of NAME have no usable wheels`.
fn without_wheel(stderr: &str) -> Option<String> {
    let end = ["has no usable wheels", "have no usable wheels", "has no wheels", "have no wheels"];
    let before = end.iter().find_map(|end| Some(stderr.split_once(end)?.0))?;
    let word = before.split_whitespace().next_back()?;
    let name = word.split(['=', '<', '>', '!']).next().filter(|name| !name.is_empty())?;
    Some(name.to_owned())
}

/// Text in which addresses have no names and passwords.
fn without_passwords(text: &str) -> String {
    let words = text.split(' ').map(|word| match (word.find("://"), word.rfind('@')) {
        (Some(start), Some(end)) if start < end => {
            let (scheme, rest) = (word.get(..start + 3), word.get(end + 1..));
            format!("{}{}", scheme.unwrap_or_default(), rest.unwrap_or_default())
        }
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(succeeded: bool, stdout: &str, stderr: &str) -> Said {
        Said { succeeded, stdout: stdout.into(), stderr: stderr.into() }
    }

    fn built_in() -> Vec<(String, String)> {
        vec![("numpy".into(), "2.4.6".into())]
    }

    fn package(name: &str, version: &str, wheels: &[&str]) -> String {
        let wheels: Vec<_> = wheels
            .iter()
            .map(|tags| format!("{{ url = \"https://a.example/{name}-{version}-{tags}.whl\", size = 3, hashes = {{ sha256 = \"ab\" }} }}"))
            .collect();
        format!("[[packages]]\nname = \"{name}\"\nversion = \"{version}\"\nwheels = [{}]\n", wheels.join(", "))
    }

    const UNSOLVABLE: &str = "error: No solution found when resolving dependencies\n  cause: Because a and b, we can conclude that \
                              your requirements are unsatisfiable.\n\nhint: x";

    /// Seen to fail with all wheels called pure.
    #[test]
    fn a_lock_has_the_wheels_that_are_for_every_machine() {
        let text = package("a", "1", &["cp313-cp313-win_amd64", "py3-none-any"]) + &package("numpy", "2.4.6", &[]);
        let lock = lock(&read(&said(true, &text, "")).unwrap(), &built_in()).unwrap();
        assert_eq!(lock.packages.len(), 1);
        assert_eq!(lock.packages[0].url, "https://a.example/a-1-py3-none-any.whl");
        let native = package("a", "1", &["cp313-cp313-win_amd64"]);
        let error = super::lock(&read(&said(true, &native, "")).unwrap(), &[]).unwrap_err();
        assert!(matches!(error, Error::Native { .. }), "{error}");
    }

    /// Seen to fail with the name of a wheel not compared.
    #[test]
    fn a_wheel_of_another_package_is_none_of_this_one() {
        let text = package("a", "1", &["py3-none-any"]).replace("name = \"a\"", "name = \"b\"");
        let error = lock(&read(&said(true, &text, "")).unwrap(), &[]).unwrap_err();
        assert!(matches!(&error, Error::Native { name, .. } if name == "b"), "{error}");
    }

    #[test]
    fn each_reason_has_its_own_error() {
        let why = |stderr: &str, usual: Said| {
            let first = said(false, "", stderr);
            plain(&first).unwrap_or_else(|| super::why(&first, &usual, &built_in())).to_string()
        };
        let none = || said(false, "", UNSOLVABLE);
        assert_eq!(
            why("  cause: Because nunpy was not found in the package registry and you require nunpy, we", none()),
            "there is no package `nunpy` on the index: did you mean `numpy`, which is built in?"
        );
        let usual = package("a", "1", &["py3-none-any"])
            + &package("b-core", "2", &["cp313-cp313-win_amd64", "cp313-cp313-manylinux1_x86_64"]);
        assert_eq!(
            why(UNSOLVABLE, said(true, &usual, "")),
            "`b-core` 2 has native code, which cannot be loaded here: its wheels are for cp313-cp313-manylinux1_x86_64, \
             cp313-cp313-win_amd64; use a package that is all Python, or what is built in"
        );
        let usual = package("a", "1", &["py3-none-any"]) + &package("numpy", "99.0", &["py3-none-any"]);
        assert_eq!(
            why(UNSOLVABLE, said(true, &usual, "")),
            "these packages need numpy 99.0, but numpy 2.4.6 is built in: ask for other versions of them"
        );
        let source = "error: No solution found\n cause: Because all versions of old-thing have no usable wheels and you require old-thing, we";
        assert!(why(source, said(false, "", source)).starts_with("`old-thing` has no wheel for every machine"));
        assert_eq!(
            why(UNSOLVABLE, none()),
            "these packages cannot be had together: Because a and b, we can conclude that your requirements are unsatisfiable."
        );
        let down = "warning: x\nerror: Request failed after 3 retries\n  cause: Failed to fetch: https://me:secret@a.example/simple/a/";
        assert_eq!(
            why(down, none()),
            "the index of packages does not answer: error: Request failed after 3 retries; cause: Failed to fetch: \
             https://a.example/simple/a/; try again later, or tell the operator"
        );
    }

    /// Seen to fail without the bound.
    #[test]
    fn more_packages_than_the_bound_are_refused() {
        let text: String =
            (0..=MOST_PACKAGES).map(|number| package(&format!("a{number}"), "1", &["py3-none-any"])).collect();
        let error = lock(&read(&said(true, &text, "")).unwrap(), &[]).unwrap_err().to_string();
        assert_eq!(error, "the resolution has 129 packages, more than the 128 allowed");
    }
}
