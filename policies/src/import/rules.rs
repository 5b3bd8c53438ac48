//! The rules of one tool, from `rules`, `action`, `rate_limit` and `state` to `require`, `deny_if` and `limits`.

use serde_json::{Map, Value, json};

use super::everywhere::EVERY_TOOL;
use super::{pattern, values};
use crate::error::echo;

/// A tool's entry as it comes to be.
pub(super) struct Entry<'a> {
    /// The tool's name in the original, which paths of counters begin with.
    scope: &'a str,
    name: &'a str,
    kept: Map<String, Value>,
}

impl<'a> Entry<'a> {
    pub(super) fn new(tool: &'a str, name: &'a str, kept: Map<String, Value>) -> Self {
        Self { scope: if tool == EVERY_TOOL { "_global" } else { tool }, name, kept }
    }

    pub(super) fn into_value(self) -> Value {
        self.kept.into()
    }

    /// Adds a rule of the older form. Whether its `on_deny` is lost.
    pub(super) fn add(&mut self, mut rule: Map<String, Value>) -> Result<bool, String> {
        // In YAML, a name with nothing behind it.
        rule.retain(|_, value| !value.is_null());
        let mut take = |name| rule.shift_remove(name);
        let (action, conditions, on_deny) = (take("action"), take("conditions"), take("on_deny"));
        let (rate, state) = (take("rate_limit"), take("state"));
        if let Some((name, _)) = rule.into_iter().next() {
            return Err(format!("`{}` in a rule is not understood", echo(&name)));
        }
        let action = action.as_ref().map_or(Some("evaluate"), Value::as_str);
        match (action, rate, state, conditions) {
            (Some("deny"), None, None, conditions) => {
                let mut conditions = conditions.unwrap_or(json!([]));
                each(&mut conditions, |condition| translate(condition, &["eq", "in", "contains"]))?;
                self.push("deny_if", rule_of(&conditions, on_deny.as_ref()));
                Ok(false)
            }
            (Some("evaluate" | "allow"), Some(rate), None, None) => {
                let (max, window) = rate_of(&rate)?;
                let number = self.kept.get("limits").and_then(Value::as_array).map_or(0, Vec::len);
                let counter = format!("{}_rate_{}", self.name.to_lowercase(), number + 1);
                self.limit(&counter, window, max);
                Ok(on_deny.is_some())
            }
            (Some("evaluate"), None, Some(Value::Object(state)), Some(Value::Array(conditions))) => {
                self.counted(state, conditions, on_deny.as_ref())?;
                Ok(on_deny.is_some())
            }
            (Some("evaluate"), None, None, Some(conditions)) => {
                self.required(conditions, on_deny.as_ref())?;
                Ok(false)
            }
            (Some("allow"), None, None, None) => Ok(false),
            _ => Err("a rule is not understood".into()),
        }
    }

    /// A rule that counts: one of its conditions bounds its counter, the others are about arguments.
    fn counted(
        &mut self,
        mut state: Map<String, Value>,
        conditions: Vec<Value>,
        on_deny: Option<&Value>,
    ) -> Result<(), String> {
        let (counter, window) = (state.shift_remove("counter"), state.shift_remove("window"));
        let each = state.shift_remove("increment");
        if state.shift_remove("increment_from").is_some_and(|from| from != "" && !from.is_null()) {
            return Err("a counter of amounts (`increment_from`) cannot be had: limits count calls".into());
        }
        let (Some(Value::String(counter)), Some(Value::String(window)), true) = (counter, window, state.is_empty())
        else {
            return Err("a `state` is not understood".into());
        };
        // Left out, or 0, it is 1.
        let each = each.map_or(Some(1), |each| each.as_u64()).ok_or("an `increment` is no whole number")?.max(1);
        let is_about_counters = |condition: &Value| {
            condition.get("path").and_then(Value::as_str).is_none_or(|path| !path.starts_with("args."))
        };
        let (bounds, others): (Vec<_>, Vec<_>) = conditions.into_iter().partition(is_about_counters);
        let [bound] = bounds.as_slice() else {
            return Err("a `state` is bounded by one condition on its own counter".into());
        };
        let most = self.most(bound, &counter)?;
        self.limit(&counter, &window, most.checked_div(each).unwrap_or(0));
        if !others.is_empty() {
            self.required(others.into(), on_deny)?;
        }
        Ok(())
    }

