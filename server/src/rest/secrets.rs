//! Secrets: `/operator/v1/secrets` for the operator, who alone gives and takes values, and DataGen's two ways.

use super::error::{Body, Error};
use super::executions::permit;
use crate::app::App;
use crate::grants::Principal;
use crate::secrets::{MASK, Value, VaultError};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value as Answer, json};

pub(super) async fn list(State(app): State<App>) -> Result<Json<Answer>, Error> {
    Ok(Json(json!({ "secrets": app.secrets.vault.list()? })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    value: SecretString,
}

pub(super) async fn set(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(Given { value }): Body<Given>,
) -> Result<(StatusCode, Json<Answer>), Error> {
    let created = keep(&app, &name, &value)?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(json!({ "name": name, "created": created }))))
}

pub(super) async fn remove(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Answer>, Error> {
    app.secrets.vault.remove(&name)?;
    tracing::info!(name, "a secret was removed");
    Ok(Json(json!({ "name": name, "removed": true })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upserted {
    name: String,
    value: SecretString,
}

/// As DataGen's own command line sends it; here with the operator's token, as agents have a grant's key.
pub(super) async fn upsert(
    State(app): State<App>,
    Body(Upserted { name, value }): Body<Upserted>,
) -> Result<Json<Answer>, Error> {
    let created = keep(&app, &name, &value)?;
    Ok(Json(json!({ "secret": { "name": name, "value": MASK }, "created": created })))
}

/// What the grant's policy lists: the same as `getUserSecrets`.
pub(super) async fn keys(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<Answer>, Error> {
    permit(&app, &principal, "getUserSecrets", &json!({})).await?;
    let policy = app.gate.policy(&principal.grant);
    Ok(Json(json!({ "secrets": app.secrets.listed(policy.as_ref()) })))
}

fn keep(app: &App, name: &str, value: &SecretString) -> Result<bool, Error> {
    let value = Value::new(value.expose_secret().to_owned());
    let value = value.map_err(|unfit| Error::wrong(format!("this cannot be a secret: {unfit}")))?;
    let created = app.secrets.vault.set(name, &value)?;
    tracing::info!(name, created, "a secret was set");
    Ok(created)
}

impl From<VaultError> for Error {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Name(_) | VaultError::Full => Self::wrong(error.to_string()),
            VaultError::Unknown(_) => Self::unknown(error.to_string()),
            other => {
                tracing::error!(error = &other as &dyn std::error::Error, "the secrets cannot be used");
                Self::Plain(StatusCode::INTERNAL_SERVER_ERROR, other.to_string())
            }
        }
    }
}
