//! What an execution leaves beside its record: the files of its working folder, and whatever was too long for the record.

use super::id::Id;
use super::record::Given;
use super::whole::{Long, Whole};
use super::{Executor, Inner, Live};
use crate::secrets::Scrubber;
use crate::shelf::{self, Owner, Shelf, kind, name};
use crate::store;
use exuvia_runtime::{Artifacts, LeftOut, Outcome};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::error;

/// Most warnings about single files; the rest is counted.
const MOST_WARNINGS: usize = 10;
/// Most characters of a name in a warning.
const NAME_SHOWN: usize = 100;
/// What a result's HTML is called.
const HTML: &str = "result.html";

/// One file that an execution left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Artifact {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) size: u64,
    pub(crate) hash: String,
    /// Whether there was more, which is lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) cut: bool,
}

/// Where it is from, and so what its address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The program's working folder: the name is the program's.
    Files,
    /// Output that is too long for the record, and renderings of it: the name is ours.
    Output,
}

/// An artifact as clients see it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct View {
    #[serde(flatten)]
    pub(crate) artifact: Artifact,
    pub(crate) uri: String,
}

impl Source {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Output => "output",
        }
    }

    fn of(self, given: &Given) -> &[Artifact] {
        match self {
            Self::Files => &given.artifacts,
            Self::Output => &given.output,
        }
    }
}

impl View {
    pub(crate) fn new(id: Id, place: Source, artifact: &Artifact) -> Self {
        let uri = format!("exuvia://executions/{id}/{}/{}", place.word(), name::encoded(&artifact.name));
        Self { artifact: artifact.clone(), uri }
    }

    pub(super) fn all(id: Id, given: &Given) -> Vec<Self> {
        given.artifacts.iter().map(|artifact| Self::new(id, Source::Files, artifact)).collect()
    }

    /// Whatever is kept whole, by what it is the whole of.
    pub(super) fn whole(id: Id, given: &Given) -> IndexMap<String, Self> {
        let output = given.output.iter();
        output.map(|one| (one.name.clone(), Self::new(id, Source::Output, one))).collect()
    }
}

impl Executor {
    /// Most bytes of one value's JSON in an answer.
    pub(crate) fn longest_value(&self) -> usize {
        self.0.settings.result
    }

    /// One artifact of the execution `id` of `grant`, with its content.
    pub(crate) fn artifact(
        &self,
        grant: &str,
        id: Id,
        place: Source,
        name: &str,
    ) -> Result<Option<(Artifact, File)>, store::Error> {
        let Some(given) = self.given(grant, id)? else { return Ok(None) };
        let Some(artifact) = place.of(&given).iter().find(|one| one.name == name) else { return Ok(None) };
        let file = self.0.shelf.get(Owner { grant, id: id.uuid() }, &artifact.hash)?;
        Ok(Some((artifact.clone(), file)))
    }

    /// All artifacts of an execution. None when there is no such execution.
    pub(crate) fn artifacts(&self, grant: &str, id: Id) -> Result<Option<(Vec<View>, Vec<View>)>, store::Error> {
        let Some(given) = self.given(grant, id)? else { return Ok(None) };
        Ok(Some((View::all(id, &given), View::whole(id, &given).into_values().collect())))
    }

    /// What an execution of `grant` gave; nothing as long as it is under way.
    fn given(&self, grant: &str, id: Id) -> Result<Option<Arc<Given>>, store::Error> {
        if let Some(live) = self.find_live(grant, id) {
            return Ok(Some(live.now().1.unwrap_or_default()));
        }
        if self.keep().record(id)?.is_none_or(|record| record.grant != grant) {
            return Ok(None);
        }
        Ok(Some(Arc::new(self.keep().given(id)?.unwrap_or_default())))
    }
}

/// What a run left, on its way to the disk.
pub(super) struct Left {
    artifacts: Artifacts,
    printed: Vec<(&'static str, Long)>,
    html: Option<String>,
}

impl Left {
    pub(super) fn of(outcome: &mut Outcome, whole: &Mutex<Whole>) -> Self {
        let output = outcome.output_mut();
        Self {
            artifacts: std::mem::take(&mut output.artifacts),
            printed: whole.lock().unwrap_or_else(PoisonError::into_inner).take(),
            html: output.html.take(),
        }
    }
}

/// Keeps what a run left, and lists it in `given`. On the disk when this returns.
pub(super) async fn keep(inner: &Arc<Inner>, live: &Live, mut left: Left, given: &mut Given) {
    let scrubber = live.scrubber();
    if let Some(scrubber) = &scrubber {
        // Before anything is cut: half of a value would not be found.
        given.scrub(scrubber);
        left.html.iter_mut().for_each(|html| scrubber.text(html));
    }
    let texts = too_long(given, inner.settings.result, left.html);
    warn(left.artifacts.left_out, inner.settings.limits.artifacts, given);
    if left.artifacts.files.is_empty() && left.printed.is_empty() && texts.is_empty() {
        return;
    }
    let mut keeping = Keeping {
        shelf: inner.shelf.clone(),
        grant: live.grant().to_owned(),
        id: live.id(),
        left: inner.settings.artifacts,
        scrubber,
        refused: Vec::new(),
    };
    let (artifacts, printed) = (left.artifacts, left.printed);
    let kept = inner.server.spawn_blocking(move || {
        let output = keeping.output(printed, texts);
        (keeping.artifacts(&artifacts), output, keeping.refused)
    });
    match kept.await {
        Ok((artifacts, output, refused)) => {
            given.artifacts = artifacts;
            given.output = output;
            given.warnings.extend(shortened(refused));
        }
        Err(failed) => {
            error!(execution = %live.id(), error = %failed, "files of an execution could not be kept");
            given.warnings.push("its files could not be kept; the server's log says more".into());
        }
    }
}

struct Keeping {
    shelf: Shelf,
    grant: String,
    id: Id,
    /// Bytes that the execution may still keep.
    left: u64,
    /// What takes the values of secrets out of files and their names. Output has none by now.
    scrubber: Option<Arc<Scrubber>>,
    /// What is not kept, and why.
    refused: Vec<String>,
}

impl Keeping {
    fn artifacts(&mut self, artifacts: &Artifacts) -> Vec<Artifact> {
        let scrubber = self.scrubber.clone();
        let files = artifacts.files.iter().filter_map(|file| match &scrubber {
            None => self.put(&file.name, file.size(), &mut file.reader(), None),
            Some(scrubber) => {
                let mut name = file.name.clone();
                scrubber.text(&mut name);
                self.put(&name, file.size(), &mut scrubber.reader(file.reader()), None)
            }
        });
        files.collect()
    }