    /// How far a condition lets a counter come.
    fn most(&self, bound: &Value, counter: &str) -> Result<u64, String> {
        let own = format!("state.{}.{counter}", self.scope);
        let value = bound.get("value").and_then(Value::as_u64);
        let of = |name| bound.get(name).and_then(Value::as_str);
        let is_whole = bound.as_object().is_some_and(|fields| fields.len() == 3);
        match (of("path"), of("op"), value) {
            (Some(path), Some("lte"), Some(value)) if is_whole && path == own => Ok(value),
            (Some(path), Some("lt"), Some(value)) if is_whole && path == own && value > 0 => Ok(value - 1),
            _ => Err(format!("of conditions on counters there is only `{} lte` a whole number", echo(&own))),
        }
    }

    fn limit(&mut self, counter: &str, window: &str, max: u64) {
        self.push("limits", json!({ "counter": counter, "window": window, "max": max, "scope": "grant" }));
    }

    /// A rule of conditions that must hold. Of a null, the original says that it does not exist.
    fn required(&mut self, mut conditions: Value, on_deny: Option<&Value>) -> Result<(), String> {
        each(&mut conditions, |condition| {
            translate(condition, &["neq", "not_in"])?;
            if condition.get("op").is_some_and(|op| op == "exists")
                && condition.get("value").is_none_or(|value| *value == Value::Bool(true))
            {
                condition.insert("op".into(), "neq".into());
                condition.insert("value".into(), Value::Null);
            }
            Ok(())
        })?;
        self.push("require", rule_of(&conditions, on_deny));
        Ok(())
    }

    fn push(&mut self, list: &str, value: Value) {
        let list = self.kept.entry(list).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(value);
        }
    }
}

fn each(
    conditions: &mut Value,
    change: impl FnMut(&mut Map<String, Value>) -> Result<(), String>,
) -> Result<(), String> {
    conditions.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut).try_for_each(change)
}

/// `denied`: the operators that deny what is equal.
fn translate(condition: &mut Map<String, Value>, denied: &[&str]) -> Result<(), String> {
    if condition.get("op").is_some_and(|op| op == "regex")
        && let Some(Value::String(source)) = condition.get_mut("value")
    {
        *source = pattern::translated(source);
    }
    values::write(condition, denied)
}

fn rule_of(conditions: &Value, on_deny: Option<&Value>) -> Value {
    match on_deny {
        Some(words) => json!({ "conditions": conditions, "on_deny": words }),
        None => json!({ "conditions": conditions }),
    }
}

/// `5/hour`, or `{"max": 10, "window": 60}` with the window in seconds or by name.
fn rate_of(rate: &Value) -> Result<(u64, &'static str), String> {
    let (max, window) = match rate {
        Value::String(text) => {
            let (max, window) =
                text.split_once('/').ok_or_else(|| format!("the rate `{}` is not understood", echo(text)))?;
            (max.trim().parse().ok(), Value::from(window.trim()))
        }
        Value::Object(fields) if fields.len() == 2 => {
            let of = |name| fields.get(name).cloned().unwrap_or_default();
            (of("max").as_u64(), of("window"))
        }
        _ => return Err("a rate is not understood".into()),
    };
    let name = match (window.as_u64(), window.as_str()) {
        (Some(60), _) | (_, Some("minute" | "min" | "m")) => "minute",
        (Some(3600), _) | (_, Some("hour" | "h")) => "hour",
        (Some(86_400), _) | (_, Some("day" | "d")) => "day",
        _ => {
            return Err(format!(
                "a window of {} cannot be had: there are minute, hour and day",
                echo(&window.to_string())
            ));
        }
    };
    max.map(|max| (max, name)).ok_or_else(|| "a rate has no whole number".into())
}
