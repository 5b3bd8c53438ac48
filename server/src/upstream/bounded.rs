//! The HTTP client, with a word about answers that are too large: rmcp ends their stream of events without saying why, so
//! that the call could not tell a bound from a broken connection.

use super::pipe::TOO_LARGE;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::{HeaderName, HeaderValue};
use rmcp::model::{ClientJsonRpcMessage, ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse, StreamableHttpResponseLimits,
};
use sse_stream::Sse;
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

type Headers = HashMap<HeaderName, HeaderValue>;
type Answer<E> = Result<StreamableHttpPostResponse, StreamableHttpError<E>>;
type Events<E> = Result<BoxStream<'static, Result<Sse, SseError>>, StreamableHttpError<E>>;

#[derive(Clone)]
pub(super) struct Bounded<C>(pub(super) C);

impl<C: StreamableHttpClient + Sync> StreamableHttpClient for Bounded<C> {
    type Error = C::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
    ) -> Answer<C::Error> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(uri, message, session, token, headers, limits).await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
        limits: StreamableHttpResponseLimits,
    ) -> Answer<C::Error> {
        let id = match &message {
            JsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        let answer = self.0.post_message_with_response_limits(uri, message, session, token, headers, limits).await?;
        Ok(match (answer, id) {
            (StreamableHttpPostResponse::Sse(events, session), Some(id)) => {
                let events = events.map(move |event| event.or_else(|error| explained(error, &id))).boxed();
                StreamableHttpPostResponse::Sse(events, session)
            }
            (other, _) => other,
        })
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<(), StreamableHttpError<C::Error>> {
        self.0.delete_session(uri, session, token, headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        token: Option<String>,
        headers: Headers,
    ) -> Events<C::Error> {
        self.0.get_stream(uri, session, last_event, token, headers).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        token: Option<String>,
        headers: Headers,
        most: usize,
    ) -> Events<C::Error> {
        self.0.get_stream_with_max_sse_event_size(uri, session, last_event, token, headers, most).await
    }
}

/// In the place of the event that is too large, the answer that says so. rmcp's error for it has no name outside of rmcp.
fn explained(error: SseError, id: &RequestId) -> Result<Sse, SseError> {
    let text = match &error {
        SseError::Body(cause) => cause.to_string(),
        other => other.source().map(ToString::to_string).unwrap_or_default(),
    };
    if !text.contains("exceeded the maximum size") {
        return Err(error);
    }
    let refusal = ErrorData::new(TOO_LARGE, "the answer is too large", None);
    let message = ServerJsonRpcMessage::error(refusal, Some(id.clone()));
    serde_json::to_string(&message).map_or(Err(error), |message| Ok(Sse::default().data(message)))
}
