//! A connection that speaks HTTP/1.1: one exchange after another.

use super::connection::{LARGEST_HEAD, MOST_HEADERS, Unanswered};
use super::failure::{Failure, chain};
use super::request::Asked;
use super::upload::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;

pub(super) struct Exclusive {
    pub(super) address: IpAddr,
    sender: SendRequest<Body>,
    /// Moves its bytes, and ends with it.
    _driver: AbortOnDropHandle<()>,
}

impl Exclusive {
    pub(super) async fn speaking<S>(address: IpAddr, stream: S) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new();
        builder.title_case_headers(true).max_headers(MOST_HEADERS).max_buf_size(LARGEST_HEAD);
        let (sender, driver) = builder
            .handshake::<_, Body>(TokioIo::new(stream))
            .await
            .map_err(|error| Failure::Connect(error.to_string()))?;
        let driver = tokio::spawn(async move {
            // What goes wrong is told to whoever waits for the response.
            let _ = driver.await;
        });
        Ok(Self { address, sender, _driver: AbortOnDropHandle::new(driver) })
    }

    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Waits until it can be used. False: it never will.
    pub(super) async fn ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    pub(super) async fn answered(&mut self, asked: Asked, body: Body) -> Result<Response<Incoming>, Unanswered> {
        let Asked { method, target, headers, .. } = asked;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        self.sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
            Some(_) => Unanswered::Unsent(Failure::Disconnected),
            None => Unanswered::Failed(failure(error.error())),
        })
    }
}

fn failure(error: &hyper::Error) -> Failure {
    if error.is_parse() || error.is_parse_too_large() {
        Failure::Protocol(format!("the server's response is not HTTP: {}", chain(error)))
    } else if error.is_user() || error.is_body_write_aborted() {
        Failure::Write(format!("the request's body ended before its end: {}", chain(error)))
    } else {
        // However it went: without a word, in the middle of TLS, or with a reset.
        Failure::Disconnected
    }
}
