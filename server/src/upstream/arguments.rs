//! From a Python call's arguments to checked arguments of a tool. Every refusal is written for the program's author.

use super::schema::{allows_null, annotation, python};
use super::tool::{Definition, Property, Tool};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use rmcp::model::JsonObject;
use serde_json::Value;
use std::fmt::Write;

/// Steps that one regular expression of a schema may take back: a hostile one would take for ever.
const BACKTRACKING: usize = 100_000;
/// Most errors that one refusal names.
const MOST_ERRORS: usize = 3;
/// Longest part of a value that a refusal shows, in characters.
const LONGEST_SHOWN: usize = 80;

impl Tool {
    /// Checked arguments for a call with `positional` and `named` ones. Positional arguments are in the order of the
    /// schema's `properties`. An argument may be named as Python calls it or as the server does.
    ///
    /// # Errors
    ///
    /// A text for the program's author: which argument, what is wrong with it, what is expected.
    pub(crate) fn arguments(&self, positional: Vec<Value>, named: JsonObject) -> Result<JsonObject, String> {
        let mut arguments = JsonObject::new();
        if positional.len() > self.parameters.len() {
            return Err(self.too_many(positional.len()));
        }
        for (property, value) in self.parameters.iter().zip(positional) {
            arguments.insert(property.name.clone(), value);
        }
        for (given, value) in named {
            let property = self.parameters.iter().find(|property| property.name == given);
            let property = property.or_else(|| self.parameters.iter().find(|property| property.parameter == given));
            let name = match property {
                Some(property) => property.name.clone(),
                None if self.is_open() => given.clone(),
                None => return Err(self.unknown(&given)),
            };
            if arguments.insert(name, value).is_some() {
                return Err(format!("{}() got the argument `{given}` twice", self.alias));
            }
        }
        // A Python program writes `limit=None` for "no limit", where JSON leaves the property out.
        let left_out = |property: &&Property| {
            !property.required && self.property_schema(&property.name).is_some_and(|schema| !allows_null(schema))
        };
        for property in self.parameters.iter().filter(left_out) {
            if arguments.get(&property.name).is_some_and(Value::is_null) {
                arguments.shift_remove(&property.name);
            }
        }
        self.check(arguments)
    }

    fn check(&self, arguments: JsonObject) -> Result<JsonObject, String> {
        let missing: Vec<_> = self
            .parameters
            .iter()
            .filter(|property| property.required && !arguments.contains_key(&property.name))
            .map(|property| self.described(property))
            .collect();
        if !missing.is_empty() {
            let s = if missing.len() == 1 { "" } else { "s" };
            return Err(format!("{}() lacks the argument{s} {}", self.alias, missing.join(", ")));
        }
        let Some(validator) = self.definition.validator.get_or_init(|| self.compile()) else { return Ok(arguments) };
        let arguments = Value::Object(arguments);
        let mut errors = validator.iter_errors(&arguments);
        let mut text = String::new();
        for error in errors.by_ref().take(MOST_ERRORS) {
            let separator = if text.is_empty() { "" } else { "; " };
            let _ = write!(text, "{separator}{}", self.explained(&error));
        }
        if errors.next().is_some() {
            text.push_str("; and more");
        }
        drop(errors);
        match arguments {
            Value::Object(arguments) if text.is_empty() => Ok(arguments),
            _ => Err(format!("{}(): {text}", self.alias)),
        }
    }

