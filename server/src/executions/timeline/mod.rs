//! What happened to an execution, in the order of time: from its record, its journal, and the decisions about its calls.
//! `story` puts them in order, `head` reads what a journal has of a request.

mod head;
mod story;

use head::Head;
pub(crate) use story::is_shown;
use story::{Event, Story, short};

use super::Executor;
use super::id::Id;
use super::journal_room::Size;
use super::keep::Keep;
use super::record::{Failure, Given, Numbers, Record};
use super::recorded::{Reading, Recorded};
use super::state::State;
use crate::audit;
use crate::gate::REVEALED;
use crate::secrets::Scope;
use crate::shelf::Owner;
use crate::store::Error;
use exuvia_runtime::{Begun, Fact, Facts};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Most tools whose schemas go with a journal.
const MOST_TOOLS: usize = 50;
/// A timeline reads whole journals and logs, which may take a second of the disk and of a processor: one at a time.
static ONE: Semaphore = Semaphore::const_new(1);

/// What the gate decided about a call of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) tool: String,
    pub(crate) secret: Option<String>,
    /// `allow`, `deny` and the others of the audit.
    pub(crate) what: String,
    pub(crate) rule: String,
    pub(crate) message: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) approval: Option<String>,
    pub(crate) by: Option<String>,
}

impl Decision {
    /// The secret that it gives the program the value of.
    pub(super) fn reveals(&self) -> Option<&str> {
        self.secret.as_deref().filter(|_| self.message == REVEALED)
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Timeline {
    execution_uuid: Id,
    status: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    submitted_at: String,
    journal: Journal,
    events: Vec<Event>,
    /// Further events of the journal.
    left_out: u64,
    stdout: Printed,
    stderr: Printed,
    error: Option<Failure>,
    usage: Numbers,
    tool_calls: u64,
}

/// What there is of the journal.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Journal {
    Kept {
        bytes: u64,
    },
    /// Only jobs have one.
    None,
    /// It was removed before its execution.
    Removed,
    /// It can be read up to the last of the events.
    Damaged {
        why: String,
    },
}

/// What was printed to one stream.
#[derive(Debug, Serialize)]
struct Printed {
    bytes: u64,
    first_line: String,
}

impl Executor {
    /// What happened to the execution `id` of `grant`. None when there is none, or it is another's. With `values`, what its
    /// calls asked for as far as that is kept, not the names of the arguments alone.
    pub(crate) async fn timeline(&self, grant: &str, id: Id, values: bool) -> Result<Option<Timeline>, Error> {
        let Some((record, given)) = self.seen(grant, id)? else { return Ok(None) };
        self.0.journals.written().await;
        let (keep, audit) = (self.keep().clone(), self.0.gate.audit_folder().to_owned());
        reading(move || keep.timeline(record, &given, &audit, values)).await.map(Some)
    }

    /// What a replay of the execution `id` of `grant` needs. None when there is none, or it is another's; the text says why
    /// it cannot be replayed.
    pub(crate) async fn recorded(&self, grant: &str, id: Id) -> Result<Option<Result<Recorded, String>>, Error> {
        let Some((record, given)) = self.seen(grant, id)? else { return Ok(None) };
        let given = record.state.is_final().then_some(given);
        self.0.journals.written().await;
        let (keep, audit) = (self.keep().clone(), self.0.gate.audit_folder().to_owned());
        let mut recorded = reading(move || keep.recorded(record, given, &audit)).await?;
        if let Ok(recorded) = &mut recorded {
            recorded.globals = self.0.secrets.placeholders(Scope::Execution(id), recorded.secrets());
            recorded.packages = recorded.layer().map(|layer| self.0.packages.named(layer)).unwrap_or_default();
        }
        Ok(Some(recorded))
    }

    /// A file that the execution `id` of `grant` was given, by the id of that file. None when there is none such, or it is not
    /// kept any more.
    pub(crate) fn given_file(&self, grant: &str, id: Id, file: Uuid) -> Result<Option<(String, File)>, Error> {
        if self.seen(grant, id)?.is_none() {
            return Ok(None);
        }
        let wanted = self.keep().request(id)?.map(|request| request.files).unwrap_or_default();
        let Some(wanted) = wanted.into_iter().find(|wanted| wanted.id == file) else { return Ok(None) };
        let file = self.0.shelf.given(Owner { grant, id: id.uuid() }, file, &wanted.hash);
        Ok(file.map(|file| (wanted.hash, file)))
    }

