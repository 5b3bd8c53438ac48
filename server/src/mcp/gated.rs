//! This server's own tools, before the gate. REST asks for the same tools by other ways.

use super::arguments::{CodeArguments, Way, code, read};
use crate::app::App;
use crate::executions::Request;
use crate::gate::{Asked, Asker, Granted, Stop};
use serde_json::{Map, Value};

/// Decides a client's call of one of this server's tools.
pub(crate) async fn decide(app: &App, grant: &str, tool: &str, arguments: Map<String, Value>) -> Result<Granted, Stop> {
    let decided = app.gate.decide(Asker::client(grant), tool, || {
        let arguments = match way(tool) {
            Some(way) => {
                let (arguments, request) = checked(arguments, way).map_err(Stop::Arguments)?;
                let policy = app.gate.policy(grant);
                let secrets = app.secrets.check(policy.as_ref(), &request.secrets, request.session.is_some());
                secrets.map_err(|why| Stop::Arguments(app.gate.without_secrets(grant).map_or(why, str::to_owned)))?;
                arguments
            }
            None => arguments,
        };
        Ok(Asked { arguments, schema: None, definition: None })
    });
    decided.await
}

fn way(tool: &str) -> Option<Way> {
    match tool {
        "executeCode" => Some(Way::Sync),
        "asyncExecuteCode" => Some(Way::Async),
        _ => None,
    }
}

/// The arguments of the tools that take code, each under its one name: a rule about `args.script` must not be evaded by
/// its early name.
fn checked(mut arguments: Map<String, Value>, way: Way) -> Result<(Map<String, Value>, Request), String> {
    if let Some(early) = arguments.shift_remove("code")
        && arguments.get("script").is_none_or(Value::is_null)
    {
        arguments.insert("script".to_owned(), early);
    }
    let request = code(read::<CodeArguments>(arguments.clone())?, way)?;
    Ok((arguments, request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn code_has_one_name_when_it_is_decided_upon() {
        let checked = |arguments: Value| {
            let arguments = arguments.as_object().cloned().unwrap_or_default();
            checked(arguments, Way::Sync).map(|(arguments, _)| Value::Object(arguments))
        };
        assert_eq!(checked(json!({ "code": "1" })), Ok(json!({ "script": "1" })));
        assert_eq!(checked(json!({ "code": "1", "script": null })), Ok(json!({ "script": "1" })));
        assert_eq!(checked(json!({ "code": "1", "script": "2" })), Ok(json!({ "script": "2" })));
        assert!(checked(json!({})).is_err());
    }
}
