//! The language, decision by decision: what the reference says of each rule.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use exuvia_policies::{
    Call, Claim, Counters, DenialKind, Grant, MemoryCounters, Outcome, Policy, Quota, Refused, Timestamp, Unavailable,
    decide, is_visible,
};
use serde_json::json;
use support::{NOW, call, denial, policy, tool_policy};

const DATAGEN: &str = include_str!("../documents/executeCode.json");

fn run(policy: &Policy, arguments: serde_json::Value) -> Result<String, (DenialKind, String)> {
    match call(policy, "a", "t", arguments, NOW, &MemoryCounters::new()) {
        Ok(permit) => Ok(permit.rule().to_owned()),
        Err(refusal) => {
            let denial = refusal.denial().unwrap().clone();
            Err((denial.kind(), denial.rule().to_owned()))
        }
    }
}

/// Seen to fail with limits that are not looked at, and with a denial that names no rule.
#[test]
fn the_eleventh_call_in_a_minute_is_denied() {
    let (policy, counters) = (policy(DATAGEN), MemoryCounters::new());
    let script = || json!({"script": "1"});
    let now = Timestamp::from_millis(NOW.as_millis() + 17_500);
    for _ in 0..10 {
        let permit = call(&policy, "alice", "executeCode", script(), now, &counters).unwrap();
        assert_eq!(permit.rule(), "/tools/executeCode");
        let _effect = permit.spend();
    }
    let denial = denial(call(&policy, "alice", "executeCode", script(), now, &counters));
    assert_eq!(denial.rule(), "/tools/executeCode/limits/executecode_rate");
    assert_eq!(denial.retry_after_s(), Some(43));
    assert_eq!(denial.text(), "[POLICY DENIED] The limit `executecode_rate` is reached; try again in 43 s.");
    let data = denial.data().unwrap();
    assert_eq!(data["rule"], "/tools/executeCode/limits/executecode_rate");
    assert_eq!(data["retry_after_s"], 43);
    // Another grant counts apart, and the next minute passes.
    assert!(call(&policy, "bob", "executeCode", script(), now, &counters).is_ok());
    assert!(call(&policy, "alice", "executeCode", script(), now.plus_secs(43), &counters).is_ok());
}

#[test]
fn the_shipped_documents_load_and_their_tests_pass() {
    for text in
        [DATAGEN, include_str!("../documents/asyncExecuteCode.json"), include_str!("../documents/read-only.json")]
    {
        let policy = policy(text);
        assert!(policy.run_tests().iter().all(exuvia_policies::ExampleResult::passed), "{:?}", policy.run_tests());
        assert_eq!(exuvia_policies::lint(&policy), []);
    }
}

#[test]
fn a_grant_without_a_policy_may_do_nothing() {
    let (grant, arguments) = (Grant::new("a"), exuvia_policies::Arguments::new(json!({})).unwrap());
    let call = Call { grant: &grant, tool: "t", arguments: &arguments, definition: None };
    let refusal = decide(None, &call, NOW, &MemoryCounters::new()).unwrap_err();
    assert_eq!(refusal.rule(), "(no policy)");
    assert!(!is_visible(None, "t"));
}