    fn compile(&self) -> Option<Box<Validator>> {
        let schema = Value::Object((*self.input_schema).clone());
        let built = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(BACKTRACKING))
            .build(&schema);
        match built {
            Ok(validator) => Some(Box::new(validator)),
            Err(error) => {
                let (server, tool) = (&self.server, &self.name);
                tracing::warn!(server, tool, %error, "input schema cannot be used; arguments pass unchecked");
                None
            }
        }
    }

    fn too_many(&self, given: usize) -> String {
        let names: Vec<_> = self.parameters.iter().map(|property| property.parameter.as_str()).collect();
        let takes = match names.len() {
            0 => "no positional arguments".to_owned(),
            most => format!("at most {most} positional arguments ({})", names.join(", ")),
        };
        format!("{}() takes {takes}; {given} were given", self.alias)
    }

    fn unknown(&self, given: &str) -> String {
        let mut names: Vec<_> = self.parameters.iter().map(|property| property.parameter.as_str()).collect();
        let given: String = given.chars().take(LONGEST_SHOWN).collect();
        let distance = |name: &str| strsim::damerau_levenshtein(&given.to_lowercase(), &name.to_lowercase());
        let near = names.iter().copied().filter(|name| distance(name) <= 2.max(given.len() / 3));
        let near = near.min_by_key(|name| distance(name)).map(|name| format!("; did you mean `{name}`?"));
        names.truncate(50);
        let hint = near.unwrap_or_else(|| format!("; it takes: {}", names.join(", ")));
        format!("{}() has no argument `{given}`{hint}", self.alias)
    }

    fn described(&self, property: &Property) -> String {
        let schema = self.property_schema(&property.name).unwrap_or(&Value::Null);
        let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let text: String = text.lines().next().unwrap_or_default().chars().take(LONGEST_SHOWN).collect();
        let colon = if text.is_empty() { "" } else { ": " };
        format!("`{}` ({}{colon}{text})", property.parameter, annotation(schema))
    }

    /// What is wrong, with the argument as the program calls it.
    fn explained(&self, error: &ValidationError<'_>) -> String {
        let place = self.place(error.instance_path().as_str());
        let shown = shown(error.instance());
        match error.kind() {
            ValidationErrorKind::Type { .. } => {
                let expected = error.schema_path().as_str();
                let schema = self.at(expected).map_or_else(|| "another type".into(), annotation);
                format!("{place} must be {schema}, not {shown}")
            }
            ValidationErrorKind::Enum { options } => {
                let options: Vec<_> = options.as_array().into_iter().flatten().take(30).map(python).collect();
                format!("{place} must be one of {}, not {shown}", options.join(", "))
            }
            ValidationErrorKind::Required { property } => {
                format!("{place} lacks `{}`", python(property).trim_matches('"'))
            }
            ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
                let schema = self.at(error.schema_path().as_str()).map_or_else(|| "Any".into(), annotation);
                match schema.as_str() {
                    "Any" | "dict" => format!("{place} fits none of the forms that the tool accepts: {shown}"),
                    schema => format!("{place} must be {schema}, not {shown}"),
                }
            }
            _ => {
                let said: String = error.masked_with("it").to_string().chars().take(300).collect();
                format!("{place} is {shown}: {said}")
            }
        }
    }

    /// The schema that holds the keyword at `path`.
    fn at(&self, path: &str) -> Option<&Value> {
        let (holder, _) = path.rsplit_once('/')?;
        let (first, rest) = holder.strip_prefix('/')?.split_once('/').unwrap_or((holder.strip_prefix('/')?, ""));
        let top = self.input_schema.get(first)?;
        if rest.is_empty() { Some(top) } else { top.pointer(&format!("/{rest}")) }
    }

    /// A JSON pointer as a Python expression: `/from/0/x` is `from_[0].x`.
    fn place(&self, pointer: &str) -> String {
        let mut place = String::new();
        for (depth, part) in pointer.split('/').skip(1).enumerate() {
            let part = part.replace("~1", "/").replace("~0", "~");
            if depth == 0 {
                let property = self.parameters.iter().find(|property| property.name == part);
                place.push_str(property.map_or(part.as_str(), |property| &property.parameter));
            } else if part.bytes().all(|byte| byte.is_ascii_digit()) {
                let _ = write!(place, "[{part}]");
            } else {
                let _ = write!(place, ".{part}");
            }
        }
        if place.is_empty() { "the arguments".into() } else { format!("`{place}`") }
    }
}

impl Definition {
    /// Whether properties that the schema does not name may be given. JSON Schema's default is yes, but a program's
    /// misspelt argument should not vanish: so only where the schema says so, or where it names none.
    fn is_open(&self) -> bool {
        let schema = &self.input_schema;
        let elsewhere = ["patternProperties", "$ref", "allOf", "anyOf", "oneOf"];
        match schema.get("additionalProperties") {
            Some(Value::Bool(open)) => *open,
            Some(_) => true,
            None => {
                self.parameters.is_empty() && !schema.contains_key("properties")
                    || elsewhere.iter().any(|key| schema.contains_key(*key))
            }
        }
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Object(object) if object.len() > 3 => format!("a dict with {} keys", object.len()),
        Value::Array(array) if array.len() > 5 => format!("a list of {}", array.len()),
        value => python(value),
    };
    if text.chars().count() <= LONGEST_SHOWN {
        return text;
    }
    text.chars().take(LONGEST_SHOWN).chain(['…']).collect()
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
