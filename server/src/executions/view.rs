//! Executions as clients see them: the same JSON over MCP and REST.

use super::live::Live;
use super::record::{Failure, Given, Numbers, Record, ToolCall};
use super::seen::{Cursor, Printed, Progress};
use super::{Executor, Id, State, artifacts};
use crate::approvals;
use crate::sessions::Name;
use crate::store;
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// One execution in a list.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) execution_uuid: Id,
    pub(crate) status: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session_id: Option<Name>,
    pub(crate) submitted_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended_at: Option<String>,
}

impl From<Record> for Summary {
    fn from(record: Record) -> Self {
        Self {
            execution_uuid: record.id,
            status: record.state,
            name: record.name,
            description: record.description,
            session_id: record.session,
            submitted_at: time(record.submitted),
            started_at: record.started.map(time),
            ended_at: record.ended.map(time),
        }
    }
}

/// One execution whole: where it is, and what it gave so far.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    /// Null while it is under way.
    pub(crate) success: Option<bool>,
    #[serde(flatten)]
    pub(crate) summary: Summary,
    /// Of a call of a session: whether that began with this call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) new_session: Option<bool>,
    pub(crate) result: Option<Box<RawValue>>,
    pub(crate) output_vars: IndexMap<String, Box<RawValue>>,
    /// What the program last said of how far it is; while it is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) progress: Option<Progress>,
    /// It waits for long, and is not in memory.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) suspended: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Give it as `since` to read on from here.
    pub(crate) next: String,
    pub(crate) error: Option<Failure>,
    pub(crate) warnings: Vec<String>,
    pub(crate) tool_calls: Vec<ToolCall>,
    /// What a person has to approve before its calls go on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) approvals: Vec<approvals::Id>,
    /// The files that it left in its working folder.
    pub(crate) artifacts: Vec<artifacts::View>,
    /// Where all of it is that was too long for this answer, and the result as HTML, if it has such a form.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub(crate) more: IndexMap<String, artifacts::View>,
    pub(crate) usage: Usage,
    pub(crate) truncated: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Usage {
    #[serde(flatten)]
    numbers: Numbers,
    tool_calls: u64,
    egress_bytes: u64,
}

impl Status {
    /// Of an execution that this process holds.
    pub(crate) fn of_live(live: &Live, since: Cursor) -> Self {
        // At once: an end that comes in between would be one that gave nothing.
        match live.now() {
            (record, Some(given)) => Self::ended(record, &given, since, || live.printed(since)),
            (record, None) => Self {
                approvals: live.asked(),
                progress: live.progress(),
                ..Self::under_way(record, live.printed(since))
            },
        }
    }

    fn under_way(record: Record, printed: Printed) -> Self {
        let given = Given::default();
        Self::ended(record, &given, Cursor::default(), || printed)
    }

    fn ended(record: Record, given: &Given, since: Cursor, printed: impl FnOnce() -> Printed) -> Self {
        let id = record.id;
        let success = record.state.is_final().then_some(record.state == State::Completed);
        let printed = if since == Cursor::default() && record.state.is_final() { whole(given) } else { printed() };
        let mut warnings = given.warnings.clone();
        warnings.extend(given.reprs.iter().map(|path| format!("`{path}` has no form in JSON; its repr is given")));
        Self {
            success,
            suspended: record.suspended,
            summary: record.into(),
            new_session: given.new_session,
            result: given.result.clone(),
            output_vars: given.outputs.clone(),
            progress: given.progress.clone(),
            stdout: printed.stdout,
            stderr: printed.stderr,
            next: printed.next.to_string(),
            error: given.error.clone(),
            warnings,
            tool_calls: given.tool_calls.clone(),
            approvals: Vec::new(),
            artifacts: artifacts::View::all(id, given),
            more: artifacts::View::whole(id, given),
            usage: Usage { numbers: given.usage, tool_calls: given.calls, egress_bytes: given.egress_bytes },
            truncated: given.truncated,
        }
    }
}

/// What came of a wish to stop an execution.
pub(crate) enum Cancelled {
    Now(Arc<Live>),
    /// It was over already.
    Over(State),
    /// There is none, or it is another's.
    Unknown,
}

impl Executor {
    /// Where the execution `id` of `grant` is. None when there is none, or it is another's.
    pub(crate) fn status(&self, grant: &str, id: Id, since: Cursor) -> Result<Option<Status>, store::Error> {
        if let Some(live) = self.find_live(grant, id) {
            return Ok(Some(Status::of_live(&live, since)));
        }
        let Some(record) = self.keep().record(id)?.filter(|record| record.grant == grant) else { return Ok(None) };
        let given = self.keep().given(id)?.unwrap_or_default();
        Ok(Some(Status::ended(record, &given, since, || given.printed(since))))
    }

    /// An execution of `grant` that this process holds.
    pub(crate) fn find_live(&self, grant: &str, id: Id) -> Option<Arc<Live>> {
        self.live(id).filter(|live| live.grant() == grant)
    }

    /// Stops the execution `id` of `grant`, and waits until it has stopped.
    pub(crate) async fn cancel(&self, grant: &str, id: Id) -> Result<Cancelled, store::Error> {
        if let Some(live) = self.attend(grant, id)?.filter(|live| !live.state().is_final()) {
            live.cancel.cancel();
            live.ended().await;
            return Ok(Cancelled::Now(live));
        }
        let status = self.status(grant, id, Cursor::default())?;
        Ok(status.map_or(Cancelled::Unknown, |status| Cancelled::Over(status.summary.status)))
    }

    /// The newest executions of `grant`, or those before one.
    pub(crate) fn list(
        &self,
        grant: &str,
        state: Option<State>,
        before: Option<Id>,
        most: usize,
    ) -> Result<Vec<Summary>, store::Error> {
        let is_wanted = |record: &Record| state.is_none_or(|state| record.state == state);
        let mut records: Vec<Record> = self.live_records(grant, before).into_iter().filter(&is_wanted).collect();
        let mut before = before;
        while records.len() < most {
            let page = self.keep().of_grant(grant, before, most.max(100))?;
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            // What is under way is newer in memory than in the store.
            records.extend(page.into_iter().filter(&is_wanted).filter(|record| self.live(record.id).is_none()));
        }
        records.sort_by_key(|record| std::cmp::Reverse(record.id));
        // One that fell asleep meanwhile was seen in both.
        records.dedup_by_key(|record| record.id);
        records.truncate(most);
        Ok(records.into_iter().map(Summary::from).collect())
    }

    fn live_records(&self, grant: &str, before: Option<Id>) -> Vec<Record> {
        let live = self.0.lock();
        let own = live.values().filter(|live| live.grant() == grant);
        own.filter(|live| before.is_none_or(|before| live.id() < before)).map(|live| live.record()).collect()
    }
}

fn whole(given: &Given) -> Printed {
    let [stdout, stderr] = given.written;
    Printed { stdout: given.stdout.clone(), stderr: given.stderr.clone(), next: Cursor { stdout, stderr } }
}

/// RFC 3339, in UTC.
fn time(milliseconds: u64) -> String {
    let time: SystemTime = UNIX_EPOCH + std::time::Duration::from_millis(milliseconds);
    humantime::format_rfc3339_millis(time).to_string()
}
