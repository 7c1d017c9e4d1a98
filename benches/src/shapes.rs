//! The shapes of load.

use std::{cell::Cell, fmt::Write, net::SocketAddr, time::Duration};

use anyhow::Result;

use crate::load::{Measured, Until, get, post, run, run_paced};

/// Connections at once, where the shape does not say otherwise.
pub const CONNECTIONS: usize = 64;
/// Connections at once where there are to be many.
pub const MANY: usize = 256;
/// Children of a tree that is updated.
pub const TREE: u64 = 50_000;
/// Jobs among which one is read, of those created last.
pub const READ_AMONG: u64 = 20_000;
/// Trees in the roll-up shape.
const TREES: u64 = 200;
/// Children created by one request.
pub const BATCH: u64 = 10_000;
/// What becomes of a job that is updated again and again.
pub const LIFE: [&str; 3] = ["Running", "RanToCompletion", "Warning"];

/// A server under load, and the ids that were used on it.
pub struct Target {
    pub addr: SocketAddr,
    next_id: Cell<u64>,
}

impl Target {
    pub fn new(addr: SocketAddr, first_id: u64) -> Self {
        Self { addr, next_id: Cell::new(first_id) }
    }

    fn id(&self) -> u64 {
        self.next_id.replace(self.next_id.get() + 1)
    }

    /// A root of its own for every creation.
    pub fn create_roots(&self, connections: usize, until: Until<'_>) -> Result<Measured> {
        run(self.addr, connections, until, &|out, _| create(out, self.id(), None))
    }

    /// All under one root.
    pub fn create_under_one_root(&self, until: Until<'_>) -> Result<Measured> {
        let root = self.create_one(None)?;
        run(self.addr, CONNECTIONS, until, &|out, _| create(out, self.id(), Some(root)))
    }

    /// Updates at depth 5 of 200 trees; each one changes numbers in every ancestor.
    pub fn update_five_levels(&self, until: Until<'_>) -> Result<Measured> {
        /// Leaves per tree; each is updated twice.
        const LEAVES: u64 = 500;
        let mut leaves = Vec::new();
        let mut parents = Vec::new();
        for _ in 0..TREES {
            let mut parent = self.create_one(None)?;
            for _ in 0..4 {
                parent = self.create_one(Some(parent))?;
            }
            parents.push(parent);
        }
        for parent in parents {
            let first = self.create_children(parent, LEAVES)?;
            leaves.push(first);
        }
        // Trees in turn, so that a group has work in many of them.
        let order = |number: u64| leaves[(number % TREES) as usize] + number / TREES % LEAVES;
        self.update(TREES * LEAVES, &order, &LIFE, CONNECTIONS, until)
    }

    /// Updates this many jobs in an order, each to the first of the states, then each to the
    /// second, and so on; to the last one as often as there is time for.
    pub fn update(
        &self,
        jobs: u64,
        order: &dyn Fn(u64) -> u64,
        states: &[&str],
        connections: usize,
        until: Until<'_>,
    ) -> Result<Measured> {
        run(self.addr, connections, until, &|out, number| {
            change(out, number, jobs, order, states);
        })
    }

    /// The same by one connection, each update this long after the one before.
    pub fn update_paced(
        &self,
        jobs: u64,
        order: &dyn Fn(u64) -> u64,
        states: &[&str],
        every: Duration,
        until: Until<'_>,
    ) -> Result<Measured> {
        run_paced(self.addr, every, until, &|out, number| change(out, number, jobs, order, states))
    }

    /// One job at a time, of this many that were created last.
    pub fn get_jobs(&self, among: u64, until: Until<'_>) -> Result<Measured> {
        let newest = self.next_id.get() - 1;
        let among = newest.min(among);
        run(self.addr, CONNECTIONS, until, &|out, number| {
            // A step that shares no factor with the number of jobs visits them all, out of order.
            let id = newest - (number * 7_919) % among;
            get(out, format_args!("/api/v1/jobs/{id}"));
        })
    }

