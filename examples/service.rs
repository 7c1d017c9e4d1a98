//! The service in the process of an example, on its embedded store, in a folder that goes when the
//! example ends. A service of your own would use `jobtracker serve` instead.

use std::sync::Arc;

use anyhow::{Context, Result};
use jobtracker_client::JobTrackerClient;
use jobtracker_server::{Config, Overrides, RunningServer, Server};
use jobtracker_store::fjall::{FjallOptions, FjallStore};
use tempfile::TempDir;

/// A service that runs until it is stopped.
pub struct Service {
    server: RunningServer,
    url: String,
    _folder: TempDir,
}

/// Starts a service on a free port.
///
/// # Errors
/// The folder, the store or the port cannot be had.
pub async fn start() -> Result<Service> {
    start_with(|_| {}).await
}

/// The same with a configuration that is changed.
///
/// # Errors
/// The folder, the store or the port cannot be had.
pub async fn start_with(change: impl FnOnce(&mut Config)) -> Result<Service> {
    let folder = tempfile::Builder::new().prefix("jobtracker-").tempdir()?;
    let store = FjallStore::open(&FjallOptions::new(folder.path()))?;
    let listen = "127.0.0.1:0".parse().context("the address is valid")?;
    let mut config =
        Config::load(None, Overrides { listen: Some(listen), ..Overrides::default() })?;
    change(&mut config);
    let server = Server::start(&config, Arc::new(store))?;
    let url = format!("http://{}", server.addr());
    Ok(Service { server, url, _folder: folder })
}

impl Service {
    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client of it.
    ///
    /// # Panics
    /// The service's own address is not an address.
    #[must_use]
    pub fn client(&self) -> JobTrackerClient {
        JobTrackerClient::new(&self.url).expect("the address of the service is an address")
    }

    /// Finishes what was begun and ends.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
