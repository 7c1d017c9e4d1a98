use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks to which no request is ever sent, even if they are allowed, with their descriptions.
const V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "is no address of a receiver"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "is an address of a link, as those of metadata are"),
    (Ipv4Addr::new(100, 100, 100, 200), 32, "serves a cloud's metadata"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "serves a cloud's metadata"),
    (Ipv4Addr::new(192, 0, 0, 192), 32, "serves a cloud's metadata"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "is an address of a group"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "is reserved, or a broadcast address"),
];

const V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, "is no address of a receiver"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "is an address of a link"),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32, "serves a cloud's metadata"),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128, "serves a cloud's metadata"),
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128, "serves a cloud's metadata"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "is an address of a group"),
];

/// Names of metadata services. Their addresses are denied too, but behind a proxy only the name is
/// known.
const NAMES: &[&str] = &[
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Networks of this machine and of those around it.
const PRIVATE_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
];

const PRIVATE_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::LOCALHOST, 128),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
];

/// Why no request is ever sent to this address, if so.
pub(super) fn reason(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => V4.iter().find(|(net, length, _)| has_v4(*net, *length, ip)).map(reasons),
        IpAddr::V6(ip) => V6.iter().find(|(net, length, _)| has_v6(*net, *length, ip)).map(reasons),
    }
}

fn reasons<N>((.., why): &(N, u32, &'static str)) -> &'static str {
    why
}

/// Whether an address is one of this machine or of a private network.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => PRIVATE_V4.iter().any(|(net, length)| has_v4(*net, *length, ip)),
        IpAddr::V6(ip) => PRIVATE_V6.iter().any(|(net, length)| has_v6(*net, *length, ip)),
    }
}

fn has_v4(net: Ipv4Addr, length: u32, ip: Ipv4Addr) -> bool {
    ip.to_bits() >> (32 - length) == net.to_bits() >> (32 - length)
}

fn has_v6(net: Ipv6Addr, length: u32, ip: Ipv6Addr) -> bool {
    ip.to_bits() >> (128 - length) == net.to_bits() >> (128 - length)
}

/// Whether no request is ever sent to a host with this name.
pub(super) fn has_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The IPv4 addresses that are embedded in an IPv6 address, and that a packet to it may reach.
pub(super) fn embedded(ip: IpAddr) -> impl Iterator<Item = Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return [None, None].into_iter().flatten() };
    let bits = ip.to_bits();
    let parts = ip.segments();
    let at = |shift: u32| Ipv4Addr::from_bits(((bits >> shift) & u128::from(u32::MAX)) as u32);
    let last = at(0);
    let found = match parts {
        // ::a.b.c.d, ::ffff:a.b.c.d and ::ffff:0:a.b.c.d; but ::1 is no IPv4 address.
        [0, 0, 0, 0, 0, 0, ..] if bits > 0xffff => [Some(last), None],
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => [Some(last), None],
        // NAT64, with the well-known prefix and the local ones.
        [0x64, 0xff9b, ..] => [Some(last), None],
        // 6to4.
        [0x2002, ..] => [Some(at(80)), None],
        // Teredo: its server, and its client with all bits inverted.
        [0x2001, 0, ..] => [Some(at(64)), Some(Ipv4Addr::from_bits(!last.to_bits()))],
        // ISATAP.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => [Some(last), None],
        _ => [None, None],
    };
    found.into_iter().flatten()
}
