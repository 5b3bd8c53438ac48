//! Errors as every client reads them: a status, and `{"error": "what to do"}`.

use crate::executions::Refused;
use crate::gate::{Denied, Stop};
use crate::store;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;

pub(crate) enum Error {
    Plain(StatusCode, String),
    /// The policy refuses it.
    Denied(Denied),
}

impl Error {
    pub(crate) fn wrong(why: impl Into<String>) -> Self {
        Self::Plain(StatusCode::UNPROCESSABLE_ENTITY, why.into())
    }

    pub(crate) fn unknown(what: impl Into<String>) -> Self {
        Self::Plain(StatusCode::NOT_FOUND, what.into())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Plain(status, why) => crate::http::refuse(status, &why),
            // As if there were no such way.
            Self::Denied(denied) if denied.is_hidden => crate::http::refuse(StatusCode::NOT_FOUND, &denied.reason),
            Self::Denied(denied) => {
                let mut body = denied.data();
                if let Some(fields) = body.as_object_mut() {
                    fields.insert("error".into(), denied.text().into());
                }
                let Some(seconds) = denied.retry_after_s else {
                    return (StatusCode::FORBIDDEN, Json(body)).into_response();
                };
                (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds.to_string())], Json(body)).into_response()
            }
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        let status = match error {
            store::Error::Full => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::Plain(status, error.to_string())
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Store(error) => error.into(),
            Refused::Denied(denied) => Self::Denied(denied),
            Refused::Arguments(why) => Self::wrong(why),
            busy => Self::Plain(StatusCode::SERVICE_UNAVAILABLE, busy.to_string()),
        }
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Denied(denied) => Self::Denied(denied),
            Stop::Arguments(why) => Self::wrong(why),
        }
    }
}

/// A JSON body whose errors are in this API's own form.
pub(crate) struct Body<T>(pub(crate) T);

impl From<JsonRejection> for Error {
    fn from(rejection: JsonRejection) -> Self {
        Self::Plain(rejection.status(), rejection.body_text())
    }
}

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        Ok(Self(axum::Json::from_request(request, state).await?.0))
    }
}
