//! OAuth against a small real authorization server, on loopback, that guards a small MCP server.

use super::http::{at, serve};
use super::*;
use crate::upstream::oauth::{Oauth, OauthError};
use crate::upstream::remote::RemoteError;
use axum::extract::{Query, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use sha2::Digest;
use std::collections::HashMap;

const REDIRECT: &str = "http://127.0.0.1:9/oauth/callback";

/// What the authorization server knows.
#[derive(Default)]
struct Issued {
    base: Mutex<String>,
    /// Codes, with the PKCE challenge that they are bound to.
    codes: Mutex<HashMap<String, String>>,
    tokens: Mutex<Vec<String>>,
    refreshed: Mutex<u32>,
    /// Those that it was shown, whoever gave them.
    shown: Mutex<Vec<String>>,
}

type Issuer = Shared<Arc<Issued>>;

async fn resource_metadata(Shared(issued): Issuer) -> Json<Value> {
    let base = issued.base.lock().unwrap().clone();
    Json(json!({"resource": format!("{base}/mcp"), "authorization_servers": [base], "scopes_supported": ["tools"]}))
}

async fn metadata(Shared(issued): Issuer) -> Json<Value> {
    let base = issued.base.lock().unwrap().clone();
    Json(json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "registration_endpoint": format!("{base}/register"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
    }))
}

async fn register(Json(request): Json<Value>) -> (StatusCode, Json<Value>) {
    let answer = json!({"client_id": "client-1", "redirect_uris": request["redirect_uris"], "client_name": "Exuvia"});
    (StatusCode::CREATED, Json(answer))
}

/// A user who agrees at once.
async fn authorize(Shared(issued): Issuer, Query(query): Query<HashMap<String, String>>) -> Redirect {
    assert_eq!((query["client_id"].as_str(), query["code_challenge_method"].as_str()), ("client-1", "S256"));
    let mut codes = issued.codes.lock().unwrap();
    let code = format!("code-{}", codes.len());
    codes.insert(code.clone(), query["code_challenge"].clone());
    Redirect::to(&format!("{}?code={code}&state={}", query["redirect_uri"], query["state"]))
}

async fn token(Shared(issued): Issuer, body: String) -> Response {
    use base64::Engine;
    let form = reqwest::Url::parse(&format!("http://form/?{body}")).unwrap();
    let form: HashMap<String, String> = form.query_pairs().into_owned().collect();
    let refused = || (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    match form["grant_type"].as_str() {
        "authorization_code" => {
            let challenge = issued.codes.lock().unwrap().remove(&form["code"]);
            let hash = sha2::Sha256::digest(form["code_verifier"].as_bytes());
            if challenge != Some(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash)) {
                return refused();
            }
        }
        "refresh_token" if form["refresh_token"] == "refresh-1" => *issued.refreshed.lock().unwrap() += 1,
        _ => return refused(),
    }
    let mut tokens = issued.tokens.lock().unwrap();
    let token = format!("access-token-{}", tokens.len());
    tokens.push(token.clone());
    let answer =
        json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600, "refresh_token": "refresh-1"});
    Json(answer).into_response()
}

/// MCP as of 2025-06-18, for who has a token.
async fn mcp(Shared(issued): Issuer, headers: HeaderMap, Json(request): Json<Value>) -> Response {
    let token = headers.get("authorization").and_then(|token| token.to_str().ok()?.strip_prefix("Bearer "));
    issued.shown.lock().unwrap().extend(token.map(str::to_owned));
    if !token.is_some_and(|token| issued.tokens.lock().unwrap().iter().any(|known| known == token)) {
        let base = issued.base.lock().unwrap().clone();
        let challenge = format!("Bearer resource_metadata=\"{base}/.well-known/oauth-protected-resource/mcp\"");
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response();
    }
    let tool = json!({"name": "whoami", "inputSchema": {"type": "object"}});
    let result = match request["method"].as_str().unwrap() {
        "initialize" => json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
            "serverInfo": {"name": "guarded", "version": "1"}}),
        "tools/list" => json!({"tools": [tool]}),
        "tools/call" => json!({"content": [{"type": "text", "text": token}]}),
        _ if request.get("id").is_none() => return StatusCode::ACCEPTED.into_response(),
        _ => {
            let error = json!({"code": -32601, "message": "unknown method"});
            return Json(json!({"jsonrpc": "2.0", "id": request["id"], "error": error})).into_response();
        }
    };
    Json(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).into_response()
}

