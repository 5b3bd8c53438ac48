//! Takes out of a text what must not be seen: the values of secrets, and what the policy's patterns match.

use std::borrow::Cow;

use crate::policy::Policy;

const REDACTED: &str = "[REDACTED]";

impl Policy {
    /// The text without the values in `secrets` (those that this program may name, unless the policy leaves them) and
    /// without what the policy's patterns match. Only a value's plain text is found, not an encoding of it.
    pub fn redact<'t>(&self, text: &'t str, secrets: &[&str]) -> Cow<'t, str> {
        let rules = &self.extensions().redact;
        let mut text = Cow::Borrowed(text);
        let mut values: Vec<&str> =
            secrets.iter().copied().filter(|value| rules.secrets && !value.is_empty()).collect();
        // Longest first: of a value that begins with another, the rest would stay.
        values.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
        for value in values {
            if text.contains(value) {
                text = Cow::Owned(text.replace(value, REDACTED));
            }
        }
        for pattern in &rules.patterns {
            if let Cow::Owned(redacted) = pattern.regex().replace_all(&text, regex::NoExpand(REDACTED)) {
                text = Cow::Owned(redacted);
            }
        }
        text
    }
}
