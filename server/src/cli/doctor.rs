//! `exuvia doctor`: what is cached, what this machine offers, and what is wrong.

use super::print::out;
use super::{Failure, Status};
use crate::config::Data;
use crate::packages::{Images, kept};
use crate::store::{self, Sled, Store};
use bytesize::ByteSize;
use exuvia_runtime::{Cache, Damage, Recycling, Sandbox};
use std::fs;
use std::path::{Path, PathBuf};

/// Memory mappings of one live run, as counted in `/proc/self/maps`.
const MAPPINGS_A_RUN: u64 = 5;
/// Mappings that the rest of the process needs.
const MAPPINGS_BESIDE: u64 = 1000;

/// Say what is cached, what this machine offers, and what is wrong
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Look at every record in the data folder, too; no server may be using it
    #[arg(long)]
    store: bool,
    /// Go on without writes that are missing from a damaged data folder
    #[arg(long, requires = "store")]
    accept_loss: bool,
    /// The configuration, for `[packages]` in it
    #[arg(long, value_name = "FILE", env = "EXUVIA_CONFIG")]
    config: Option<PathBuf>,
    /// The server's data folder
    #[arg(long, value_name = "DIR", env = "EXUVIA_DATA")]
    data: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let mut wrong = Vec::new();
    let image = exuvia_python::IMAGE;
    out(&format!("exuvia {}", env!("CARGO_PKG_VERSION")));
    out(&format!("  Python {}, NumPy {}, pandas {}", image.python, image.numpy, image.pandas));
    out(&format!("  image {}", image.digest));
    cache(&mut wrong)?;
    found(arguments.config.as_deref());
    machine(&mut wrong);
    if arguments.store {
        records(&Data::new(arguments.data.as_deref())?, arguments.accept_loss, &mut wrong)?;
    }
    out("");
    if wrong.is_empty() {
        out("Nothing is wrong.");
        return Ok(Status::Finished);
    }
    for problem in &wrong {
        out(&format!("WRONG: {problem}"));
    }
    Ok(Status::Raised)
}

fn cache(wrong: &mut Vec<String>) -> Result<(), Failure> {
    let cache = Cache::of_user()?;
    let entry = Sandbox::entry(&cache, exuvia_python::IMAGE.digest)?;
    let folder = entry.folder().display().to_string();
    out(&format!("\ncache {}", cache.folder().display()));
    match entry.check(true) {
        Ok(()) => out(&format!("  ready: {folder} ({})", size(entry.folder()))),
        Err(Damage::Missing) => {
            out("  empty: the first run compiles Python for this machine, which takes about a minute");
        }
        Err(Damage::Changed(file)) => wrong.push(format!(
            "`{folder}/{file}` is not what it was when it was made; the next run makes it anew. If this happens \
             again, check the disk."
        )),
    }
    let mut known = vec![entry.folder().to_owned()];
    known.extend(["packages", "layers", "images", kept::FOLDER].map(|name| cache.folder().join(name)));
    images(&cache, &mut known, wrong)?;
    kept(&cache, &mut known)?;
    let others = fs::read_dir(cache.folder()).into_iter().flatten().flatten();
    for other in others.filter(|other| other.path().is_dir() && !known.contains(&other.path())) {
        let path = other.path();
        out(&format!("  of another version, may be removed: {} ({})", path.display(), size(&path)));
    }
    Ok(())
}

/// The images, whose entries are `known` from then on.
fn images(cache: &Cache, known: &mut Vec<PathBuf>, wrong: &mut Vec<String>) -> Result<(), Failure> {
    let images = Images::new(cache);
    for name in images.names() {
        match images.open(&name) {
            Ok((_, extension)) => {
                let entry = Sandbox::entry(cache, &extension.image_digest())?;
                out(&format!("  image {name}: {}", entry.folder().display()));
                known.push(entry.folder().to_owned());
            }
            Err(error) => wrong.push(error.to_string()),
        }
    }
    Ok(())
}

/// What is not named any more, but kept for executions. Its entries are `known` from then on.
fn kept(cache: &Cache, known: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for digest in kept::all(cache) {
        let folder = Sandbox::entry(cache, &digest)?.folder().to_owned();
        if folder.exists() && !known.contains(&folder) {
            for keeper in kept::keepers(cache, &digest) {
                let (keeper, size) = (keeper.display(), size(&folder));
                out(&format!("  kept for executions of {keeper}: {} ({size})", folder.display()));
            }
            known.push(folder);
        }
    }
    Ok(())
}

/// What finds packages. Without it the built-in ones work, so nothing is wrong.
fn found(config: Option<&Path>) {
    out("\npackages");
    match super::packages::uv(config) {
        Ok(version) => out(&format!("  found by {version}")),
        Err(error) => out(&format!("  only those that are built in: {error}")),
    }
}

fn records(data: &Data, accept_loss: bool, wrong: &mut Vec<String>) -> Result<(), Failure> {
    let folder = data.store();
    out(&format!("\nrecords in {}", folder.display()));
    if !folder.exists() {
        out("  none yet");
        return Ok(());
    }
    let (store, lost) = Sled::open_despite_loss(&folder)?;
    let check = store.check()?;
    out(&format!("  {} sound", check.sound));
    match lost {
        0 => {}
        _ if accept_loss => {
            store.accept_loss()?;
            out(&format!("  the last {lost} writes are missing, which is accepted"));
        }
        _ => wrong.push(store::Error::Lost { folder, lost }.to_string()),
    }
    wrong.extend(check.damaged.iter().map(|key| {
        format!("the record `{key}` is not what was written; restore the data folder from a backup, or live without it")
    }));
    Ok(())
}

fn machine(wrong: &mut Vec<String>) {
    out("\nmachine");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    out(&format!("  Linux {}, {} CPUs", release.trim(), std::thread::available_parallelism().map_or(1, usize::from)));
    match Recycling::available() {
        Ok(()) => out("  recycling: yes; the kernel lists written pages (PAGEMAP_SCAN)"),
        Err(error) => out(&format!(
            "  recycling: no ({error}); every run gets a new instance, which takes some 0.1 ms longer. \
             It needs Linux 6.7 and a readable /proc/self/pagemap."
        )),
    }
    if let Some(most) = number("/proc/sys/vm/max_map_count") {
        let runs = most.saturating_sub(MAPPINGS_BESIDE) / MAPPINGS_A_RUN;
        out(&format!("  memory mappings: {most}, enough for {runs} runs at once (sysctl vm.max_map_count)"));
        if runs < 1000 {
            wrong.push(format!(
                "vm.max_map_count is {most}: only {runs} runs can be live at once. \
                 Raise it: `sysctl -w vm.max_map_count=262144`"
            ));
        }
    }
    if number("/proc/sys/vm/overcommit_memory") == Some(2) {
        wrong.push(
            "vm.overcommit_memory is 2: the kernel refuses the address space that is reserved for guests. \
             Set it to 0 or 1."
                .into(),
        );
    }
    let available = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    if let Some(kilobytes) = available {
        out(&format!("  memory available: {}", ByteSize::kib(kilobytes)));
        if kilobytes < 1 << 20 {
            wrong.push("less than 1 GiB of memory is available; compiling Python takes about 800 MiB".into());
        }
    }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn size(folder: &std::path::Path) -> ByteSize {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    ByteSize::b(files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum())
}
