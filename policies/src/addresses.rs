//! Which addresses are on the public internet. Everything else (private, loopback, link-local, carrier-grade NAT, cloud
//! metadata) is what a program must not reach by way of a name that resolves to it.
//!
//! Source: the IANA special-purpose address registries for IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Network and length of its prefix: IPv4 that is not public.
const NOT_PUBLIC_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast, and what is reserved above it, with the broadcast address.
    ([224, 0, 0, 0], 3),
    // Azure's metadata and management address is a public one; those of other clouds are in the networks above.
    ([168, 63, 129, 16], 32),
];

/// Within `2000::/3`, the only space given out so far: IPv6 that is not public.
const NOT_PUBLIC_V6: [([u16; 2], u32); 4] = [
    // Teredo, ORCHID, benchmarking and other protocol assignments.
    ([0x2001, 0], 23),
    // Documentation.
    ([0x2001, 0xdb8], 32),
    // 6to4 hides an IPv4 address.
    ([0x2002, 0], 16),
    // Documentation.
    ([0x3fff, 0], 20),
];

/// The prefix under which a NAT64 gateway embeds IPv4 addresses, `64:ff9b::/96`.
const NAT64: u128 = 0x0064_ff9b << 64;

pub(crate) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within =
        |(network, length): &([u8; 4], u32)| shares_prefix(u32::from_be_bytes(*network), address.to_bits(), *length);
    !NOT_PUBLIC_V4.iter().any(within)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    if bits >> 32 == NAT64 {
        #[expect(clippy::cast_possible_truncation, reason = "the last 32 bits are the IPv4 address")]
        return is_public_v4(Ipv4Addr::from_bits(bits as u32));
    }
    // No prefix of interest is longer than 32 bits.
    let Ok(head) = u32::try_from(bits >> 96) else { return false };
    let within = |([a, b], length): &([u16; 2], u32)| shares_prefix(u32::from(*a) << 16 | u32::from(*b), head, *length);
    head >> 29 == 1 && !NOT_PUBLIC_V6.iter().any(within)
}

fn shares_prefix(a: u32, b: u32, length: u32) -> bool {
    (a ^ b).leading_zeros() >= length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "140.82.112.3",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn all_others_are_not() {
        let v4 = "0.0.0.0 10.1.2.3 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254 169.254.170.2 \
            172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.168.1.1 198.18.0.1 198.19.255.255 203.0.113.9 224.0.0.1 \
            240.0.0.1 255.255.255.255 168.63.129.16";
        let v6 = ":: ::1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::7f00:1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 \
            100::1 2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 5f00::1";
        for text in v4.split_whitespace().chain(v6.split_whitespace()) {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn the_neighbours_of_a_private_network_are_public() {
        for text in [
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "198.20.0.0",
            "223.255.255.255",
            "168.63.129.17",
            "192.167.255.255",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
