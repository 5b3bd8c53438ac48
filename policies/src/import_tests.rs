use super::*;
use crate::arguments::Arguments;
use crate::call::{Call, Grant};
use crate::memory::MemoryCounters;
use crate::window::Timestamp;

fn imported(document: &Value) -> (Value, Vec<String>) {
    let Imported { policy, warnings } = Policy::import(document.to_string()).unwrap();
    (policy.to_json(), warnings.iter().map(ToString::to_string).collect())
}

#[test]
fn a_document_that_is_right_is_taken_as_it_is() {
    for document in [include_str!("../documents/executeCode.json"), include_str!("../tests/full.json")] {
        let Imported { policy, warnings } = Policy::import(document).unwrap();
        assert_eq!(policy.to_json(), Policy::parse(document).unwrap().to_json());
        assert_eq!(warnings, []);
    }
}

#[test]
fn older_forms_are_written_in_ours() {
    let (policy, warnings) = imported(&json!({ "version": 1, "description": "ours", "tools": {
        "a": { "action": "deny", "on_deny": "No." },
        "b": { "rate_limit": { "max": 10, "window": 60 } },
        "c": { "rules": [
            { "name": "cap", "conditions": [{ "path": "args.amount", "op": "lte", "value": 5 }], "on_deny": "Too much." },
            { "rate_limit": "3/hour", "on_deny": "Too often." },
            { "action": "deny", "conditions": [{ "path": "args.to", "op": "eq", "value": "x" }] },
        ] },
        "d": { "action": "allow" },
    } }));
    let expected = Policy::parse(
        json!({ "version": "1", "default": "deny", "tools": {
        "a": { "deny_if": [{ "conditions": [], "on_deny": "No." }] },
        "b": { "limits": [{ "counter": "b_rate_1", "window": "minute", "max": 10, "scope": "grant" }] },
        "c": {
            "require": [{ "conditions": [{ "path": "args.amount", "op": "lte", "value": 5 }], "on_deny": "Too much." }],
            "limits": [{ "counter": "c_rate_1", "window": "hour", "max": 3, "scope": "grant" }],
            "deny_if": [{ "conditions": [{ "path": "args.to", "op": "eq", "value": "x" }] }],
        },
        "d": {},
    } })
        .to_string(),
    );
    assert_eq!(policy, expected.unwrap().to_json());
    let in_our_form = "its rules are written in this form: see that they say the same";
    assert_eq!(
        warnings,
        [
            "/version: written as \"1\"".to_owned(),
            "/default: it is missing: taken for \"deny\"".to_owned(),
            "/description: a remark, which is not kept".to_owned(),
            format!("/tools/a: {in_our_form}"),
            format!("/tools/b: {in_our_form}"),
            "/tools/c/rules/0/name: a remark, which is not kept".to_owned(),
            "/tools/c/rules/1/on_deny: limits have words of their own: not kept".to_owned(),
            format!("/tools/d: {in_our_form}"),
        ]
    );
}

/// Seen to fail with entries that are kept without what was not understood.
#[test]
fn a_tool_that_is_not_understood_is_closed_and_others_are_not() {
    for (entry, why) in [
        (json!({ "denyif": [] }), "`denyif` is not understood"),
        (
            json!({ "rate_limit": { "max": 1, "window": 7 } }),
            "a window of 7 cannot be had: there are minute, hour and day",
        ),
        (json!({ "rules": [{ "until": {} }] }), "`until` in a rule is not understood"),
        (json!({ "rules": [{ "state": {} }] }), "a rule is not understood"),
        (json!({ "action": "ask" }), "a rule is not understood"),
        (
            json!({ "deny_if": [{ "conditions": [{ "path": "args.a", "op": "like", "value": 1 }] }] }),
            "/tools/t/deny_if/0/conditions/0/op: unknown operator `like`",
        ),
    ] {
        let (policy, warnings) =
            imported(&json!({ "version": "1", "default": "allow", "tools": { "t": entry, "other": {} } }));
        assert_eq!(policy["tools"]["t"]["deny_if"][0]["conditions"], json!([]), "{why}");
        assert!(policy["tools"]["other"]["deny_if"].is_null() || policy["tools"]["other"]["deny_if"] == json!([]));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with(&format!("/tools/t: {why}")), "{warnings:?}");
        assert!(warnings[0].ends_with("; every call of this tool is denied until its rules are written anew"));
    }
}

