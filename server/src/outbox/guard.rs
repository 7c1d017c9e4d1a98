use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use jobtracker_model::HttpAction;
use url::{Host, Url};

use crate::CallbacksConfig;

mod never;
mod rule;

pub use rule::{InvalidRule, Rule};

/// Says where a delivery may go: by default to public and private addresses, never to link-local,
/// multicast or reserved ones or to a cloud's metadata, nor back to this server.
///
/// Names and addresses are checked separately: [`check_url`](Self::check_url) before a name is
/// resolved, [`keep_allowed`](Self::keep_allowed) after that.
#[derive(Debug, Clone)]
pub struct Guard {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    own: Vec<SocketAddr>,
}

/// A receiver to which deliveries may not go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Forbidden {
    /// The receiver, and why not.
    pub why: String,
}

impl Guard {
    /// `deny` overrides `allow`. Where `allow` is empty, everything else is allowed. `own` is the
    /// address on which this server listens.
    #[must_use]
    pub fn new(allow: Vec<Rule>, deny: Vec<Rule>, own: Vec<SocketAddr>) -> Self {
        Self { allow, deny, own }
    }

    /// The guard that is configured.
    ///
    /// # Errors
    /// An invalid rule.
    pub fn from_config(
        config: &CallbacksConfig,
        own: Vec<SocketAddr>,
    ) -> Result<Self, InvalidRule> {
        let rules = |texts: &[String]| {
            texts.iter().map(|text| text.parse()).collect::<Result<Vec<Rule>, _>>()
        };
        Ok(Self::new(rules(&config.allow)?, rules(&config.deny)?, own))
    }

    /// The addresses of an action's receiver and of its proxy, checked as far as that is possible
    /// before names are resolved.
    ///
    /// # Errors
    /// A delivery may not go there.
    pub fn check_receiver(&self, action: &HttpAction) -> Result<(Url, Option<Url>), Forbidden> {
        let parsed = |text: &str| Url::parse(text).map_err(|_| forbidden(text, "is no address"));
        let url = parsed(&action.url)?;
        let Some(proxy) = &action.proxy else {
            self.check_url(&url)?;
            return Ok((url, None));
        };
        self.check_behind_proxy(&url)?;
        let proxy = parsed(&proxy.url)?;
        self.check_url(&proxy)?;
        Ok((url, Some(proxy)))
    }

    /// Checks a URL as far as that is possible before a name is resolved: an address completely, a
    /// name against the denied names.
    ///
    /// # Errors
    /// A delivery may not go there.
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

    /// Checks the receiver of a delivery that goes through a proxy. The proxy resolves the name, so
    /// an address that is unknown here cannot be denied by its network, nor allowed by it.
    ///
    /// # Errors
    /// A delivery may not go there.
    pub fn check_behind_proxy(&self, url: &Url) -> Result<(), Forbidden> {
        self.check_url(url)?;
        let Host::Domain(name) = host_and_port(url)?.0 else { return Ok(()) };
        if self.allow.is_empty() || self.allow.iter().any(|rule| rule.has_name(name)) {
            return Ok(());
        }
        Err(forbidden(name, "is not among the names that callbacks.allow has"))
    }

    /// The addresses of a host to which a delivery may go.
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
        if self.deny.iter().any(|rule| rule.has_name(name)) {
            return Err(forbidden(name, "is denied by callbacks.deny"));
        }
        Ok(())
    }

    /// Checks an address and the addresses that are embedded in it.
    fn check_address(&self, name: Option<&str>, address: SocketAddr) -> Result<(), Forbidden> {
        let ip = address.ip();
        for form in std::iter::once(ip).chain(never::embedded(ip).map(IpAddr::V4)) {
            if let Some(what) = never::reason(form) {
                return Err(forbidden(ip, what));
            }
            if self.deny.iter().any(|rule| rule.has_address(form)) {
                return Err(forbidden(ip, "is denied by callbacks.deny"));
            }
            if self.is_own(SocketAddr::new(form, address.port())) {
                return Err(forbidden(address, "is this server's own address"));
            }
        }
        let plain = ip.to_canonical();
        let named = |rule: &Rule| name.is_some_and(|name| rule.has_name(name));
        let allows = |rule: &Rule| named(rule) || rule.has_address(plain);
        if self.allow.is_empty() || self.allow.iter().any(allows) {
            return Ok(());
        }
        Err(forbidden(ip, "is not in callbacks.allow"))
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

fn forbidden(what: impl std::fmt::Display, why: &str) -> Forbidden {
    Forbidden { why: format!("{what} {why}") }
}

#[cfg(test)]
mod tests;
