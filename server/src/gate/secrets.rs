//! What may be done with secrets, decided and written down: who holds which, and where a value goes. Never a value.

use super::{Asker, Denied, Gate, Stop};
use crate::audit::{Decided, Decision, To};
use crate::secrets::Trace;
use exuvia_policies::{Denial, EgressPermit, Policy, SecretBinding, SecretPermit, SecretPlace};

/// What the audit has in the place of a tool.
const SECRET: &str = "(secret)";
const RULE: &str = "/x-sandbox/secrets";
/// What it says of a program that is given a value.
pub(crate) const REVEALED: &str = "The program has the value itself.";

impl Gate {
    /// The policy of a grant: for what is looked up in it, not decided.
    pub(crate) fn policy(&self, grant: &str) -> Option<Policy> {
        self.policies.of(grant)
    }

    /// Why a grant has no secrets, where nobody has written a policy for it.
    pub(crate) fn without_secrets(&self, grant: &str) -> Option<&'static str> {
        self.policies.without_secrets(grant)
    }

    /// Decides which secrets a program may name. That one is revealed is written down.
    pub(crate) fn bind(&self, asker: Asker<'_>, names: &[String]) -> Result<Vec<SecretBinding>, Denied> {
        let policy = self.policies.of(asker.grant);
        let bind = |name: &String| {
            let line = Decided { secret: Some(name), ..Decided::of(asker, SECRET) };
            let binding = policy.as_ref().ok_or_else(Denial::no_policy).and_then(|policy| policy.decide_binding(name));
            let explained = |denial: Denial| self.policies.explained(asker.grant, &denial);
            let binding = binding.map_err(|denial| self.not(line, explained(denial)))?;
            if binding.reveals() {
                let line = Decided { rule: &binding.rule(), reason: REVEALED, ..line };
                self.used(line, policy.as_ref())?;
            }
            Ok(binding)
        };
        names.iter().map(bind).collect()
    }

    /// Decides whether a secret's value is put into this part of a request.
    pub(crate) fn put_in(
        &self,
        asker: Asker<'_>,
        name: &str,
        egress: &EgressPermit,
        place: SecretPlace,
    ) -> Result<SecretPermit, Denied> {
        let policy = self.policies.of(asker.grant);
        let host = egress.host();
        let to = To { method: egress.method(), host: &host, port: egress.port(), address: None };
        let line = Decided { secret: Some(name), to: Some(to), ..Decided::of(asker, SECRET) };
        let permit =
            policy.as_ref().ok_or_else(Denial::no_policy).and_then(|policy| policy.decide_secret(name, egress));
        let permit = permit.and_then(|permit| permit.covers(place).map(|()| permit));
        let permit = permit.map_err(|denial| self.not(line, Denied::from(&denial)))?;
        self.used(Decided { rule: &format!("{RULE}/{name}"), ..line }, policy.as_ref())?;
        Ok(permit)
    }

    /// Refuses what has a secret, or its placeholder, where none may be. `what` is a sentence's subject.
    pub(crate) fn withheld(&self, asker: Asker<'_>, tool: &str, trace: Trace<'_>, what: &str) -> Denied {
        let (secret, reason) = match trace {
            Trace::Placeholder(name) => (
                Some(name),
                format!(
                    "{what} has the placeholder of the secret `{name}`, whose value is put into HTTP requests alone."
                ),
            ),
            Trace::Value(name) => (Some(name), format!("{what} has the value of the secret `{name}`.")),
            Trace::Stranger => (
                None,
                format!(
                    "{what} has the placeholder of a secret of another execution: name the secret in `required_secrets`."
                ),
            ),
        };
        let rule = secret.map_or_else(|| RULE.to_owned(), |name| format!("{RULE}/{name}"));
        self.not(Decided { secret, ..Decided::of(asker, tool) }, Denied::new(rule, reason))
    }

    fn used(&self, line: Decided<'_>, policy: Option<&Policy>) -> Result<(), Denied> {
        let policy = policy.map(Policy::digest);
        let written = self.written(&Decided { decision: Decision::Allow, policy, ..line });
        if written { Ok(()) } else { Err(Denied::unwritten()) }
    }

    fn not(&self, line: Decided<'_>, denied: Denied) -> Denied {
        match self.denied(line, denied.clone()) {
            Stop::Denied(denied) => denied,
            Stop::Arguments(_) => denied,
        }
    }
}
