use super::*;
use serde_json::json;

fn check(test: Test, arguments: &Value) -> Truth {
    let condition = Condition { path: Path::parse("args.a").unwrap(), test };
    condition.check(arguments).0
}

#[expect(clippy::needless_pass_by_value, reason = "tests read better")]
fn at(test: Test, value: Value) -> Truth {
    check(test, &json!({ "a": value }))
}

fn number(value: Value) -> Number {
    let Value::Number(number) = value else { panic!("{value} is no number") };
    number
}

use Truth::{Fails, Holds, Mismatch, Missing};

#[test]
fn equality_is_of_the_value_and_only_within_a_type() {
    assert_eq!(at(Test::Eq(json!(1)), json!(1.0)), Holds);
    assert_eq!(at(Test::Eq(json!("1")), json!(1)), Mismatch);
    assert_eq!(at(Test::Eq(json!("a")), json!("A")), Fails);
    assert_eq!(at(Test::Eq(json!("\u{e9}")), json!("e\u{301}")), Fails);
    assert_eq!(at(Test::Eq(json!("prod")), json!(["prod"])), Mismatch);
    assert_eq!(at(Test::Neq(json!("prod")), json!(["prod"])), Mismatch);
    assert_eq!(at(Test::Neq(json!("prod")), json!("dev")), Holds);
    assert_eq!(at(Test::Eq(json!(true)), json!("true")), Mismatch);
    assert_eq!(at(Test::Eq(json!({"x": [1, 2]})), json!({"x": [1.0, 2]})), Holds);
    assert_eq!(at(Test::Eq(json!({"x": 1})), json!({"x": 1, "y": 2})), Fails);
    assert_eq!(at(Test::Eq(json!(9_007_199_254_740_993_u64)), json!(9_007_199_254_740_992_u64)), Fails);
}

#[test]
fn null_is_a_value_that_everything_can_be_compared_with_when_the_policy_asks_for_it() {
    assert_eq!(at(Test::Eq(Value::Null), json!("a")), Fails);
    assert_eq!(at(Test::Neq(Value::Null), json!("a")), Holds);
    assert_eq!(at(Test::Eq(json!("a")), Value::Null), Mismatch);
    assert_eq!(at(Test::In(vec![json!("a"), Value::Null]), Value::Null), Holds);
}

#[test]
fn order_is_of_numbers_only() {
    let hundred = || number(json!(100));
    assert_eq!(at(Test::Gt(hundred()), json!(100.5)), Holds);
    assert_eq!(at(Test::Gt(hundred()), json!(100)), Fails);
    assert_eq!(at(Test::Gte(hundred()), json!(100)), Holds);
    assert_eq!(at(Test::Lt(hundred()), json!(100)), Fails);
    assert_eq!(at(Test::Lte(hundred()), json!(100.0)), Holds);
    for other in [json!("150"), json!(true), Value::Null, json!([150]), json!({})] {
        assert_eq!(at(Test::Gt(hundred()), other.clone()), Mismatch, "{other}");
        assert_eq!(at(Test::Lt(hundred()), other), Mismatch);
    }
}

#[test]
fn membership_needs_one_of_the_values_type() {
    let list = || vec![json!("eu"), json!(1)];
    assert_eq!(at(Test::In(list()), json!("eu")), Holds);
    assert_eq!(at(Test::In(list()), json!(1.0)), Holds);
    assert_eq!(at(Test::In(list()), json!("EU")), Fails);
    assert_eq!(at(Test::In(list()), json!(["eu"])), Mismatch);
    assert_eq!(at(Test::NotIn(list()), json!(["eu"])), Mismatch);
    assert_eq!(at(Test::NotIn(list()), json!("us")), Holds);
    assert_eq!(at(Test::NotIn(list()), json!("eu")), Fails);
    assert_eq!(at(Test::In(vec![json!(1), Value::Null]), json!("1")), Mismatch);
    assert_eq!(at(Test::In(vec![Value::Null]), json!("1")), Fails);
}

#[test]
fn existence_is_of_the_key() {
    assert_eq!(check(Test::Exists(true), &json!({"a": null})), Holds);
    assert_eq!(check(Test::Exists(true), &json!({})), Fails);
    assert_eq!(check(Test::Exists(false), &json!({})), Holds);
    assert_eq!(check(Test::Exists(false), &json!({"a": 0})), Fails);
}

#[test]
fn a_pattern_matches_anywhere_in_a_text() {
    let drop = || Test::Regex(Pattern::new("(?i)drop table").unwrap());
    assert_eq!(at(drop(), json!("x; DROP TABLE y")), Holds);
    assert_eq!(at(drop(), json!("select 1")), Fails);
    assert_eq!(at(drop(), json!(["drop table"])), Mismatch);
}

#[test]
fn containing_is_of_texts_and_of_elements() {
    let contains = |value: Value| Test::Contains(value);
    assert_eq!(at(contains(json!("b")), json!("abc")), Holds);
    assert_eq!(at(contains(json!("b")), json!(["a", "b"])), Holds);
    assert_eq!(at(contains(json!("b")), json!(["abc"])), Fails);
    assert_eq!(at(contains(json!(2)), json!([1, 2.0])), Holds);
    assert_eq!(at(contains(json!("b")), json!([["b"]])), Mismatch);
    assert_eq!(at(contains(json!("b")), json!({"b": 1})), Mismatch);
    assert_eq!(at(contains(json!(1)), json!("1")), Mismatch);
    assert_eq!(at(contains(json!("b")), json!([])), Fails);
}

#[test]
fn a_path_that_goes_on_where_there_are_no_fields_is_a_mismatch() {
    let condition = Condition { path: Path::parse("args.a.b").unwrap(), test: Test::Eq(json!(1)) };
    assert_eq!(condition.check(&json!({"a": {"b": 1}})).0, Holds);
    assert_eq!(condition.check(&json!({"a": {}})).0, Missing);
    assert_eq!(condition.check(&json!({})).0, Missing);
    assert_eq!(condition.check(&json!({"a": "x"})).0, Mismatch);
    assert_eq!(condition.check(&json!({"a": [{"b": 1}]})).0, Mismatch);
}

#[test]
fn a_path_that_only_looks_like_one_is_refused() {
    for text in ["amount", "args", "args.", "args..a", "args.a.", "Args.a", "args.a[0]", "args.*", "args. a", "$.a"] {
        assert!(Path::parse(text).is_err(), "{text}");
    }
    assert!(Path::parse(&format!("args.{}", "a.".repeat(20))).is_err());
    assert!(Path::parse("args.$filter.b-c_d").is_ok());
}
