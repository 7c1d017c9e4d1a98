//! Servers on one store, each a process of its own.

use std::process::Command;

use jobtracker_client::JobId;

use crate::process::{ANY_PORT, Process, Settings};

pub struct Fleet {
    settings: Settings,
    servers: Vec<Option<Process>>,
    /// Each server keeps its address.
    addresses: Vec<String>,
}

impl Fleet {
    pub fn start(count: usize, settings: Settings) -> Self {
        let servers: Vec<_> = (0..count).map(|_| Process::start(ANY_PORT, &settings)).collect();
        let addresses = servers.iter().map(|server| server.address().to_owned()).collect();
        Self { settings, servers: servers.into_iter().map(Some).collect(), addresses }
    }

    pub fn urls(&self) -> Vec<String> {
        self.addresses.iter().map(|address| format!("http://{address}")).collect()
    }

    /// Asserts that all servers give the same answers about a tree.
    pub async fn agree_on(&self, root: JobId) {
        let first = self.servers[0].as_ref().expect("it runs").client().load(root).await.unwrap();
        for server in self.servers.iter().flatten() {
            assert_eq!(server.client().load(root).await.unwrap(), first);
        }
    }

    /// Kills a server without a shutdown.
    pub fn kill(&mut self, server: usize) {
        self.servers[server].take().expect("it runs").kill();
    }

    pub fn restart(&mut self, server: usize) {
        assert!(self.servers[server].is_none(), "it runs");
        self.servers[server] = Some(Process::start(&self.addresses[server], &self.settings));
    }

    /// Suspends a server, with all the work that it has under way.
    pub fn pause(&self, server: usize) {
        self.signal(server, "-STOP");
    }

    pub fn resume(&self, server: usize) {
        self.signal(server, "-CONT");
    }

    fn signal(&self, server: usize, signal: &str) {
        let id = self.servers[server].as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}
