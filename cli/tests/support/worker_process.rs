//! A worker as a process of its own, which can be killed and stopped.

use std::{
    fs,
    process::{Child, Command},
};

use rustix::process::{Pid, Signal as Raw, kill_process};

use crate::process::BINARY;

/// What is done to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Kill,
    Stop,
    Continue,
    Terminate,
}

pub struct WorkerProcess(Child);

impl WorkerProcess {
    /// A worker of this service that runs `sh`.
    pub fn start(url: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["worker", "--url", url, "--enable", "command", "--allow", "sh"]);
        Self(command.args(arguments).env("JOBTRACKER__LOG__FILTER", "error").spawn().unwrap())
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn send(&self, signal: Signal) {
        let raw = match signal {
            Signal::Kill => Raw::KILL,
            Signal::Stop => Raw::STOP,
            Signal::Continue => Raw::CONT,
            Signal::Terminate => Raw::TERM,
        };
        let pid = Pid::from_raw(self.0.id().try_into().unwrap()).unwrap();
        kill_process(pid, raw).unwrap();
    }

    /// How it has ended.
    pub fn code(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many processes of a group are alive.
pub fn alive_in_group(group: i32) -> usize {
    let stats = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let stat = fs::read_to_string(entry.unwrap().path().join("stat")).ok()?;
        // The name of the program, in brackets, may contain anything.
        let mut rest = stat.rsplit_once(") ")?.1.split(' ');
        let state = rest.next()?.to_owned();
        Some((state, rest.nth(1)?.parse::<i32>().ok()?))
    });
    stats.filter(|(state, of)| *of == group && !["Z", "X"].contains(&state.as_str())).count()
}

/// Whether a process has a TCP socket that listens.
pub fn listens(process: u32) -> bool {
    let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let open: Vec<String> = open
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect();
    assert!(open.iter().any(|target| target.starts_with("socket:")), "it speaks to the service");
    ["tcp", "tcp6"].iter().any(|kind| {
        let table = fs::read_to_string(format!("/proc/{process}/net/{kind}")).unwrap_or_default();
        table.lines().skip(1).any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words[3] == "0A" && open.contains(&format!("socket:[{}]", words[9]))
        })
    })
}
