//! Who may come in: the host they name, the page they come from, the key they have.

use crate::config::Auth;
use crate::grants::{Grants, Operator, Principal};
use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONNECTION, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use std::net::IpAddr;
use std::sync::Arc;

/// Ways that need no key: whether the server lives, what it offers, and where browsers come back to.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/openapi.json", "/oauth/callback"];

/// A status, and what to do.
type Refusal = (StatusCode, String);

/// What every request is held against.
pub(crate) struct Guard {
    pub(crate) grants: Arc<Grants>,
    pub(crate) operator: Operator,
    pub(crate) auth: Auth,
    /// Whether only this machine can reach the port.
    pub(crate) is_loopback: bool,
    pub(crate) hosts: Hosts,
    /// Origins of web pages, as `https://app.example.org`.
    pub(crate) origins: Vec<String>,
}

/// Names by which this server may be called. A page on the web can make its own name lead to a loopback address, so that
/// the browser takes it for the page's own server; such a name is in none of these.
#[derive(Debug, Default)]
pub(crate) struct Hosts(pub(crate) Vec<String>);

impl Hosts {
    fn allows(&self, host: &str) -> bool {
        let name = without_port(host);
        let name = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok()
            || self.0.iter().any(|allowed| allowed.eq_ignore_ascii_case(name) || allowed.eq_ignore_ascii_case(host))
    }
}

/// Lets a request in, on behalf of whoever it comes from.
pub(crate) async fn admit(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    match guard.check(request.headers(), request.uri().host(), request.uri().path()) {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err((status, why)) => turn_away(request.version(), status, &why),
    }
}

/// Lets the operator in, and nobody else.
pub(crate) async fn admit_operator(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.check_operator(request.headers(), request.uri().host()) {
        Ok(()) => next.run(request).await,
        Err((status, why)) => turn_away(request.version(), status, &why),
    }
}

/// Refuses a request whose body was not read, so that the connection ends here; said, so that the client does not use it
/// once more.
fn turn_away(version: Version, status: StatusCode, why: &str) -> Response {
    let mut refusal = refuse(status, why);
    if version <= Version::HTTP_11 {
        refusal.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    refusal
}

pub(crate) fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(serde_json::json!({ "error": why }))).into_response()
}

impl Guard {
    fn check(&self, headers: &HeaderMap, named: Option<&str>, path: &str) -> Result<Principal, Refusal> {
        self.check_origin(headers, named)?;
        if OPEN.contains(&path) {
            return Ok(Principal::local());
        }
        self.principal(headers)
    }

    fn check_operator(&self, headers: &HeaderMap, named: Option<&str>) -> Result<(), Refusal> {
        self.check_origin(headers, named)?;
        let Some(given) = key(headers) else {
            let why = "the operator's token is needed, as `Authorization: Bearer`: it is in `operator.token` of the data folder";
            return Err((StatusCode::UNAUTHORIZED, why.into()));
        };
        match self.operator.is(given) {
            Ok(true) => Ok(()),
            Ok(false) if matches!(self.grants.find(given), Ok(Some(_))) => {
                Err((StatusCode::FORBIDDEN, "a grant's key is not the operator's token: grants decide nothing".into()))
            }
            Ok(false) => Err((StatusCode::UNAUTHORIZED, "this is not the operator's token".into())),
            Err(error) => {
                tracing::error!(%error, "could not look at the operator's token");
                let why = "the operator's token cannot be read; the server's log says more";
                Err((StatusCode::INTERNAL_SERVER_ERROR, why.into()))
            }
        }
    }

    /// Looks at the name that a request is for, and at the page that it comes from.
    fn check_origin(&self, headers: &HeaderMap, named: Option<&str>) -> Result<(), Refusal> {
        let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let host = named.or_else(|| text(HOST)).unwrap_or_default();
        if !self.hosts.allows(host) {
            let why = format!("this server is not known as `{host}`: add the name to `allowed_hosts` in exuvia.toml");
            return Err((StatusCode::FORBIDDEN, why));
        }
        if let Some(origin) = headers.get(ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            if !is_own(origin, host) && !self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)) {
                let why =
                    format!("pages of `{origin}` may not use this server: add it to `allowed_origins` in exuvia.toml");
                return Err((StatusCode::FORBIDDEN, why));
            }
        }
        Ok(())
    }

    fn principal(&self, headers: &HeaderMap) -> Result<Principal, Refusal> {
        let failed = |error: crate::grants::Error| {
            tracing::error!(%error, "could not read the grants");
            (StatusCode::INTERNAL_SERVER_ERROR, "the grants cannot be read; the server's log says more".to_owned())
        };
        let needs_key = match self.auth {
            Auth::None => false,
            Auth::ApiKeys => true,
            Auth::Auto => !self.is_loopback || self.grants.are_used().map_err(failed)?,
        };
        if !needs_key {
            return Ok(Principal::local());
        }
        let Some(key) = key(headers) else {
            let why =
                "a key is needed, in `x-api-key` or as `Authorization: Bearer`: `exuvia grants create NAME` makes one";
            return Err((StatusCode::UNAUTHORIZED, why.into()));
        };
        match self.grants.find(key).map_err(failed)? {
            Some(grant) => Ok(Principal { grant }),
            None => Err((StatusCode::UNAUTHORIZED, "this key is not known here, or was revoked".into())),
        }
    }
}

