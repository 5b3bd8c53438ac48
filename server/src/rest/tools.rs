//! `POST /api/tools/execute`: what the published `datagen-python-sdk` calls.

use super::error::Body;
use crate::app::App;
use crate::executions::Answer;
use crate::gate::{Denied, Stop};
use crate::grants::Principal;
use crate::mcp::{decide, parsed};
use axum::extract::State;
use axum::{Extension, Json};
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
pub(super) async fn execute(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Body(call): Body<Call>,
) -> Json<Value> {
    let grant = principal.grant.as_str();
    let arguments = json!({ "tool_alias_name": call.tool_alias_name, "parameters": call.parameters });
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let data = match decide(&app, grant, "executeTool", arguments).await {
        Ok(granted) => {
            let (_, receipt) = granted.spend_as_given();
            let data = called(&app, grant, call).await;
            app.gate.settle(receipt, data.get("success") == Some(&Value::Bool(true)));
            data
        }
        Err(Stop::Denied(denied)) => refused(&denied),
        Err(Stop::Arguments(why)) => json!({ "success": false, "error": why }),
    };
    Json(json!({ "success": true, "data": data }))
}

async fn called(app: &App, grant: &str, call: Call) -> Value {
    match app.calls.execute(grant, &call.tool_alias_name, call.parameters).await {
        Answer::Value(value) => json!({ "success": true, "result": value }),
        Answer::Text(text) => json!({ "success": true, "result": parsed(text) }),
        Answer::Denied(denied) => refused(&denied),
        Answer::Error(refusal) => json!({ "success": false, "error": refusal.message }),
    }
}

fn refused(denied: &Denied) -> Value {
    json!({ "success": false, "error": denied.text(), "policy": denied.data() })
}
