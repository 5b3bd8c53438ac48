//! `POST /api/tools/execute`: what the published `datagen-python-sdk` calls.

use super::error::Body;
use crate::app::App;
use crate::executions::Answer;
use crate::mcp::parsed;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    tool_alias_name: String,
    #[serde(default)]
    parameters: Map<String, Value>,
}

/// Calls a tool. A tool's failure is an answer with status 200, as in DataGen's API.
pub(super) async fn execute(State(app): State<App>, Body(call): Body<Call>) -> Json<Value> {
    let data = match app.calls.execute(&call.tool_alias_name, call.parameters).await {
        Answer::Value(value) => json!({ "success": true, "result": value }),
        Answer::Text(text) => json!({ "success": true, "result": parsed(text) }),
        Answer::Error(refusal) => json!({ "success": false, "error": refusal.message }),
    };
    Json(json!({ "success": true, "data": data }))
}