#[test]
fn what_cannot_be_taken_in_at_all_is_an_error() {
    for document in [
        "",
        "[]",
        "{\"version\": \"2\"}",
        "{\"version\": \"1\", \"version\": \"1\"}",
        "{\"all_tools\": {\"limit\": []}}",
    ] {
        assert!(Policy::import(document).is_err(), "{document}");
    }
}

/// As its documentation has it: conditions on arguments and on counters, short and long limits, rules for every tool.
const INTERCEPT: &str = r#"
# What the agent may do with our accounts.
version: "1"
description: "Stripe MCP server policies"
default: deny
hide:
  - transfer_account
tools:
  get_balance:
    rules: []
  list_charges:
  create_charge:
    rules:
      - name: "max single charge"
        conditions: [{ path: args.amount, op: lte, value: 50000 }]
        on_deny: "Single charge cannot exceed $500.00"
      - name: "ten a day, in euros"
        conditions:
          - path: "state.create_charge.daily_count"
            op: "lte"
            value: 10
          - { path: args.currency, op: in, value: [eur, no] }
        state: { counter: daily_count, window: day }
  create_refund:
    rules:
      - name: "who asked"
        action: evaluate
        conditions: [{ path: args.ticket, op: exists, value: true }]
      - name: "in twos"
        conditions: [{ path: state.create_refund.n, op: lt, value: 6 }]
        state: { counter: n, window: hour, increment: 2 }
  delete_customer:
    rules:
      - name: "block destructive action"
        action: deny
        on_deny: "Customer deletion is not permitted via AI agents"
  "*":
    rules:
      - name: "global rate limit"
        rate_limit: 60/minute
"#;

#[test]
fn a_document_of_intercept_is_written_in_our_form() {
    let Imported { policy, warnings } = Policy::import(INTERCEPT).unwrap();
    let expected = json!({
        "version": "1",
        "default": "deny",
        "hide": ["transfer_account"],
        "all_tools": { "limits": [{ "counter": "all_rate_1", "window": "minute", "max": 60, "scope": "grant" }] },
        "tools": {
            "get_balance": {},
            "list_charges": {},
            "create_charge": {
                "require": [
                    { "conditions": [{ "path": "args.amount", "op": "lte", "value": 50000 }], "on_deny": "Single charge cannot exceed $500.00" },
                    { "conditions": [{ "path": "args.currency", "op": "in", "value": ["eur", "no"] }] },
                ],
                "limits": [{ "counter": "daily_count", "window": "day", "max": 10, "scope": "grant" }],
            },
            "create_refund": {
                "require": [{ "conditions": [{ "path": "args.ticket", "op": "neq", "value": null }] }],
                "limits": [{ "counter": "n", "window": "hour", "max": 2, "scope": "grant" }],
            },
            "delete_customer": {
                "deny_if": [{ "conditions": [], "on_deny": "Customer deletion is not permitted via AI agents" }],
            },
        },
    });
    assert_eq!(policy.to_json(), Policy::parse(expected.to_string()).unwrap().to_json());
    let pointers: Vec<_> = warnings.iter().map(|warning| warning.pointer.as_str()).collect();
    assert!(pointers.contains(&"/description") && pointers.contains(&"/tools/*"), "{pointers:?}");
    // In JSON it is the same.
    let in_json = crate::yaml::read(INTERCEPT.as_bytes()).unwrap().to_string();
    assert_eq!(Policy::import(in_json).unwrap().policy.digest(), policy.digest());
}

/// Whether a call passes.
fn passes(policy: &Policy, tool: &str, arguments: Value) -> bool {
    let (grant, arguments) = (Grant::new("a"), Arguments::new(arguments).unwrap());
    let call = Call { grant: &grant, tool, arguments: &arguments, definition: None };
    policy.decide(&call, Timestamp::from_millis(0), &MemoryCounters::new()).is_ok()
}

/// To Intercept, a null does not exist. Seen to fail with `exists` kept as it is.
#[test]
fn a_null_does_not_exist_in_documents_of_intercept() {
    let Imported { policy, .. } = Policy::import(INTERCEPT).unwrap();
    assert!(passes(&policy, "create_refund", json!({ "ticket": "T-1" })));
    assert!(!passes(&policy, "create_refund", json!({ "ticket": null })));
    assert!(!passes(&policy, "create_refund", json!({})));
}

