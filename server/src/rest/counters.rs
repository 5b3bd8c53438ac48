//! `/operator/v1/counters`: what a grant's limits have counted, for whoever explains a decision.

use super::error::Error;
use crate::app::App;
use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};

pub(super) async fn of_grant(State(app): State<App>, Path(grant): Path<String>) -> Result<Json<Value>, Error> {
    let counts = app.gate.counts(&grant);
    let unavailable =
        |error: exuvia_policies::Unavailable| Error::Plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    Ok(Json(json!({ "counts": counts.map_err(unavailable)? })))
}
