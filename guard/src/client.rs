use std::{error::Error, sync::Arc};

use reqwest::{Client, ClientBuilder};
use url::Url;

use crate::{Forbidden, Guard, Resolver, resolve::Checked};

/// The longest reason of a failure.
const REASON_CHARS: usize = 300;

/// Builds clients that reach only what a guard allows.
///
/// There is one client for each host (or proxy), since the allowed addresses depend on name and
/// port: a client resolves and checks them in one step, when it opens a connection. So a request
/// reaches a checked address, or none. An address in the place of a name is not resolved:
/// [`Guard::check_url`] comes first.
#[derive(Clone)]
pub struct Clients {
    /// Says where requests may go.
    pub guard: Arc<Guard>,
    /// Resolves names.
    pub resolver: Arc<dyn Resolver>,
    /// How connections are encrypted.
    pub tls: rustls::ClientConfig,
}

impl Clients {
    /// Begins a client for requests to one host, or through a proxy at this host.
    pub fn builder(&self, host: String, port: u16) -> ClientBuilder {
        let (guard, resolver) = (Arc::clone(&self.guard), Arc::clone(&self.resolver));
        Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(Arc::new(Checked { guard, resolver, host, port }))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // Proxy variables of the environment must not redirect requests.
            .no_proxy()
            // Answers are not unpacked, so the bytes that are read are the bytes that came.
            .no_gzip()
            .no_zstd()
            .referer(false)
            .user_agent(concat!("jobtracker/", env!("CARGO_PKG_VERSION")))
    }

    /// The host and the port to which a client for this address connects.
    #[must_use]
    pub fn gate(url: &Url) -> (String, u16) {
        let host = url.host_str().unwrap_or_default().to_owned();
        (host, url.port_or_known_default().unwrap_or_default())
    }
}

/// Why there is no answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// It may not go there.
    Forbidden(Forbidden),
    /// It failed.
    Failed(String),
}

/// URLs are left out: they may contain secrets that only the receiver should see.
impl From<&reqwest::Error> for Unsent {
    fn from(error: &reqwest::Error) -> Self {
        let mut reason = String::new();
        let mut cause: Option<&(dyn Error + 'static)> = error.source();
        while let Some(error) = cause {
            if let Some(forbidden) = error.downcast_ref::<Forbidden>() {
                return Self::Forbidden(forbidden.clone());
            }
            if !reason.is_empty() {
                reason.push_str(": ");
            }
            reason.push_str(&error.to_string());
            cause = error.source();
        }
        if reason.is_empty() {
            reason.push_str("the request could not be sent");
        }
        Self::Failed(reason.chars().take(REASON_CHARS).collect())
    }
}