/// Seen to fail with `*` taken for a tool's name, and with its rules written to the tools alone.
#[test]
fn rules_of_every_tool_hold_for_every_tool() {
    for (rule, allowed) in [
        ("{name: n, action: deny}", false),
        ("{name: n, conditions: [{path: args.a, op: eq, value: 1}]}", true),
        ("{name: n, sometimes: true}", false),
    ] {
        let text = format!(
            "version: '1'\ndefault: allow\ntools:\n  a: {{rules: []}}\n  b: {{rules: [{{name: n, action: deny}}]}}\n  '*': {{rules: [{rule}]}}"
        );
        let Imported { policy, warnings } = Policy::import(text).unwrap();
        assert_eq!(passes(&policy, "a", json!({ "a": 1 })), allowed, "{rule}");
        assert!(!passes(&policy, "a", json!({ "a": 2 })), "{rule}");
        assert!(!passes(&policy, "b", json!({ "a": 1 })) && !passes(&policy, "unnamed", json!({ "a": 1 })), "{rule}");
        assert!(warnings.iter().any(|warning| warning.pointer == "/tools/*"), "{rule}: {warnings:?}");
    }
}

/// Seen to fail without a look at how much there would be: by what the copies take, not by what is said of them.
#[test]
fn rules_of_every_tool_are_not_copied_without_bound() {
    let tools: Vec<_> = (0..10_000).map(|number| format!("  t{number}: {{rules: []}}\n")).collect();
    let tools = tools.concat();
    let words = "x".repeat(1000);
    let text = format!("tools:\n{tools}  '*': {{rules: [{{name: n, action: deny, on_deny: {words}}}]}}");
    let error = Policy::import(text).unwrap_err().to_string();
    assert_eq!(error, "(document): with its aliases written out the document has more than 4194304 bytes");
}

/// Seen to fail with the amount of `increment_from`, and with another tool's counter, left out.
#[test]
fn a_counter_that_cannot_be_had_closes_its_tool() {
    let count = "{path: state.t.c, op: lte, value: 5}";
    let state = "{counter: c, window: hour}";
    for (conditions, state, why) in [
        (count, "{counter: c, window: hour, increment_from: args.amount}", "a counter of amounts (`increment_from`)"),
        (count, "{counter: c, window: week}", "/tools/t/limits/0/window: unknown window `week`"),
        (count, "{counter: c, window: hour, per: user}", "a `state` is not understood"),
        (count, "{counter: c, window: hour, increment: -1}", "an `increment` is no whole number"),
        ("{path: state.u.c, op: lte, value: 5}", state, "of conditions on counters there is only `state.t.c lte`"),
        ("{path: state.t.c, op: gt, value: 5}", state, "of conditions on counters there is only `state.t.c lte`"),
        ("{path: state.t.c, op: lt, value: 0}", state, "of conditions on counters there is only `state.t.c lte`"),
        ("{path: state.t.c, op: lte, value: 0777}", state, "of conditions on counters there is only `state.t.c lte`"),
        ("{path: args.a, op: eq, value: 5}", state, "a `state` is bounded by one condition"),
        (count, "null", "/tools/t/require/0/conditions/0/path: a path starts with `args.`"),
    ] {
        let text = format!("tools: {{t: {{rules: [{{name: n, conditions: [{conditions}], state: {state}}}]}}}}");
        let Imported { policy, warnings } = Policy::import(format!("# t\n{text}")).unwrap();
        assert!(!passes(&policy, "t", json!({ "a": 5 })), "{why}");
        assert!(
            warnings.iter().any(|warning| warning.to_string().starts_with(&format!("/tools/t: {why}"))),
            "{warnings:?}"
        );
    }
}

