//! What holds for every document and every call, tried on generated ones; and that no bytes make the reader panic.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use exuvia_policies::{Arguments, Call, Expectation, Grant, MemoryCounters, Policy, Refusal};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::NOW;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        prop_oneof![Just(0.5), Just(1.0), Just(-2.5)].prop_map(Value::from),
        "[ab1]{0,2}".prop_map(Value::from),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    let part = "[ab1]{1,2}".prop_map(Value::from);
    let test = prop_oneof![
        (prop_oneof![Just("eq"), Just("neq")], scalar()),
        (prop_oneof![Just("lt"), Just("lte"), Just("gt"), Just("gte")], (-3_i64..4).prop_map(Value::from)),
        (prop_oneof![Just("in"), Just("not_in")], prop::collection::vec(scalar(), 1..3).prop_map(Value::from)),
        (Just("exists"), any::<bool>().prop_map(Value::from)),
        (prop_oneof![Just("regex"), Just("contains")], part),
    ];
    let path = prop_oneof![Just("args.a"), Just("args.b"), Just("args.o.a")];
    (path, test).prop_map(|(path, (op, value))| json!({"path": path, "op": op, "value": value}))
}

fn rules(least: usize) -> impl Strategy<Value = Vec<Value>> {
    let rule = prop::collection::vec(condition(), least..3).prop_map(|conditions| json!({"conditions": conditions}));
    prop::collection::vec(rule, 0..3)
}

fn tool() -> impl Strategy<Value = Value> {
    let limits = prop::option::of(0_u64..3).prop_map(|max| {
        let limit = |max| json!([{"counter": "c", "window": "hour", "max": max, "scope": "grant"}]);
        max.map_or(json!([]), limit)
    });
    (rules(1), rules(0), limits)
        .prop_map(|(require, deny_if, limits)| json!({"require": require, "deny_if": deny_if, "limits": limits}))
}

fn document() -> impl Strategy<Value = Value> {
    let default = prop_oneof![Just("allow"), Just("deny")];
    let name = || prop_oneof![Just("t".to_owned()), Just("u".to_owned()), Just("v".to_owned())];
    let tools = prop::collection::btree_map(name(), tool(), 0..3);
    let hide = prop::collection::btree_set(name(), 0..2);
    let approve = prop::collection::btree_map(name(), rules(0), 0..2);
    (default, hide, tools, approve).prop_map(|(default, hide, tools, approve)| {
        json!({"version": "1", "default": default, "hide": hide, "tools": tools, "x-sandbox": {"approve_if": approve}})
    })
}

fn arguments() -> impl Strategy<Value = Value> {
    let value = || {
        prop_oneof![
            scalar(),
            prop::collection::vec(scalar(), 0..3).prop_map(Value::from),
            scalar().prop_map(|a| json!({"a": a}))
        ]
    };
    let name = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("o".to_owned())];
    prop::collection::btree_map(name, value(), 0..4).prop_map(|fields| json!(fields))
}

/// What becomes of three calls in a row, and by which rule.
fn decisions(policy: &Policy, tool: &str, arguments: &Value) -> Vec<(Expectation, String)> {
    let (grant, arguments) = (Grant::new("a"), Arguments::new(arguments.clone()).unwrap());
    let call = Call { grant: &grant, tool, arguments: &arguments, definition: None };
    let counters = MemoryCounters::new();
    let decide = |_| {
        let explained = policy.explain(&call, NOW, &counters);
        let decided = match policy.decide(&call, NOW, &counters) {
            Ok(permit) => (Expectation::Allow, permit.rule().to_owned()),
            Err(Refusal::NeedsApproval(demand)) => (Expectation::Approve, demand.rule().to_owned()),
            Err(Refusal::Denied(denial)) => (Expectation::Deny, denial.rule().to_owned()),
        };
        assert_eq!(decided, (explained.decision, explained.rule), "explained otherwise than decided");
        decided
    };
    (0..3).map(decide).collect()
}

fn parse(document: &Value) -> Policy {
    support::policy(&document.to_string())
}

/// The text of an object with its fields in the other order, at the top and below `tools`.
fn reversed(document: &Value) -> String {
    let fields = |value: &Value, write: &dyn Fn(&str, &Value) -> String| {
        let fields: Vec<_> = value
            .as_object()
            .unwrap()
            .iter()
            .rev()
            .map(|(name, value)| format!("{name:?}:{}", write(name, value)))
            .collect();
        format!("{{{}}}", fields.join(","))
    };
    let tools = |tools: &Value| fields(tools, &|_, tool| fields(tool, &|_, value| value.to_string()));
    fields(document, &|name, value| if name == "tools" { tools(value) } else { value.to_string() })
}

