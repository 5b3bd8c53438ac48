//! All that a replay of an execution needs, and what it is held against.

use super::id::Id;
use super::keep::Keep;
use super::record::{Bounds, Given, Record};
use super::request::Request;
use super::state::State;
use super::timeline::Decision;
use crate::shelf::Wanted;
use exuvia_runtime::{Durable, Ledger, Outcome, Program};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What stands in a comparison for a value that is not there.
const NOTHING: &str = "nothing";

/// An execution with a journal, but for the journal itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    record: Record,
    request: Request,
    /// What it gave, once it has ended.
    given: Option<Given>,
    /// Times at which a person was asked about a call, and its tool.
    pub(crate) asked: Vec<(u64, String)>,
    /// Tools that it called, or asked for.
    pub(crate) tools: Vec<String>,
    /// What its secrets were called, and what stood for them.
    #[serde(default)]
    pub(crate) globals: IndexMap<String, Box<RawValue>>,
    /// Secrets whose value it had itself.
    #[serde(default)]
    revealed: Vec<String>,
    /// The packages of its layer, as far as they are known where it is kept.
    #[serde(default)]
    pub(crate) packages: Vec<String>,
    /// Input schemas of tools that it may have called, as they are now.
    pub(crate) schemas: Map<String, Value>,
}

/// How a replay compares with what is kept of the execution.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    /// It has not ended, or was ended from outside: up to there, it is the same.
    SameSoFar,
    Differs(Vec<Difference>),
}

/// One thing that is not what was recorded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) what: String,
    pub(crate) recorded: String,
    pub(crate) replayed: String,
}

impl Recorded {
    pub(super) fn new(
        record: Record,
        request: Request,
        given: Option<Given>,
        decisions: &[Decision],
        tools: Vec<String>,
    ) -> Self {
        let asked = decisions.iter().filter(|decision| decision.what == "approval");
        let asked = asked.map(|decision| (decision.at, decision.tool.clone())).collect();
        let revealed = decisions.iter().filter_map(Decision::reveals).map(str::to_owned).collect();
        let (globals, packages, schemas) = (IndexMap::new(), Vec::new(), Map::new());
        Self { record, request, given, asked, tools, globals, revealed, packages, schemas }
    }

    pub(crate) fn program(&self) -> Program {
        Program {
            source: self.request.script.clone(),
            inputs: self.request.inputs.clone(),
            globals: self.globals.clone(),
            outputs: self.request.outputs.keys().cloned().collect(),
            seed: self.request.seed,
            ..Program::default()
        }
    }

    /// The names of the secrets that it was given.
    pub(crate) fn secrets(&self) -> &[String] {
        &self.request.secrets
    }

    /// Files that it was given.
    pub(crate) fn files(&self) -> &[Wanted] {
        &self.request.files
    }

    /// The name of the layer of its packages.
    pub(crate) fn layer(&self) -> Option<&str> {
        self.record.packages.as_deref()
    }

    /// What a replay would lack that nobody keeps, if anything.
    pub(crate) fn lacks(&self) -> Option<String> {
        if let Some(name) = self.revealed.first() {
            return Some(format!(
                "it had the value of the secret `{name}` itself (`reveal` of its policy), which is not kept with an execution: no replay \
                 has it"
            ));
        }
        let missing = self.request.secrets.iter().find(|name| !self.globals.contains_key(*name))?;
        Some(format!(
            "what stood for its secret `{missing}` is derived from the key of its server, which is not there: give that in `EXUVIA_KEY`, or put \
             the file `key` back into the data folder"
        ))
    }

    pub(crate) fn id(&self) -> Id {
        self.record.id
    }

    pub(crate) fn grant(&self) -> &str {
        &self.record.grant
    }

    /// The digest of the image that it ran in.
    pub(crate) fn image(&self) -> &str {
        self.record.image.as_deref().unwrap_or_default()
    }

    /// When it began, in milliseconds since 1970.
    pub(crate) fn started(&self) -> u64 {
        self.record.started.unwrap_or(self.record.submitted)
    }

    pub(crate) fn bounds(&self) -> Option<Bounds> {
        self.record.bounds
    }

    /// Milliseconds that it computed; none when it has not ended.
    pub(crate) fn cpu_ms(&self) -> Option<f64> {
        self.given.as_ref().map(|given| given.usage.cpu_ms)
    }

    /// Holds what a replay gave and printed against what was recorded. One that was cut short, by its own limits, is compared
    /// as far as it went.
    pub(crate) fn compare(&self, outcome: Outcome, printed: [&str; 2], is_cut_short: bool) -> Verdict {
        let Some(given) = &self.given else { return Verdict::SameSoFar };
        let ended_itself = self.ended_itself(given) && !is_cut_short;
        let mut differing = Differences::default();
        let recorded = [("stdout", &given.stdout), ("stderr", &given.stderr)];
        for ((what, recorded), printed) in recorded.into_iter().zip(printed) {
            if ended_itself || !goes_on(recorded, printed, given.truncated) {
                differing.compare(what, recorded, printed);
            }
        }
        if ended_itself {
            differing.values(given, &Given::from_outcome(outcome, &self.request));
        }
        match (differing.0.is_empty(), ended_itself) {
            (false, _) => Verdict::Differs(differing.0),
            (true, true) => Verdict::Same,
            (true, false) => Verdict::SameSoFar,
        }
    }

