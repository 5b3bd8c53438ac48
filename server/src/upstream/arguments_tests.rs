use super::*;
use serde_json::json;
use std::sync::Arc;

fn tool(schema: &Value) -> Tool {
    let tool = json!({"name": "search", "inputSchema": schema});
    let definition = Definition::new("Web", serde_json::from_value(tool).unwrap()).unwrap();
    Tool { alias: "mcp_Web_search".into(), definition: Arc::new(definition) }
}

fn search() -> Tool {
    tool(&json!({"type": "object", "required": ["query"], "properties": {
        "query": {"type": "string", "description": "What to look for"},
        "from": {"type": "integer", "minimum": 0},
        "order": {"enum": ["new", "old"]},
        "filter": {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}}}},
        "cursor": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    }}))
}

fn call(tool: &Tool, positional: Value, named: Value) -> Result<Value, String> {
    let Value::Array(positional) = positional else { panic!() };
    let Value::Object(named) = named else { panic!() };
    tool.arguments(positional, named).map(Value::Object)
}

#[test]
fn positional_and_named() {
    let tool = search();
    assert_eq!(
        call(&tool, json!(["a", 3]), json!({"order": "new"})).unwrap(),
        json!({"query": "a", "from": 3, "order": "new"})
    );
    // As Python calls it, and as the server does.
    assert_eq!(call(&tool, json!(["a"]), json!({"from_": 1})).unwrap(), json!({"query": "a", "from": 1}));
    assert_eq!(call(&tool, json!(["a"]), json!({"from": 1})).unwrap(), json!({"query": "a", "from": 1}));
    // None stands for nothing, except where it is a value.
    assert_eq!(
        call(&tool, json!(["a", null]), json!({"cursor": null})).unwrap(),
        json!({"query": "a", "cursor": null})
    );
}

#[test]
fn refusals_are_for_the_author() {
    let tool = search();
    for (positional, named, expected) in [
        (json!([]), json!({}), "mcp_Web_search() lacks the argument `query` (str: What to look for)"),
        (json!(["a"]), json!({"query": "b"}), "mcp_Web_search() got the argument `query` twice"),
        (json!(["a"]), json!({"odrer": 1}), "mcp_Web_search() has no argument `odrer`; did you mean `order`?"),
        (
            json!(["a"]),
            json!({"zzzzzz": 1}),
            "mcp_Web_search() has no argument `zzzzzz`; it takes: query, from_, order, filter, cursor",
        ),
        (
            json!([1, 2, 3, 4, 5, 6]),
            json!({}),
            "mcp_Web_search() takes at most 5 positional arguments (query, from_, order, filter, cursor); 6 were given",
        ),
        (json!([7]), json!({}), "mcp_Web_search(): `query` must be str, not 7"),
        (json!(["a"]), json!({"order": "up"}), "mcp_Web_search(): `order` must be one of \"new\", \"old\", not \"up\""),
        (
            json!(["a"]),
            json!({"filter": {"tags": ["x", true]}}),
            "mcp_Web_search(): `filter.tags[1]` must be str, not True",
        ),
        (json!(["a", -1]), json!({}), "mcp_Web_search(): `from_` is -1: it is less than the minimum of 0"),
        (json!(["a"]), json!({"cursor": 1}), "mcp_Web_search(): `cursor` must be str | None, not 1"),
        (json!([null]), json!({}), "mcp_Web_search(): `query` must be str, not None"),
    ] {
        assert_eq!(call(&tool, positional, named).unwrap_err(), expected);
    }
    let long = call(&tool, json!([["x".repeat(1000)]]), json!({})).unwrap_err();
    assert!(long.len() < 200, "{long}");
}

#[test]
fn schemas_that_leave_arguments_open() {
    for schema in [
        json!({"type": "object"}),
        json!({"type": "object", "properties": {"a": {}}, "additionalProperties": true}),
        json!({"type": "object", "properties": {"a": {}}, "allOf": [{}]}),
    ] {
        assert!(call(&tool(&schema), json!([]), json!({"b": 1})).is_ok(), "{schema}");
    }
    let closed = tool(&json!({"type": "object", "properties": {}}));
    assert_eq!(
        call(&closed, json!([]), json!({"b": 1})).unwrap_err(),
        "mcp_Web_search() has no argument `b`; it takes: "
    );
}

#[test]
fn a_schema_that_cannot_be_used_lets_arguments_pass() {
    for schema in [
        json!({"type": "object", "properties": {"a": {"$ref": "https://example.org/schema.json"}}}),
        json!({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}),
        json!({"type": "object", "properties": {"a": {"type": "nonsense"}}}),
        json!({"type": "object", "properties": {"a": {"pattern": "("}}}),
    ] {
        let tool = tool(&schema);
        assert_eq!(call(&tool, json!([]), json!({"a": 1})).unwrap(), json!({"a": 1}));
        assert_eq!(tool.definition.validator.get().map(Option::is_none), Some(true));
    }
}

#[test]
fn a_hostile_pattern_ends() {
    let tool = tool(&json!({"type": "object", "properties": {"a": {"pattern": "^(?=x)(x+x+)+y$"}}}));
    let error = call(&tool, json!(["x".repeat(5000)]), json!({})).unwrap_err();
    assert!(error.starts_with("mcp_Web_search(): `a` is \"xxx"), "{error}");
}
