use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// Some hosts: a network in CIDR form, an address, a name, or with `*.` before it all names below
/// that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// All addresses of a network.
    Net(IpNet),
    /// The host with this name.
    Name(String),
    /// The hosts with a name below this one, which is kept with its leading dot.
    Below(String),
}

/// The text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "has {0:?}; a rule is a network such as 10.0.0.0/8, an address, a name such as \
     hooks.example.com, or *.example.com for all names below that"
)]
pub struct InvalidRule(pub String);

impl Rule {
    /// Whether the rule covers hosts with this name.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        match self {
            Self::Net(_) => false,
            Self::Name(own) => own.eq_ignore_ascii_case(name),
            Self::Below(end) => {
                let start = name.len().checked_sub(end.len()).filter(|start| *start > 0);
                let tail = start.and_then(|start| name.get(start..));
                tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
            }
        }
    }

    /// Whether the rule covers this address.
    #[must_use]
    pub fn has_address(&self, ip: IpAddr) -> bool {
        matches!(self, Self::Net(net) if net.contains(&ip))
    }
}

impl FromStr for Rule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let invalid = || InvalidRule(text.to_owned());
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Net(ip.to_canonical().into()));
        }
        if text.contains(['/', ':']) {
            // With bits after the mask the meaning is not clear.
            let net: IpNet = text.parse().map_err(|_| invalid())?;
            return if net.trunc() == net { Ok(Self::Net(net)) } else { Err(invalid()) };
        }
        // Names are compared in the form that a client uses, without regard to case.
        let (below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        match url::Host::parse(name) {
            Ok(url::Host::Domain(name)) if is_name(&name) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                Ok(if below { Self::Below(format!(".{name}")) } else { Self::Name(name.into()) })
            }
            _ => Err(invalid()),
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
    let name = name.strip_suffix('.').unwrap_or(name);
    name.split('.').all(|label| !label.is_empty() && label.chars().all(allowed))
}