    fn output(&mut self, printed: Vec<(&'static str, Long)>, texts: Vec<(String, String)>) -> Vec<Artifact> {
        let mut output = Vec::new();
        for (name, long) in printed {
            let kept = self.put(name, 0, &mut long.reader(), Some("text/plain"));
            output.extend(kept.map(|kept| Artifact { cut: !long.is_whole, ..kept }));
        }
        for (name, text) in texts {
            let kind = if name == HTML { "text/html" } else { "application/json" };
            output.extend(self.put(&name, text.len() as u64, &mut text.as_bytes(), Some(kind)));
        }
        output
    }

    /// `size`: as far as it is known.
    fn put(&mut self, name: &str, size: u64, source: &mut dyn Read, kind: Option<&str>) -> Option<Artifact> {
        let owner = Owner { grant: &self.grant, id: self.id.uuid() };
        // Before any of it is written.
        let written = match size <= self.left.min(self.shelf.largest()) {
            true => self.shelf.put(owner, source, self.left),
            false => Err(shelf::Error::TooLarge { most: self.left.min(self.shelf.largest()) }),
        };
        match written {
            Ok(written) => {
                self.left = self.left.saturating_sub(written.size);
                let kind = kind.map_or_else(|| kind::of(name, &written.head), str::to_owned);
                Some(Artifact { name: name.to_owned(), kind, size: written.size, hash: written.hash, cut: false })
            }
            Err(why) => {
                if let shelf::Error::Store(failed) = &why {
                    error!(execution = %self.id, error = failed as &dyn std::error::Error, "a file could not be kept");
                }
                let shown: String = name.escape_debug().take(NAME_SHOWN).collect();
                self.refused.push(format!("`{shown}` is not kept: {why}"));
                None
            }
        }
    }
}

/// Cuts values whose JSON is longer than `most` bytes in `given`; the whole texts, and the result's HTML, by their names.
fn too_long(given: &mut Given, most: usize, html: Option<String>) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    if let Some(whole) = given.result.as_mut().and_then(|result| cut(result, most)) {
        texts.push(("result".to_owned(), whole));
    }
    for (name, value) in &mut given.outputs {
        if let Some(whole) = cut(value, most) {
            texts.push((format!("output_vars/{name}"), whole));
        }
    }
    given.cut = !texts.is_empty();
    texts.extend(html.map(|html| (HTML.to_owned(), html)));
    texts
}

/// Makes a value that is too long a text: its head and its tail. Gives the whole.
fn cut(value: &mut Box<RawValue>, most: usize) -> Option<String> {
    let text = to_raw_value(&ends(value.get(), most)?).ok()?;
    Some(std::mem::replace(value, text).get().to_owned())
}

/// The head and the tail of a text that is longer than `most` bytes.
pub(crate) fn ends(text: &str, most: usize) -> Option<String> {
    if text.len() <= most {
        return None;
    }
    let (head, tail) = (text.floor_char_boundary(most / 2), text.ceil_char_boundary(text.len() - most / 2));
    let (head, tail, missing) = (text.get(..head)?, text.get(tail..)?, tail - head);
    Some(format!("{head}\n[... {missing} bytes cut ...]\n{tail}"))
}

fn warn(left_out: LeftOut, most: usize, given: &mut Given) {
    let reasons = [
        (
            left_out.too_many,
            format!("files are not kept: {most} of one execution are the most; put them into an archive"),
        ),
        (left_out.too_long, "files are not kept: their names with their folders are too long".to_owned()),
        (left_out.links, "links in /mnt/data are not kept: only files are".to_owned()),
    ];
    let reasons = reasons.into_iter().filter(|(count, _)| *count > 0);
    given.warnings.extend(reasons.map(|(count, why)| format!("{count} {why}")));
}

fn shortened(mut refused: Vec<String>) -> Vec<String> {
    let more = refused.len().saturating_sub(MOST_WARNINGS);
    refused.truncate(MOST_WARNINGS);
    if more > 0 {
        refused.push(format!("{more} more files are not kept"));
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_too_long_becomes_its_head_and_its_tail() {
        let json = serde_json::to_string(&"é".repeat(100)).unwrap();
        let mut value = RawValue::from_string(json.clone()).unwrap();
        assert_eq!(cut(&mut value, 202), None);
        assert_eq!(cut(&mut value, 20), Some(json));
        let text: String = serde_json::from_str(value.get()).unwrap();
        assert!(text.starts_with("\"éééé") && text.ends_with("éééé\""), "{text}");
        assert!(text.contains("bytes cut"), "{text}");
    }
}
