//! Servers over HTTP, on loopback.

use super::*;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig, SubscriptionFilter,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, ServerHandler};
use std::borrow::Cow;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// A server that speaks the current revision, or only one with a handshake.
#[derive(Clone)]
struct Remote {
    modern: bool,
    tools: Arc<Mutex<Vec<String>>>,
    changed: Arc<Notify>,
}

impl Remote {
    fn new(modern: bool) -> Self {
        let tools = ["echo", "big", "hang"].map(str::to_owned).to_vec();
        Self { modern, tools: Arc::new(Mutex::new(tools)), changed: Arc::default() }
    }
}

impl ServerHandler for Remote {
    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        let one = if self.modern { ProtocolVersion::V_2026_07_28 } else { ProtocolVersion::V_2025_06_18 };
        Cow::Owned(vec![one])
    }

    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.changed.notified() => context.sink().notify_tool_list_changed().await.unwrap(),
            }
        }
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.tools.lock().unwrap().clone();
        let tool = |name: String| rmcp::model::Tool::new(name, "", Arc::new(JsonObject::new()));
        Ok(ListToolsResult::with_all_items(tools.into_iter().map(tool).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let text = match &*request.name {
            "big" => "x".repeat(usize::try_from(arguments["number"].as_u64().unwrap()).unwrap()),
            "hang" => std::future::pending().await,
            _ => arguments["text"].as_str().unwrap().to_owned(),
        };
        Ok(CallToolResponse::Complete(CallToolResult::success(vec![ContentBlock::text(text)])))
    }
}

/// Serves on loopback, and gives the address.
pub(super) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn router(remote: &Remote, json: bool) -> Router {
    let remote = remote.clone();
    let config = StreamableHttpServerConfig::default().with_json_response(json);
    let sessions = Arc::new(LocalSessionManager::default());
    Router::new().nest_service("/mcp", StreamableHttpService::new(move || Ok(remote.clone()), sessions, config))
}

pub(super) fn at(name: &str, url: &str) -> Server {
    Server::http(name, address(url).unwrap(), BTreeMap::new())
}

#[tokio::test]
async fn servers_of_both_eras() {
    for (modern, json) in [(true, true), (true, false), (false, true), (false, false)] {
        let url = serve(router(&Remote::new(modern), json)).await;
        let upstreams = started(vec![at("s", &url)], settings()).await;
        assert!(is_ready(&state(&upstreams, "s")), "{modern} {json}: {}", state(&upstreams, "s"));
        assert_eq!(call(&upstreams, "mcp_s_echo", json!({"text": "hi"})).await.unwrap(), "hi");
        let calls = (0..20).map(|_| call(&upstreams, "mcp_s_echo", json!({"text": "many"})));
        for result in futures_util::future::join_all(calls).await {
            assert_eq!(result.unwrap(), "many");
        }
        upstreams.stop().await;
    }
}

#[tokio::test]
async fn large_answers_are_refused_and_the_server_stays() {
    for (modern, json) in [(true, true), (true, false), (false, true), (false, false)] {
        let url = serve(router(&Remote::new(modern), json)).await;
        let upstreams = started(vec![at("s", &url)], Settings { largest_answer: 1 << 20, ..settings() }).await;
        let large = call(&upstreams, "mcp_s_big", json!({"number": 2_000_000})).await.unwrap_err();
        assert_eq!(large, CallError::TooLarge { tool: "big".into(), most: 1 << 20 }, "{modern} {json}");
        assert_eq!(call(&upstreams, "mcp_s_big", json!({"number": 500_000})).await.unwrap().len(), 500_000);
        upstreams.stop().await;
    }
}

#[tokio::test]
async fn a_call_without_answer_ends_at_its_time() {
    for modern in [true, false] {
        let url = serve(router(&Remote::new(modern), false)).await;
        let upstreams = started(vec![at("s", &url)], settings()).await;
        let short = Duration::from_millis(100);
        let timeout = call_within(&upstreams, "mcp_s_hang", json!({}), short).await.unwrap_err();
        assert!(matches!(timeout, CallError::Timeout { .. }), "{timeout}");
        assert_eq!(call(&upstreams, "mcp_s_echo", json!({"text": "hi"})).await.unwrap(), "hi");
        upstreams.stop().await;
    }
}

#[tokio::test]
async fn a_changed_list_is_taken_over() {
    let remote = Remote::new(true);
    let url = serve(router(&remote, false)).await;
    let upstreams = started(vec![at("s", &url)], settings()).await;
    remote.tools.lock().unwrap().push("new".into());
    // Kept until the server is listened to.
    remote.changed.notify_one();
    until(&upstreams, "s", |state| matches!(state, State::Ready { tools: 4, .. })).await;
    assert!(upstreams.catalog().find("mcp_s_new").is_some());
    upstreams.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_connected_when_it_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap();
    drop(listener);
    let upstreams = started(vec![at("s", &format!("http://{port}/mcp?key=verysecret"))], settings()).await;
    let down = until(&upstreams, "s", |state| matches!(state, State::Down { .. })).await;
    let text = down.to_string();
    assert!(text.contains("could not be reached") && text.contains("refused"), "{text}");
    assert!(!text.contains("verysecret"), "{text}");
    let listener = TcpListener::bind(port).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router(&Remote::new(true), true)).await });
    until(&upstreams, "s", is_ready).await;
    upstreams.stop().await;
}

#[tokio::test]
async fn what_is_no_mcp_server_is_said_to_be_none() {
    let page = Router::new().fallback(|| async { axum::response::Html("<h1>hello</h1>") });
    let gone = Router::new().fallback(|| async { StatusCode::NOT_FOUND });
    let broken = Router::new().fallback(|| async { StatusCode::INTERNAL_SERVER_ERROR });
    for (router, expected) in [(page, "text/html"), (gone, "404"), (broken, "500")] {
        let url = serve(router).await;
        let upstreams = started(vec![at("s", &url)], settings()).await;
        let text = until(&upstreams, "s", |state| matches!(state, State::Down { .. })).await.to_string();
        assert!(text.contains("does not speak streamable HTTP here") && text.contains(expected), "{text}");
        upstreams.stop().await;
    }
}

#[tokio::test]
async fn headers_are_sent_and_a_refused_token_is_said_to_be_refused() {
    let guarded = |headers: HeaderMap, request: axum::extract::Request, next: axum::middleware::Next| async move {
        if headers.get("authorization").is_some_and(|token| token == "Bearer right-token") {
            next.run(request).await
        } else {
            axum::response::IntoResponse::into_response(StatusCode::UNAUTHORIZED)
        }
    };
    let url = serve(router(&Remote::new(true), true).layer(axum::middleware::from_fn(guarded))).await;
    let with = |name: &str, token: &str| {
        let headers = BTreeMap::from([("Authorization".to_owned(), Secret::new(token))]);
        Server::http(name, address(&url).unwrap(), headers)
    };
    let upstreams =
        started(vec![with("right", "Bearer right-token"), with("wrong", "Bearer wrong-token")], settings()).await;
    assert!(is_ready(&state(&upstreams, "right")));
    let text = until(&upstreams, "wrong", |state| matches!(state, State::Down { .. })).await.to_string();
    assert!(text.contains("it refused our credentials (HTTP 401)"), "{text}");
    upstreams.stop().await;
}