    /// Whether the program came to an end of its own, which a replay comes to as well.
    fn ended_itself(&self, given: &Given) -> bool {
        match (self.record.state, &given.error) {
            (State::Completed, _) | (State::Failed, None) => true,
            (State::Failed, Some(failure)) => {
                !failure.traceback.is_empty()
                    || matches!(failure.kind.as_str(), "MissingOutput" | "MemoryLimit" | "StackLimit")
            }
            _ => false,
        }
    }
}

#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn compare(&mut self, what: &str, recorded: &str, replayed: &str) {
        if recorded != replayed {
            let [what, recorded, replayed] = [what, recorded, replayed].map(str::to_owned);
            self.0.push(Difference { what, recorded, replayed });
        }
    }

    /// What a program gave but for what it printed.
    fn values(&mut self, recorded: &Given, replayed: &Given) {
        // Of a value that was too long for the record, the whole is kept under its hash.
        let hashed = |hash: &str| format!("a value of the hash {hash}");
        let long = |name: &str| recorded.output.iter().find(|one| one.name == name).map(|one| hashed(&one.hash));
        let text = |value: &RawValue| value.get().to_owned();
        let before = |value: Option<&Box<RawValue>>, name: &str| {
            value.map_or_else(|| NOTHING.to_owned(), |value| long(name).unwrap_or_else(|| text(value)))
        };
        let now = |value: Option<&Box<RawValue>>, name: &str| match value {
            None => NOTHING.to_owned(),
            Some(value) if long(name).is_some() => hashed(&blake3::hash(value.get().as_bytes()).to_hex()),
            Some(value) => text(value),
        };
        let results = (recorded.result.as_ref(), replayed.result.as_ref());
        self.compare("the result", &before(results.0, "result"), &now(results.1, "result"));
        let more = replayed.outputs.keys().filter(|name| !recorded.outputs.contains_key(*name));
        for name in recorded.outputs.keys().chain(more) {
            let place = format!("output_vars/{name}");
            let (before, now) = (before(recorded.outputs.get(name), &place), now(replayed.outputs.get(name), &place));
            self.compare(&format!("`{name}`"), &before, &now);
        }
        self.compare("the error", &error(recorded), &error(replayed));
    }
}

/// Whether one text is the beginning of the other, as far as both were kept.
fn goes_on(recorded: &str, printed: &str, is_cut: bool) -> bool {
    if is_cut {
        // The marker stands in another place when less or more was printed.
        let head = |text: &str| text.split("[... ").next().unwrap_or_default().trim_end_matches('\n').to_owned();
        let (recorded, printed) = (head(recorded), head(printed));
        return recorded.starts_with(&printed) || printed.starts_with(&recorded);
    }
    recorded.starts_with(printed) || printed.starts_with(recorded)
}

fn error(given: &Given) -> String {
    match &given.error {
        None => NOTHING.to_owned(),
        Some(failure) if failure.traceback.is_empty() => format!("{}: {}", failure.kind, failure.message),
        Some(failure) => failure.traceback.clone(),
    }
}

/// The journal of an execution as the store has it, for those who only read it.
pub(crate) struct Reading {
    keep: Keep,
    id: Id,
}

impl Reading {
    pub(super) fn of(keep: Keep, id: Id) -> Self {
        Self { keep, id }
    }
}

impl Ledger for Reading {
    fn append(&self, _bytes: &[u8]) {}

    fn keep(&self, _name: [u8; 32], _answer: Vec<u8>) {}

    fn durable(&self) -> Durable {
        Box::pin(std::future::ready(Ok(())))
    }

    fn part(&self, number: u64) -> Result<Option<Vec<u8>>, String> {
        self.keep.journal_part(self.id, number).map_err(|error| error.to_string())
    }

    fn large(&self, name: &[u8; 32]) -> Result<Vec<u8>, String> {
        self.keep.journal_large(self.id, name).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stopped_is_the_same_as_far_as_both_go() {
        assert!(goes_on("a\nb", "a\nb\nc", false) && goes_on("a\nb\nc", "a", false));
        assert!(!goes_on("a\nb", "a\nc", false));
        let cut = "head\n[... 7 bytes cut ...]\ntail";
        assert!(goes_on(cut, "head\n[... 9 bytes cut ...]\nother", true));
        assert!(!goes_on(cut, "hand\n[... 9 bytes cut ...]\nother", true));
    }
}
