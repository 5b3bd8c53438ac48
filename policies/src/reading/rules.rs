//! Reads conditions, and the rules that are made of them.

use serde_json::{Map, Number, Value};
use std::sync::Arc;

use super::{Ids, Reader};
use crate::canonical;
use crate::condition::{Condition, OPERATORS, Path, Test};
use crate::document::Rule;
use crate::pointer::Pointer;

/// Most conditions of one rule.
const MAX_CONDITIONS: usize = 100;

impl Reader {
    pub(super) fn require(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Vec<Rule>> {
        let mut ids = Ids::of(at);
        self.list(at, value, |reader, at, value| {
            let rule = reader.rule(at, value, &mut ids)?;
            if rule.conditions.is_empty() {
                let message =
                    "`require` without conditions requires nothing; leave the rule out, or say what it requires";
                return reader.invalid(&at.field("conditions"), message);
            }
            Some(rule)
        })
    }

    pub(super) fn deny_if(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Vec<Rule>> {
        let mut ids = Ids::of(at);
        self.list(at, value, |reader, at, value| reader.rule(at, value, &mut ids))
    }

    fn rule(&mut self, at: &Pointer<'_>, value: &Value, ids: &mut Ids) -> Option<Rule> {
        let fields = self.object(at, value, &["conditions", "on_deny"])?;
        let conditions = self.conditions(at, fields);
        let on_deny = fields.get("on_deny").and_then(|value| self.message(&at.field("on_deny"), value));
        let conditions = conditions?;
        let id = ids.id(&name(&conditions));
        Some(Rule { conditions, on_deny: on_deny.map(Arc::from), id })
    }

    /// The field `conditions` of a rule.
    pub(super) fn conditions(&mut self, at: &Pointer<'_>, fields: &Map<String, Value>) -> Option<Vec<Condition>> {
        let value = self.required(at, fields, "conditions")?;
        let at = at.field("conditions");
        let written = value.as_array().map_or(0, Vec::len);
        if written > MAX_CONDITIONS {
            return self.invalid(&at, format!("a rule has at most {MAX_CONDITIONS} conditions"));
        }
        let conditions = self.list(&at, value, Self::condition)?;
        // With a condition left out, a rule is another rule.
        (conditions.len() == written).then_some(conditions)
    }

    fn condition(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Condition> {
        let fields = self.object(at, value, &["path", "op", "value"])?;
        let path = self.required(at, fields, "path").and_then(|value| {
            let at = at.field("path");
            let text = self.text(&at, value)?;
            self.valid(&at, Path::parse(text))
        });
        let words = OPERATORS.map(|name| (name, name));
        let op = self.required(at, fields, "op");
        let op = op.and_then(|value| self.word(&at.field("op"), value, "operator", &words));
        let test = op.and_then(|op| self.test(at, op, fields));
        Some(Condition { path: path?, test: test? })
    }

    fn test(&mut self, parent: &Pointer<'_>, op: &str, fields: &Map<String, Value>) -> Option<Test> {
        if op == "exists" && !fields.contains_key("value") {
            return Some(Test::Exists(true));
        }
        let value = self.required(parent, fields, "value")?;
        let at = &parent.field("value");
        Some(match op {
            "eq" => Test::Eq(canonical::normalise(value.clone())),
            "neq" => Test::Neq(canonical::normalise(value.clone())),
            "lt" => Test::Lt(self.number(at, value)?),
            "lte" => Test::Lte(self.number(at, value)?),
            "gt" => Test::Gt(self.number(at, value)?),
            "gte" => Test::Gte(self.number(at, value)?),
            "in" => Test::In(self.values(at, value)?),
            "not_in" => Test::NotIn(self.values(at, value)?),
            "exists" => Test::Exists(self.boolean(at, value)?),
            "regex" => Test::Regex(self.pattern(at, value)?),
            "contains" => Test::Contains(self.part(at, value)?),
            other => return self.invalid(at, format!("the operator `{other}` is not known")),
        })
    }

    fn number(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Number> {
        match value {
            Value::Number(number) => Some(crate::number::canonical(number)),
            value => self.wrong_type(at, "a number", value),
        }
    }

    fn values(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Vec<Value>> {
        let values = self.list(at, value, |_, _, value| Some(canonical::normalise(value.clone())))?;
        if values.is_empty() { self.invalid(at, "the list is empty: nothing is in it") } else { Some(values) }
    }

    fn part(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Value> {
        match value {
            Value::String(text) if text.is_empty() => self.invalid(at, "every text contains the empty one"),
            Value::Array(_) | Value::Object(_) => self.wrong_type(at, "a string, a number, a boolean or null", value),
            value => Some(canonical::normalise(value.clone())),
        }
    }
}

/// A rule's name by its conditions: `args.amount-gt`, several joined by `+`.
pub(super) fn name(conditions: &[Condition]) -> String {
    let names: Vec<_> = conditions.iter().map(ToString::to_string).collect();
    if names.is_empty() { "always".to_owned() } else { names.join("+") }
}
