//! What rmcp calls: which request is answered by what.

use super::{answer, code, files, gated, guide, tools, upstream};
use crate::app::App;
use crate::gate::{Granted, Stop};
use crate::grants::Principal;
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, GetPromptRequestParams, GetPromptResponse,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities,
    ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use std::time::Duration;

/// How long after a server's start lists wait for it.
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

impl Handler {
    /// A call that the gate has let through.
    async fn granted(&self, name: &str, granted: Granted, context: &RequestContext<RoleServer>) -> CallToolResult {
        let app = &self.app;
        let grant = granted.grant().to_owned();
        let grant = grant.as_str();
        match name {
            "executeCode" => return code::execute(app, granted, context).await.unwrap_or_else(answer::refused),
            "asyncExecuteCode" => return code::submit(app, granted).await.unwrap_or_else(answer::refused),
            _ => {}
        }
        let (arguments, receipt) = granted.spend_as_given();
        let answered = match name {
            "checkCodeExecStatus" => code::status(app, grant, arguments, context).await,
            "cancelCodeExec" => code::cancel(app, grant, arguments).await,
            "listCodeExecs" => code::list(app, grant, arguments),
            "searchTools" => upstream::search(app, grant, arguments),
            "getToolDetails" => upstream::details(app, grant, arguments),
            "listTools" => upstream::list(app, grant, arguments),
            "executeTool" => upstream::execute(app, grant, arguments).await,
            "addRemoteMcpServer" => upstream::add(app, arguments).await,
            "updateRemoteMcpServer" => upstream::update(app, arguments).await,
            "removeRemoteMcpServer" => upstream::remove(app, arguments).await,
            "ReAuthRemoteMcpServer" => upstream::reauthorize(app, arguments).await,
            "checkRemoteMcpOauthStatus" => upstream::flow(app, arguments),
            "getUserSecrets" => upstream::secrets(app, grant, arguments),
            other => Err(format!("there is no tool `{other}`")),
        };
        let result = answered.unwrap_or_else(answer::refused);
        app.gate.settle(receipt, result.is_error != Some(true));
        result
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
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let principal = self.principal(&context)?;
        let shown = tools::ALL.iter().filter(|tool| self.app.gate.shows(&principal.grant, &tool.name));
        let list = ListToolsResult::with_all_items(shown.cloned().collect());
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
        let grant = principal.grant.as_str();
        // A client that has started this process calls at once; the servers take a moment.
        if tools::LIST_SERVERS.contains(&request.name.as_ref()) {
            self.app.upstreams.settled(SETTLE).await;
        }
        let name = request.name.as_ref();
        let unknown = || answer::unknown_tool(name, |tool| self.app.gate.shows(grant, tool));
        if !super::is_own(name) {
            return Err(unknown());
        }
        match gated::decide(&self.app, grant, name, arguments).await {
            Ok(granted) => Ok(self.granted(name, granted, &context).await.into()),
            Err(Stop::Denied(denied)) if denied.is_hidden => Err(unknown()),
            Err(Stop::Denied(denied)) => Ok(answer::denied(&denied).into()),
            Err(Stop::Arguments(why)) => Ok(answer::refused(why).into()),
        }
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
        let list = ListResourceTemplatesResult::with_all_items(files::templates());
        Ok(list.with_ttl_ms(LISTS_KEPT_MS).with_cache_scope(CacheScope::Private))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if files::is_file(&request.uri) {
            let grant = self.principal(&context)?.grant;
            return files::read(&self.app, &grant, &request.uri).await.map(Into::into);
        }
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
