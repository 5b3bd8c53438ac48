//! `exuvia image`: Python with packages imported.

use super::packages::{From, finder};
use super::progress::Bar;
use super::{Failure, Status, inputs, print};
use crate::packages::{Built, Images, Judge, kept};
use exuvia_runtime::{Cache, Config, Extension, Sandbox};
use std::fs;
use std::path::{Path, PathBuf};

/// Make, list and remove images: Python with packages imported, which `serve` and `run` start from
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Find packages, import them once, and keep the result
    Build {
        /// The packages: a name, and maybe bounds of its version, on each line
        #[arg(long, value_name = "FILE")]
        requirements: PathBuf,
        /// What to call the image
        #[arg(long, value_name = "NAME", default_value = "default")]
        name: String,
        /// A module to import; by default the one that is called like each package of the file
        #[arg(long = "import", value_name = "MODULE")]
        imports: Vec<String>,
        #[command(flatten)]
        from: From,
    },
    /// The images, and the packages of each
    List,
    /// Forget an image, and remove its snapshot
    Remove { name: String },
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let cache = Cache::of_user()?;
    match &arguments.what {
        What::Build { requirements, name, imports, from } => build(&cache, requirements, name, imports, from)?,
        What::List => list(&cache)?,
        What::Remove { name } => {
            let extension = Images::new(&cache).remove(name)?;
            print::out(&removed(&cache, extension.as_ref())?);
        }
    }
    Ok(Status::Finished)
}

/// Removes the snapshot of an image that has no name any more, unless a server's executions may need it. Says what was done.
fn removed(cache: &Cache, extension: Option<&Extension>) -> Result<String, Failure> {
    let digest = extension.map(Extension::image_digest).unwrap_or_default();
    let keepers: Vec<_> = kept::keepers(cache, &digest).iter().map(|data| data.display().to_string()).collect();
    if keepers.is_empty() {
        Sandbox::entry(cache, &digest)?.remove()?;
        return Ok("removed".into());
    }
    Ok(format!(
        "removed; its snapshot stays until a server starts with another image and has no execution that began in this one. Data \
         folders: {}",
        keepers.join(", ")
    ))
}

fn build(cache: &Cache, file: &Path, name: &str, imports: &[String], from: &From) -> Result<(), Failure> {
    let requirements = read(file)?;
    let images = Images::new(cache);
    images.check(name)?;
    let imports = modules(&requirements, imports)?;
    let (runtime, packages) = finder(cache, None, from)?;
    let (layer, lock) = runtime.block_on(packages.choose_with_lock(Judge::Operator, &requirements))?;
    for package in &lock.packages {
        print::out(&format!("  {} {}", package.name, package.version));
    }
    let extension = Extension { layer, imports: imports.clone() };
    Sandbox::open(&Config { slots: 1, extension: Some(extension), ..Config::new(cache.clone()) }, &Bar::new())?;
    images.keep(name, &Built { lock, imports })?;
    print::out(&format!(
        "made the image `{name}`: `exuvia serve --image {name}`, or `image = \"{name}\"` in the configuration"
    ));
    Ok(())
}

/// The requirements in a file, without comments; each is a name and bounds, and nothing else that pip would read.
fn read(file: &Path) -> Result<Vec<String>, Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("could not read `{}`: {error}", file.display())))?;
    let lines = text.lines().map(|line| line.split_once('#').map_or(line, |(line, _)| line).trim());
    let mut all = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        all.extend(super::packages::requirements(&[line.to_owned()])?);
    }
    if all.is_empty() {
        return Err(Failure::Usage(format!("`{}` names no package that is not built in", file.display())));
    }
    Ok(all)
}

/// What to import: what is said, or a module for each package.
fn modules(requirements: &[String], given: &[String]) -> Result<Vec<String>, Failure> {
    let by_name = |text: &String| text.split(['=', '!', '~', '<', '>']).next().unwrap_or_default().replace('-', "_");
    let modules: Vec<String> =
        if given.is_empty() { requirements.iter().map(by_name).collect() } else { given.to_vec() };
    for module in &modules {
        module.split('.').try_for_each(|name| inputs::check_name("module", name))?;
    }
    Ok(modules)
}

fn list(cache: &Cache) -> Result<(), Failure> {
    let images = Images::new(cache);
    let names = images.names();
    for name in &names {
        match images.open(name) {
            Ok((built, extension)) => {
                let ready = Sandbox::entry(cache, &extension.image_digest())?.check(false).is_ok();
                let packages =
                    built.lock.packages.iter().map(|package| format!("{} {}", package.name, package.version));
                let state = if ready { "" } else { " (its snapshot is made at the next start)" };
                print::out(&format!("{name}: {}{state}", packages.collect::<Vec<_>>().join(", ")));
            }
            Err(error) => print::out(&format!("{name}: {error}")),
        }
    }
    if names.is_empty() {
        print::error("exuvia: there are none");
    }
    Ok(())
}