async fn guarded() -> (Arc<Issued>, String) {
    let issued = Arc::new(Issued::default());
    let router = Router::new()
        .route("/.well-known/oauth-protected-resource/mcp", get(resource_metadata))
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/register", post(register))
        .route("/authorize", get(authorize))
        .route("/token", post(token))
        .route("/mcp", post(mcp).get(|| async { StatusCode::METHOD_NOT_ALLOWED }))
        .with_state(Arc::clone(&issued));
    let url = serve(router).await;
    *issued.base.lock().unwrap() = url.strip_suffix("/mcp").unwrap().to_owned();
    (issued, url)
}

/// The user's browser: opens the address, and gives the code and the state that it is sent back with.
async fn browse(auth_url: &str) -> (String, String) {
    let stay = reqwest::redirect::Policy::none();
    let browser = reqwest::Client::builder().no_proxy().redirect(stay).build().unwrap();
    let answer = browser.get(auth_url).send().await.unwrap();
    let back = reqwest::Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
    assert!(back.as_str().starts_with(REDIRECT));
    let query: HashMap<_, _> = back.query_pairs().into_owned().collect();
    (query["code"].clone(), query["state"].clone())
}

fn vault(folder: &Path) -> Arc<Vault> {
    let sealed = Arc::new(Sealed::of_file(&folder.join("key")).unwrap());
    Arc::new(Vault::open(folder, sealed).unwrap())
}

#[tokio::test]
async fn a_server_is_authorized_and_stays_so_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let (issued, url) = guarded().await;
    let with_vault = || Settings { vault: Some(vault(folder.path())), ..settings() };
    let upstreams = started(vec![at("s", &url)], with_vault()).await;
    assert!(
        matches!(state(&upstreams, "s"), State::NeedsAuthorization { challenge: Some(_) }),
        "{}",
        state(&upstreams, "s")
    );
    let oauth = Oauth::new(upstreams.clone(), vault(folder.path()), REDIRECT.into());

    let begun = oauth.begin("s").await.unwrap();
    assert_eq!(oauth.status(&begun.flow_id), Some(Flow::Pending));
    assert_eq!(oauth.server(&begun.flow_id).as_deref(), Some("s"));
    let (code, state) = browse(&begun.auth_url).await;
    assert!(matches!(oauth.callback(&code, "another state", None).await, Err(OauthError::Unknown)));
    assert_eq!(oauth.callback(&code, &state, None).await.unwrap(), "s");
    assert_eq!(oauth.status(&begun.flow_id), Some(Flow::Authorized));
    // A callback counts once.
    assert!(matches!(oauth.callback(&code, &state, None).await, Err(OauthError::Unknown)));
    until(&upstreams, "s", is_ready).await;
    assert_eq!(call(&upstreams, "mcp_s_whoami", json!({})).await.unwrap(), "access-token-0");

    // The server forgets the token: it is renewed without the user.
    issued.tokens.lock().unwrap()[0] = "revoked".into();
    assert_eq!(call(&upstreams, "mcp_s_whoami", json!({})).await.unwrap(), "access-token-1");
    assert_eq!(*issued.refreshed.lock().unwrap(), 1);
    upstreams.stop().await;

    let kept = std::fs::read_dir(folder.path().join("tokens")).unwrap().next().unwrap().unwrap();
    let kept = std::fs::read_to_string(kept.path()).unwrap();
    assert!(!kept.contains("token") && !kept.contains("client"), "{kept}");
    let again = started(vec![at("s", &url)], with_vault()).await;
    assert_eq!(call(&again, "mcp_s_whoami", json!({})).await.unwrap(), "access-token-1");
    again.stop().await;
    vault(folder.path()).forget("s").unwrap();
    let forgotten = started(vec![at("s", &url)], with_vault()).await;
    assert_eq!(super::state(&forgotten, "s").word(), "needs_authorization");
    forgotten.stop().await;
}

#[tokio::test]
async fn tokens_are_not_sent_to_another_address() {
    let folder = tempfile::tempdir().unwrap();
    let (_, url) = guarded().await;
    let upstreams = started(vec![at("s", &url)], Settings { vault: Some(vault(folder.path())), ..settings() }).await;
    let oauth = Oauth::new(upstreams.clone(), vault(folder.path()), REDIRECT.into());
    let begun = oauth.reauthorize("s").await.unwrap();
    let (code, state) = browse(&begun.auth_url).await;
    oauth.callback(&code, &state, None).await.unwrap();
    until(&upstreams, "s", is_ready).await;

    let (stolen, other) = guarded().await;
    upstreams.update(at("s", &other)).await.unwrap();
    upstreams.settled(LONG).await;
    assert_eq!(super::state(&upstreams, "s").word(), "needs_authorization");
    assert!(stolen.tokens.lock().unwrap().is_empty());
    assert!(stolen.shown.lock().unwrap().is_empty());
    upstreams.stop().await;
}

