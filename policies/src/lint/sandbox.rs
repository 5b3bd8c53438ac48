//! Findings in our extensions.

use super::Linter;
use crate::extensions::{Extensions, Mode};
use crate::hosts::{Host, HostPattern};
use crate::paths::PathPrefix;
use crate::{addresses, pointer::escape};

impl Linter<'_> {
    pub(super) fn sandbox(&mut self) {
        let extensions = self.policy.extensions();
        if extensions.mode == Mode::Shadow {
            self.find(
                "shadow",
                "/x-sandbox/mode",
                "nothing is enforced: every call passes, and is marked in the audit",
            );
        }
        for tool in extensions.approve_if.keys().filter(|tool| self.policy.entry(tool).is_err()) {
            self.find(
                "never-reached",
                format!("/x-sandbox/approve_if/{}", escape(tool)),
                "the tool is denied before approval is asked for",
            );
        }
        if !extensions.redact.secrets && !extensions.secrets.is_empty() {
            self.find(
                "secrets-shown",
                "/x-sandbox/redact/secrets",
                "the values of secrets are not scrubbed from what comes back",
            );
        }
        self.egress(extensions);
        self.secrets(extensions);
    }

    fn egress(&mut self, extensions: &Extensions) {
        for rule in &extensions.egress.allow {
            if rule.paths.as_ref().is_some_and(|paths| paths.iter().any(PathPrefix::is_all)) {
                self.find("wide-path", &*rule.id, "`/` is every path: leave `paths` out, or narrow it");
            }
            match &rule.host {
                HostPattern::Below(domain) if !domain.contains('.') => {
                    self.find("wide-host", &*rule.id, format!("`*.{domain}` is everyone below `{domain}`"));
                }
                HostPattern::Below(domain) => {
                    let message = format!("a name below `{domain}` can carry data to whoever answers for its names");
                    self.find("wildcard-host", &*rule.id, message);
                }
                HostPattern::Exactly(Host::Address(address)) if !addresses::is_public(*address) => {
                    let message = "the address is not public; any host of these rules may resolve to it";
                    self.find("private-address", &*rule.id, message);
                }
                HostPattern::Exactly(_) => {}
            }
        }
    }

    fn secrets(&mut self, extensions: &Extensions) {
        for (name, secret) in &extensions.secrets {
            let rule = format!("/x-sandbox/secrets/{name}");
            if secret.reveal {
                let message = "programs have the value itself: what they make of it cannot be scrubbed";
                self.find("revealed-secret", &rule, message);
            } else if secret.hosts.is_empty() {
                self.find("unused-secret", &rule, "the secret is for no host, so it is never put in");
            }
            for host in &secret.hosts {
                if matches!(host, HostPattern::Below(_)) {
                    self.find("wide-secret", &rule, format!("the secret goes to every name that matches `{host}`"));
                }
                if !extensions.egress.allow.iter().any(|egress| overlap(&egress.host, host)) {
                    self.find(
                        "unused-secret",
                        &rule,
                        format!("no egress rule allows `{host}`, so the secret is never put in there"),
                    );
                }
            }
        }
    }
}

/// Whether some host matches both.
fn overlap(a: &HostPattern, b: &HostPattern) -> bool {
    match (a, b) {
        (pattern, HostPattern::Exactly(host)) | (HostPattern::Exactly(host), pattern) => pattern.matches(host),
        (HostPattern::Below(a), HostPattern::Below(b)) => {
            let below = |inner: &str, outer: &str| {
                inner == outer || inner.strip_suffix(outer).is_some_and(|rest| rest.ends_with('.'))
            };
            below(a, b) || below(b, a)
        }
    }
}
