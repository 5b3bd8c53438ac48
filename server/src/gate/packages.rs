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

    /// Decides one package of one version. Shadow mode does not open this, as with secrets: a rule that lets a package in is
    /// there before anybody can use it.
    pub(crate) fn package(&self, asker: Asker<'_>, name: &str, version: &str) -> Result<PackagePermit, Denied> {
        let began = Instant::now();
        let policy = self.policies.of(asker.grant);
        let decided =
            policy.as_ref().ok_or_else(Denial::no_policy).and_then(|policy| policy.decide_package(name, version));
        let named = format!("{name}=={version}");
        let permit = decided.map_err(|denial| self.no_package(asker, &named, &denial))?;
        let of = format!("package {named}");
        let line = Decided {
            policy: policy.as_ref().map(Policy::digest),
            decision: Decision::Allow,
            rule: "/x-sandbox/packages/allow",
            took: began.elapsed(),
            ..Decided::of(asker, &of)
        };
        if self.written(&line) { Ok(permit) } else { Err(Denied::unwritten()) }
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
