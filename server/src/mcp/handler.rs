//! What rmcp calls: which request is answered by what.

use super::{answer, code, guide, tools, upstream};
use crate::app::App;
use crate::grants::Principal;
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, GetPromptRequestParams, GetPromptResponse, Implementation,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use std::time::Duration;

/// Most that a call waits for servers that are connecting for the first time.
const SETTLE: Duration = Duration::from_secs(5);
/// How long clients may keep lists: they change with the program only.
const LISTS_KEPT_MS: u64 = 5 * 60 * 1000;

#[derive(Clone)]
pub(crate) struct Handler {
    app: App,
    /// Whoever all requests come from; none where each request says it.
    everybody: Option<Principal>,
}

impl Handler {
    pub(super) fn new(app: App, everybody: Option<Principal>) -> Self {
        Self { app, everybody }
    }

    fn principal(&self, context: &RequestContext<RoleServer>) -> Result<Principal, ErrorData> {
        let of_request = || context.extensions.get::<http::request::Parts>()?.extensions.get::<Principal>();
        let principal = self.everybody.as_ref().or_else(of_request);
        principal.cloned().ok_or_else(|| ErrorData::internal_error("the request has no principal", None))
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().enable_prompts().build();
        let implementation = Implementation::new("exuvia", env!("CARGO_PKG_VERSION")).with_title("Exuvia");
        ServerConfig::new(capabilities).with_server_info(implementation).with_instructions(guide::INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let list = ListToolsResult::with_all_items(tools::ALL.clone());
        Ok(list.with_ttl_ms(LISTS_KEPT_MS).with_cache_scope(CacheScope::Private))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::ALL.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let principal = self.principal(&context)?;
        let arguments = request.arguments.unwrap_or_default();
        let app = &self.app;
        let grant = principal.grant.as_str();
        // A client that has started this process calls at once; the servers take a moment.
        if tools::NEED_SERVERS.contains(&request.name.as_ref()) {
            app.upstreams.settled(SETTLE).await;
        }
        let answered = match request.name.as_ref() {
            "executeCode" => code::execute(app, grant, arguments, &context).await,
            "asyncExecuteCode" => code::submit(app, grant, arguments).await,
            "checkCodeExecStatus" => code::status(app, grant, arguments).await,
            "cancelCodeExec" => code::cancel(app, grant, arguments).await,
            "listCodeExecs" => code::list(app, grant, arguments),
            "searchTools" => upstream::search(app, arguments),
            "getToolDetails" => upstream::details(app, arguments),
            "listTools" => upstream::list(app, arguments),
            "executeTool" => upstream::execute(app, arguments).await,
            "addRemoteMcpServer" => upstream::add(app, arguments).await,
            "updateRemoteMcpServer" => upstream::update(app, arguments).await,
            "removeRemoteMcpServer" => upstream::remove(app, arguments).await,
            "ReAuthRemoteMcpServer" => upstream::reauthorize(app, arguments).await,
            "checkRemoteMcpOauthStatus" => upstream::flow(app, arguments),
            "getUserSecrets" => upstream::secrets(arguments),
            unknown => return Err(answer::unknown_tool(unknown)),
        };
        Ok(answered.unwrap_or_else(answer::refused).into())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let list = ListResourcesResult::with_all_items(vec![guide::resource()]);
        Ok(list.with_ttl_ms(LISTS_KEPT_MS).with_cache_scope(CacheScope::Private))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let list = ListResourceTemplatesResult::with_all_items(Vec::new());
        Ok(list.with_ttl_ms(LISTS_KEPT_MS).with_cache_scope(CacheScope::Private))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        guide::read(&request.uri).map(|read| kept(read).into())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let list = ListPromptsResult::with_all_items(vec![guide::prompt()]);
        Ok(list.with_ttl_ms(LISTS_KEPT_MS).with_cache_scope(CacheScope::Private))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        guide::get_prompt(&request).map(Into::into)
    }
}

/// A resource that clients may keep as long as lists.
pub(super) fn kept(read: ReadResourceResult) -> ReadResourceResult {
    read.with_ttl_ms(LISTS_KEPT_MS).with_cache_scope(CacheScope::Private)
}