proptest! {
    #[test]
    fn adding_a_deny_never_allows_more(document in document(), rule in rules(0), arguments in arguments()) {
        let before = decisions(&parse(&document), "t", &arguments);
        let mut stricter = document;
        if let Some(tool) = stricter["tools"].get_mut("t") {
            tool["deny_if"].as_array_mut().unwrap().extend(rule);
        }
        let after = decisions(&parse(&stricter), "t", &arguments);
        for (before, after) in before.iter().zip(&after) {
            prop_assert!(before.0 == Expectation::Allow || after.0 != Expectation::Allow);
        }
    }

    #[test]
    fn the_order_of_tools_and_rules_does_not_matter(document in document(), arguments in arguments()) {
        let mut turned = document.clone();
        for tool in turned["tools"].as_object_mut().unwrap().values_mut() {
            for list in ["require", "deny_if"] {
                tool[list].as_array_mut().unwrap().reverse();
                for rule in tool[list].as_array_mut().unwrap() {
                    rule["conditions"].as_array_mut().unwrap().reverse();
                }
            }
        }
        let kinds = |policy: &Policy| decisions(policy, "t", &arguments).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
        prop_assert_eq!(kinds(&parse(&document)), kinds(&support::policy(&reversed(&turned))));
        prop_assert_eq!(*parse(&document).digest(), *support::policy(&reversed(&document)).digest());
    }

    #[test]
    fn a_document_that_was_printed_and_parsed_again_decides_the_same(document in document(), arguments in arguments()) {
        let policy = parse(&document);
        let again = support::policy(&policy.to_text());
        prop_assert_eq!(decisions(&policy, "t", &arguments), decisions(&again, "t", &arguments));
        prop_assert_eq!(policy.digest(), again.digest());
        prop_assert_eq!(policy.to_json(), again.to_json());
    }

    #[test]
    fn a_tool_that_is_not_shown_is_denied(document in document(), arguments in arguments()) {
        let policy = parse(&document);
        for tool in ["t", "u", "v", "w"] {
            let first = decisions(&policy, tool, &arguments).remove(0);
            prop_assert!(policy.is_visible(tool) || first == (Expectation::Deny, "(hidden)".to_owned()));
            prop_assert!(policy.is_callable(tool) || first.0 == Expectation::Deny);
            prop_assert_eq!(policy.admits(tool).is_ok(), policy.is_callable(tool));
        }
    }

    #[test]
    fn arguments_have_one_canonical_form(arguments in arguments()) {
        let once = Arguments::new(arguments).unwrap();
        let again = Arguments::parse(once.as_json().as_bytes()).unwrap();
        prop_assert_eq!(once.as_json(), again.as_json());
        prop_assert_eq!(once.value(), again.value());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Policy::parse(&bytes);
        let _ = Arguments::parse(&bytes);
    }

    #[test]
    fn no_damage_to_a_document_makes_the_reader_panic(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        whole in any::<bool>(),
        with in prop::sample::select(vec!["null", "-1", "1e400", "\"\\ud800\"", "[]", "{}", "\"\u{0}\"", "\"args.\"", "\"*.\"", "99999999999999999999"]),
    ) {
        let mut bytes = FULL.as_bytes().to_vec();
        for (place, byte) in places {
            let at = place.index(bytes.len());
            if whole {
                // A value in the place of the next one, up to the next comma.
                let end = bytes[at..].iter().position(|byte| *byte == b',').map_or(bytes.len(), |length| at + length);
                let start = bytes[..at].iter().rposition(|byte| *byte == b':').map_or(0, |colon| colon + 1);
                bytes.splice(start..end, with.bytes());
            } else {
                bytes[at] = byte;
            }
        }
        if let Ok(policy) = Policy::parse(&bytes) {
            let _ = policy.run_tests();
            let _ = exuvia_policies::lint(&policy);
            prop_assert!(Policy::parse(policy.to_text()).is_ok());
        }
    }
}

const FULL: &str = include_str!("full.json");

#[test]
fn a_document_with_everything_loads_and_prints_as_itself() {
    let policy = support::policy(FULL);
    assert_eq!(policy.to_json(), serde_json::from_str::<Value>(FULL).unwrap());
    assert!(policy.run_tests().iter().all(exuvia_policies::ExampleResult::passed), "{:?}", policy.run_tests());
    let core = support::policy(&policy.to_core_text());
    assert!(core.to_json().get("x-sandbox").is_none());
}
