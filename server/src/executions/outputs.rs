//! What was declared of a script's outputs, against what it gave.

use serde_json::value::RawValue;

/// Names that are near enough to be meant.
const NEAR: f64 = 0.75;
/// Most names offered instead of one that is missing.
const MOST_OFFERED: usize = 3;

/// What to say about a name that the script never set; `names` are those that it did set.
pub(crate) fn missing(name: &str, names: &[String]) -> String {
    let near = nearest(name, names.iter().map(String::as_str));
    if near.is_empty() {
        return format!("the script never set `{name}`, which `output_vars` asks for: assign it at the top level");
    }
    format!("the script never set `{name}`, which `output_vars` asks for; it did set {}", near.join(", "))
}

/// The names most like `name`, quoted, the nearest first.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let likeness = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    let mut near: Vec<_> = names.map(|other| (likeness(other), other)).filter(|(near, _)| *near >= NEAR).collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
    near.into_iter().take(MOST_OFFERED).map(|(_, name)| format!("`{name}`")).collect()
}

/// A warning when `value` is not of the type that was declared. A type that is not known is not checked.
pub(crate) fn mismatch(name: &str, declared: &str, value: &RawValue) -> Option<String> {
    let declared_as = declared.trim();
    let wanted: &[&str] = match declared_as.to_ascii_lowercase().as_str() {
        "str" | "string" | "text" => &["string"],
        "int" | "integer" => &["integer"],
        "float" | "number" | "decimal" => &["number", "integer"],
        "bool" | "boolean" => &["boolean"],
        "list" | "array" | "tuple" | "set" | "ndarray" | "dataframe" | "pd.dataframe" | "pandas.dataframe" => {
            &["array"]
        }
        "dict" | "object" | "map" => &["object"],
        "none" | "null" => &["null"],
        _ => return None,
    };
    let found = kind(value.get());
    if wanted.contains(&found) {
        return None;
    }
    Some(format!("`{name}` was declared as {declared_as}, but its value is {found}"))
}

/// The JSON type of a value, from its first character.
fn kind(json: &str) -> &'static str {
    match json.bytes().next() {
        Some(b'"') => "string",
        Some(b'[') => "array",
        Some(b'{') => "object",
        Some(b't' | b'f') => "boolean",
        Some(b'n') | None => "null",
        Some(_) if json.contains(['.', 'e', 'E']) => "number",
        Some(_) => "integer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_name_is_said_with_the_nearest() {
        let names = ["total".to_owned(), "frame".to_owned()];
        assert_eq!(
            missing("totl", &names),
            "the script never set `totl`, which `output_vars` asks for; it did set `total`"
        );
        assert_eq!(
            missing("x", &names),
            "the script never set `x`, which `output_vars` asks for: assign it at the top level"
        );
    }

    #[test]
    fn a_declared_type_is_compared_with_the_value() {
        let check = |declared, json: &str| mismatch("x", declared, &RawValue::from_string(json.into()).unwrap());
        for (declared, json) in [
            ("int", "3"),
            ("float", "3"),
            ("number", "1e3"),
            ("DataFrame", "[]"),
            ("dict", "{}"),
            ("anything", "null"),
            ("bool", "false"),
        ] {
            assert_eq!(check(declared, json), None, "{declared} {json}");
        }
        assert_eq!(check("int", "3.5").unwrap(), "`x` was declared as int, but its value is number");
        assert_eq!(check("str", "null").unwrap(), "`x` was declared as str, but its value is null");
    }
}