    fn seen(&self, grant: &str, id: Id) -> Result<Option<(Record, Given)>, Error> {
        if let Some(live) = self.find_live(grant, id) {
            let (record, given) = live.now();
            let mut given = given.as_deref().cloned().unwrap_or_default();
            live.fill(&mut given);
            return Ok(Some((record, given)));
        }
        let Some(record) = self.keep().record(id)?.filter(|record| record.grant == grant) else { return Ok(None) };
        Ok(Some((record, self.keep().given(id)?.unwrap_or_default())))
    }
}

/// Does what reads much: alone, and not on a thread of the server's tasks.
async fn reading<T: Send + 'static>(read: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    // Never closed, so never an error.
    let _one = ONE.acquire().await;
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read,
        Err(error) => Err(Error::Io(std::io::Error::other(error))),
    }
}

impl Keep {
    /// An execution, whoever's it is: for the owner of the data folder.
    pub(crate) fn any(&self, id: Id) -> Result<Option<(Record, Given)>, Error> {
        let Some(record) = self.record(id)? else { return Ok(None) };
        Ok(Some((record, self.given(id)?.unwrap_or_default())))
    }

    pub(crate) fn timeline(
        &self,
        record: Record,
        given: &Given,
        audit: &Path,
        values: bool,
    ) -> Result<Timeline, Error> {
        let decisions = audit::of_execution(audit, record.id, record.submitted).map_err(Error::Io)?;
        let mut story = Story::of(&record, values);
        story.decided(decisions);
        let journal = self.told(&record, &mut story)?;
        let has_journal = matches!(journal, Journal::Kept { .. } | Journal::Damaged { .. });
        story.ends(&record, (!has_journal).then_some(given));
        let (events, left_out) = (story.events, story.left_out);
        Ok(Timeline {
            execution_uuid: record.id,
            status: record.state,
            name: record.name,
            submitted_at: super::view::time(record.submitted),
            journal,
            events,
            left_out,
            stdout: Printed::of(&given.stdout, given.written[0]),
            stderr: Printed::of(&given.stderr, given.written[1]),
            error: given.error.clone(),
            usage: given.usage,
            tool_calls: given.calls,
        })
    }

    /// Adds what the journal says.
    fn told(&self, record: &Record, story: &mut Story) -> Result<Journal, Error> {
        if record.image.is_none() {
            return Ok(Journal::None);
        }
        let bytes = match self.journal_size(record.id)? {
            Some(Size::Removed) => return Ok(Journal::Removed),
            Some(Size::Bytes(bytes)) => bytes,
            None => 0,
        };
        for fact in Facts::of(Arc::new(Reading::of(self.clone(), record.id))) {
            match fact {
                Ok(fact) => story.tell(fact, |name| self.journal_large_size(record.id, name).ok()),
                Err(why) => return Ok(Journal::Damaged { why }),
            }
        }
        Ok(Journal::Kept { bytes })
    }

    pub(crate) fn recorded(
        &self,
        record: Record,
        given: Option<Given>,
        audit: &Path,
    ) -> Result<Result<Recorded, String>, Error> {
        if record.image.is_none() {
            return Ok(Err(format!(
                "execution `{}` has no journal, so it cannot be replayed: only jobs have one, that is, what `asyncExecuteCode` or \
                 `exuvia submit` was given without a session",
                record.id
            )));
        }
        if self.journal_size(record.id)? == Some(Size::Removed) {
            return Ok(Err(format!(
                "the journal of execution `{}` was removed to make room, so it cannot be replayed: `retention.journals` in \
                 exuvia.toml says how much is kept",
                record.id
            )));
        }
        let Some(request) = self.request(record.id)? else {
            return Err(Error::Record { key: format!("Requests/{}", record.id) });
        };
        let decisions = audit::of_execution(audit, record.id, record.submitted).map_err(Error::Io)?;
        let tools = self.called_tools(record.id);
        Ok(Ok(Recorded::new(record, request, given, &decisions, tools)))
    }

    /// Names of tools that a journal has calls of, as far as it can be read.
    fn called_tools(&self, id: Id) -> Vec<String> {
        let mut tools = BTreeSet::new();
        for fact in Facts::of(Arc::new(self.reading(id))) {
            let Ok(Fact::Began { what: Begun::Request { head, .. }, .. }) = fact else { continue };
            if tools.len() < MOST_TOOLS
                && let Some(tool) = Head::of(&head).tool()
            {
                tools.insert(tool.to_owned());
            }
        }
        tools.into_iter().collect()
    }

    /// The journal of an execution, to be read alone.
    pub(crate) fn reading(&self, id: Id) -> Reading {
        Reading::of(self.clone(), id)
    }
}

impl Printed {
    fn of(text: &str, bytes: u64) -> Self {
        Self { bytes, first_line: short(text.lines().next().unwrap_or_default()) }
    }
}
