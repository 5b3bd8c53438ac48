//! Approvals: each step once, in time, and for the very call that a person saw. Among these are the faults of earlier
//! engines. Every guard was removed once, alone, and the test that names it seen to fail.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use exuvia_policies::{
    Approval, ApprovalError, ApprovalKey, Arguments, Call, Demand, Grant, MemoryCounters, Policy, Refusal,
};
use serde_json::{Value, json};
use support::{NOW, call, policy, tool_policy};

const ASKS: &str = r#"{"approve_if":{"t":[{"conditions":[{"path":"args.amount","op":"gt","value":100}],
    "reason":"refund over 100","timeout":"15m"}]}}"#;

/// A call of `t`, the demand that it makes, and an approval that was requested for it.
fn asked(policy: &Policy, amount: u32, key: &ApprovalKey) -> (Arguments, Demand, Approval) {
    let arguments = json!({"amount": amount, "to": [{"b": 1, "a": 2}]});
    let demand = demand(policy, "a", "t", &arguments);
    let approval = Approval::request(&demand, key, NOW);
    (Arguments::new(arguments).unwrap(), demand, approval)
}

#[test]
fn a_destructive_call_waits_for_a_person() {
    let (policy, key) = (tool_policy("{}", ASKS), ApprovalKey::new([7; 32]));
    assert!(call(&policy, "a", "t", json!({"amount": 100}), NOW, &MemoryCounters::new()).is_ok());
    let (arguments, demand, mut approval) = asked(&policy, 150, &key);
    assert_eq!((demand.reason(), demand.timeout_s()), ("refund over 100", 900));
    assert_eq!(demand.rule(), "/x-sandbox/approve_if/t/args.amount-gt");
    assert_eq!(approval.consume(&demand, &key, NOW).unwrap_err(), ApprovalError::NotGiven);
    approval.approve(NOW).unwrap();
    let approved = approval.consume(&demand, &key, NOW).unwrap();
    let grant = Grant::new("a");
    let call = Call { grant: &grant, tool: "t", arguments: &arguments, definition: None };
    assert!(policy.decide_approved(&call, approved, NOW, &MemoryCounters::new()).is_ok());
}

#[test]
fn an_approval_is_used_once_and_not_armed_again() {
    let (policy, key) = (tool_policy("{}", ASKS), ApprovalKey::new([7; 32]));
    let (_, demand, mut approval) = asked(&policy, 150, &key);
    approval.approve(NOW).unwrap();
    drop(approval.consume(&demand, &key, NOW).unwrap());
    assert_eq!(approval.consume(&demand, &key, NOW).unwrap_err(), ApprovalError::Used);
    assert_eq!(approval.approve(NOW).unwrap_err(), ApprovalError::Decided);
    // Also after it was stored and read again.
    let stored = serde_json::to_string(&approval).unwrap();
    let mut approval: Approval = serde_json::from_str(&stored).unwrap();
    assert_eq!(approval.consume(&demand, &key, NOW).unwrap_err(), ApprovalError::Used);
    let (_, _, mut rejected) = asked(&policy, 150, &key);
    rejected.reject(NOW).unwrap();
    assert_eq!(rejected.approve(NOW).unwrap_err(), ApprovalError::Decided);
}

#[test]
fn an_approval_that_has_expired_is_neither_given_nor_used() {
    let (policy, key) = (tool_policy("{}", ASKS), ApprovalKey::new([7; 32]));
    let (_, demand, mut approval) = asked(&policy, 150, &key);
    let late = NOW.plus_secs(900);
    assert_eq!(approval.approve(late).unwrap_err(), ApprovalError::Expired);
    approval.approve(NOW).unwrap();
    assert_eq!(approval.consume(&demand, &key, late).unwrap_err(), ApprovalError::Expired);
}

/// A call as it was approved, and calls that differ from it in one part each.
fn others() -> [(&'static str, Policy, &'static str, &'static str, Value); 5] {
    let both = |reason: &str| {
        let rule = json!([{"conditions": [{"path": "args.amount", "op": "gt", "value": 100}], "reason": reason, "timeout": "15m"}]);
        let document = json!({"version": "1", "default": "deny", "tools": {"t": {}, "u": {}},
            "x-sandbox": {"approve_if": {"t": rule, "u": rule}}});
        policy(&document.to_string())
    };
    let amount = |amount: u32| json!({"amount": amount});
    [
        ("the call itself", both("large"), "a", "t", amount(150)),
        ("grant", both("large"), "b", "t", amount(150)),
        ("tool", both("large"), "a", "u", amount(150)),
        ("arguments", both("large"), "a", "t", amount(151)),
        ("policy", both("huge"), "a", "t", amount(150)),
    ]
}

#[test]
fn an_approval_is_for_one_call_under_one_policy() {
    // The guards: each part of the subject's HMAC, and the key.
    let key = ApprovalKey::new([7; 32]);
    let [(_, policy, grant, tool, arguments), ..] = others();
    let seen = demand(&policy, grant, tool, &arguments);
    for (part, policy, grant, tool, arguments) in others() {
        let mut approval = Approval::request(&seen, &key, NOW);
        approval.approve(NOW).unwrap();
        let used = approval.consume(&demand(&policy, grant, tool, &arguments), &key, NOW).map(drop);
        let expected = if part == "the call itself" { Ok(()) } else { Err(ApprovalError::OtherCall) };
        assert_eq!(used, expected, "{part}");
    }
    let mut approval = Approval::request(&seen, &key, NOW);
    approval.approve(NOW).unwrap();
    assert_eq!(approval.consume(&seen, &ApprovalKey::new([8; 32]), NOW).unwrap_err(), ApprovalError::OtherCall);
}

#[test]
fn the_evidence_of_an_approval_is_for_that_call_too() {
    // The guards: each field that two subjects are compared by, in `decide_approved`.
    let key = ApprovalKey::new([7; 32]);
    let [(_, policy, grant, tool, arguments), ..] = others();
    let seen = demand(&policy, grant, tool, &arguments);
    for (part, policy, grant, tool, arguments) in others() {
        let mut approval = Approval::request(&seen, &key, NOW);
        approval.approve(NOW).unwrap();
        let approved = approval.consume(&seen, &key, NOW).unwrap();
        let (grant, arguments) = (Grant::new(grant), Arguments::new(arguments).unwrap());
        let call = Call { grant: &grant, tool, arguments: &arguments, definition: None };
        let decided = policy.decide_approved(&call, approved, NOW, &MemoryCounters::new());
        if part == "the call itself" {
            assert!(decided.is_ok(), "{decided:?}");
        } else {
            assert_eq!(decided.unwrap_err().rule(), "(approval)", "{part}");
        }
    }
}

fn demand(policy: &Policy, grant: &str, tool: &str, arguments: &Value) -> Demand {
    match call(policy, grant, tool, arguments.clone(), NOW, &MemoryCounters::new()) {
        Err(Refusal::NeedsApproval(demand)) => *demand,
        other => panic!("no approval was asked for: {other:?}"),
    }
}
