//! Which Python packages a program may have: names in their one spelling, and bounds on versions. There is no "nearly":
//! `reqeusts` is another package than `requests`.

use serde::{Serialize, Serializer};
use std::fmt;

use crate::denial::{Denial, DenialKind};
use crate::policy::Policy;
use crate::versions::Specifier;

/// Longest name, and most bounds of one requirement.
const MAX_NAME: usize = 128;
const MAX_BOUNDS: usize = 8;

/// A package and the versions of it, such as `pydantic>=2,<3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    name: Box<str>,
    bounds: Vec<Specifier>,
}

impl Requirement {
    /// Reads a name, and at most 8 bounds of its version. What else can be written there, such as extras, markers, URLs and
    /// options, is refused.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let end = text.find(['=', '!', '~', '<', '>']).unwrap_or(text.len());
        let (name, bounds) = text.split_at_checked(end).unwrap_or((text, ""));
        let name = normalise(name.trim()).ok_or("a package is a name, and bounds as in `pydantic>=2,<3`")?;
        if bounds.is_empty() {
            return Ok(Self { name, bounds: Vec::new() });
        }
        let bounds = bounds.split(',').take(MAX_BOUNDS + 1).map(Specifier::parse).collect::<Result<Vec<_>, _>>()?;
        if bounds.len() > MAX_BOUNDS { Err("a package has at most 8 bounds") } else { Ok(Self { name, bounds }) }
    }

    /// In its one spelling: lower case, `-` between words.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a version is within all bounds.
    pub fn allows(&self, version: &str) -> bool {
        self.bounds.iter().all(|bound| bound.allows(version))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (index, bound) in self.bounds.iter().enumerate() {
            write!(f, "{}{bound}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl Serialize for Requirement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Leave to install one package. Spent by installing it.
#[derive(Debug)]
#[must_use = "a permit is spent by the installation that it is for"]
pub struct PackagePermit {
    name: Box<str>,
    version: Box<str>,
}

impl PackagePermit {
    /// In its one spelling: lower case, `-` between words.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn version(&self) -> &str {
        &self.version
    }
}

impl Policy {
    /// Decides whether a program may have this version of a package. Which version it would be has to be known first;
    /// and so has every package that it needs, as each is decided on its own.
    pub fn decide_package(&self, name: &str, version: &str) -> Result<PackagePermit, Denial> {
        let allowed = normalise(name).filter(|name| {
            let mut named = self.extensions().packages.allow.iter().filter(|requirement| requirement.name() == &**name);
            named.any(|requirement| requirement.allows(version))
        });
        match allowed {
            Some(name) => Ok(PackagePermit { name, version: version.into() }),
            None => Err(not_allowed()),
        }
    }

    /// Whether some version of a package is allowed: what can be said before anybody has looked for its versions.
    pub fn admits_package(&self, name: &str) -> Result<(), Denial> {
        let name = normalise(name);
        let allowed = &self.extensions().packages.allow;
        let known = allowed.iter().any(|requirement| name.as_deref() == Some(requirement.name()));
        if known { Ok(()) } else { Err(not_allowed()) }
    }

    /// What the allowed packages are bound to, for a resolver: that it does not choose a version that would be denied. A package that
    /// is allowed in several ways is left out, as a resolver has no "or".
    pub fn package_bounds(&self) -> impl Iterator<Item = &Requirement> {
        let allowed = &self.extensions().packages.allow;
        allowed.iter().filter(|one| {
            !one.bounds.is_empty() && allowed.iter().filter(|other| other.name() == one.name()).count() == 1
        })
    }
}

fn not_allowed() -> Denial {
    Denial::new(DenialKind::Package, "/x-sandbox/packages/allow", "This package is not allowed.")
}

/// A name in its one spelling (PEP 503).
fn normalise(name: &str) -> Option<Box<str>> {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if name.len() > MAX_NAME || !letters || !ends(name.chars().next()) || !ends(name.chars().next_back()) {
        return None;
    }
    let words: Vec<_> = name.split(['-', '_', '.']).filter(|word| !word.is_empty()).collect();
    Some(words.join("-").to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_is_printed_as_it_is_read() {
        let requirement = Requirement::parse(" Ruamel_YAML >= 0.17 , < 1 ").unwrap();
        assert_eq!(requirement.to_string(), "ruamel-yaml>=0.17,<1");
        assert_eq!(Requirement::parse("ruamel.yaml>=0.17,<1"), Ok(requirement));
    }

    #[test]
    fn what_is_more_than_a_name_and_bounds_is_refused() {
        for text in [
            "",
            "-a",
            "a-",
            "a b",
            "a[extra]",
            "a @ https://a.example/a.whl",
            "a; python_version>'3'",
            "../a",
            "rеquests",
            ">=2",
        ] {
            assert!(Requirement::parse(text).is_err(), "{text}");
        }
    }
}
