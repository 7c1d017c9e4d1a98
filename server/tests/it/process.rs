//! The service as a process of its own, which can be killed.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use jobtracker_client::{JobTrackerClient, RetryPolicy};

pub struct Process {
    child: Child,
    url: String,
}

impl Process {
    /// Starts the binary on this data and waits until it listens.
    pub fn start(data: &Path) -> Self {
        Self::start_at("127.0.0.1:0", data)
    }

    /// Starts it at an address, so that it can be found again after a restart.
    pub fn start_at(listen: &str, data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jobtracker"))
            .args(["serve", "--listen", listen, "--data-dir"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the service ended before it listened").unwrap();
        let address = line.split("http://").nth(1).unwrap_or_else(|| panic!("{line:?}"));
        Self { child, url: format!("http://{address}") }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap_or(&self.url)
    }

    /// The most memory that it ever had, as the kernel tells it.
    pub fn peak_memory(&self) -> String {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap_or_default();
        status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("unknown").to_owned()
    }

    /// A client that tries everything once, so that each answer is known for what it is.
    pub fn client(&self) -> JobTrackerClient {
        JobTrackerClient::builder(&self.url).retry(RetryPolicy::never()).build().unwrap()
    }

    /// Ends it without any chance to say goodbye.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
