//! Servers as processes of their own, so that their memory and their death can be measured.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::nodes::Nodes;

pub struct Server {
    child: Child,
    pub addr: SocketAddr,
    /// From the start of the process to the line that says that it listens.
    pub opened_in: Duration,
}

impl Server {
    /// Runs a program and waits until it says where it listens.
    fn start(command: &mut Command) -> Result<Self> {
        let begun = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.get_program()))?;
        let output = child.stdout.take().context("a server has an output")?;
        let mut lines = BufReader::new(output).lines();
        let line = lines.next().context("the server ended before it listened")??;
        let addr = line.rsplit("http://").next().unwrap_or_default().parse();
        let addr = addr.with_context(|| format!("no address in {line:?}"))?;
        Ok(Self { child, addr, opened_in: begun.elapsed() })
    }

    /// The service as it is shipped.
    pub fn jobtracker(data: &Path) -> Result<Self> {
        let data = data.to_str().context("the folder has a name in UTF-8")?;
        Self::start(serve()?.args(["--data-dir", data]))
    }

    /// The service on a cluster, as it is set up for itself.
    pub fn on_cluster(place: &Nodes, keyspace: &str) -> Result<Self> {
        let copies = place.copies().to_string();
        Self::start(serve()?.envs([
            ("JOBTRACKER__STORE__KIND", "scylla"),
            ("JOBTRACKER__STORE__SCYLLA__NODES", &place.nodes.join(",")),
            ("JOBTRACKER__STORE__SCYLLA__DATACENTER", &place.datacenter),
            ("JOBTRACKER__STORE__SCYLLA__REPLICATION_FACTOR", &copies),
            ("JOBTRACKER__STORE__SCYLLA__KEYSPACE", keyspace),
        ]))
    }

    /// The trivial server of this program.
    pub fn echo() -> Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).arg("echo"))
    }

    /// What it takes.
    pub fn memory(&self) -> Result<Memory> {
        memory_of(self.child.id())
    }

    /// The processor time that it has taken so far. It says more than rates where other programs
    /// run beside the benchmarks.
    pub fn processor_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is the program's name in brackets, which may contain anything.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
        let ticks: Vec<u64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
    }

    /// The processor time that it takes for some work.
    pub fn working<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
        let before = self.processor_time()?;
        let done = work()?;
        Ok((done, self.processor_time()? - before))
    }

    /// Kills it as a power cut would.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// The service, built into the folder where this program is.
fn serve() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?.with_file_name("jobtracker"));
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    Ok(command)
}

/// The memory of a process.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident_mb: f64,
    /// The most that ever was.
    pub peak_mb: f64,
}

/// What a process takes, as the kernel tells it.
pub fn memory_of(process: u32) -> Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let megabytes = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kilobytes = kilobytes.context("the kernel tells the memory of a process")?;
        Ok(kilobytes.trim().parse::<f64>()? / 1024.0)
    };
    Ok(Memory { resident_mb: megabytes("VmRSS:")?, peak_mb: megabytes("VmHWM:")? })
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
