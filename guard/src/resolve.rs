use std::{error::Error, io, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::{Forbidden, Guard};

/// Resolves the addresses of a host.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The addresses of `host` with this port.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// Resolves names through the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// Resolves and checks the addresses of the one host of a client. The client connects only to these
/// addresses, so a name cannot change its meaning between the check and the connection.
pub(crate) struct Checked {
    pub guard: Arc<Guard>,
    pub resolver: Arc<dyn Resolver>,
    pub host: String,
    pub port: u16,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, resolver) = (Arc::clone(&self.guard), Arc::clone(&self.resolver));
        let (host, port) = (self.host.clone(), self.port);
        Box::pin(async move {
            // The port belongs to this host: for another host the check would not hold.
            if !name.as_str().eq_ignore_ascii_case(&host) {
                let why = format!("{} is not the host that was checked", name.as_str());
                return Err(Forbidden { why }.into());
            }
            let addresses = resolver.resolve(&host, port).await?;
            let allowed = guard.keep_allowed(&host, addresses)?;
            let allowed: Addrs = Box::new(allowed.into_iter());
            Ok::<_, Box<dyn Error + Send + Sync>>(allowed)
        })
    }
}
