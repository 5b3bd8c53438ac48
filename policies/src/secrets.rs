//! Secrets: where a value comes from, towards which hosts and into which parts of a request it may be put in, and whether
//! a program may have it itself. The values are never here.

use serde::{Serialize, Serializer};
use std::collections::BTreeSet;

use crate::denial::{Denial, DenialKind};
use crate::egress::EgressPermit;
use crate::hosts::{Host, HostPattern};
use crate::policy::Policy;

const RULE: &str = "/x-sandbox/secrets";

/// Where a secret's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretSource {
    /// An environment variable of the server, written `env:NAME`.
    Environment(Box<str>),
    /// A file that the server reads, written `file:/PATH`.
    File(Box<str>),
    /// What `exuvia secrets set NAME` keeps, written `vault:NAME`; so, too, when the document says nothing.
    Vault(Box<str>),
}

impl SecretSource {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let named = |name: &str| {
            is_identifier(name)
                .then(|| Box::from(name))
                .ok_or("a variable's name has letters, digits and `_`, and no digit first")
        };
        match text.split_once(':') {
            Some(("env", name)) => named(name).map(Self::Environment),
            Some(("vault", name)) => named(name).map(Self::Vault),
            Some(("file", path)) if path.starts_with('/') && !path.contains('\0') => Ok(Self::File(path.into())),
            Some(("file", _)) => Err("a file is named by its whole path, as in `file:/run/secrets/api_key`"),
            // Not repeated: it may be the secret itself.
            _ => Err("a secret comes from `env:NAME`, `file:/PATH` or `vault:NAME`"),
        }
    }
}

impl Serialize for SecretSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Environment(name) => serializer.collect_str(&format_args!("env:{name}")),
            Self::File(path) => serializer.collect_str(&format_args!("file:{path}")),
            Self::Vault(name) => serializer.collect_str(&format_args!("vault:{name}")),
        }
    }
}

/// A part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretPlace {
    Header,
    Query,
    Body,
    /// Only where the document says so: paths are in every log on the way.
    Path,
}

impl SecretPlace {
    /// Where a value goes when the document does not say.
    pub(crate) const USUAL: [Self; 3] = [Self::Header, Self::Query, Self::Body];
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Secret {
    pub(crate) from: SecretSource,
    pub(crate) hosts: Vec<HostPattern>,
    #[serde(rename = "in", skip_serializing_if = "is_usual")]
    pub(crate) places: BTreeSet<SecretPlace>,
    /// Whether a program has the value itself, not a placeholder.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reveal: bool,
}

fn is_usual(places: &BTreeSet<SecretPlace>) -> bool {
    places.iter().eq(&SecretPlace::USUAL)
}

/// Leave to put one secret's value into one request, in the place of its placeholder.
#[derive(Debug)]
#[must_use = "a permit is spent by the request that it is for"]
pub struct SecretPermit {
    name: Box<str>,
    from: SecretSource,
    places: BTreeSet<SecretPlace>,
}

impl SecretPermit {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn source(&self) -> &SecretSource {
        &self.from
    }

    /// Whether the value may be in this part of the request.
    pub fn covers(&self, place: SecretPlace) -> Result<(), Denial> {
        let reason = "This secret may not be in this part of a request: the policy's `in` says where it may be.";
        let refuse = || Denial::new(DenialKind::Secret, format!("{RULE}/{}", self.name), reason);
        self.places.contains(&place).then_some(()).ok_or_else(refuse)
    }
}

/// Leave for one program to name a secret: to hold its placeholder, or its value where the policy reveals that.
#[derive(Debug)]
#[must_use = "a binding is spent by the program that it is for"]
pub struct SecretBinding {
    name: Box<str>,
    from: SecretSource,
    reveals: bool,
}

impl SecretBinding {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn source(&self) -> &SecretSource {
        &self.from
    }

    /// Whether the program has the value itself.
    pub fn reveals(&self) -> bool {
        self.reveals
    }

    /// The id of the rule.
    pub fn rule(&self) -> String {
        format!("{RULE}/{}", self.name)
    }
}

impl Policy {
    /// The secrets that a program may name, sorted. It sees placeholders; the values are fetched here only to scrub them
    /// from what comes back.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &SecretSource)> {
        self.extensions().secrets.iter().map(|(name, secret)| (name.as_ref(), &secret.from))
    }

    /// Whether the values of secrets are taken out of what a program is told and says.
    pub fn scrubs_secrets(&self) -> bool {
        self.extensions().redact.secrets
    }

    /// Decides whether a program may name a secret. Shadow mode does not open this.
    pub fn decide_binding(&self, name: &str) -> Result<SecretBinding, Denial> {
        match self.extensions().secrets.get(name) {
            Some(secret) => Ok(SecretBinding { name: name.into(), from: secret.from.clone(), reveals: secret.reveal }),
            None => Err(Denial::new(DenialKind::Secret, RULE, "There is no such secret.")),
        }
    }

    /// Decides whether a secret may be put into the request that `egress` is for. Shadow mode does not open this: what
    /// has been sent cannot be called back.
    pub fn decide_secret(&self, name: &str, egress: &EgressPermit) -> Result<SecretPermit, Denial> {
        let Some(secret) = self.extensions().secrets.get(name) else {
            return Err(Denial::new(DenialKind::Secret, RULE, "There is no such secret."));
        };
        let refuse = |reason: &str| Err(Denial::new(DenialKind::Secret, format!("{RULE}/{name}"), reason));
        if !secret.hosts.iter().any(|host| host.matches(egress.target())) {
            return refuse("This secret is not for this host.");
        }
        if !egress.is_encrypted() && !is_this_machine(egress.target()) {
            return refuse("A secret is sent over TLS only.");
        }
        Ok(SecretPermit { name: name.into(), from: secret.from.clone(), places: secret.places.clone() })
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
