use std::{net::IpAddr, path::PathBuf, time::Duration};

use lettre::message::Mailbox;
use serde::Deserialize;

use super::{
    ConfigError, Secret,
    error::{bad, within},
};

/// Section `smtp`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// The server; empty: no e-mail is sent.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: SmtpTls,
    /// Certificates of an additional authority for the server; empty: none.
    pub tls_ca_file: PathBuf,
    /// The user; empty: none.
    pub user: String,
    /// The password; empty: none. After loading it also holds the content of `password_file`.
    pub password: Secret,
    /// A file with the password; empty: none.
    pub password_file: PathBuf,
    /// The sender.
    pub from: String,
    /// How long one e-mail may take.
    pub timeout_ms: u64,
}

/// How a connection to an SMTP server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// STARTTLS: the connection begins plain and is encrypted before anything is sent.
    Starttls,
    /// TLS from the beginning.
    Tls,
    /// No encryption.
    None,
}

impl SmtpConfig {
    /// How long one e-mail may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("smtp.port", self.port, 1, u16::MAX)?;
        within("smtp.timeout_ms", self.timeout_ms, 100, 120_000)?;
        match (self.user.is_empty(), self.password.is_empty()) {
            (true, false) => return Err(bad("smtp.password", "is set and no user is".into())),
            (false, true) => {
                let reason = "is set; set smtp.password or password_file too".into();
                return Err(bad("smtp.user", reason));
            }
            _ => {}
        }
        if self.host.is_empty() {
            return Ok(());
        }
        let allowed = |char: char| char.is_ascii_alphanumeric() || "-._:".contains(char);
        if !self.host.chars().all(allowed) {
            let reason = format!("is {:?}; it must be a name or an address", self.host);
            return Err(bad("smtp.host", reason));
        }
        if let Err(error) = self.from.parse::<Mailbox>() {
            let reason = format!(
                "is {:?} ({error}); it must be the sender, such as Jobs <jobs@example.com>",
                self.from
            );
            return Err(bad("smtp.from", reason));
        }
        self.check_tls()
    }

    fn check_tls(&self) -> Result<(), ConfigError> {
        let file = &self.tls_ca_file;
        let named = !file.as_os_str().is_empty();
        if self.tls == SmtpTls::None {
            // Named certificates without TLS are an error.
            if named {
                return Err(bad("smtp.tls_ca_file", "is set and smtp.tls is \"none\"".into()));
            }
            let address = self.host.parse::<IpAddr>();
            let here = self.host == "localhost" || address.is_ok_and(|ip| ip.is_loopback());
            if !self.user.is_empty() && !here {
                let reason = "is \"none\", and the password would go over the network for all to \
                              read; set \"starttls\" or \"tls\"";
                return Err(bad("smtp.tls", reason.into()));
            }
        }
        if named && !file.is_file() {
            let reason = format!("names {}, which is not a file", file.display());
            return Err(bad("smtp.tls_ca_file", reason));
        }
        Ok(())
    }
}
