//! Which hosts a program may talk to. Decided twice: the request by its host, before the name is resolved, and every
//! address that the name resolves to, before the connection is made. A redirect is a request of its own.

use std::net::IpAddr;
use std::sync::Arc;

use crate::addresses;
use crate::denial::{Denial, DenialKind};
use crate::extensions::{EgressRule, Mode};
use crate::hosts::Host;
use crate::policy::Policy;

/// Where the rules are, as a rule's id.
const RULES: &str = "/x-sandbox/egress";

/// One HTTP request that a program wants to make.
#[derive(Debug, Clone, Copy)]
pub struct EgressRequest<'a> {
    pub scheme: Scheme,
    /// As the URL has it, without the port.
    pub host: &'a str,
    pub port: u16,
    /// As the request has it: methods are upper case, and `get` is another one than `GET`.
    pub method: &'a str,
    /// As it is sent, without the query.
    pub path: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// The port of URLs that name none.
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Leave to make one request: to resolve its host, to connect to those addresses that [`Self::connect`] lets through,
/// and to send it. Spent by sending it.
#[derive(Debug)]
#[must_use = "a permit is spent by the request that it is for"]
pub struct EgressPermit {
    policy: Policy,
    host: Host,
    scheme: Scheme,
    port: u16,
    method: Box<str>,
    path: Box<str>,
    rule: Arc<str>,
    shadowed: Option<Denial>,
}

/// Leave to connect to one address.
#[derive(Debug)]
#[must_use = "a permit is spent by the connection that it is for"]
pub struct AddressPermit(IpAddr);

impl AddressPermit {
    /// The address to connect to. It, not the name: a second resolution may answer otherwise.
    pub fn address(&self) -> IpAddr {
        self.0
    }
}

impl EgressPermit {
    /// The host's one spelling: what to resolve, and to send as `Host` and in the TLS handshake.
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn method(&self) -> &str {
        &self.method
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The id of the rule that allows it; none of shadow mode.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    pub fn is_encrypted(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// What would have been refused, had the policy been enforced.
    pub fn shadowed(&self) -> Option<&Denial> {
        self.shadowed.as_ref()
    }

    /// Decides whether to connect to an address that the host resolved to. One that is not public is denied, in shadow
    /// mode too, unless the policy lists that address itself, with the request's port and method.
    pub fn connect(&self, address: IpAddr) -> Result<AddressPermit, Denial> {
        let address = address.to_canonical();
        let target = Host::Address(address);
        let listed = || {
            let request = EgressRequest {
                scheme: self.scheme,
                host: "",
                port: self.port,
                method: &self.method,
                path: &self.path,
            };
            self.policy.extensions().egress.allow.iter().any(|rule| rule.allows(&request, &target))
        };
        if addresses::is_public(address) || listed() {
            return Ok(AddressPermit(address));
        }
        Err(Denial::new(DenialKind::Egress, "(private address)", "This host leads to an address that is not public."))
    }

    pub(crate) fn target(&self) -> &Host {
        &self.host
    }
}

impl Policy {
    /// Decides one request. To be asked before the host is resolved, as a question to a name server is a message too,
    /// and again for every redirect.
    pub fn decide_egress(&self, request: &EgressRequest<'_>) -> Result<EgressPermit, Denial> {
        let malformed = |why| Denial::new(DenialKind::Egress, RULES, format!("This is no host to talk to: {why}."));
        let host = Host::parse(request.host).map_err(malformed)?;
        let rule = self.extensions().egress.allow.iter().find(|rule| rule.allows(request, &host));
        let denial = rule.is_none().then(|| not_allowed(request, &host));
        match denial {
            Some(denial) if self.mode() == Mode::Enforce => Err(denial),
            shadowed => Ok(EgressPermit {
                policy: self.clone(),
                host,
                scheme: request.scheme,
                port: request.port,
                method: request.method.into(),
                path: request.path.into(),
                rule: rule.map_or_else(|| RULES.into(), |rule| rule.id.clone()),
                shadowed,
            }),
        }
    }

    /// The hosts of the egress rules, as the policy writes them, with the rules' ids.
    pub fn egress_hosts(&self) -> impl Iterator<Item = (String, Arc<str>)> {
        self.extensions().egress.allow.iter().map(|rule| (rule.host.to_string(), rule.id.clone()))
    }
}

impl EgressRule {
    fn allows(&self, request: &EgressRequest<'_>, host: &Host) -> bool {
        let method = self.methods.as_ref().is_none_or(|methods| methods.contains(request.method));
        let port = match &self.ports {
            Some(ports) => ports.contains(&request.port),
            None => request.port == request.scheme.port(),
        };
        let path = self.paths.as_ref().is_none_or(|paths| paths.iter().any(|prefix| prefix.matches(request.path)));
        self.host.matches(host) && method && port && path
    }
}

/// The path is not repeated: it may have what must not be written down.
fn not_allowed(request: &EgressRequest<'_>, host: &Host) -> Denial {
    let EgressRequest { method, port, .. } = request;
    let reason = format!(
        "No rule of the policy allows this {method} request to `{host}`, port {port}; the operator lists what is allowed \
         under `x-sandbox.egress.allow`."
    );
    Denial::new(DenialKind::Egress, RULES, reason)
}
