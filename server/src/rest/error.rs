//! Errors as every client reads them: a status, and `{"error": "what to do"}`.

use crate::executions::Refused;
use crate::store;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

pub(crate) struct Error(pub(crate) StatusCode, pub(crate) String);

impl Error {
    pub(crate) fn wrong(why: impl Into<String>) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, why.into())
    }

    pub(crate) fn unknown(what: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, what.into())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        crate::http::refuse(self.0, &self.1)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        let status = match error {
            store::Error::Full => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Store(error) => error.into(),
            busy => Self(StatusCode::SERVICE_UNAVAILABLE, busy.to_string()),
        }
    }
}

/// A JSON body whose errors are in this API's own form.
pub(crate) struct Body<T>(pub(crate) T);

impl From<JsonRejection> for Error {
    fn from(rejection: JsonRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        Ok(Self(axum::Json::from_request(request, state).await?.0))
    }
}
