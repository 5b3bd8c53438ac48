//! Values that conditions compare with. Intercept compares numbers as floats, and all else by the text that Go writes of it: to
//! it "0" is 0, and "<nil>" null. Here a text is no number. Where a condition denies what is equal, all that is equal to the
//! original is written into it; where that cannot be written, the tool is closed.

use serde_json::{Map, Number, Value};
use std::collections::HashSet;
use std::mem::discriminant;

use crate::error::echo;
use crate::number::canonical;

/// From here on, floats leave out integers: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What Go writes of null.
const NIL: &str = "<nil>";

/// Writes what a condition compares with as the original understands it. `denied`: the operators that deny what is equal; the second
/// takes a list.
pub(super) fn write(condition: &mut Map<String, Value>, denied: &[&str]) -> Result<(), String> {
    let (Some(Value::String(op)), Some(value)) = (condition.get("op"), condition.get("value")) else { return Ok(()) };
    let values = match (op.as_str(), value) {
        ("in" | "not_in", Value::Array(values)) => values.as_slice(),
        ("eq" | "neq" | "lt" | "lte" | "gt" | "gte" | "contains", value) => std::slice::from_ref(value),
        _ => return Ok(()),
    };
    let is_denied = denied.contains(&op.as_str());
    let is_ordered = matches!(op.as_str(), "lt" | "lte" | "gt" | "gte");
    for value in values {
        match value {
            Value::Array(_) | Value::Object(_) => {
                return Err("it compares with a list or an object, which the original does by its text".into());
            }
            // To the original, an integer beyond 64 bits with a sign is no number.
            Value::Number(number) if number.is_u64() && !number.is_i64() => return Err(inexact(number)),
            Value::Number(number) if is_denied || is_ordered => exact(number)?,
            _ => {}
        }
    }
    if !is_denied {
        return Ok(());
    }
    let all = equal(values)?;
    if all.len() > values.len() {
        let list = denied.get(1).filter(|_| op != "contains");
        let list = *list.ok_or("the original finds more in a list than can be said")?;
        condition.insert("op".into(), list.into());
        condition.insert("value".into(), all.into());
    }
    Ok(())
}

fn exact(number: &Number) -> Result<(), String> {
    if number.as_f64().is_some_and(|float| float.abs() < EXACT) { Ok(()) } else { Err(inexact(number)) }
}

fn inexact(number: &Number) -> String {
    format!("it compares with {}, which the original does inexactly", echo(&number.to_string()))
}

/// The values, and after them all that the original takes for one of them and that is of a type among them: what is of another type
/// is denied anyway.
fn equal(values: &[Value]) -> Result<Vec<Value>, String> {
    let text = discriminant(&Value::from(NIL));
    // A null stands for itself alone, whatever else there is.
    let type_of = |value: &Value| if value.is_null() { text } else { discriminant(value) };
    let types: HashSet<_> = values.iter().map(type_of).collect();
    let mut seen: HashSet<String> = values.iter().map(Value::to_string).collect();
    let mut all = values.to_vec();
    for form in values.iter().flat_map(forms).filter(|form| types.contains(&discriminant(form))) {
        if let Value::Number(number) = &form {
            exact(number)?;
        }
        if seen.insert(form.to_string()) {
            all.push(form);
        }
    }
    Ok(all)
}

/// Other values that the original takes for this one.
fn forms(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![NIL.into()],
        Value::Bool(truth) => vec![truth.to_string().into()],
        Value::Number(number) => texts(number).collect(),
        Value::String(text) => meant(text),
        Value::Array(_) | Value::Object(_) => Vec::new(),
    }
}

/// What a text may be, to a reader of YAML who takes more for numbers and the like than ours does, and with Go's comparison.
fn meant(text: &str) -> Vec<Value> {
    match text {
        "~" | "null" | "Null" | "NULL" => return vec![NIL.into()],
        "true" | "True" | "TRUE" => return vec![true.into(), "true".into()],
        "false" | "False" | "FALSE" => return vec![false.into(), "false".into()],
        _ => {}
    }
    let plain = text.replace('_', "");
    let decimal = plain.parse().ok().and_then(Number::from_f64).map(|number| canonical(&number));
    let integer = integer(&plain);
    // Others are numbers to both readers, or to neither.
    let differs = plain != text || after_zero(&plain).is_some();
    let texts: Vec<_> = decimal.iter().chain(&integer).filter(|_| differs).flat_map(texts).collect();
    decimal.into_iter().chain(integer).map(Value::Number).chain(texts).collect()
}

/// An integer to another base than ten: `0x1f`, `0o17`, `017`, `0b11`.
fn integer(plain: &str) -> Option<Number> {
    let digits = after_zero(plain)?;
    let (digits, base) = match digits.chars().next()? {
        'x' | 'X' => (digits.get(1..)?, 16),
        'o' | 'O' => (digits.get(1..)?, 8),
        'b' | 'B' => (digits.get(1..)?, 2),
        _ => (digits, 8),
    };
    let integer = i64::from_str_radix(digits, base).ok()?;
    Some(if plain.starts_with('-') { integer.checked_neg()?.into() } else { integer.into() })
}

