//! The protocol of workers over connections that cost little: a slot of a worker claims a task and
//! reports it, on a connection of its own.

use std::net::SocketAddr;

use anyhow::Result;
use serde::Deserialize;

use crate::load::{Connection, post};

/// The handler of all tasks here; there is nothing to do.
pub const HANDLER: &str = "bench/empty";

/// What is needed of a task that was claimed.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Task {
    pub job: u64,
    pub epoch: u32,
}

#[derive(Deserialize)]
struct Claimed {
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Registered {
    id: String,
}

/// Registers a worker; answers its id.
pub async fn register(connection: &mut Connection, name: &str, slots: usize) -> Result<String> {
    let body = format_args!(
        "{{\"name\":\"{name}\",\"slots\":{slots},\
         \"handlers\":[{{\"name\":\"{HANDLER}\",\"description\":\"\"}}]}}"
    )
    .to_string();
    let path = format_args!("/api/v1/workers");
    let reply = connection.call(|out| post(out, path, format_args!("{body}"))).await?;
    Ok(serde_json::from_slice::<Registered>(reply)?.id)
}

/// Writes the request for a task, which waits for one.
pub fn claim(out: &mut Vec<u8>, worker: &str, wait_ms: u64) {
    post(
        out,
        format_args!("/api/v1/workers/{worker}/claim"),
        format_args!("{{\"free\":1,\"waitMs\":{wait_ms}}}"),
    );
}

pub struct Slot<'a> {
    connection: Connection,
    worker: &'a str,
}

impl<'a> Slot<'a> {
    pub async fn open(addr: SocketAddr, worker: &'a str) -> Result<Self> {
        Ok(Self { connection: Connection::open(addr).await?, worker })
    }

    /// Waits for a task.
    pub async fn claim(&mut self) -> Result<Task> {
        loop {
            let reply = self.connection.call(|out| claim(out, self.worker, 10_000)).await?;
            if let Some(task) = serde_json::from_slice::<Claimed>(reply)?.tasks.first() {
                return Ok(*task);
            }
        }
    }

    pub async fn succeed(&mut self, Task { job, epoch }: Task) -> Result<()> {
        let worker = self.worker;
        let request = |out: &mut Vec<u8>| {
            post(
                out,
                format_args!("/api/v1/jobs/{job}/task/report"),
                format_args!(
                    "{{\"worker\":\"{worker}\",\"epoch\":{epoch},\"state\":\"succeeded\"}}"
                ),
            );
        };
        self.connection.call(request).await.map(drop)
    }
}
