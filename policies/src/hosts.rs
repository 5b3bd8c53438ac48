//! Names of hosts, in one spelling, and the patterns that match them. `127.1`, `0x7f000001` and `2130706433` are ways to
//! write an address that resolvers understand and a comparison of texts does not: they are refused.

use serde::{Serialize, Serializer};
use std::fmt;
use std::net::IpAddr;

/// Longest name in DNS.
const MAX_NAME: usize = 253;

/// Longest label of a name in DNS.
const MAX_LABEL: usize = 63;

/// A host in its one spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    /// Lower case, without the final dot.
    Name(Box<str>),
    /// An IPv4 address that is written as IPv6 is the IPv4 address.
    Address(IpAddr),
}

impl Host {
    /// From a URL: IPv6 addresses may have their brackets.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(text).parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        name(text).map(Self::Name)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// A host, or all names below one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HostPattern {
    Exactly(Host),
    /// `*.example.com`: every name below it, but not `example.com` itself.
    Below(Box<str>),
}

impl HostPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        match text.strip_prefix("*.") {
            Some(domain) => match Host::parse(domain)? {
                Host::Name(domain) => Ok(Self::Below(domain)),
                Host::Address(_) => Err("an address has no names below it"),
            },
            None if text.contains('*') => Err("`*` may only be the first label, as in `*.example.com`"),
            None => Host::parse(text).map(Self::Exactly),
        }
    }

    pub(crate) fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exactly(own), host) => own == host,
            (Self::Below(domain), Host::Name(name)) => {
                name.strip_suffix(domain.as_ref()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Self::Below(_), Host::Address(_)) => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(host) => write!(f, "{host}"),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn name(text: &str) -> Result<Box<str>, &'static str> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() || text.len() > MAX_NAME {
        return Err("a host's name has between 1 and 253 characters");
    }
    if !text.is_ascii() {
        return Err("a host's name is ASCII; write an international one in its `xn--` form");
    }
    let lower = text.to_ascii_lowercase();
    for label in lower.split('.') {
        let letters = label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        let ends = label.starts_with('-') || label.ends_with('-');
        if label.is_empty() || label.len() > MAX_LABEL || !letters || ends {
            return Err("a host is a name such as `api.example.com`, without scheme, port or path, or an address");
        }
    }
    let last = lower.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if number { Err("an address is written in full, as in `192.0.2.1`") } else { Ok(lower.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str) -> bool {
        HostPattern::parse(pattern).unwrap().matches(&Host::parse(host).unwrap())
    }

    #[test]
    fn a_host_has_one_spelling() {
        assert!(matches("api.github.com", "API.GitHub.com."));
        assert!(matches("127.0.0.1", "[::ffff:127.0.0.1]"));
        assert!(matches("::1", "[0:0::1]"));
        assert!(!matches("api.github.com", "api.github.com.evil.example"));
        assert!(!matches("api.github.com", "xapi.github.com"));
    }

    #[test]
    fn a_wildcard_is_for_the_names_below() {
        assert!(matches("*.example.com", "a.b.example.com"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(!matches("*.example.com", "evilexample.com"));
        assert!(!matches("*.example.com", "example.com.evil.example"));
        for pattern in ["*", "*.", "a.*.com", "*.*.com", "*example.com", "*.10.0.0.1"] {
            assert!(HostPattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn an_address_in_disguise_is_refused() {
        for text in ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.1.", "127.0.0.0x1", "1.2.3.4.5"] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_more_than_a_host_is_refused() {
        for text in [
            "",
            ".",
            "a..b",
            "https://a.example",
            "a.example:443",
            "a.example/x",
            "u@a.example",
            "a b",
            "-a.b",
            "ä.example",
            "a\0b",
        ] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
        assert!(Host::parse(&"a.".repeat(128)).is_err());
    }
}
