use std::{net::IpAddr, path::PathBuf};

use ipnet::IpNet;
use jobtracker_model::Role;
use serde::Deserialize;

use super::{
    ConfigError, Secret,
    error::{bad, within},
};

/// Most networks, and most groups that have a role.
const ENTRIES: usize = 1_000;
/// Shortest secret in bytes; a shorter one can be guessed.
const SECRET_MIN: usize = 16;

/// Section `proxy`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyConfig {
    /// The networks from which a proxy connects; empty: there is none.
    pub networks: Vec<String>,
    /// What a proxy proves itself with; empty: it says nothing about users. After loading it also
    /// holds the content of `secret_file`.
    pub secret: Secret,
    /// A file with the secret; empty: none.
    pub secret_file: PathBuf,
    /// The header that has the secret.
    pub secret_header: String,
    /// The header that has the name of the user.
    pub user_header: String,
    /// The header that has the groups of the user, with commas between them.
    pub groups_header: String,
    /// How long a live view of a user goes on before its client connects again.
    pub live_seconds: u32,
    /// The roles of groups, each as `GROUP=ROLE`.
    pub roles: Vec<String>,
}

impl ProxyConfig {
    pub(crate) fn networks(&self) -> Result<Vec<IpNet>, ConfigError> {
        within("proxy.networks", self.networks.len(), 0, ENTRIES)?;
        let parse = |text: &String| {
            let network = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| ip.into()));
            let reason = format!("{text:?} is not a network, such as 10.0.0.0/8, or an address");
            network.map_err(|_| bad("proxy.networks", reason))
        };
        self.networks.iter().map(parse).collect()
    }

    pub(crate) fn roles(&self) -> Result<Vec<(String, Role)>, ConfigError> {
        within("proxy.roles", self.roles.len(), 0, ENTRIES)?;
        let parse = |text: &String| {
            let entry = text.rsplit_once('=').and_then(|(group, role)| {
                let group = group.trim();
                let is_group = !group.is_empty() && !group.contains(',');
                is_group.then_some((group.to_owned(), role.trim().parse().ok()?))
            });
            let reason = format!("{text:?} is not GROUP=ROLE, such as operations=operator");
            entry.ok_or_else(|| bad("proxy.roles", reason))
        };
        self.roles.iter().map(parse).collect()
    }

    /// The settings that name a header, and what they name: that of the secret, of the user, of the
    /// groups.
    pub(crate) fn headers(&self) -> [(&'static str, &str); 3] {
        [
            ("proxy.secret_header", &self.secret_header),
            ("proxy.user_header", &self.user_header),
            ("proxy.groups_header", &self.groups_header),
        ]
    }

    fn check_headers(&self) -> Result<(), ConfigError> {
        for (number, (key, name)) in self.headers().into_iter().enumerate() {
            let is_sign = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
            let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_sign(byte));
            if name.is_empty() || !is_name {
                return Err(bad(key, format!("is {name:?}; it must be the name of a header")));
            }
            let mut others = self.headers().into_iter().take(number);
            if let Some((other, _)) = others.find(|(_, other)| other.eq_ignore_ascii_case(name)) {
                return Err(bad(key, format!("and {other} name the same header")));
            }
        }
        Ok(())
    }

    /// `has_token`: all others need a token.
    pub(super) fn check(&self, has_token: bool) -> Result<(), ConfigError> {
        let (networks, roles) = (self.networks()?, self.roles()?);
        self.check_headers()?;
        within("proxy.live_seconds", self.live_seconds, 1, 86_400)?;
        let secret = self.secret.expose();
        if secret.is_empty() {
            let reason = "is set and proxy.secret is not, so a proxy says nothing about users";
            return if roles.is_empty() { Ok(()) } else { Err(bad("proxy.roles", reason.into())) };
        }
        let reason = if secret.len() < SECRET_MIN || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            format!("must have {SECRET_MIN} visible ASCII characters or more")
        } else if networks.is_empty() {
            "is set and proxy.networks is not: say where the proxy connects from".into()
        } else if roles.is_empty() {
            "is set and proxy.roles is not: say which groups have a role".into()
        } else if !has_token {
            "is set and auth.token is not: without that every other caller is an admin".into()
        } else {
            return Ok(());
        };
        Err(bad("proxy.secret", reason))
    }
}
