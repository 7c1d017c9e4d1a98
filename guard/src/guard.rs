use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use url::{Host, Url};

mod never;
mod rule;

pub use rule::{InvalidRule, Rule};

/// Says where a request may go: never to link-local, multicast or reserved addresses or to a
/// cloud's metadata, nor back to this server; to others by rules.
///
/// Names and addresses are checked separately: [`check_url`](Self::check_url) before a name is
/// resolved, [`keep_allowed`](Self::keep_allowed) after that.
#[derive(Debug, Clone)]
pub struct Guard {
    rules: Rules,
    own: Vec<SocketAddr>,
}

/// What an operator allows and denies.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Where requests may go; empty: as far as `reach` says.
    pub allow: Vec<Rule>,
    /// Where they may not, whatever is allowed.
    pub deny: Vec<Rule>,
    /// What may be reached while nothing is allowed by name.
    pub reach: Reach,
    /// Where an operator allows something, for messages.
    pub allowed_by: &'static str,
    /// Where an operator denies something, for messages.
    pub denied_by: &'static str,
}

/// What may be reached unless rules say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses, and those of this machine and of private networks.
    Private,
    /// Public addresses alone.
    Public,
}

/// An address to which requests may not go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Forbidden {
    /// The receiver, and why not.
    pub why: String,
}

impl Guard {
    /// `own` is the address on which this server listens.
    #[must_use]
    pub fn new(rules: Rules, own: Vec<SocketAddr>) -> Self {
        Self { rules, own }
    }

    /// Checks a URL as far as that is possible before a name is resolved: an address completely, a
    /// name against the denied names.
    ///
    /// # Errors
    /// A request may not go there.
    pub fn check_url(&self, url: &Url) -> Result<(), Forbidden> {
        let (host, port) = host_and_port(url)?;
        match host {
            Host::Domain(name) => {
                self.check_name(name)?;
                let here = |ip: IpAddr| self.is_own(SocketAddr::new(ip, port));
                let local = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                match is_this_machine(name) && local.into_iter().any(here) {
                    true => Err(forbidden(url, "is this server's own address")),
                    false => Ok(()),
                }
            }
            Host::Ipv4(ip) => self.check_address(None, SocketAddr::new(ip.into(), port)),
            Host::Ipv6(ip) => self.check_address(None, SocketAddr::new(ip.into(), port)),
        }
    }

    /// Checks the receiver of a request that goes through a proxy. The proxy resolves the name, so
    /// an address that is unknown here cannot be denied by its network, nor allowed by it.
    ///
    /// # Errors
    /// A request may not go there.
    pub fn check_behind_proxy(&self, url: &Url) -> Result<(), Forbidden> {
        self.check_url(url)?;
        let Host::Domain(name) = host_and_port(url)?.0 else { return Ok(()) };
        let Rules { allow, allowed_by, .. } = &self.rules;
        if allow.is_empty() || allow.iter().any(|rule| rule.has_name(name)) {
            return Ok(());
        }
        Err(forbidden(name, format!("is not among the names that {allowed_by} has")))
    }

    /// The addresses of a host to which a request may go.
    ///
    /// # Errors
    /// No address is allowed.
    pub fn keep_allowed(
        &self,
        host: &str,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Forbidden> {
        self.check_name(host)?;
        let mut first = None;
        let mut allowed = addresses;
        allowed.retain(|address| match self.check_address(Some(host), *address) {
            Ok(()) => true,
            Err(refusal) => {
                first.get_or_insert(refusal);
                false
            }
        });
        match first {
            Some(refusal) if allowed.is_empty() => {
                Err(Forbidden { why: format!("{host} cannot be used: {}", refusal.why) })
            }
            None if allowed.is_empty() => Err(forbidden(host, "has no address")),
            _ => Ok(allowed),
        }
    }

    fn check_name(&self, name: &str) -> Result<(), Forbidden> {
        if never::has_name(name) {
            return Err(forbidden(name, "serves a cloud's metadata"));
        }
        let Rules { deny, denied_by, .. } = &self.rules;
        if deny.iter().any(|rule| rule.has_name(name)) {
            return Err(forbidden(name, format!("is denied by {denied_by}")));
        }
        Ok(())
    }

    /// Checks an address and the addresses that are embedded in it.
    fn check_address(&self, name: Option<&str>, address: SocketAddr) -> Result<(), Forbidden> {
        let ip = address.ip();
        let Rules { allow, deny, reach, allowed_by, denied_by } = &self.rules;
        for form in forms(ip) {
            if let Some(what) = never::reason(form) {
                return Err(forbidden(ip, what));
            }
            if deny.iter().any(|rule| rule.has_address(form)) {
                return Err(forbidden(ip, format!("is denied by {denied_by}")));
            }
            if self.is_own(SocketAddr::new(form, address.port())) {
                return Err(forbidden(address, "is this server's own address"));
            }
        }
        let plain = ip.to_canonical();
        let named = |rule: &Rule| name.is_some_and(|name| rule.has_name(name));
        let allows = |rule: &Rule| named(rule) || rule.has_address(plain);
        match allow.as_slice() {
            [] if *reach == Reach::Private || !forms(ip).any(never::is_private) => Ok(()),
            [] => Err(forbidden(ip, format!("is no public address, and not in {allowed_by}"))),
            rules if rules.iter().any(allows) => Ok(()),
            _ => Err(forbidden(ip, format!("is not in {allowed_by}"))),
        }
    }

    /// Whether this server listens at the address. A server that listens on all addresses is
    /// reached at each address of the machine; those are the ones to which a socket can be bound.
    fn is_own(&self, address: SocketAddr) -> bool {
        self.own.iter().any(|own| {
            own.port() == address.port()
                && (own.ip() == address.ip() || own.ip().is_unspecified() && is_local(address.ip()))
        })
    }
}

/// Names that always mean this machine.
fn is_this_machine(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether the machine has this address: only then can a socket be bound to it. Any other error of
/// the bind, such as too many open files, proves nothing, and the address counts as local. This
/// call never waits: no name is resolved, and no packet is sent.
fn is_local(ip: IpAddr) -> bool {
    let is_another = |error: io::Error| error.kind() == io::ErrorKind::AddrNotAvailable;
    ip.is_loopback() || !UdpSocket::bind((ip, 0)).is_err_and(is_another)
}

/// An address and the addresses that are embedded in it.
fn forms(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    std::iter::once(ip).chain(never::embedded(ip).map(IpAddr::V4))
}

/// The host of a URL, and the port that a client uses for it.
fn host_and_port(url: &Url) -> Result<(Host<&str>, u16), Forbidden> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(forbidden(url.scheme(), "is neither http nor https"));
    }
    match (url.host(), url.port_or_known_default()) {
        (Some(host), Some(port)) => Ok((host, port)),
        _ => Err(forbidden("the address", "has no host")),
    }
}

fn forbidden(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Forbidden {
    Forbidden { why: format!("{what} {why}") }
}

#[cfg(test)]
mod tests;
