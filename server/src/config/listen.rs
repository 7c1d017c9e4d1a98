use std::net::{SocketAddr, ToSocketAddrs};

use serde::{Deserialize, Deserializer, de};

/// Reads where to listen: an address or a name, with a port. Of the addresses of a name it is the
/// first of IPv4, which every client tries, or else the first of all.
///
/// # Errors
/// What is wrong with it and what would be right.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    if !text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_port(port)) {
        let wanted = "an address or a name with a port, such as 127.0.0.1:8840 or localhost:8840";
        return Err(format!("{text:?} is not {wanted}"));
    }
    let found = text.to_socket_addrs();
    let found: Vec<_> = found.map_err(|error| format!("{text:?} is not known: {error}"))?.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("{text:?} has no address"))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    listen_address(&String::deserialize(from)?).map_err(de::Error::custom)
}
