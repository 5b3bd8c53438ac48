//! `exuvia packages`, and packages for the command line's own runs: these are their user's, so no policy decides them.

use super::progress::Bar;
use super::{Failure, Status, print};
use crate::config::Config;
use crate::packages::{self, Images, Packages};
use exuvia_runtime::{Cache, Sandbox, Spill};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Look for newer versions of packages
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Forget which versions were found, so that each next use looks for the newest; what is under way keeps its own
    Update,
}

/// Where packages come from.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct From {
    /// The configuration, for `[packages]` in it
    #[arg(long, value_name = "FILE", env = "EXUVIA_CONFIG")]
    config: Option<PathBuf>,
    /// The URL of an index, or a folder of wheels
    #[arg(long, value_name = "INDEX")]
    index: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    match arguments.what {
        What::Update => {
            let count = Packages::forget(&Cache::of_user()?);
            print::out(&format!("forgot {count} answers"));
        }
    }
    Ok(Status::Finished)
}

impl From {
    fn config(&self) -> Result<Config, Failure> {
        let mut config = Config::read(self.config.as_deref())?;
        config.packages.index = self.index.clone().or(config.packages.index);
        config.check()?;
        Ok(config)
    }
}

/// What finds packages for the built-in image, and the runtime for it.
pub(crate) fn finder(cache: &Cache, image: Option<&str>, from: &From) -> Result<(Runtime, Packages), Failure> {
    let (sandbox, packages) = with_sandbox(cache, image, from, None)?;
    drop(sandbox);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    Ok((runtime.map_err(|source| Failure::System { doing: "start the runtime", source })?, packages))
}

/// Python in an image, and what finds packages for it.
pub(crate) fn with_sandbox(
    cache: &Cache,
    image: Option<&str>,
    from: &From,
    spill: Option<Spill>,
) -> Result<(Arc<Sandbox>, Packages), Failure> {
    let (built, extension) = image.map(|name| Images::new(cache).open(name)).transpose()?.unzip();
    let config = exuvia_runtime::Config { slots: 1, extension, spill, ..exuvia_runtime::Config::new(cache.clone()) };
    let sandbox = Arc::new(Sandbox::open(&config, &Bar::new())?);
    let packages = Packages::new(cache, Arc::clone(&sandbox), built.as_ref(), from.config()?.package_settings());
    Ok((sandbox, packages))
}

/// The requirements that the command line names, in their one spelling.
pub(crate) fn requirements(given: &[String]) -> Result<Vec<String>, Failure> {
    packages::requirements(given).map_err(|why| Failure::Usage(why.replace("`additional_imports` has ", "")))
}

/// What `doctor` says of `uv`.
pub(crate) fn uv(config: Option<&Path>) -> Result<String, Failure> {
    let program = Config::read(config)?.packages.uv;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Failure::System { doing: "start the runtime", source })?;
    Ok(runtime.block_on(Packages::uv_version(&program))?)
}
