//! What the MCP conformance suite asks a server to have: tools, resources and prompts with known answers, beside ours.
//!
//! They are served as everything else is, so that what is tested is this server's way in. Only with the feature
//! `conformance`, which no release has.

use super::handler::Handler;
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, GetPromptRequestParams,
    GetPromptResponse, GetPromptResult, JsonObject, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, Prompt, PromptArgument,
    PromptMessage, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource, ResourceContents,
    ResourceTemplate, Role, SamplingCapability, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

/// One red pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// No samples at all.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";

/// Tools without parameters.
const PLAIN: [&str; 10] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_error_handling",
    "test_tool_with_progress",
    "test_missing_capability",
    "test_streaming_elicitation",
    "test_logging_tool",
];

/// The server's own handler, with the fixtures beside what it has.
#[derive(Clone)]
pub(crate) struct Fixtures(pub(super) Handler);

impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        self.0.get_info()
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut list = self.0.list_tools(request, context).await?;
        list.tools.extend(tools());
        Ok(list)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.0.get_tool(name).or_else(|| tools().into_iter().find(|tool| tool.name == name))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let blocks = match request.name.as_ref() {
            "test_simple_text" => vec![ContentBlock::text("This is a simple text response for testing.")],
            "test_image_content" => vec![image()],
            "test_audio_content" => vec![ContentBlock::audio(WAV, "audio/wav")],
            "test_embedded_resource" => {
                let text = "This is an embedded resource content.";
                vec![ContentBlock::resource(ResourceContents::text(text, "test://embedded-resource"))]
            }
            "test_multiple_content_types" => mixed(),
            "test_error_handling" => {
                let text = ContentBlock::text("This tool intentionally returns an error for testing");
                return Ok(CallToolResult::error(vec![text]).into());
            }
            "test_tool_with_progress" => progress(&context).await?,
            "test_missing_capability" => return Err(missing_capability()),
            // The first two must not ask or tell the client anything; of the others only the schema matters.
            "test_streaming_elicitation" | "test_logging_tool" | "json_schema_2020_12_tool" | "test_x_mcp_header" => {
                vec![ContentBlock::text("done")]
            }
            _ => return self.0.call_tool(request, context).await,
        };
        Ok(CallToolResult::success(blocks).into())
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let mut list = self.0.list_resources(request, context).await?;
        let resource = |uri, name, kind| Resource::new(uri, name).with_description(name).with_mime_type(kind);
        list.resources.push(resource("test://static-text", "a static text", "text/plain"));
        list.resources.push(resource("test://static-binary", "a static image", "image/png"));
        Ok(list)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let mut list = self.0.list_resource_templates(request, context).await?;
        let template = ResourceTemplate::new("test://template/{id}/data", "a template");
        list.resource_templates.push(template.with_mime_type("application/json"));
        Ok(list)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
        let contents = match (uri, id) {
            ("test://static-text", _) => {
                ResourceContents::text("This is the content of the static text resource.", uri)
            }
            ("test://static-binary", _) => ResourceContents::blob(PNG, uri).with_mime_type("image/png"),
            (_, Some(id)) => {
                let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
                ResourceContents::text(data.to_string(), uri).with_mime_type("application/json")
            }
            _ => return self.0.read_resource(request, context).await,
        };
        Ok(super::handler::kept(ReadResourceResult::new(vec![contents])).into())
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let mut list = self.0.list_prompts(request, context).await?;
        list.prompts.extend(prompts());
        Ok(list)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let given = request.arguments.as_ref();
        let argument = |name| given.and_then(|all| all.get(name)).and_then(Value::as_str).unwrap_or_default();
        let blocks = match request.name.as_str() {
            "test_simple_prompt" => vec![ContentBlock::text("This is a simple prompt for testing.")],
            "test_prompt_with_arguments" => {
                let text = format!("Prompt with arguments: arg1='{}', arg2='{}'", argument("arg1"), argument("arg2"));
                vec![ContentBlock::text(text)]
            }
            "test_prompt_with_embedded_resource" => {
                let text = "Embedded resource content for testing.";
                let resource = ContentBlock::resource(ResourceContents::text(text, argument("resourceUri")));
                vec![resource, ContentBlock::text("Please process the embedded resource above.")]
            }
            "test_prompt_with_image" => vec![image(), ContentBlock::text("Please analyze the image above.")],
            _ => return self.0.get_prompt(request, context).await,
        };
        let messages = blocks.into_iter().map(|block| PromptMessage::new(Role::User, block)).collect();
        Ok(GetPromptResult::new(messages).into())
    }
}

fn tools() -> Vec<Tool> {
    let plain = PLAIN.iter().map(|name| tool(name, json!({ "type": "object" })));
    let header = json!({
        "type": "object",
        "properties": { "region": { "type": "string", "x-mcp-header": "Region" } },
        "required": ["region"],
    });
    plain.chain([tool("test_x_mcp_header", header), tool("json_schema_2020_12_tool", wide_schema())]).collect()
}

fn tool(name: &'static str, schema: Value) -> Tool {
    let schema = match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    };
    Tool::new(name, "A fixture of the conformance suite", schema)
}

/// Keywords that a server must hand on as they are.
fn wide_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
        } },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

fn prompts() -> [Prompt; 4] {
    let argument = |name: &str| PromptArgument::new(name).with_required(true);
    let prompt = |name: &str, arguments| Prompt::new(name, Some("A fixture of the conformance suite"), arguments);
    [
        prompt("test_simple_prompt", None),
        prompt("test_prompt_with_arguments", Some(vec![argument("arg1"), argument("arg2")])),
        prompt("test_prompt_with_embedded_resource", Some(vec![argument("resourceUri")])),
        prompt("test_prompt_with_image", None),
    ]
}

fn image() -> ContentBlock {
    ContentBlock::image(PNG, "image/png")
}

fn mixed() -> Vec<ContentBlock> {
    let data = json!({ "test": "data", "value": 123 }).to_string();
    let resource = ResourceContents::text(data, "test://mixed-content-resource").with_mime_type("application/json");
    vec![ContentBlock::text("Multiple content types test:"), image(), ContentBlock::resource(resource)]
}

async fn progress(context: &RequestContext<RoleServer>) -> Result<Vec<ContentBlock>, ErrorData> {
    if let Some(token) = context.meta.get_progress_token() {
        for done in [0.0, 50.0, 100.0] {
            let report = ProgressNotificationParam::new(token.clone(), done).with_total(100.0);
            let told = context.peer.notify_progress(report).await;
            told.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        }
    }
    Ok(vec![ContentBlock::text("done")])
}

fn missing_capability() -> ErrorData {
    let mut needed = ClientCapabilities::default();
    needed.sampling = Some(SamplingCapability::default());
    ErrorData::missing_required_client_capability(needed)
}
