use std::{collections::BTreeSet, process::Stdio, time::Duration};

use async_trait::async_trait;
use jobtracker_client::{Shard, limits};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command as Process,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{Failure, Handler, Outcome, Success, TaskContext};

/// What has been printed when a program ends is read for this long.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs a program on the worker's machine: one of those that the operator of the worker names.
///
/// Parameters: `{"program": "/usr/bin/rsync", "args": ["-a", "from", "to"]}`. No shell reads them,
/// and a task cannot change the environment, in which the program finds `JOBTRACKER_JOB`,
/// `JOBTRACKER_EPOCH`, `JOBTRACKER_ATTEMPT` and, of a shard, `JOBTRACKER_SHARD` and
/// `JOBTRACKER_SHARDS`; the worker's token is not in it. What the program prints goes to the job's
/// log, both outputs together. It succeeds with exit code 0. When the task is cancelled or its time
/// is over, the program and all that it has started get SIGTERM, and SIGKILL after the task's
/// grace. What it has started and left does not outlive it.
#[derive(Debug, Clone)]
pub struct Command {
    allowed: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    program: String,
    #[serde(default)]
    args: Vec<String>,
}

impl Command {
    /// A handler that runs these programs, each named exactly as tasks name it.
    pub fn new(allowed: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { allowed: allowed.into_iter().map(Into::into).collect() }
    }
}

#[async_trait]
impl Handler for Command {
    async fn execute(&self, cx: TaskContext) -> Outcome {
        let Params { program, args } = cx.params()?;
        if !self.allowed.contains(&program) {
            return Err(Failure::Rejected(format!("this worker does not run {program:?}")));
        }
        let mut process = Process::new(&program);
        process.args(args).envs(variables(&cx)).env_remove("JOBTRACKER_TOKEN");
        process.process_group(0).kill_on_drop(true);
        process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process.spawn()?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
        let (out, err, to) = (child.stdout.take(), child.stderr.take(), cx.clone());
        let printing = tokio::spawn(async move { tokio::join!(copy(out, &to), copy(err, &to)) });
        let printing = AbortOnDropHandle::new(printing);
        let ended = tokio::select! {
            ended = child.wait() => ended?,
            () = cx.cancelled() => {
                group.send(Signal::TERM);
                child.wait().await?
            }
        };
        // What it has started and left keeps its outputs open.
        drop(group);
        let _ = tokio::time::timeout(LAST_WORDS, printing).await;
        match ended.code() {
            Some(0) => Ok(Success::new().message("exit code 0")),
            Some(code) => Err(Failure::Failed(format!("exit code {code}"))),
            None => Err(Failure::Failed(format!("it was ended: {ended}"))),
        }
    }
}

fn variables(cx: &TaskContext) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("JOBTRACKER_JOB", cx.job().to_string()),
        ("JOBTRACKER_EPOCH", cx.epoch().to_string()),
        ("JOBTRACKER_ATTEMPT", cx.attempt().to_string()),
    ];
    if let Some(Shard { index, total }) = cx.shard() {
        variables.push(("JOBTRACKER_SHARD", index.to_string()));
        variables.push(("JOBTRACKER_SHARDS", total.to_string()));
    }
    variables
}

/// A program and all that it has started: none of it outlives the task.
struct Group(Option<Pid>);

impl Group {
    fn send(&self, signal: Signal) {
        // If all of it has ended, there is nothing to end.
        let _ = self.0.map(|group| kill_process_group(group, signal));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.send(Signal::KILL);
    }
}

/// Copies what a program prints to the log, line by line.
async fn copy(output: Option<impl AsyncRead + Unpin>, cx: &TaskContext) {
    let Some(mut output) = output else { return };
    let (mut rest, mut buffer) = (Vec::new(), vec![0; limits::LOG_LINE]);
    while let Ok(read @ 1..) = output.read(&mut buffer).await {
        rest.extend_from_slice(&buffer[..read]);
        // The begin of a line waits for its end, up to the length of a line.
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        let whole = whole.or_else(|| (rest.len() >= limits::LOG_LINE).then_some(rest.len()));
        if let Some(whole) = whole {
            let lines: Vec<u8> = rest.drain(..whole).collect();
            cx.log(String::from_utf8_lossy(&lines)).await;
        }
    }
    cx.log(String::from_utf8_lossy(&rest)).await;
}
