//! What is kept of an execution, for `show` and `replay`: from a running server, or from the data folder of one that does not
//! run.

use super::Failure;
use super::client::Server;
use crate::config::Data;
use crate::executions::{Frame, Frames, Id, Keep, Recorded};
use crate::secrets::{Scope, Secrets};
use crate::shelf::{self, Owner, Wanted};
use crate::store::{Files, Sled};
use exuvia_runtime::{Fact, Facts, Ledger, Memory, Said, Spill};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most bytes of a record that is replayed: it is in memory.
const LARGEST: usize = 2 << 30;
/// Most bytes of a timeline.
const LARGEST_TIMELINE: usize = 64 << 20;

/// Where to look.
#[derive(Debug, clap::Args)]
pub(crate) struct Where {
    #[command(flatten)]
    at: Server,
    /// Read the data folder of a server that does not run, instead of asking one
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// The record of an execution that can be replayed, as far as it can be read.
pub(super) struct Kept {
    pub(super) recorded: Recorded,
    pub(super) journal: Memory,
    /// Why the journal cannot be read any further.
    pub(super) damage: Option<String>,
}

impl Where {
    pub(super) fn timeline(&self, id: &str, values: bool) -> Result<Value, Failure> {
        let id = self::id(id)?;
        let Some(folder) = &self.data else {
            let path = format!("/v1/executions/{id}/timeline?values={values}");
            let bytes = self.at.bytes(&path, LARGEST_TIMELINE)?;
            return serde_json::from_slice(&bytes).map_err(|_| nonsense());
        };
        let (keep, data) = open(folder)?;
        let (record, given) = keep.any(id)?.ok_or_else(|| unknown(id, folder))?;
        let timeline = keep.timeline(record, &given, &data.audit(), values)?;
        serde_json::to_value(timeline).map_err(|error| Failure::Server(error.to_string()))
    }

    pub(super) fn kept(&self, id: &str) -> Result<Kept, Failure> {
        let id = self::id(id)?;
        let Some(folder) = &self.data else {
            let bytes = self.at.bytes(&format!("/v1/executions/{id}/journal"), LARGEST)?;
            let mut rest = bytes.as_slice();
            return Kept::of(std::iter::from_fn(|| Frame::read(&mut rest)));
        };
        let (keep, data) = open(folder)?;
        let (record, given) = keep.any(id)?.ok_or_else(|| unknown(id, folder))?;
        let given = record.is_over().then_some(given);
        let mut recorded = keep.recorded(record, given, &data.audit())?.map_err(Failure::Usage)?;
        let secrets = Secrets::existing(data.folder()).map_err(|error| Failure::Usage(super::chain(&error)))?;
        if let Some(secrets) = secrets.filter(|_| !recorded.secrets().is_empty()) {
            recorded.globals = secrets.placeholders(Scope::Execution(id), recorded.secrets());
        }
        let about = serde_json::to_vec(&recorded).map_err(|error| Failure::Server(error.to_string()))?;
        Kept::of(Frames::of(about, keep.reading(id)))
    }

    /// A file that an execution was given, as far as it is kept; a server may send at most `most` bytes. Whether it is the very same
    /// is for its reader to see.
    pub(super) fn file(&self, recorded: &Recorded, wanted: &Wanted, most: u64) -> Result<File, Failure> {
        if let Some(folder) = &self.data {
            let owner = Owner { grant: recorded.grant(), id: recorded.id().uuid() };
            let file = shelf::given(&Data::new(Some(folder))?.shelf(), owner, wanted.id, &wanted.hash);
            return file.map_err(|_| Failure::Usage("it is not kept any more".into()));
        }
        let file = tempfile::tempfile_in(Spill::temporary_folder());
        let mut file = file.map_err(|source| Failure::System { doing: "make a temporary file", source })?;
        self.at.fetch(&format!("/v1/executions/{}/given/{}", recorded.id(), wanted.id), &mut file, most)?;
        Ok(file)
    }
}

impl Kept {
    fn of(mut frames: impl Iterator<Item = Frame>) -> Result<Self, Failure> {
        let Some(Frame::About(about)) = frames.next() else { return Err(nonsense()) };
        let recorded = serde_json::from_slice(&about).map_err(|_| nonsense())?;
        let (journal, mut damage, mut is_whole) = (Memory::default(), None, false);
        for frame in frames {
            match frame {
                Frame::Part(part) => journal.append(&part),
                Frame::Large(name, answer) => journal.keep(name, answer),
                Frame::Damaged(why) => damage = Some(why),
                Frame::End => is_whole = true,
                Frame::About(_) => return Err(nonsense()),
            }
        }
        if !is_whole {
            return Err(Failure::Server("the record came only in part: try again".into()));
        }
        let damage = damage.or_else(|| damage_of(&journal));
        Ok(Self { recorded, journal, damage })
    }
}

/// What is wrong with a journal whose parts are there.
fn damage_of(journal: &Memory) -> Option<String> {
    Facts::of(Arc::new(journal.clone())).find_map(|fact| match fact {
        Err(why) => Some(why),
        Ok(Fact::Answered { answer: Said::Beside(name), .. }) => journal.large(&name).err(),
        Ok(_) => None,
    })
}

fn open(folder: &Path) -> Result<(Keep, Data), Failure> {
    let data = Data::new(Some(folder))?;
    if !data.store().is_dir() {
        let folder = folder.display();
        return Err(Failure::Usage(format!("there are no executions in `{folder}`: no server has run there")));
    }
    let store = Sled::open(&data.store())?;
    Ok((Keep::new(Arc::new(store), Files::new(data.files())), data))
}

fn id(text: &str) -> Result<Id, Failure> {
    text.parse()
        .map_err(|_| Failure::Usage(format!("`{}` is not the UUID of an execution", super::shown::visible(text))))
}

fn unknown(id: Id, folder: &Path) -> Failure {
    Failure::Usage(format!("there is no execution `{id}` in `{}`", folder.display()))
}

fn nonsense() -> Failure {
    Failure::Server("what the server answered makes no sense: is it of another version than this?".into())
}
