use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de};

/// The address to listen on, as it was written: an address or a name, with a port. A name is
/// resolved only when the service starts to listen, so that a configuration can be read anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Listen {
    text: String,
    /// None for a name.
    address: Option<SocketAddr>,
}

/// The text is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address or a name with a port, such as 127.0.0.1:8840 or localhost:8840")]
pub struct InvalidListen(String);

impl Listen {
    /// The address, if no name has to be resolved for it.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The address. For a name it is the first IPv4 address, which every client tries, or else the
    /// first of all.
    ///
    /// # Errors
    /// The name cannot be resolved, or has no address.
    pub fn look_up(&self) -> Result<SocketAddr, String> {
        if let Some(address) = self.address {
            return Ok(address);
        }
        let Self { text, .. } = self;
        let found =
            text.to_socket_addrs().map_err(|error| format!("{text:?} is not known: {error}"));
        let found: Vec<_> = found?.collect();
        let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
        first.copied().ok_or_else(|| format!("{text:?} has no address"))
    }
}

impl FromStr for Listen {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        let address = text.parse().ok();
        let is_port = |port: &str| port.parse::<u16>().is_ok();
        let name = text.rsplit_once(':').filter(|(host, port)| !host.is_empty() && is_port(port));
        if address.is_none() && name.is_none() {
            return Err(InvalidListen(text.to_owned()));
        }
        Ok(Self { text: text.to_owned(), address })
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self { text: address.to_string(), address: Some(address) }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}
