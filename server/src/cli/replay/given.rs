//! What an execution was given beside its script, got together before its replay: the image that it ran in, its packages, its files.
//! Nothing is fetched from anywhere but the server that keeps the execution.

use super::super::kept::{Kept, Where};
use super::super::progress::Bar;
use super::super::shown::visible;
use super::super::{Failure, files};
use crate::executions::Recorded;
use crate::packages::{self, Images};
use crate::shelf::Wanted;
use exuvia_python::IMAGE;
use exuvia_runtime::{Cache, Config, Input, Layer, Layers, Sandbox};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Seek;
use std::sync::Arc;

/// Most bytes of all files that a server sends for a replay: they lie on the disk.
const MOST_FILES: u64 = 16 << 30;

/// The image that it ran in. `anyhow`: the built-in one will do.
pub(super) fn sandbox(config: &Config, recorded: &Recorded, anyhow: bool) -> Result<Sandbox, Failure> {
    let (was, is) = (recorded.image(), IMAGE.digest);
    match Images::new(&config.cache).sandbox(config, was, &Bar::new())? {
        Some(sandbox) => Ok(sandbox),
        None if anyhow => Ok(Sandbox::open(config, &Bar::new())?),
        None => Err(Failure::Usage(format!(
            "recorded with the image {}; this is {is}, and that one is not in the cache: replay it with the `exuvia` and in the cache that \
             ran it, or run its script against the recorded answers with `--script`",
            visible(was)
        ))),
    }
}

/// The very packages that it ran with, which lie in this user's cache or are not to be had: a replay does not look for any.
pub(super) fn packages(cache: &Cache, recorded: &Recorded) -> Result<Option<Layer>, Failure> {
    let Some(name) = recorded.layer() else { return Ok(None) };
    let layers = Layers::new(cache);
    if let Some(layer) = layers.open(name)? {
        return Ok(Some(layer));
    }
    let known = packages::locks(cache).named(name);
    let known = if known.is_empty() { recorded.packages.clone() } else { known };
    let known: Vec<_> = known.iter().map(|package| visible(package)).collect();
    let folder = layers.folder().display().to_string();
    if known.is_empty() {
        return Err(Failure::Usage(format!(
            "it ran with packages (the layer `{}`) which are not in `{folder}`, and which those were is not known",
            visible(name)
        )));
    }
    let (named, asked) = (known.join(", "), known.join(" --with "));
    Err(Failure::Usage(format!(
        "it ran with packages which are not in `{folder}` any more: {named}. A replay fetches nothing; `exuvia run --with {asked} FILE` \
         with any program does"
    )))
}

/// The files that it was given, by their names. `own`: those of the command line, which it gives in the place of what is not kept.
pub(super) fn files(at: &Where, kept: &Kept, own: &[String]) -> Result<BTreeMap<String, Input>, Failure> {
    let own: BTreeMap<_, _> =
        own.iter().map(|given| files::path_and_name(given)).map(|(path, name)| (name, path)).collect();
    let (mut given, mut left) = (BTreeMap::new(), MOST_FILES);
    for wanted in kept.recorded.files() {
        let name = wanted.name.clone().unwrap_or_default();
        let file = match own.get(&name) {
            Some(path) => File::open(path)
                .map_err(|error| Failure::Usage(format!("could not read `{}`: {error}", path.display())))?,
            None => at.file(&kept.recorded, wanted, left).map_err(|why| not_kept(wanted, &name, &why))?,
        };
        left = left.saturating_sub(file.metadata().map_or(0, |file| file.len()));
        given.insert(name.clone(), Input::File(Arc::new(checked(file, wanted, &name)?)));
    }
    match own.keys().find(|name| !given.contains_key(*name)) {
        Some(name) => Err(Failure::Usage(format!("it was given no file `{}`", visible(name)))),
        None => Ok(given),
    }
}

fn not_kept(wanted: &Wanted, name: &str, why: &Failure) -> Failure {
    let (name, hash) = (visible(name), visible(&wanted.hash));
    let why = visible(&why.to_string());
    Failure::Usage(format!(
        "it was given the file `{name}` (BLAKE3 {hash}), which cannot be had: {why}. If you have it, give it with `--file PATH={name}`"
    ))
}

/// The file, if it is the very same.
fn checked(mut file: File, wanted: &Wanted, name: &str) -> Result<File, Failure> {
    let failed = |source| Failure::System { doing: "read a file that it was given", source };
    file.rewind().map_err(failed)?;
    let mut hash = blake3::Hasher::new();
    hash.update_reader(&mut file).map_err(failed)?;
    let hash = hash.finalize().to_hex();
    if *hash != *wanted.hash {
        let (name, wanted) = (visible(name), visible(&wanted.hash));
        return Err(Failure::Usage(format!(
            "the file `{name}` is not the one that it was given: that has the BLAKE3 hash {wanted}, this {hash}"
        )));
    }
    Ok(file)
}
