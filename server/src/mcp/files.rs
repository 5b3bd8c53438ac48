//! Files over MCP: links and pictures beside an answer, and resources to read them by.

use super::gated;
use crate::app::App;
use crate::executions::{Artifact, ArtifactView, Id, Source, Status};
use crate::gate::Stop;
use crate::shelf::{Owner, kind, name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmcp::ErrorData;
use rmcp::model::{
    CallToolResult, ContentBlock, ProtocolVersion, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};
use serde_json::json;
use std::fs::File;
use std::io::{self, Read};

/// The largest picture that is shown in an answer, and how many are: they are a model's context.
const LARGEST_PICTURE: u64 = 1 << 20;
const MOST_PICTURES: usize = 4;
/// Most links beside one answer; all files are listed in it.
const MOST_LINKS: usize = 20;
/// The largest file that is read as a resource: all of it is one message.
const LARGEST_READ: u64 = 8 << 20;

const EXECUTIONS: &str = "exuvia://executions/";
const INPUTS: &str = "exuvia://files/";

/// Adds to the answer about an execution that is over what it left: links, or lines for clients that know none, and pictures.
pub(super) async fn beside(
    app: &App,
    grant: &str,
    status: &Status,
    client: Option<ProtocolVersion>,
    mut result: CallToolResult,
) -> CallToolResult {
    if status.artifacts.is_empty() && status.more.is_empty() {
        return result;
    }
    let all = status.artifacts.iter().chain(status.more.values());
    let knows_links = client.is_some_and(|version| version.as_str() >= "2025-06-18");
    if knows_links {
        result.content.extend(all.take(MOST_LINKS).map(|view| ContentBlock::resource_link(resource(view))));
    } else {
        let lines: Vec<_> = all.take(MOST_LINKS).map(line).collect();
        result.content.push(ContentBlock::text(lines.join("\n")));
    }
    let shown = status.artifacts.iter().map(|view| &view.artifact);
    let shown = shown.filter(|one| kind::is_picture(&one.kind) && one.size <= LARGEST_PICTURE);
    let pictures: Vec<Artifact> = shown.take(MOST_PICTURES).cloned().collect();
    if !pictures.is_empty() {
        let (shelf, grant, id) = (app.shelf.clone(), grant.to_owned(), status.summary.execution_uuid);
        let read = tokio::task::spawn_blocking(move || {
            let owner = Owner { grant: &grant, id: id.uuid() };
            let read =
                |one: &Artifact| Some((bytes(shelf.get(owner, &one.hash).ok()?, one.size).ok()?, one.kind.clone()));
            pictures.iter().filter_map(read).collect::<Vec<_>>()
        });
        let pictures = read.await.unwrap_or_default();
        result
            .content
            .extend(pictures.into_iter().map(|(bytes, kind)| ContentBlock::image(STANDARD.encode(bytes), kind)));
    }
    result
}

fn line(view: &ArtifactView) -> String {
    let ArtifactView { artifact, uri } = view;
    // A name may have line feeds of its own.
    format!("{} ({}, {} bytes): {uri}", artifact.name.escape_debug(), artifact.kind, artifact.size)
}

fn resource(view: &ArtifactView) -> Resource {
    let mut resource = Resource::new(view.uri.clone(), view.artifact.name.clone());
    resource.mime_type = Some(view.artifact.kind.clone());
    resource.size = Some(view.artifact.size);
    resource
}

/// How the addresses of files are made.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    let template = |uri: &str, name: &str, title: &str, description: &str| {
        let mut template = ResourceTemplate::new(uri, name);
        template.title = Some(title.into());
        template.description = Some(description.into());
        template
    };
    vec![
        template(
            "exuvia://executions/{execution_uuid}/files/{+name}",
            "execution_file",
            "A file that a script left",
            "What a script wrote to /mnt/data, by its name there; `artifacts` of its result lists the addresses.",
        ),
        template(
            "exuvia://executions/{execution_uuid}/output/{+name}",
            "execution_output",
            "Output that was too long",
            "All of stdout, stderr, a result or an output variable where the answer was cut, or the result as HTML; `more` of the result lists \
             the addresses.",
        ),
        template(
            "exuvia://files/{id}",
            "file",
            "A file of yours",
            "A file that was given by POST /v1/files, or the whole answer of a tool where executeTool cut it.",
        ),
    ]
}

