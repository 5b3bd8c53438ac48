//! Packages that programs ask for: each is decided with its version, those that others need among them.

use super::{Asker, Denied, Gate, Stop};
use crate::audit::{Decided, Decision};
use exuvia_policies::{Denial, PackagePermit, Policy};
use std::time::Instant;

impl Gate {
    /// Whether some version of a package may be had: asked before anybody looks for it.
    pub(crate) fn admits_package(&self, asker: Asker<'_>, name: &str) -> Result<(), Denied> {
        let policy = self.policies.of(asker.grant);
        let admitted = policy.as_ref().ok_or_else(Denial::no_policy).and_then(|policy| policy.admits_package(name));
        admitted.map_err(|denial| self.no_package(asker, name, &denial))
    }

    /// Decides the packages of a resolution, each of one version; all are written down at once. The first that is not allowed is a
    /// refusal of all. Shadow mode does not open this, as with secrets: a rule that lets a package in is there before anybody can use it.
    pub(crate) fn packages<'p>(
        &self,
        asker: Asker<'_>,
        packages: impl Iterator<Item = (&'p str, &'p str)>,
    ) -> Result<Vec<PackagePermit>, Denied> {
        let began = Instant::now();
        let policy = self.policies.of(asker.grant);
        let mut permits = Vec::new();
        for (name, version) in packages {
            let decided = policy.as_ref().ok_or_else(Denial::no_policy);
            let decided = decided.and_then(|policy| policy.decide_package(name, version));
            permits.push(decided.map_err(|denial| self.no_package(asker, &format!("{name}=={version}"), &denial))?);
        }
        let called = |permit: &PackagePermit| format!("package {}=={}", permit.name(), permit.version());
        let names: Vec<_> = permits.iter().map(called).collect();
        let line = |name| Decided {
            policy: policy.as_ref().map(Policy::digest),
            decision: Decision::Allow,
            rule: "/x-sandbox/packages/allow",
            took: began.elapsed(),
            ..Decided::of(asker, name)
        };
        let lines: Vec<_> = names.iter().map(|name| line(name)).collect();
        if self.all_written(&lines) { Ok(permits) } else { Err(Denied::unwritten()) }
    }

    /// What the policy of a grant bounds the versions of packages to, one on each line of a requirements file.
    pub(crate) fn package_bounds(&self, grant: &str) -> Vec<String> {
        let policy = self.policies.of(grant);
        policy.iter().flat_map(|policy| policy.package_bounds().map(ToString::to_string).collect::<Vec<_>>()).collect()
    }

    fn no_package(&self, asker: Asker<'_>, package: &str, denial: &Denial) -> Denied {
        let mut denied = self.policies.explained(asker.grant, denial);
        denied.reason = format!(
            "The package `{package}` is not built in, and the policy does not allow it (`x-sandbox.packages.allow`). {}",
            crate::packages::built_in_list()
        );
        match self.denied(Decided::of(asker, &format!("package {package}")), denied.clone()) {
            Stop::Denied(denied) => denied,
            Stop::Arguments(_) => denied,
        }
    }
}