#[tokio::test]
async fn flows_that_fail_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let (_, url) = guarded().await;
    let page = serve(Router::new().fallback(|| async { StatusCode::NOT_FOUND })).await;
    let stdio = Server::stdio("local", Stdio { command: "no-such-program".into(), ..Stdio::default() });
    let servers = vec![at("s", &url), at("none", &page), stdio];
    let upstreams = started(servers, Settings { vault: Some(vault(folder.path())), ..settings() }).await;
    let oauth = Oauth::new(upstreams.clone(), vault(folder.path()), REDIRECT.into());
    assert!(matches!(oauth.begin("unknown").await, Err(OauthError::Server(ChangeError::Unknown(_)))));
    assert!(matches!(oauth.begin("local").await, Err(OauthError::NotHttp(_))));
    assert!(matches!(oauth.begin("none").await, Err(OauthError::Failed { .. })));
    assert_eq!(oauth.status("unknown"), None);

    let begun = oauth.begin("s").await.unwrap();
    let (_, state) = browse(&begun.auth_url).await;
    let error = oauth.callback("wrong code", &state, None).await.unwrap_err();
    assert!(error.to_string().starts_with("the authorization of `s` failed: "), "{error}");
    assert_eq!(oauth.status(&begun.flow_id), Some(Flow::Failed { error: error.to_string() }));

    let begun = oauth.begin("s").await.unwrap();
    let (_, state) = browse(&begun.auth_url).await;
    assert_eq!(oauth.refused(&state, "access_denied").unwrap(), "s");
    let expected = Flow::Failed { error: "the authorization server answered: access_denied".into() };
    assert_eq!(oauth.status(&begun.flow_id), Some(expected));
    upstreams.stop().await;
}

#[tokio::test]
async fn a_flow_expires() {
    let folder = tempfile::tempdir().unwrap();
    let (_, url) = guarded().await;
    let upstreams = started(vec![at("s", &url)], Settings { vault: Some(vault(folder.path())), ..settings() }).await;
    let oauth = Oauth::new(upstreams.clone(), vault(folder.path()), REDIRECT.into());
    let begun = oauth.begin("s").await.unwrap();
    let (code, state) = browse(&begun.auth_url).await;
    oauth.age(&begun.flow_id, Duration::from_secs(15 * 60));
    assert_eq!(oauth.status(&begun.flow_id), Some(Flow::Expired));
    assert!(matches!(oauth.callback(&code, &state, None).await, Err(OauthError::Unknown)));
    upstreams.stop().await;
}

#[tokio::test]
async fn a_server_that_was_added_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (_, url) = guarded().await;
    let open =
        || Registry::open(folder.path(), Arc::new(Sealed::of_file(&folder.path().join("key")).unwrap())).unwrap().0;
    let with_vault = || Settings { vault: Some(vault(folder.path())), ..settings() };
    let upstreams = started(Vec::new(), with_vault()).await;
    let remotes = Remotes::new(upstreams.clone(), open(), vault(folder.path()), REDIRECT.into());
    let none = BTreeMap::new();
    let Added::RequiresAuth(begun) = remotes.add("s", &url, &none).await.unwrap() else { panic!() };
    let (code, state) = browse(&begun.auth_url).await;
    remotes.oauth.callback(&code, &state, None).await.unwrap();
    // The same call again, as clients make it once their user has agreed.
    let ready = Added::Ready { tools: vec!["mcp_s_whoami".into()] };
    assert_eq!(remotes.add("s", &url, &none).await.unwrap(), ready);
    let other = remotes.add("s", "https://example.org/", &none).await.unwrap_err();
    assert!(matches!(other, RemoteError::Change(ChangeError::Exists(_))), "{other}");
    assert_eq!(remotes.update("s", None, None).await.unwrap(), ready);
    upstreams.stop().await;

    let again = started(open().all().into_iter().map(Server::from).collect(), with_vault()).await;
    assert_eq!(call(&again, "mcp_s_whoami", json!({})).await.unwrap(), "access-token-0");
    let remotes = Remotes::new(again.clone(), open(), vault(folder.path()), REDIRECT.into());
    remotes.remove("s").await.unwrap();
    assert!(again.servers().is_empty() && open().all().is_empty());
    assert_eq!(std::fs::read_dir(folder.path().join("tokens")).unwrap().count(), 0);
    assert!(matches!(remotes.remove("s").await, Err(RemoteError::Change(ChangeError::Unknown(_)))));
    again.stop().await;
}