/// What an address names.
enum Named {
    Artifact(Id, Source, String),
    Input(uuid::Uuid),
}

/// Whether it is for [`read`] to read.
pub(super) fn is_file(uri: &str) -> bool {
    uri.starts_with(EXECUTIONS) || uri.starts_with(INPUTS)
}

/// Reads a file as a resource, for whoever it belongs to. Decided as a status is.
pub(super) async fn read(app: &App, grant: &str, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let missing = || {
        let why = format!("there is no resource `{uri}`: it is another's, or has expired");
        ErrorData::resource_not_found(why, Some(json!({ "uri": uri })))
    };
    let named = parsed(uri).ok_or_else(missing)?;
    let arguments = match &named {
        Named::Artifact(id, ..) => json!({ "execution_uuid": id }),
        Named::Input(id) => json!({ "file": id }),
    };
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let granted = gated::decide(app, grant, "checkCodeExecStatus", arguments).await.map_err(|stop| match stop {
        Stop::Denied(denied) if denied.is_hidden => missing(),
        Stop::Denied(denied) => ErrorData::invalid_request(denied.text(), Some(denied.data())),
        Stop::Arguments(why) => ErrorData::invalid_params(why, None),
    })?;
    app.gate.settle(granted.spend_as_given().1, true);
    let failed = |error: &dyn std::error::Error| ErrorData::internal_error(error.to_string(), None);
    let (kind, size, file) = match named {
        Named::Artifact(id, place, name) => {
            let found = app.executor.artifact(grant, id, place, &name).map_err(|error| failed(&error))?;
            let (artifact, file) = found.ok_or_else(missing)?;
            (artifact.kind, artifact.size, file)
        }
        Named::Input(id) => {
            let found = app.shelf.input(grant, id).map_err(|error| failed(&error))?.ok_or_else(missing)?;
            let file = app.shelf.get(Owner { grant, id }, &found.hash).map_err(|error| failed(&error))?;
            (found.kind, found.size, file)
        }
    };
    if size > LARGEST_READ {
        let way = uri.replacen("exuvia://", &format!("{}/v1/", app.base_url), 1);
        let why = format!(
            "`{uri}` has {size} bytes, more than the {LARGEST_READ} that a resource may have: fetch {way}, or read it in a script"
        );
        return Err(ErrorData::invalid_request(why, None));
    }
    let contents = tokio::task::spawn_blocking(move || bytes(file, size)).await;
    let contents = contents.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    Ok(ReadResourceResult::new(vec![contents_of(contents, &kind, uri).with_mime_type(kind)]))
}

fn contents_of(bytes: Vec<u8>, kind: &str, uri: &str) -> ResourceContents {
    let text = if kind::is_readable(kind) { String::from_utf8(bytes) } else { return blob(&bytes, uri) };
    match text {
        Ok(text) => ResourceContents::text(text, uri),
        Err(error) => blob(error.as_bytes(), uri),
    }
}

fn blob(bytes: &[u8], uri: &str) -> ResourceContents {
    ResourceContents::blob(STANDARD.encode(bytes), uri)
}

/// All of a file of `size` bytes, and not more if it has grown.
fn bytes(file: File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parsed(uri: &str) -> Option<Named> {
    if let Some(id) = uri.strip_prefix(INPUTS) {
        return Some(Named::Input(id.parse().ok()?));
    }
    let mut parts = uri.strip_prefix(EXECUTIONS)?.splitn(3, '/');
    let (id, place, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let place = match place {
        "files" => Source::Files,
        "output" => Source::Output,
        _ => return None,
    };
    Some(Named::Artifact(id.parse().ok()?, place, name::decoded(rest)?))
}
