//! Secrets: where a value comes from, and towards which hosts it may be put in. The values are never here.

use serde::{Serialize, Serializer};

use crate::denial::{Denial, DenialKind};
use crate::egress::EgressPermit;
use crate::hosts::{Host, HostPattern};
use crate::policy::Policy;

/// Where a secret's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretSource {
    /// An environment variable of the server, written `env:NAME`.
    Environment(Box<str>),
}

impl SecretSource {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let variable = text.strip_prefix("env:").ok_or("a secret comes from the environment, as in `env:API_KEY`")?;
        is_identifier(variable)
            .then(|| Self::Environment(variable.into()))
            .ok_or("a variable's name has letters, digits and `_`, and no digit first")
    }
}

impl Serialize for SecretSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self::Environment(variable) = self;
        serializer.collect_str(&format_args!("env:{variable}"))
    }
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Secret {
    pub(crate) from: SecretSource,
    pub(crate) hosts: Vec<HostPattern>,
}

/// Leave to put one secret's value into one request, in the place of its placeholder.
#[derive(Debug)]
#[must_use = "a permit is spent by the request that it is for"]
pub struct SecretPermit {
    name: Box<str>,
    from: SecretSource,
}

impl SecretPermit {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn source(&self) -> &SecretSource {
        &self.from
    }
}

impl Policy {
    /// The secrets that a program may name, sorted. It sees placeholders; the values are fetched here only to scrub them
    /// from what comes back.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &SecretSource)> {
        self.extensions().secrets.iter().map(|(name, secret)| (name.as_ref(), &secret.from))
    }

    /// Decides whether a secret may be put into the request that `egress` is for. Shadow mode does not open this: what
    /// has been sent cannot be called back.
    pub fn decide_secret(&self, name: &str, egress: &EgressPermit) -> Result<SecretPermit, Denial> {
        let rule = "/x-sandbox/secrets";
        let Some(secret) = self.extensions().secrets.get(name) else {
            return Err(Denial::new(DenialKind::Secret, rule, "There is no such secret."));
        };
        if !secret.hosts.iter().any(|host| host.matches(egress.target())) {
            return Err(Denial::new(DenialKind::Secret, rule, "This secret is not for this host."));
        }
        if !egress.is_encrypted() && !is_this_machine(egress.target()) {
            return Err(Denial::new(DenialKind::Secret, rule, "A secret is sent over TLS only."));
        }
        Ok(SecretPermit { name: name.into(), from: secret.from.clone() })
    }
}

/// A name that can be a variable, in the environment as in Python.
pub(crate) fn is_identifier(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_this_machine(host: &Host) -> bool {
    matches!(host, Host::Address(address) if address.is_loopback())
}