/// Whether a page comes from this server itself, under the name that the request was let in by.
fn is_own(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

fn key(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok();
    }
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // An IPv6 address has colons of its own.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(auth: Auth, is_loopback: bool, folder: &std::path::Path) -> Guard {
        let grants = Arc::new(Grants::at(folder.join("grants.json")));
        let hosts = Hosts(vec!["exuvia.example.org".into()]);
        let operator = Operator::open(folder.join("operator.token")).unwrap();
        Guard { grants, operator, auth, is_loopback, hosts, origins: vec!["https://app.example.org".into()] }
    }

    fn check(guard: &Guard, path: &str, headers: &[(&'static str, &str)]) -> Result<String, (u16, String)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        guard.check(&map, None, path).map(|who| who.grant).map_err(|(status, why)| (status.as_u16(), why))
    }

    #[test]
    fn names_that_lead_here_by_a_trick_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let guard = guard(Auth::Auto, true, folder.path());
        for host in ["localhost", "LOCALHOST:8787", "127.0.0.1:8787", "[::1]:8787", "[::1]", "exuvia.example.org:443"] {
            assert_eq!(check(&guard, "/mcp", &[("host", host)]).unwrap(), "local", "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:8787", "localhost.evil.example", ""] {
            let (status, why) = check(&guard, "/mcp", &[("host", host)]).unwrap_err();
            assert_eq!(status, 403);
            assert!(why.starts_with(&format!("this server is not known as `{host}`")), "{why}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_refused_even_for_open_ways() {
        let folder = tempfile::tempdir().unwrap();
        let guard = guard(Auth::Auto, true, folder.path());
        let with = |origin| check(&guard, "/healthz", &[("host", "localhost"), ("origin", origin)]);
        assert!(with("https://app.example.org").is_ok());
        // Its own pages, as a browser names them.
        assert!(with("http://localhost").is_ok());
        for origin in ["https://evil.example", "null", "http://localhost:8787", "localhost", "file://localhost"] {
            let (status, why) = with(origin).unwrap_err();
            assert_eq!(status, 403);
            assert!(why.starts_with(&format!("pages of `{origin}` may not use this server")), "{why}");
        }
    }

    #[test]
    fn keys_are_needed_once_there_are_any() {
        let folder = tempfile::tempdir().unwrap();
        let guard = guard(Auth::Auto, true, folder.path());
        let host = ("host", "localhost");
        assert_eq!(check(&guard, "/mcp", &[host, ("x-api-key", "any")]).unwrap(), "local");
        let key = guard.grants.create("alice", None).unwrap();
        assert_eq!(check(&guard, "/mcp", &[host]).unwrap_err().0, 401);
        assert_eq!(check(&guard, "/mcp", &[host, ("x-api-key", "any")]).unwrap_err().0, 401);
        assert_eq!(check(&guard, "/mcp", &[host, ("x-api-key", &key)]).unwrap(), "alice");
        assert_eq!(check(&guard, "/mcp", &[host, ("authorization", &format!("bearer {key}"))]).unwrap(), "alice");
        assert_eq!(check(&guard, "/mcp", &[host, ("authorization", &format!("Basic {key}"))]).unwrap_err().0, 401);
        assert!(check(&guard, "/healthz", &[host]).is_ok());
        guard.grants.revoke("alice").unwrap();
        assert_eq!(check(&guard, "/mcp", &[host]).unwrap_err().0, 401, "the last key is gone, and the door is open");
    }

    #[test]
    fn the_operator_has_a_token_that_no_grant_has() {
        let folder = tempfile::tempdir().unwrap();
        let guard = guard(Auth::Auto, true, folder.path());
        let check = |headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            guard.check_operator(&map, None).map_err(|(status, _)| status.as_u16())
        };
        let host = ("host", "localhost");
        let token = crate::grants::operator_token(&folder.path().join("operator.token")).unwrap();
        let bearer = format!("Bearer {token}");
        assert_eq!(check(&[host, ("authorization", &bearer)]), Ok(()));
        // Also where everybody on the machine may come in: to ask is not to approve.
        assert_eq!(check(&[host]), Err(401));
        let key = guard.grants.create("alice", None).unwrap();
        assert_eq!(check(&[host, ("x-api-key", &key)]), Err(403));
        assert_eq!(check(&[host, ("authorization", &format!("Bearer {key}"))]), Err(403));
        assert_eq!(check(&[host, ("authorization", "Bearer exo_wrong")]), Err(401));
        assert_eq!(check(&[("host", "evil.example"), ("authorization", &bearer)]), Err(403));
        assert_eq!(check(&[host, ("origin", "https://evil.example"), ("authorization", &bearer)]), Err(403));
        assert_eq!(
            guard
                .principal(&[("x-api-key".parse().unwrap(), token.parse().unwrap())].into_iter().collect())
                .unwrap_err()
                .0,
            401
        );
    }

    #[test]
    fn a_port_that_others_reach_needs_keys_from_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let guard = guard(Auth::Auto, false, folder.path());
        let (status, why) = check(&guard, "/mcp", &[("host", "localhost")]).unwrap_err();
        assert_eq!(status, 401);
        assert!(why.starts_with("a key is needed, in `x-api-key`"), "{why}");
    }
}