    /// Pages of 200 children of a wide parent, from all over it.
    pub fn page_children(
        &self,
        parent: u64,
        cursors: &[String],
        until: Until<'_>,
    ) -> Result<Measured> {
        run(self.addr, 16, until, &|out, number| {
            let cursor = &cursors[(number as usize * 7) % cursors.len()];
            get(out, format_args!("/api/v1/jobs/{parent}/children?limit=200&cursor={cursor}"));
        })
    }

    /// Children in requests of 10,000; answers jobs per second.
    pub fn create_batches(&self, parent: u64, batches: u64, connections: usize) -> Result<f64> {
        let until = Until::Requests(batches);
        let measured = run(self.addr, connections, until, &|out, _| {
            self.batch(out, parent, BATCH);
        })?;
        Ok((batches * BATCH) as f64 / measured.seconds)
    }

    /// `count` children with ids that follow each other; answers the first.
    pub fn create_children(&self, parent: u64, count: u64) -> Result<u64> {
        let first = self.next_id.get();
        run(self.addr, 1, Until::Requests(1), &|out, _| self.batch(out, parent, count))?;
        Ok(first)
    }

    /// A tree of this many children with consecutive ids; answers the root and the first
    /// of them.
    pub fn create_tree(&self, children: u64) -> Result<(u64, u64)> {
        let root = self.create_one(None)?;
        let first = self.next_id.get();
        while self.next_id.get() < first + children {
            let left = first + children - self.next_id.get();
            self.create_children(root, left.min(BATCH))?;
        }
        Ok((root, first))
    }

    pub fn create_one(&self, parent: Option<u64>) -> Result<u64> {
        let id = self.id();
        run(self.addr, 1, Until::Requests(1), &|out, _| create(out, id, parent))?;
        Ok(id)
    }

    fn batch(&self, out: &mut Vec<u8>, parent: u64, count: u64) {
        let mut jobs = String::new();
        for number in 0..count {
            let comma = if number > 0 { "," } else { "" };
            let id = self.id();
            write!(jobs, "{comma}{{\"id\":{id},\"name\":\"page {id}\",\"createdBy\":\"bench\"}}")
                .expect("a text takes everything");
        }
        let path = format_args!("/api/v1/jobs/{parent}/children").to_string();
        post(out, format_args!("{path}"), format_args!("{{\"jobs\":[{jobs}]}}"));
    }
}

fn change(out: &mut Vec<u8>, number: u64, jobs: u64, order: &dyn Fn(u64) -> u64, states: &[&str]) {
    let state = states[((number / jobs) as usize).min(states.len() - 1)];
    let id = order(number % jobs);
    post(
        out,
        format_args!("/api/v1/jobs/{id}/changes"),
        format_args!("{{\"state\":\"{state}\",\"changeId\":\"{number}\"}}"),
    );
}

fn create(out: &mut Vec<u8>, id: u64, parent: Option<u64>) {
    let body = |parent: std::fmt::Arguments, out: &mut Vec<u8>| {
        post(
            out,
            format_args!("/api/v1/jobs"),
            format_args!("{{\"id\":{id},{parent}\"name\":\"page {id}\",\"createdBy\":\"bench\"}}"),
        );
    };
    match parent {
        Some(parent) => body(format_args!("\"parent\":{parent},"), out),
        None => body(format_args!(""), out),
    }
}

/// The trivial server: a body like that of a creation there and back.
pub fn echo_post(addr: SocketAddr, connections: usize, until: Until<'_>) -> Result<Measured> {
    run(addr, connections, until, &|out, number| {
        post(
            out,
            format_args!("/echo"),
            format_args!("{{\"id\":{number},\"name\":\"page {number}\",\"createdBy\":\"bench\"}}"),
        );
    })
}

/// The trivial server: a GET.
pub fn echo_get(addr: SocketAddr, until: Until<'_>) -> Result<Measured> {
    run(addr, CONNECTIONS, until, &|out, _| get(out, format_args!("/ping")))
}
