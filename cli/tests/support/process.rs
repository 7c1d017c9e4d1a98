//! The service as a process of its own, which can be killed.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use jobtracker_client::{JobTrackerClient, RetryPolicy};

/// The address of a service that no client has to find again.
pub const ANY_PORT: &str = "127.0.0.1:0";

/// The service.
pub const BINARY: &str = env!("CARGO_BIN_EXE_jobtracker");

/// Keys of the configuration, such as `store.kind`, with their values.
pub type Settings = Vec<(&'static str, String)>;

pub struct Process {
    child: Child,
    url: String,
}

/// The embedded store in this directory.
pub fn embedded(data: &Path) -> Settings {
    let data = data.to_str().expect("paths of tests are text").to_owned();
    vec![("store.kind", "fjall".to_owned()), ("store.data_dir", data)]
}

impl Process {
    /// Starts the binary with these settings and waits until it listens.
    pub fn start(listen: &str, settings: &Settings) -> Self {
        Self::spawn(Command::new(BINARY), listen, settings)
    }

    /// The same with a command to which the arguments of the binary are added.
    pub fn spawn(command: Command, listen: &str, settings: &Settings) -> Self {
        Self::try_spawn(command, listen, settings).expect("the service ended before it listened")
    }

    /// The same; `None` if it ends before it listens.
    pub fn try_spawn(mut command: Command, listen: &str, settings: &Settings) -> Option<Self> {
        let variable = |key: &str| format!("JOBTRACKER__{}", key.replace('.', "__").to_uppercase());
        let mut child = command
            .args(["serve", "--listen", listen])
            .env("JOBTRACKER__LOG__FILTER", "warn")
            .envs(settings.iter().map(|(key, value)| (variable(key), value)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let Some(line) = lines.next() else {
            child.wait().unwrap();
            return None;
        };
        let line = line.unwrap();
        let address = line.split("http://").nth(1).unwrap_or_else(|| panic!("{line:?}"));
        Some(Self { child, url: format!("http://{address}") })
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap_or(&self.url)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A client that tries everything once, so that each answer is that of one try.
    pub fn client(&self) -> JobTrackerClient {
        JobTrackerClient::builder(&self.url).retry(RetryPolicy::never()).build().unwrap()
    }

    /// Whether it has ended by itself.
    #[allow(dead_code, reason = "not every test with this file has a process that does")]
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills it without a shutdown.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
