//! Takes out of what tools answer what the policy's patterns match.

use std::borrow::Cow;

use crate::policy::Policy;

const REDACTED: &str = "[REDACTED]";

impl Policy {
    /// Whether there is anything for [`Self::redact`] to look for.
    pub fn redacts(&self) -> bool {
        !self.extensions().redact.patterns.is_empty()
    }

    /// The text without what the policy's patterns match. Values of secrets are looked for by whoever has them.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for pattern in &self.extensions().redact.patterns {
            if let Cow::Owned(redacted) = pattern.regex().replace_all(&text, regex::NoExpand(REDACTED)) {
                text = Cow::Owned(redacted);
            }
        }
        text
    }
}