/// What follows the zero that a number begins with, unless that is its whole part.
fn after_zero(plain: &str) -> Option<&str> {
    let digits = plain.trim_start_matches(['+', '-']).strip_prefix('0')?;
    digits.starts_with(|character: char| character.is_ascii_alphanumeric()).then_some(digits)
}

/// What Go writes of a number, as an integer or as a float: 1000000 and 1e+06.
fn texts(number: &Number) -> impl Iterator<Item = Value> {
    let float = number.as_f64().unwrap_or_default();
    let digits = format!("{float:e}");
    let scientific = digits.split_once('e').and_then(|(digits, exponent)| {
        let exponent: i32 = exponent.parse().ok()?;
        let sign = if exponent < 0 { '-' } else { '+' };
        (!(-4..=5).contains(&exponent)).then(|| format!("{digits}e{sign}{:02}", exponent.abs()))
    });
    let plain = if number.is_f64() { float.to_string() } else { number.to_string() };
    [Some(plain), scientific].into_iter().flatten().map(Value::String)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(op: &str, value: Value, denied: &[&str]) -> Result<(String, Value), String> {
        let mut condition = Map::from_iter([("op".to_owned(), op.into()), ("value".to_owned(), value)]);
        write(&mut condition, denied)?;
        Ok((condition["op"].as_str().unwrap().to_owned(), condition["value"].clone()))
    }

    const REQUIRED: [&str; 2] = ["neq", "not_in"];
    const DENIED: [&str; 3] = ["eq", "in", "contains"];

    /// Seen to fail with the values left as they are.
    #[test]
    fn what_the_original_takes_for_a_value_is_written_beside_it() {
        for (value, expected) in [
            (json!(["root", 0]), json!(["root", 0, "0"])),
            (json!(["5", 1]), json!(["5", 1, 5, "1"])),
            (json!([true, "x"]), json!([true, "x", "true"])),
            (json!([null, 1]), json!([null, 1, "<nil>", "1"])),
            (
                json!([1_000_000, 0.5, 0.000_01, "x"]),
                json!([1_000_000, 0.5, 0.000_01, "x", "1000000", "1e+06", "0.5", "0.00001", "1e-05"]),
            ),
            (json!(["010", "1_000"]), json!(["010", "1_000", "10", "8", "1000"])),
            (json!(["08", "00.5"]), json!(["08", "00.5", "8", "0.5"])),
            (json!(["0x1f", "-0b11", 2]), json!(["0x1f", "-0b11", 2, 31, "31", -3, "-3", "2"])),
            // Of one type: all else is denied.
            (json!(["root", "5", "1.50"]), json!(["root", "5", "1.50"])),
            (json!([1, 2, true]), json!([1, 2, true])),
        ] {
            assert_eq!(written("not_in", value.clone(), &REQUIRED).unwrap(), ("not_in".into(), expected.clone()));
            assert_eq!(written("in", value.clone(), &DENIED).unwrap(), ("in".into(), expected));
            // What allows what is equal allows no more for that.
            assert_eq!(written("in", value.clone(), &REQUIRED).unwrap(), ("in".into(), value.clone()));
        }
        assert_eq!(written("neq", json!(null), &REQUIRED).unwrap(), ("not_in".into(), json!([null, "<nil>"])));
        assert_eq!(written("eq", json!("010"), &DENIED).unwrap(), ("in".into(), json!(["010", "10", "8"])));
        for value in [json!(5), json!("5"), json!("x"), json!(true)] {
            assert_eq!(written("neq", value.clone(), &REQUIRED).unwrap(), ("neq".into(), value));
        }
    }

    /// Seen to fail with the values left as they are.
    #[test]
    fn what_cannot_be_written_is_an_error() {
        let (large, inexact) =
            (9_007_199_254_740_993_u64, "it compares with 9007199254740993, which the original does inexactly");
        let text = "it compares with a list or an object, which the original does by its text";
        for (op, value, denied, why) in [
            ("not_in", json!([large]), &REQUIRED[..], inexact),
            ("lt", json!(large), &REQUIRED, inexact),
            ("neq", json!(large), &REQUIRED, inexact),
            ("gte", json!(large), &DENIED, inexact),
            (
                "eq",
                json!(u64::MAX),
                &REQUIRED,
                "it compares with 18446744073709551615, which the original does inexactly",
            ),
            ("not_in", json!([[1]]), &REQUIRED, text),
            ("neq", json!({}), &REQUIRED, text),
            ("eq", json!([1_000_000]), &REQUIRED, text),
            ("contains", json!(null), &DENIED, "the original finds more in a list than can be said"),
        ] {
            assert_eq!(written(op, value, denied).unwrap_err(), why, "{op}");
        }
        // Equal here is equal there.
        assert!(written("in", json!([large]), &REQUIRED).is_ok());
        assert!(written("contains", json!("x"), &DENIED).is_ok());
    }
}