#[test]
fn tools_are_named_as_the_importer_says() {
    let text = "default: deny\nhide: [x, '*']\ntools: {a-b: {rules: []}, a.b: {rules: []}, c: {rules: []}}";
    let named = |tool: &str| format!("mcp_S_{}", tool.replace(['-', '.'], "_"));
    let Imported { policy, warnings } = Policy::import_as(text, named).unwrap();
    assert_eq!(policy.to_json()["hide"], json!(["*", "mcp_S_x"]));
    let kept: Vec<_> = policy.to_json()["tools"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(kept, ["mcp_S_a_b", "mcp_S_c"]);
    // Two tools of one name: which rules are meant, nobody knows.
    assert!(policy.to_json()["tools"]["mcp_S_a_b"]["deny_if"].is_array());
    let told = "/tools/a.b: another tool is `mcp_S_a_b` here, too; every call of this tool is denied until its rules are written anew";
    assert!(warnings.iter().any(|warning| warning.to_string() == told), "{warnings:?}");
}

/// Seen to fail with `x-sandbox` kept as it is: the tool of the approval is none that is there.
#[test]
fn approvals_pins_and_tests_are_of_the_tools_as_they_are_named() {
    let named = |tool: &str| format!("mcp_S_{}", tool.replace(['-', '.'], "_"));
    let digest = format!("sha256:{}", "0".repeat(64));
    let with = |sandbox: Value| {
        let document = json!({ "version": "1", "default": "deny", "tools": { "re-fund": {} }, "x-sandbox": sandbox });
        Policy::import_as(document.to_string(), named)
    };
    let Imported { policy, .. } = with(json!({
        "approve_if": { "re-fund": [{ "conditions": [] }] },
        "pins": { "re-fund": digest },
        "tests": [{ "name": "asks", "call": { "tool": "re-fund", "args": {} }, "expect": "approve" }],
    }))
    .unwrap();
    let sandbox = &policy.to_json()["x-sandbox"];
    for by_tool in [&sandbox["approve_if"], &sandbox["pins"]] {
        assert_eq!(by_tool.as_object().unwrap().keys().collect::<Vec<_>>(), ["mcp_S_re_fund"]);
    }
    assert!(policy.run_tests().len() == 1 && policy.run_tests()[0].passed());
    // Two tools of one name, and a name that is none.
    let rules = json!([{ "conditions": [] }]);
    for (list, one) in [("approve_if", rules.clone()), ("pins", json!(digest))] {
        let error = with(json!({ list: { "a-b": one, "a.b": one } })).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("/x-sandbox/{list}/a.b: another tool is `mcp_S_a_b` here, too: leave one of them out")
        );
        let error = with(json!({ list: { "*": one } })).unwrap_err().to_string();
        assert!(error.starts_with(&format!("/x-sandbox/{list}/*: tools are named one by one")), "{error}");
    }
}

/// As Intercept decides. Seen to fail with the values and the pattern kept as they are.
#[test]
fn what_intercept_denies_is_denied() {
    for (condition, allowed, denied) in [
        ("{path: args.a, op: not_in, value: [root, 0]}", json!("bob"), json!(["root", "0", 0, null])),
        ("{path: args.a, op: not_in, value: ['5', 1, true]}", json!(7), json!([5, "5", "1", "true", 1, true])),
        ("{path: args.a, op: not_in, value: [null, 3]}", json!(4), json!([null, "<nil>", "3", 3])),
        ("{path: args.a, op: neq, value: null}", json!("x"), json!([null, "<nil>"])),
        ("{path: args.a, op: neq, value: 010}", json!("7"), json!(["8", "010"])),
        ("{path: args.a, op: regex, value: '^\\<[a-z]+\\>$'}", json!("<abc>"), json!(["abc", "<1>"])),
    ] {
        let text = format!("tools: {{t: {{rules: [{{name: n, conditions: [{condition}]}}]}}}}");
        let Imported { policy, .. } = Policy::import(text).unwrap();
        assert!(passes(&policy, "t", json!({ "a": allowed })), "{condition} {:?}", policy.to_json());
        for value in denied.as_array().unwrap() {
            assert!(!passes(&policy, "t", json!({ "a": value })), "{condition} {value}");
        }
    }
    let text = "tools: {t: {rules: [{name: n, conditions: [{path: args.a, op: not_in, value: [[1]]}]}]}}";
    let Imported { policy, warnings } = Policy::import(text).unwrap();
    assert!(!passes(&policy, "t", json!({ "a": [2] })));
    let why = "/tools/t: it compares with a list or an object, which the original does by its text; every call of this tool is denied until its rules are written anew";
    assert!(warnings.iter().any(|warning| warning.to_string() == why), "{warnings:?}");
}

/// Each tool has a warning: looked through for each of them, they took the square of the time.
#[test]
fn a_large_document_of_faults_is_read_in_one_pass() {
    let tools: Map<_, _> = (0..100_000).map(|number| (format!("t{number}"), json!(1))).collect();
    assert!(Policy::import(json!({ "tools": tools }).to_string()).is_err(), "closed, they are too many bytes");
}
