//! The decisions on HTTP requests of programs: each request, and each address that was refused.

use super::{Asker, Denied, Gate};
use crate::audit::{Decided, Decision, To};
use exuvia_policies::{Denial, EgressPermit, EgressRequest, Policy};
use std::net::IpAddr;
use std::time::Instant;

/// What requests are called in the audit, where calls have the name of their tool.
const HTTP: &str = "http";

/// Most bytes of a host's name that the audit has: a program chooses it. No name in DNS is longer.
const LONGEST_HOST: usize = 253;

impl Gate {
    /// Decides one request, before the name of its host is resolved.
    pub(crate) fn decide_egress(&self, asker: Asker<'_>, request: &EgressRequest<'_>) -> Result<EgressPermit, Denied> {
        let began = Instant::now();
        let host = request.host.get(..request.host.floor_char_boundary(LONGEST_HOST)).unwrap_or_default();
        let to = To { method: request.method, host, port: request.port, address: None };
        let policy = self.policies.of(asker.grant);
        let decided = policy.as_ref().ok_or_else(Denial::no_policy).and_then(|policy| policy.decide_egress(request));
        let line = Decided { to: Some(to), took: began.elapsed(), ..Decided::of(asker, HTTP) };
        match decided {
            Ok(permit) => self.let_through(line, permit),
            Err(denial) => {
                let denied = self.policies.explained(asker.grant, &denial);
                Err(self.written_down(line, denied))
            }
        }
    }

    /// Writes down that a host led to an address that must not be connected to.
    pub(crate) fn refused_address(
        &self,
        asker: Asker<'_>,
        permit: &EgressPermit,
        denial: &Denial,
        address: IpAddr,
    ) -> Denied {
        let host = permit.host();
        let to = To { method: permit.method(), host: &host, port: permit.port(), address: Some(address) };
        self.written_down(Decided { to: Some(to), ..Decided::of(asker, HTTP) }, Denied::from(denial))
    }

    fn let_through(&self, line: Decided<'_>, permit: EgressPermit) -> Result<EgressPermit, Denied> {
        let shadowed = permit.shadowed();
        let written = self.written(&Decided {
            policy: Some(permit.policy().digest()),
            decision: if shadowed.is_some() { Decision::Shadow } else { Decision::Allow },
            rule: shadowed.map_or(permit.rule(), Denial::rule),
            reason: shadowed.map_or("", Denial::reason),
            ..line
        });
        if written { Ok(permit) } else { Err(Denied::unwritten()) }
    }

    fn written_down(&self, line: Decided<'_>, denied: Denied) -> Denied {
        let policy = self.policies.of(line.asker.grant);
        let policy = policy.as_ref().map(Policy::digest);
        self.written(&Decided { policy, rule: &denied.rule, reason: &denied.reason, ..line });
        denied
    }
}
