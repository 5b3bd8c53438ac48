use super::*;
use serde_json::json;

fn codes(document: &Value) -> Vec<(&'static str, String)> {
    let policy = Policy::parse(document.to_string()).unwrap();
    lint(&policy).into_iter().map(|finding| (finding.code, finding.rule)).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "tests read better")]
fn tool(tool: Value) -> Value {
    json!({"version": "1", "default": "deny", "tools": {"t": tool}})
}

#[test]
fn a_deny_if_that_fails_open_is_found() {
    let deny = json!([{"conditions": [{"path": "args.amount", "op": "gt", "value": 1}]}]);
    let rule = "/tools/t/deny_if/args.amount-gt".to_owned();
    assert_eq!(codes(&tool(json!({"deny_if": deny}))), [("deny-if-fails-open", rule)]);
    let require = json!([{"conditions": [{"path": "args.amount", "op": "exists", "value": true}]}]);
    assert_eq!(codes(&tool(json!({"deny_if": deny, "require": require}))), []);
    let not = json!([{"conditions": [{"path": "args.amount", "op": "exists", "value": false}]}]);
    assert_eq!(codes(&tool(json!({"deny_if": deny, "require": not}))).len(), 1);
}

#[test]
fn a_schema_that_ensures_the_argument_closes_it() {
    let deny = json!([{"conditions": [{"path": "args.amount", "op": "gt", "value": 1}]}]);
    let policy = Policy::parse(tool(json!({"deny_if": deny})).to_string()).unwrap();
    let with = |schema: Value| lint_with_tools(&policy, &BTreeMap::from([("t".to_owned(), schema)]));
    assert_eq!(with(json!({"properties": {"amount": {"type": "number", "default": 1}}})), []);
    assert_eq!(with(json!({"properties": {"amount": {"type": "number"}}, "required": ["amount"]})), []);
    assert_eq!(with(json!({"properties": {"amount": {"type": "number"}}}))[0].code, "deny-if-fails-open");
    let text = with(json!({"properties": {"amount": {"type": "string"}}, "required": ["amount"]}));
    assert_eq!(text[0].code, "wrong-type");
    assert_eq!(with(json!({"properties": {"amout": {}}})).last().unwrap().code, "unknown-argument");
    let other = lint_with_tools(&policy, &BTreeMap::from([("T".to_owned(), json!({}))]));
    assert_eq!(other.last().unwrap().message, "no connected server has the tool `t`, did you mean `T`?");
}

#[test]
fn what_is_wide_or_never_reached_is_found() {
    let document = json!({"version": "1", "default": "allow", "hide": ["*", "t"],
        "tools": {"t": {"deny_if": [{"conditions": []}], "limits": [{"counter": "c", "window": "day", "max": 0, "scope": "grant"}],
            "require": [{"conditions": [{"path": "args.url", "op": "regex", "value": "example.com"}]}]}},
        "x-sandbox": {"mode": "shadow", "approve_if": {"t": []}, "redact": {"secrets": false},
            "egress": {"allow": [{"host": "*.com"}, {"host": "*.example.com"}, {"host": "10.0.0.1", "paths": ["/"]}]},
            "secrets": {"A": {"from": "env:A", "hosts": ["a.example.org"]}, "B": {"from": "env:B", "hosts": ["*.example.com"]}}}});
    let found: Vec<_> = codes(&document).into_iter().map(|(code, _)| code).collect();
    let expected = [
        "default-allow",
        "all-hidden",
        "hidden-and-listed",
        "limit-of-zero",
        "unanchored-regex",
        "always-denied",
        "shadow",
        "never-reached",
        "secrets-shown",
        "wide-host",
        "wildcard-host",
        "wide-path",
        "private-address",
        "unused-secret",
        "wide-secret",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_text_with_more_than_one_spelling_is_found() {
    let rules = json!({"require": [{"conditions": [{"path": "args.a", "op": "exists"}]}],
        "deny_if": [{"conditions": [{"path": "args.a", "op": "contains", "value": "é"}]}]});
    assert_eq!(codes(&tool(rules)), [("one-spelling", "/tools/t/deny_if/args.a-contains".to_owned())]);
}
