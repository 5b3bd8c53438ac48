//! Reads our extensions, the field `x-sandbox`.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use super::{Ids, Reader, rules};
use crate::arguments::Arguments;
use crate::digest::Digest;
use crate::duration;
use crate::extensions::{
    ApprovalRule, BreakerRules, Caps, EgressRule, EgressRules, Example, ExampleCall, Expectation, Extensions, Mode,
    PackageRules, RedactRules,
};
use crate::hosts::HostPattern;
use crate::packages::Requirement;
use crate::paths::PathPrefix;
use crate::pointer::Pointer;
use crate::secrets::{Secret, SecretPlace, SecretSource, is_identifier};

const FIELDS: [&str; 10] =
    ["mode", "approve_if", "egress", "secrets", "packages", "caps", "breaker", "redact", "pins", "tests"];

/// How long an approval lives when the document does not say: 15 minutes.
const APPROVAL_SECS: NonZeroU64 = NonZeroU64::new(900).unwrap();

/// How long a breaker stays open when the document does not say.
const COOLDOWN_SECS: NonZeroU64 = NonZeroU64::new(60).unwrap();

/// Most calls that one of a document's tests makes.
const MAX_REPEAT: u32 = 10_000;

impl Reader {
    pub(super) fn extensions(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Extensions> {
        let fields = self.object(at, value, &FIELDS)?;
        let modes = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
        let mode = self.optional(at, fields, "mode", |reader, at, value| reader.word(at, value, "mode", &modes));
        let approve_if = self
            .optional(at, fields, "approve_if", |reader, at, value| reader.by_tool(at, value, Self::approval_rules));
        let egress = self.optional(at, fields, "egress", Self::egress);
        let secrets = self.optional(at, fields, "secrets", Self::secrets);
        let packages = self.optional(at, fields, "packages", Self::packages);
        let caps = self.optional(at, fields, "caps", Self::caps);
        let breaker = self.optional(at, fields, "breaker", |reader, at, value| reader.breaker(at, value).map(Some));
        let redact = self.optional(at, fields, "redact", Self::redact);
        let pins = self.optional(at, fields, "pins", |reader, at, value| reader.by_tool(at, value, Self::pin));
        let tests = self.optional(at, fields, "tests", |reader, at, value| reader.list(at, value, Self::example));
        Some(Extensions {
            mode: mode?,
            approve_if: approve_if?,
            egress: egress?,
            secrets: secrets?,
            packages: packages?,
            caps: caps?,
            breaker: breaker?,
            redact: redact?,
            pins: pins?,
            tests: tests?,
        })
    }

    fn optional<T: Default>(
        &mut self,
        at: &Pointer<'_>,
        fields: &Map<String, Value>,
        name: &str,
        read: impl FnOnce(&mut Self, &Pointer<'_>, &Value) -> Option<T>,
    ) -> Option<T> {
        fields.get(name).map_or_else(|| Some(T::default()), |value| read(self, &at.field(name), value))
    }

    fn by_tool<T>(
        &mut self,
        at: &Pointer<'_>,
        value: &Value,
        read: impl Fn(&mut Self, &Pointer<'_>, &Value) -> Option<T>,
    ) -> Option<BTreeMap<Box<str>, T>> {
        let mut all = BTreeMap::new();
        for (name, value) in self.map(at, value)? {
            let at = at.field(name);
            let known = self.tool_name(&at, name);
            if let (Some(name), Some(one)) = (known, read(self, &at, value)) {
                all.insert(name.into(), one);
            }
        }
        Some(all)
    }

    fn approval_rules(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Vec<ApprovalRule>> {
        let mut ids = Ids::of(at);
        self.list(at, value, |reader, at, value| {
            let fields = reader.object(at, value, &["conditions", "reason", "timeout"])?;
            let conditions = reader.conditions(at, fields);
            let reason = fields.get("reason").and_then(|value| reader.message(&at.field("reason"), value));
            let timeout = fields.get("timeout").map_or(Some(APPROVAL_SECS), |value| {
                let at = at.field("timeout");
                let text = reader.text(&at, value)?;
                reader.valid(&at, duration::parse(text))
            });
            let conditions = conditions?;
            let id = ids.id(&rules::name(&conditions));
            Some(ApprovalRule { conditions, reason: reason.map(Arc::from), timeout: timeout?, id })
        })
    }

    fn egress(&mut self, at: &Pointer<'_>, value: &Value) -> Option<EgressRules> {
        let fields = self.object(at, value, &["allow"])?;
        let allow = self.required(at, fields, "allow")?;
        let at = at.field("allow");
        let mut ids = Ids::of(&at);
        Some(EgressRules { allow: self.list(&at, allow, |reader, at, value| reader.egress_rule(at, value, &mut ids))? })
    }

    fn egress_rule(&mut self, at: &Pointer<'_>, value: &Value, ids: &mut Ids) -> Option<EgressRule> {
        let fields = self.object(at, value, &["host", "methods", "ports", "paths"])?;
        let host = self.required(at, fields, "host");
        let host = host.and_then(|value| self.host(&at.field("host"), value));
        let methods =
            self.optional(at, fields, "methods", |reader, at, value| reader.some_of(at, value, Self::method).map(Some));
        let ports =
            self.optional(at, fields, "ports", |reader, at, value| reader.some_of(at, value, Self::port).map(Some));
        let paths = self.optional(at, fields, "paths", |reader, at, value| {
            let read = |reader: &mut Self, at: &Pointer<'_>, value: &Value| {
                let text = reader.text(at, value)?;
                reader.valid(at, PathPrefix::parse(text))
            };
            reader.some_of(at, value, read).map(Some)
        });
        let host = host?;
        let id = ids.id(&host.to_string());
        let methods = methods?.map(|methods| methods.into_iter().collect());
        let ports = ports?.map(|ports| ports.into_iter().collect());
        let paths = paths?.map(|paths| paths.into_iter().collect());
        Some(EgressRule { host, methods, ports, paths, id })
    }

    /// A list that narrows a rule. Empty, it would leave nothing of it.
    fn some_of<T>(
        &mut self,
        at: &Pointer<'_>,
        value: &Value,
        read: impl FnMut(&mut Self, &Pointer<'_>, &Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        if value.as_array().is_some_and(Vec::is_empty) {
            return self.invalid(at, "the list is empty; leave it out, or say which");
        }
        self.list(at, value, read)
    }

    fn host(&mut self, at: &Pointer<'_>, value: &Value) -> Option<HostPattern> {
        let text = self.text(at, value)?;
        self.valid(at, HostPattern::parse(text))
    }

    fn method(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Box<str>> {
        let text = self.text(at, value)?;
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        if fits { Some(text.into()) } else { self.invalid(at, "a method is in upper case, as in `GET`") }
    }

    fn port(&mut self, at: &Pointer<'_>, value: &Value) -> Option<u16> {
        let port = self.integer(at, value, 1, "a port between 1 and 65535")?;
        u16::try_from(port)
            .ok()
            .or_else(|| self.invalid(at, format!("expected a port between 1 and 65535, found {port}")))
    }

    fn secrets(&mut self, at: &Pointer<'_>, value: &Value) -> Option<BTreeMap<Box<str>, Secret>> {
        let mut secrets = BTreeMap::new();
        for (name, value) in self.map(at, value)? {
            let at = at.field(name);
            if !is_identifier(name) {
                self.invalid::<()>(
                    &at,
                    "a secret is a variable in the program: letters, digits and `_`, and no digit first",
                );
            }
            if let Some(secret) = self.secret(&at, name, value) {
                secrets.insert(name.as_str().into(), secret);
            }
        }
        Some(secrets)
    }

    fn secret(&mut self, at: &Pointer<'_>, name: &str, value: &Value) -> Option<Secret> {
        let fields = self.object(at, value, &["from", "hosts", "in", "reveal"])?;
        let from = fields.get("from").map_or_else(
            || Some(SecretSource::Vault(name.into())),
            |value| {
                let at = at.field("from");
                let text = self.text(&at, value)?;
                self.valid(&at, SecretSource::parse(text))
            },
        );
        let reveal = self.optional(at, fields, "reveal", Self::boolean);
        let read = |reader: &mut Self, at: &Pointer<'_>, value: &Value| reader.list(at, value, Self::host);
        // One that programs compute with need not be sent anywhere.
        let hosts = if reveal == Some(true) {
            self.optional(at, fields, "hosts", read)
        } else {
            self.required(at, fields, "hosts").and_then(|value| read(self, &at.field("hosts"), value))
        };
        let places = self.optional(at, fields, "in", |reader, at, value| reader.some_of(at, value, Self::place));
        let places = places?;
        let places = if places.is_empty() { SecretPlace::USUAL.to_vec() } else { places };
        Some(Secret { from: from?, hosts: hosts?, places: places.into_iter().collect(), reveal: reveal? })
    }

    fn place(&mut self, at: &Pointer<'_>, value: &Value) -> Option<SecretPlace> {
        let words = [
            ("header", SecretPlace::Header),
            ("query", SecretPlace::Query),
            ("body", SecretPlace::Body),
            ("path", SecretPlace::Path),
        ];
        self.word(at, value, "part of a request", &words)
    }

    fn packages(&mut self, at: &Pointer<'_>, value: &Value) -> Option<PackageRules> {
        let fields = self.object(at, value, &["allow"])?;
        let allow = self.required(at, fields, "allow")?;
        let allow = self.list(&at.field("allow"), allow, |reader, at, value| {
            let text = reader.text(at, value)?;
            reader.valid(at, Requirement::parse(text))
        });
        Some(PackageRules { allow: allow? })
    }

    fn caps(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Caps> {
        let names = ["wall_s", "cpu_s", "memory_mb", "output_bytes", "tool_calls", "egress_bytes", "concurrent"];
        let fields = self.object(at, value, &names)?;
        // A run of no time and no memory is not a lower limit but a tool denied in a roundabout way.
        let mut cap = |name: &str, min: u64| {
            let expected = if min == 0 { "an integer of at least 0" } else { "an integer of at least 1" };
            self.optional(at, fields, name, |reader, at, value| reader.integer(at, value, min, expected).map(Some))
        };
        let [wall_s, cpu_s, memory_mb] = [cap("wall_s", 1), cap("cpu_s", 1), cap("memory_mb", 1)];
        let [output_bytes, tool_calls, egress_bytes] =
            [cap("output_bytes", 0), cap("tool_calls", 0), cap("egress_bytes", 0)];
        let concurrent = cap("concurrent", 1);
        Some(Caps {
            wall_s: wall_s?,
            cpu_s: cpu_s?,
            memory_mb: memory_mb?,
            output_bytes: output_bytes?,
            tool_calls: tool_calls?,
            egress_bytes: egress_bytes?,
            concurrent: concurrent?,
        })
    }

    fn breaker(&mut self, at: &Pointer<'_>, value: &Value) -> Option<BreakerRules> {
        let fields = self.object(at, value, &["consecutive_failures", "identical_calls", "cooldown_s"])?;
        let consecutive_failures =
            self.optional(at, fields, "consecutive_failures", |reader, at, value| reader.count(at, value).map(Some));
        let identical_calls =
            self.optional(at, fields, "identical_calls", |reader, at, value| reader.count(at, value).map(Some));
        let cooldown_s = fields.get("cooldown_s").map_or(Some(COOLDOWN_SECS), |value| {
            let secs = self.integer(&at.field("cooldown_s"), value, 1, "an integer of at least 1")?;
            NonZeroU64::new(secs)
        });
        let (consecutive_failures, identical_calls) = (consecutive_failures?, identical_calls?);
        if consecutive_failures.is_none() && identical_calls.is_none() {
            return self.invalid(at, "a breaker needs `consecutive_failures` or `identical_calls`");
        }
        Some(BreakerRules { consecutive_failures, identical_calls, cooldown_s: cooldown_s? })
    }

    fn count(&mut self, at: &Pointer<'_>, value: &Value) -> Option<NonZeroU32> {
        let count = self.integer(at, value, 1, "an integer of at least 1")?;
        let count = u32::try_from(count).ok().and_then(NonZeroU32::new);
        count.or_else(|| self.invalid(at, "the number is too large"))
    }

    fn redact(&mut self, at: &Pointer<'_>, value: &Value) -> Option<RedactRules> {
        let fields = self.object(at, value, &["secrets", "patterns"])?;
        let secrets = fields.get("secrets").map_or(Some(true), |value| self.boolean(&at.field("secrets"), value));
        let patterns = self.optional(at, fields, "patterns", |reader, at, value| {
            reader.list(at, value, |reader, at, value| {
                let pattern = reader.pattern(at, value)?;
                let empty = pattern.regex().is_match("");
                if empty {
                    reader.invalid(at, "the pattern matches nothing at all, so everywhere")
                } else {
                    Some(pattern)
                }
            })
        });
        Some(RedactRules { secrets: secrets?, patterns: patterns? })
    }

    fn pin(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Digest> {
        let text = self.text(at, value)?;
        Digest::parse(text).or_else(|| self.invalid(at, "a pin is `sha256:` and 64 hexadecimal digits in lower case"))
    }

    fn example(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Example> {
        let fields = self.object(at, value, &["name", "call", "repeat", "expect"])?;
        let name = self.required(at, fields, "name").and_then(|value| self.message(&at.field("name"), value));
        let call = self.required(at, fields, "call").and_then(|value| self.example_call(&at.field("call"), value));
        let repeat = fields.get("repeat").map_or(Some(NonZeroU32::MIN), |value| {
            let at = at.field("repeat");
            let count = self.count(&at, value)?;
            let fits = count.get() <= MAX_REPEAT;
            if fits { Some(count) } else { self.invalid(&at, format!("a call is repeated at most {MAX_REPEAT} times")) }
        });
        let words = [("allow", Expectation::Allow), ("deny", Expectation::Deny), ("approve", Expectation::Approve)];
        let expect = self.required(at, fields, "expect");
        let expect = expect.and_then(|value| self.word(&at.field("expect"), value, "expectation", &words));
        Some(Example { name: name?.into(), call: call?, repeat: repeat?, expect: expect? })
    }

    fn example_call(&mut self, at: &Pointer<'_>, value: &Value) -> Option<ExampleCall> {
        let fields = self.object(at, value, &["tool", "args"])?;
        let tool = self.required(at, fields, "tool").and_then(|value| {
            let at = at.field("tool");
            let text = self.text(&at, value)?;
            self.name(&at, text)
        });
        let args = Arguments::new(fields.get("args").cloned().unwrap_or_default());
        let args = self.valid(&at.field("args"), args.map_err(|error| error.to_string()));
        Some(ExampleCall { tool: tool?.into(), args: args?.value().clone() })
    }
}
