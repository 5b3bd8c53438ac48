//! The HTTP client for servers that speak streamable HTTP.

use super::Settings;
use super::config::Http;
use http::{HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, redirect};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use std::collections::HashMap;
use std::sync::Once;
use std::time::Duration;

/// How long a TCP connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept. Servers behind proxies close theirs after some 60 s.
const IDLE: Duration = Duration::from_secs(15);
const MOST_REDIRECTS: usize = 5;
/// How much of an error page is read.
const ERROR_PAGE: usize = 8 << 10;

/// Makes ring the provider of cryptography for all TLS of this process.
pub(super) fn provide_tls() {
    static ONCE: Once = Once::new();
    // It fails when there is one already, which is as good.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// A client for the server at `url`. A proxy of the environment is not asked for this machine's own servers: it would look
/// for them on its own.
pub(super) fn client(url: &reqwest::Url) -> Result<Client, reqwest::Error> {
    provide_tls();
    let builder = Client::builder()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .redirect(same_origin())
        .user_agent(concat!("exuvia/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) { builder.no_proxy().build() } else { builder.build() }
}

pub(super) fn is_loopback(url: &reqwest::Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
    })
}

/// Follows a redirect only where the message and the headers arrive unchanged and stay with the server they are meant for.
fn same_origin() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let keeps = matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        let stays = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
        if !keeps || !stays {
            attempt.stop()
        } else if attempt.previous().len() > MOST_REDIRECTS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}

pub(super) fn transport(http: &Http, settings: &Settings) -> StreamableHttpClientTransportConfig {
    let mut headers = HashMap::new();
    for (name, value) in &http.headers {
        // The configuration was refused where one of these fails.
        if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value.expose())) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    StreamableHttpClientTransportConfig::with_uri(http.url.as_str())
        .custom_headers(headers)
        // rmcp's own bound must not come before ours: it would count other requests, too.
        .max_concurrent_requests(settings.parallel.saturating_add(4))
        .max_sse_event_size(settings.largest_answer)
        .max_json_response_size(settings.largest_answer)
        .max_error_response_size(ERROR_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::secret::Secret;
    use std::collections::BTreeMap;

    /// Seen to fail with `set_sensitive` left out.
    #[test]
    fn what_a_server_is_told_is_not_shown() {
        let headers = BTreeMap::from([("x-key".to_owned(), Secret::new("a secret"))]);
        let http = Http { url: reqwest::Url::parse("https://a.example/mcp").unwrap(), headers };
        let transport = transport(&http, &Settings::default());
        let value = &transport.custom_headers[&HeaderName::from_static("x-key")];
        assert_eq!((value.as_bytes(), format!("{value:?}").as_str()), (&b"a secret"[..], "Sensitive"));
    }

    #[test]
    fn loopback() {
        for (url, expected) in [
            ("http://localhost:1/mcp", true),
            ("http://127.0.0.9/", true),
            ("http://[::1]:8/", true),
            ("https://localhost.example.org/", false),
            ("https://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&reqwest::Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
