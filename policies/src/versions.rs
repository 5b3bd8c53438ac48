//! Versions of Python packages and the specifiers that bound them: the part of PEP 440 that people write by hand.
//!
//! Only final releases (`1.2.3`) are ordered. Any other version (`2.0rc1`, `1.0+local`, `1!2`) meets `==` with the same
//! text and nothing else, so that what is not understood is not let in.

use std::cmp::Ordering;
use std::fmt;

/// Most numbers in a version.
const MAX_NUMBERS: usize = 8;

/// One bound, such as `>=2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Specifier {
    relation: Relation,
    version: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    NotEqual,
    Compatible,
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// Two characters before one, so that `>=` is not read as `>`.
const RELATIONS: [(&str, Relation); 7] = [
    ("==", Relation::Equal),
    ("!=", Relation::NotEqual),
    ("~=", Relation::Compatible),
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    (">", Relation::Above),
    ("<", Relation::Below),
];

impl Specifier {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let found = RELATIONS.iter().find_map(|(sign, relation)| Some((*relation, text.strip_prefix(sign)?.trim())));
        let (relation, version) = found.ok_or("a bound starts with `==`, `!=`, `~=`, `>=`, `<=`, `>` or `<`")?;
        let known = release(version);
        let two = known.as_ref().is_some_and(|numbers| numbers.len() >= 2);
        match relation {
            Relation::Equal if is_version(version) => {}
            Relation::Compatible if !two => return Err("`~=` needs a version with at least two numbers"),
            _ if known.is_none() => return Err("a bound is a final release, as in `>=2.1`"),
            _ => {}
        }
        Ok(Self { relation, version: version.into() })
    }

    pub(crate) fn allows(&self, version: &str) -> bool {
        if self.relation == Relation::Equal && *self.version == *version {
            return true;
        }
        let (Some(bound), Some(version)) = (release(&self.version), release(version)) else { return false };
        let order = compare(&version, &bound);
        match self.relation {
            Relation::Equal => order.is_eq(),
            Relation::NotEqual => order.is_ne(),
            Relation::AtLeast => order.is_ge(),
            Relation::AtMost => order.is_le(),
            Relation::Above => order.is_gt(),
            Relation::Below => order.is_lt(),
            Relation::Compatible => {
                let series = bound.len().saturating_sub(1);
                order.is_ge() && compare(&first(&version, series), &first(&bound, series)).is_eq()
            }
        }
    }
}

impl fmt::Display for Specifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = RELATIONS.iter().find(|(_, relation)| *relation == self.relation).map_or("", |(sign, _)| sign);
        write!(f, "{sign}{}", self.version)
    }
}

fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'!' | b'-' | b'_'))
}

/// The numbers of a final release.
fn release(text: &str) -> Option<Vec<u64>> {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?;
    let numbers: Option<Vec<u64>> = text.split('.').take(MAX_NUMBERS + 1).map(digits).collect();
    numbers.filter(|numbers| numbers.len() <= MAX_NUMBERS)
}

/// The first `count` numbers, missing ones being 0.
fn first(numbers: &[u64], count: usize) -> Vec<u64> {
    numbers.iter().copied().chain(std::iter::repeat(0)).take(count).collect()
}

fn compare(a: &[u64], b: &[u64]) -> Ordering {
    let count = a.len().max(b.len());
    first(a, count).cmp(&first(b, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(specifier: &str, version: &str) -> bool {
        Specifier::parse(specifier).unwrap().allows(version)
    }

    #[test]
    fn versions_are_ordered_by_number() {
        assert!(allows(">=2", "2.0.0") && allows(">=2.9", "2.10") && !allows(">=2", "1.99"));
        assert!(allows("<3", "2.99") && !allows("<3", "3.0") && !allows(">2", "2.0") && allows("<= 2", "2"));
        assert!(allows("==2", "2.0") && !allows("!=2", "2.0.0") && allows("!=2", "2.1"));
        assert!(allows("~=1.4.2", "1.4.9") && !allows("~=1.4.2", "1.5") && !allows("~=1.4.2", "1.4.1"));
    }

    #[test]
    fn a_version_that_is_not_a_final_release_is_let_in_only_by_name() {
        assert!(!allows(">=2", "3.0rc1") && !allows(">=2", "3.0.dev1") && !allows("!=2", "3.0+local"));
        assert!(!allows("<3", "1!2.0") && !allows(">=1", "") && !allows(">=1", "latest"));
        assert!(allows("==3.0rc1", "3.0rc1") && !allows("==3.0rc1", "3.0rc2"));
    }

    #[test]
    fn what_is_not_a_bound_is_refused() {
        for text in [
            "2",
            "=2",
            ">=",
            ">=2rc1",
            "~=2",
            "==2.*",
            "===2",
            ">=1.2.3.4.5.6.7.8.9",
            ">=99999999999999999999",
            "==",
            "== 2 3",
        ] {
            assert!(Specifier::parse(text).is_err(), "{text}");
        }
    }
}