/// Seen to fail with a list that shows all, and with hidden tools that may be called.
#[test]
fn hidden_comes_before_all_and_looks_like_an_unknown_tool() {
    let text = r#"{"version":"1","default":"allow","hide":["t"],"tools":{"t":{}}}"#;
    let policy = policy(text);
    let denial = denial(call(&policy, "a", "t", json!({}), NOW, &MemoryCounters::new()));
    assert_eq!((denial.rule(), denial.text().as_str(), denial.data()), ("(hidden)", "Unknown tool.", None));
    assert!(denial.is_hidden() && !policy.is_visible("t") && policy.is_visible("u"));
    assert!(policy.admits("t").unwrap_err().is_hidden());
    let all = support::policy(r#"{"version":"1","default":"allow","hide":["*"],"tools":{"t":{}}}"#);
    assert!(!all.is_visible("t") && !all.is_visible("anything") && all.admits("u").is_err());
}

#[test]
fn default_governs_what_is_not_listed() {
    let deny = policy(r#"{"version":"1","default":"deny"}"#);
    assert_eq!(run(&deny, json!({})).unwrap_err(), (DenialKind::DefaultDeny, "(default deny)".to_owned()));
    let allow = policy(r#"{"version":"1","default":"allow"}"#);
    assert_eq!(run(&allow, json!({})).unwrap(), "(default allow)");
    // Names are compared by code point.
    assert!(call(&tool_policy("{}", "{}"), "a", "T", json!({}), NOW, &MemoryCounters::new()).is_err());
}

#[test]
fn a_missing_path_fails_require_and_does_not_match_deny_if() {
    let condition = r#"{"conditions":[{"path":"args.amount","op":"lte","value":100}]}"#;
    let require = tool_policy(&format!(r#"{{"require":[{condition}]}}"#), "{}");
    assert_eq!(run(&require, json!({})).unwrap_err().0, DenialKind::Require);
    assert!(run(&require, json!({"amount": 100})).is_ok());
    let deny_if = tool_policy(&format!(r#"{{"deny_if":[{condition}]}}"#), "{}");
    assert!(run(&deny_if, json!({})).is_ok());
    assert_eq!(run(&deny_if, json!({"amount": 1})).unwrap_err().0, DenialKind::DenyIf);
}

/// Seen to fail with a mismatch taken for a condition that does not hold.
#[test]
fn a_type_mismatch_denies_in_both_wherever_it_stands() {
    let (small, big) = (r#"{"path":"args.kind","op":"eq","value":"x"}"#, r#"{"path":"args.n","op":"gt","value":100}"#);
    for list in ["require", "deny_if"] {
        for conditions in [format!("{small},{big}"), format!("{big},{small}")] {
            let policy = tool_policy(&format!(r#"{{"{list}":[{{"conditions":[{conditions}]}}]}}"#), "{}");
            let denied = run(&policy, json!({"n": "150", "kind": "y"})).unwrap_err();
            assert_eq!(denied.0, DenialKind::Mismatch, "{list} {conditions}");
        }
    }
}

#[test]
fn defaults_of_the_schema_are_seen_by_rules() {
    let policy = tool_policy(r#"{"deny_if":[{"conditions":[{"path":"args.force","op":"eq","value":true}]}]}"#, "{}");
    let schema = json!({"properties": {"force": {"type": "boolean", "default": true}}});
    let grant = Grant::new("a");
    let arguments = exuvia_policies::Arguments::with_defaults(json!({}), &schema).unwrap();
    let call = Call { grant: &grant, tool: "t", arguments: &arguments, definition: None };
    assert_eq!(policy.decide(&call, NOW, &MemoryCounters::new()).unwrap_err().rule(), "/tools/t/deny_if/args.force-eq");
}

#[test]
fn conditions_of_a_rule_are_anded_and_a_rule_without_any_always_denies() {
    let both = r#"{"conditions":[{"path":"args.a","op":"eq","value":1},{"path":"args.b","op":"eq","value":1}]}"#;
    let policy = tool_policy(&format!(r#"{{"deny_if":[{both}]}}"#), "{}");
    assert!(run(&policy, json!({"a": 1, "b": 2})).is_ok());
    assert_eq!(run(&policy, json!({"a": 1, "b": 1})).unwrap_err().1, "/tools/t/deny_if/args.a-eq+args.b-eq");
    let always = tool_policy(r#"{"deny_if":[{"conditions":[],"on_deny":"Closed."}]}"#, "{}");
    let denial = denial(call(&always, "a", "t", json!({}), NOW, &MemoryCounters::new()));
    assert_eq!((denial.rule(), denial.text().as_str()), ("/tools/t/deny_if/always", "[POLICY DENIED] Closed."));
}

const TWO_LIMITS: &str = r#"{"version":"1","default":"allow",
    "all_tools":{"limits":[{"counter":"all","window":"hour","max":3,"scope":"grant"}]},
    "tools":{"t":{"limits":[{"counter":"own","window":"minute","max":2,"scope":"grant"}]}}}"#;

#[test]
fn limits_of_the_tool_and_of_all_tools_are_one_reservation() {
    let (policy, counters) = (policy(TWO_LIMITS), MemoryCounters::new());
    let make = |tool| call(&policy, "a", tool, json!({}), NOW, &counters).map(|permit| drop(permit.spend()));
    make("t").unwrap();
    make("t").unwrap();
    // The tool's limit denies, so nothing is taken from the other.
    for _ in 0..5 {
        assert_eq!(make("t").unwrap_err().rule(), "/tools/t/limits/own");
    }
    make("other").unwrap();
    let denied = make("other").unwrap_err();
    assert_eq!(denied.rule(), "/all_tools/limits/all");
    assert_eq!(denied.denial().unwrap().retry_after_s(), Some(3600));
    // Of two that are used up, the one that is free last is named: waiting for the other would not help.
    assert_eq!(make("t").unwrap_err().rule(), "/all_tools/limits/all");
}

#[test]
fn a_refund_is_for_a_call_that_never_started() {
    let (policy, counters) = (policy(TWO_LIMITS), MemoryCounters::new());
    for _ in 0..10 {
        let permit = call(&policy, "a", "t", json!({}), NOW, &counters).unwrap();
        permit.refund(&counters).unwrap();
    }
    for _ in 0..2 {
        // A program that fails is not refunded.
        let effect = call(&policy, "a", "t", json!({}), NOW, &counters).unwrap().spend();
        effect.receipt.settle(Outcome::Failed, NOW, &counters).unwrap();
    }
    assert!(call(&policy, "a", "t", json!({}), NOW, &counters).is_err());
}

/// A store that is down.
struct Down;

impl Counters for Down {
    fn reserve(&self, _: &Claim<'_>) -> Result<(), Refused> {
        Err(Refused::Unavailable)
    }
    fn check(&self, _: &Claim<'_>) -> Result<(), Refused> {
        Err(Refused::Unavailable)
    }
    fn refund(&self, _: &Claim<'_>) -> Result<(), Unavailable> {
        Err(Unavailable)
    }
    fn settle(&self, _: &Claim<'_>, _: Outcome, _: Timestamp) -> Result<(), Unavailable> {
        Err(Unavailable)
    }
    fn used(&self, _: &Grant, _: &Quota<'_>) -> Result<u64, Unavailable> {
        Err(Unavailable)
    }
}

#[test]
fn a_store_that_is_down_denies() {
    let denial = denial(call(&policy(TWO_LIMITS), "a", "t", json!({}), NOW, &Down));
    assert_eq!((denial.kind(), denial.rule()), (DenialKind::Counters, "(counters)"));
}

#[test]
fn a_limit_of_zero_is_never_free() {
    let limit = r#"{"limits":[{"counter":"c","window":"day","max":0,"scope":"grant"}]}"#;
    let denial = denial(call(&tool_policy(limit, "{}"), "a", "t", json!({}), NOW, &MemoryCounters::new()));
    assert_eq!((denial.rule(), denial.retry_after_s()), ("/tools/t/limits/c", None));
}

#[test]
fn shadow_mode_decides_and_lets_pass() {
    let limit = r#"{"limits":[{"counter":"c","window":"day","max":1,"scope":"grant"}]}"#;
    let (policy, counters) = (tool_policy(limit, r#"{"mode":"shadow"}"#), MemoryCounters::new());
    assert!(call(&policy, "a", "t", json!({}), NOW, &counters).unwrap().shadowed().is_none());
    let permit = call(&policy, "a", "t", json!({}), NOW, &counters).unwrap();
    assert_eq!(permit.shadowed().unwrap().rule(), "/tools/t/limits/c");
    // It took nothing, so it gives nothing back.
    permit.refund(&counters).unwrap();
    assert!(call(&policy, "a", "t", json!({}), NOW, &counters).unwrap().shadowed().is_some());
    let unlisted = call(&policy, "a", "u", json!({}), NOW, &counters).unwrap();
    assert_eq!(unlisted.shadowed().unwrap().rule(), "(default deny)");
}

#[test]
fn an_explanation_shows_what_the_conditions_saw_and_takes_nothing() {
    let text = r#"{"version":"1","default":"deny","tools":{"t":{
        "deny_if":[{"conditions":[{"path":"args.amount","op":"gt","value":100}],"on_deny":"Too much."}],
        "limits":[{"counter":"c","window":"minute","max":1,"scope":"grant"}]}}}"#;
    let (policy, counters, grant) = (policy(text), MemoryCounters::new(), Grant::new("a"));
    let explain = |amount: u32| {
        let arguments = exuvia_policies::Arguments::new(json!({"amount": amount})).unwrap();
        let call = Call { grant: &grant, tool: "t", arguments: &arguments, definition: None };
        serde_json::to_value(policy.explain(&call, NOW, &counters)).unwrap()
    };
    let denied = explain(150);
    assert_eq!((&denied["decision"], &denied["rule"]), (&json!("deny"), &json!("/tools/t/deny_if/args.amount-gt")));
    assert_eq!(denied["conditions"][0]["saw"], 150);
    assert_eq!(denied["conditions"][0]["result"], "holds");
    for _ in 0..3 {
        assert_eq!(explain(50)["decision"], "allow");
    }
    drop(call(&policy, "a", "t", json!({"amount": 50}), NOW, &counters).unwrap());
    let spent = explain(50);
    assert_eq!((&spent["decision"], &spent["rule"]), (&json!("deny"), &json!("/tools/t/limits/c")));
    assert_eq!((&spent["limits"][0]["used"], &spent["retry_after_s"]), (&json!(1), &json!(60)));
}

#[test]
fn a_cap_lowers_a_limit_and_never_raises_one() {
    let policy = tool_policy("{}", r#"{"caps":{"wall_s":60}}"#);
    assert_eq!(exuvia_policies::Caps::lower(300, policy.caps().wall_s), 60);
    assert_eq!(exuvia_policies::Caps::lower(30, policy.caps().wall_s), 30);
    assert_eq!(exuvia_policies::Caps::lower(30, policy.caps().cpu_s), 30);
}
