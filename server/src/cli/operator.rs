//! Where a running server hears its operator, and what shows that it is them.

use super::Failure;
use super::client::ask;
use crate::config::Data;
use crate::grants::operator_token;
use crate::http::Address;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use std::path::Path;

/// Where a server listens unless it is told otherwise.
const USUAL: &str = "http://127.0.0.1:8787";

/// A server's way for its operator.
pub(super) struct Operator {
    /// What people are told of it.
    name: String,
    base: String,
    socket: Option<Address>,
    token: String,
}

impl Operator {
    /// Of the server that is named, else of the one that has the data folder, else of the usual one.
    pub(super) fn of(url: Option<&str>, folder: Option<&Path>, token: Option<&str>) -> Result<Self, Failure> {
        let data = Data::new(folder);
        let token = match token {
            Some(token) => token.to_owned(),
            None => operator_token(&data.as_ref().map_err(|error| Failure::Usage(error.to_string()))?.operator_token())
                .map_err(|error| {
                    Failure::Usage(format!(
                        "{error}; `--data` names the server's data folder, `--token` gives the token"
                    ))
                })?,
        };
        match (url, data.ok().filter(|data| data.operator_socket().exists())) {
            (None, Some(data)) => Self::at(&data, token),
            (url, _) => {
                let base = url.unwrap_or(USUAL).trim_end_matches('/').to_owned();
                Ok(Self { name: base.clone(), base, socket: None, token })
            }
        }
    }

    /// Of the server that has the data folder. None: there is none.
    pub(super) fn of_folder(folder: Option<&Path>) -> Option<Self> {
        let data = Data::new(folder).ok()?;
        let token = operator_token(&data.operator_token()).ok()?;
        data.operator_socket().exists().then(|| Self::at(&data, token))?.ok()
    }

    fn at(data: &Data, token: String) -> Result<Self, Failure> {
        let path = data.operator_socket();
        let name = path.display().to_string();
        let socket = Address::of(&path)
            .map_err(|error| Failure::Usage(format!("could not open the folder of `{name}`: {error}")))?;
        Ok(Self { name, base: "http://localhost".into(), socket: Some(socket), token })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The URL of one of the operator's ways.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/operator/v1{path}", self.base)
    }

    pub(super) fn ask(&self, request: impl FnOnce(&Client) -> RequestBuilder) -> Result<Value, Failure> {
        let mut client = crate::tls::builder();
        if let Some(socket) = &self.socket {
            client = client.unix_socket(socket.path.as_path());
        }
        ask(&self.name, client, |client| request(client).bearer_auth(&self.token))
    }
}
