//! One tree that is as large as trees get.

use std::time::Instant;

use anyhow::{Result, ensure};
use jobtracker_client::{JobId, JobTrackerClient, State};
use serde::Deserialize;

use super::{driver::Driver, partitions};
use crate::{
    flush,
    load::{self, Until},
    nodes::Nodes,
    process::Server,
    shapes::{MANY, Target},
    table::{self, Series},
};

/// Children on a page: the most that the service gives.
const PAGE: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Item>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    id: u64,
}

/// Puts this many jobs into one tree, reads and finishes them.
pub fn run(driver: &Driver, place: &Nodes, keyspace: &str, jobs: u64) -> Result<()> {
    let service = Server::on_cluster(place, keyspace)?;
    let idle = service.memory()?.resident_mb;
    println!("\n{jobs} jobs in one tree:\n");
    table::head();
    let memory = |service: &Server| -> Result<String> {
        let memory = service.memory()?;
        Ok(format!("{:.0} MB, at most {:.0} MB", memory.resident_mb, memory.peak_mb))
    };
    let timed = |what: &str, seconds: f64, memory: &str| {
        let rate = jobs as f64 / seconds;
        table::line(what, &format!("{seconds:.1} s, {rate:.0} jobs/s; server {memory}"), "");
    };
    table::line("server memory, idle", &format!("{idle:.0} MB"), "");

    let (took, root) = driver.wait(flush::flush(service.addr, jobs, &[State::Running]))?;
    timed("flush, with one change each", took.as_secs_f64(), &memory(&service)?);

    let begun = Instant::now();
    let ids = children(&service, root)?;
    ensure!(ids.len() as u64 == jobs, "every job is on one page");
    let what = format!("all children in pages of {PAGE}");
    timed(&what, begun.elapsed().as_secs_f64(), &memory(&service)?);

    let mut finished = Series::default();
    let order = |number| ids[number as usize];
    let target = Target::new(service.addr, 1);
    let states = ["RanToCompletion"];
    finished.push(target.update(jobs, &order, &states, MANY, Until::Requests(jobs))?);
    table::row(&format!("all finished by single changes, {MANY} clients"), &finished, None, "");
    table::line("server memory after that", &memory(&service)?, "");

    let numbers = |service: &Server| -> Result<String> {
        let tracker = JobTrackerClient::new(format!("http://{}", service.addr))?;
        let begun = Instant::now();
        let subtree = driver.wait(tracker.load(root))?.subtree;
        let took = begun.elapsed();
        ensure!(subtree.successful == jobs, "the numbers are exact");
        Ok(format!("{took:.2?}"))
    };
    table::line("the root with its numbers", &numbers(&service)?, "");
    drop(service);
    let service = Server::on_cluster(place, keyspace)?;
    let opened = service.opened_in;
    let value = format!("{} after a start of {opened:.2?}", numbers(&service)?);
    table::line("the same from a new server", &value, "");
    let sizes = driver.wait(partitions::sizes(&driver.session, keyspace))?;
    partitions::print(&sizes);
    Ok(())
}

/// The ids of all children, page by page.
fn children(service: &Server, root: JobId) -> Result<Vec<u64>> {
    let mut ids = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/v1/jobs/{root}/children?limit={PAGE}{after}");
        let page: Page = serde_json::from_slice(&load::fetch(service.addr, &path)?)?;
        ids.extend(page.items.into_iter().map(|item| item.id));
        match page.next_cursor {
            Some(cursor) => after = format!("&cursor={cursor}"),
            None => return Ok(ids),
        }
    }
}
