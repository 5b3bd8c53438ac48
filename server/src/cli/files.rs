//! `exuvia files`: what executions left on a running server, and what is given to further ones.

use super::client::{Server, field, text};
use super::folder::Folder;
use super::shown::visible;
use super::{Failure, Status, print};
use crate::shelf::name::encoded;
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// List and fetch the files that executions left, and give files to further ones
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// What an execution left; without one, what you have given
    List {
        uuid: Option<String>,
        #[command(flatten)]
        at: Server,
    },
    /// Fetch one file that an execution left, or all
    Get {
        uuid: String,
        /// As `list` shows it; all when left out
        name: Option<String>,
        /// Where to: a file, or a folder for all; `-` for standard output [default: the current folder]
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Replace files that are there
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        at: Server,
    },
    /// Give a file to the server and print its id, for `files` of an execution
    Put {
        file: PathBuf,
        /// What it is called in /mnt/data [default: its own name]
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        at: Server,
    },
    /// Forget a file that was given
    Remove {
        id: String,
        #[command(flatten)]
        at: Server,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    match &arguments.what {
        What::List { uuid, at } => list(uuid.as_deref(), at)?,
        What::Get { uuid, name: Some(name), output, force, at } => get(uuid, name, output.as_deref(), *force, at)?,
        What::Get { uuid, name: None, output, force, at } => get_all(uuid, output.as_deref(), *force, at)?,
        What::Put { file, name, at } => print::out(&put(file, name.as_deref(), at)?),
        What::Remove { id, at } => {
            at.ask(|client, url| client.delete(format!("{url}/v1/files/{}", encoded(id))))?;
            print::out("removed");
        }
    }
    Ok(Status::Finished)
}

fn listed(uuid: &str, at: &Server) -> Result<Value, Failure> {
    at.ask(|client, url| client.get(format!("{url}/v1/executions/{}/files", encoded(uuid))))
}

fn all<'a>(listed: &'a Value, what: &str) -> &'a [Value] {
    field(listed, what).as_array().map(Vec::as_slice).unwrap_or_default()
}

fn list(uuid: Option<&str>, at: &Server) -> Result<(), Failure> {
    let listed = match uuid {
        Some(uuid) => listed(uuid, at)?,
        None => at.ask(|client, url| client.get(format!("{url}/v1/files")))?,
    };
    let lines = [("files", ""), ("output", "output/")].map(|(what, before)| (all(&listed, what), before));
    for (files, before) in lines {
        for one in files {
            let (id, size, name) = (text(one, "id"), field(one, "size"), visible(text(one, "name")));
            let id = if id.is_empty() { String::new() } else { format!("{id}  ") };
            print::out(&format!("{id}{size:>12}  {:30}  {before}{name}", visible(text(one, "type"))));
        }
    }
    if lines.iter().all(|(files, _)| files.is_empty()) {
        print::error("exuvia: there are none");
    }
    Ok(())
}

fn get(uuid: &str, name: &str, output: Option<&Path>, force: bool, at: &Server) -> Result<(), Failure> {
    let place = |kind: &str, name: &str| format!("/v1/executions/{}/{kind}/{}", encoded(uuid), encoded(name));
    let path = match name.strip_prefix("output/").filter(|own| is_output(uuid, own, at)) {
        Some(own) => place("output", own),
        None => place("files", name),
    };
    if output == Some(Path::new("-")) {
        return at.fetch(&path, &mut std::io::stdout(), u64::MAX);
    }
    let default = PathBuf::from(name.rsplit('/').next().unwrap_or(name));
    let output = output.unwrap_or(&default);
    let (folder, file) = (output.parent(), output.file_name().and_then(|file| file.to_str()));
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = file.ok_or_else(|| Failure::Usage("`--output` names no file".into()))?;
    let mut file = create(folder, file, force)?;
    at.fetch(&path, &mut file, u64::MAX)
}

/// A file of the program's own may be below a folder `output`, too: that is the first choice.
fn is_output(uuid: &str, name: &str, at: &Server) -> bool {
    listed(uuid, at).is_ok_and(|listed| {
        let has = |what, name: &str| all(&listed, what).iter().any(|one| text(one, "name") == name);
        has("output", name) && !has("files", &format!("output/{name}"))
    })
}

fn get_all(uuid: &str, output: Option<&Path>, force: bool, at: &Server) -> Result<(), Failure> {
    let folder = output.unwrap_or(Path::new("."));
    for one in all(&listed(uuid, at)?, "files") {
        let name = text(one, "name");
        let mut file = create(folder, name, force)?;
        at.fetch(&format!("/v1/executions/{}/files/{}", encoded(uuid), encoded(name)), &mut file, u64::MAX)?;
        print::out(&visible(name));
    }
    Ok(())
}

fn create(folder: &Path, name: &str, force: bool) -> Result<File, Failure> {
    let created = Folder::open(folder, force).and_then(|folder| folder.create(name));
    created.map_err(|error| not_written(name, &error))
}

pub(super) fn not_written(name: &str, error: &std::io::Error) -> Failure {
    let hint = if error.kind() == std::io::ErrorKind::AlreadyExists { "; `--force` replaces it" } else { "" };
    Failure::Usage(format!("could not write `{}`: {error}{hint}", visible(name)))
}

/// Gives a file to the server: its id.
pub(super) fn put(file: &Path, name: Option<&str>, at: &Server) -> Result<String, Failure> {
    let own = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.unwrap_or(&own);
    let opened = File::open(file).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, opened) =
        opened.map_err(|error| Failure::Usage(format!("could not read `{}`: {error}", file.display())))?;
    let given = at.give(name, opened, size)?;
    Ok(text(&given, "id").to_owned())
}

/// The path and the name of `PATH[=NAME]`.
pub(super) fn path_and_name(given: &str) -> (PathBuf, String) {
    let own =
        |path: &str| Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match given.rsplit_once('=') {
        // A file may have the character in its name.
        Some((path, name)) if !name.is_empty() && !Path::new(given).exists() => (path.into(), name.to_owned()),
        _ => (given.into(), own(given)),
    }
}

/// Writes what comes to `target`.
pub(super) fn written(target: &mut dyn Write, bytes: &[u8]) -> Result<(), Failure> {
    target.write_all(bytes).map_err(|source| Failure::System { doing: "write the file", source })
}
