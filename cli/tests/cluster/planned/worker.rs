//! Workers as processes of their own, which are killed.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use jobtracker_client::JobTrackerClient;
use jobtracker_worker::{Failure, Outcome, Success, TaskContext, Worker};

use super::fence::Attempt;

pub const HANDLER: &str = "planned/work";

const SERVICE: &str = "JOBTRACKER_TEST_SERVICE";
const FENCE: &str = "JOBTRACKER_TEST_FENCE";

/// The process: this test, run by the others in a process of its own.
#[tokio::test]
async fn works_until_it_is_killed() {
    let (Ok(service), Ok(fence)) = (std::env::var(SERVICE), std::env::var(FENCE)) else {
        return;
    };
    let client = JobTrackerClient::new(service).unwrap();
    let handler = move |cx: TaskContext| attempt(cx, fence.clone());
    let worker = Worker::builder(client, "planned").handler(HANDLER, "works a little", handler);
    worker.slots(16).build().unwrap().run(std::future::pending()).await.unwrap();
}

/// Works for about as long as the parameters say, in milliseconds.
async fn attempt(cx: TaskContext, fence: String) -> Outcome {
    let attempt = Attempt::begin(&fence, cx.job(), cx.epoch()).await?;
    let millis = cx.params::<u64>()?;
    let takes = Duration::from_millis(rand::random_range(0..=2 * millis));
    let is_done = tokio::select! {
        () = tokio::time::sleep(takes) => true,
        () = cx.cancelled() => false,
    };
    attempt.end(is_done).await?;
    if is_done { Ok(Success::new()) } else { Err(Failure::Failed("it was stopped".into())) }
}

/// A process that is killed when it is dropped.
pub struct WorkerProcess(Child);

impl WorkerProcess {
    pub fn start(service: &str, fence: &str) -> Self {
        let (_, module) = module_path!().split_once("::").unwrap();
        let test = format!("{module}::works_until_it_is_killed");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &test, "--nocapture"]).env(SERVICE, service).env(FENCE, fence);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
