//! Numbers, compared exactly. A comparison by way of floats makes 9007199254740993 equal to 9007199254740992, which a
//! limit on an amount must not.

use serde_json::Number;
use std::cmp::Ordering;

/// 2^64: below it, a float without a fraction is one of the integers that JSON's reader holds exactly.
const EXACT: f64 = 18_446_744_073_709_551_616.0;

#[derive(Clone, Copy)]
enum Exact {
    Integer(i128),
    /// With a fraction, or outside the integers' range.
    Float(f64),
}

/// The order of two numbers; none when one of them is no number (which JSON cannot write).
pub(crate) fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    match (exact(a)?, exact(b)?) {
        (Exact::Integer(a), Exact::Integer(b)) => Some(a.cmp(&b)),
        (Exact::Float(a), Exact::Float(b)) => a.partial_cmp(&b),
        (Exact::Integer(a), Exact::Float(b)) => Some(compare_mixed(a, b)),
        (Exact::Float(a), Exact::Integer(b)) => Some(compare_mixed(b, a).reverse()),
    }
}

/// The one way in which a number is written: 1.0 and 1e0 are 1, and -0.0 is 0.
pub(crate) fn canonical(number: &Number) -> Number {
    let Some(Exact::Integer(integer)) = exact(number) else { return number.clone() };
    match (i64::try_from(integer), u64::try_from(integer)) {
        (Ok(integer), _) => integer.into(),
        (_, Ok(integer)) => integer.into(),
        _ => number.clone(),
    }
}

fn exact(number: &Number) -> Option<Exact> {
    if let Some(integer) = number.as_i64() {
        return Some(Exact::Integer(integer.into()));
    }
    if let Some(integer) = number.as_u64() {
        return Some(Exact::Integer(integer.into()));
    }
    let float = number.as_f64()?;
    let whole = float.fract() == 0.0 && float.abs() < EXACT;
    Some(if whole { Exact::Integer(truncate(float)) } else { Exact::Float(float) })
}

fn compare_mixed(integer: i128, float: f64) -> Ordering {
    if float >= EXACT {
        Ordering::Less
    } else if float <= -EXACT {
        Ordering::Greater
    } else {
        // A float is only here with a fraction: equal whole parts are told apart by its sign.
        let by_fraction = 0.0_f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal);
        integer.cmp(&truncate(float)).then(by_fraction)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "callers check that it is between -2^64 and 2^64")]
fn truncate(float: f64) -> i128 {
    float as i128
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(a: &str, b: &str) -> Ordering {
        let read = |text: &str| serde_json::from_str::<Number>(text).unwrap();
        let forth = compare(&read(a), &read(b)).unwrap();
        assert_eq!(compare(&read(b), &read(a)).unwrap(), forth.reverse());
        forth
    }

    #[test]
    fn large_integers_are_told_apart() {
        assert_eq!(order("9007199254740993", "9007199254740992"), Ordering::Greater);
        assert_eq!(order("9007199254740993", "9007199254740992.0"), Ordering::Greater);
        assert_eq!(order("18446744073709551615", "18446744073709551616"), Ordering::Less);
        assert_eq!(order("18446744073709551615", "-1"), Ordering::Greater);
        assert_eq!(order("5", "-1e300"), Ordering::Greater);
    }

    #[test]
    fn a_number_is_its_value_however_it_is_written() {
        assert_eq!(order("1", "1.0"), Ordering::Equal);
        assert_eq!(order("100", "1e2"), Ordering::Equal);
        assert_eq!(order("0", "-0.0"), Ordering::Equal);
        assert_eq!(order("2", "1.75"), Ordering::Greater);
        assert_eq!(order("-2", "-1.5"), Ordering::Less);
        assert_eq!(order("-1", "-1.5"), Ordering::Greater);
        assert_eq!(order("0", "-0.5"), Ordering::Greater);
    }

    #[test]
    fn the_canonical_form_has_no_second_spelling() {
        let write = |text: &str| canonical(&serde_json::from_str::<Number>(text).unwrap()).to_string();
        assert_eq!(["1.0", "1e0", "1"].map(write), ["1", "1", "1"]);
        assert_eq!(["-0.0", "-0", "0"].map(write), ["0", "0", "0"]);
        assert_eq!(write("9007199254740993"), "9007199254740993");
        assert_eq!(write("1.50"), "1.5");
    }
}
