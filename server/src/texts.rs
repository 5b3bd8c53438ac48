//! Every text in a JSON value: names of fields and numbers, too, as they are written.

use serde_json::Value;

/// Has `clean` look at each text in `value`. A number that it changes becomes a text. The depth of `value` is bounded by
/// whoever read it.
pub(crate) fn each(value: &mut Value, clean: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => clean(text),
        Value::Number(number) => {
            let written = number.to_string();
            let mut text = written.clone();
            clean(&mut text);
            if text != written {
                *value = Value::String(text);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, clean)),
        Value::Object(fields) => {
            let names: Vec<_> = fields.keys().cloned().collect();
            let mut cleaned = names.clone();
            cleaned.iter_mut().for_each(&mut *clean);
            if cleaned != names {
                let values = std::mem::take(fields).into_iter().map(|(_, value)| value);
                fields.extend(cleaned.into_iter().zip(values));
            }
            fields.values_mut().for_each(|field| each(field, clean));
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_and_numbers_are_texts_too() {
        let mut value = json!({ "a7": [7, 1.5, "x7", null, true], "b": { "7": {} } });
        each(&mut value, &mut |text| *text = text.replace('7', "-"));
        assert_eq!(value, json!({ "a-": ["-", 1.5, "x-", null, true], "b": { "-": {} } }));
    }
}
