//! How cost, memory and restart change when the store grows.

use std::time::Duration;

use anyhow::Result;

use crate::{
    load::Until,
    process::Server,
    shapes::{BATCH, CONNECTIONS, Target},
    table::{self, Series},
};

/// Where the cost of a creation is first measured.
const SMALL: u64 = 100_000;
/// Where memory is measured on the way.
const MIDDLE: u64 = 1_000_000;
/// Measurements at each size.
const REPEATS: usize = 5;

pub fn run(jobs: u64, time: Duration) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    let target = Target::new(service.addr, 1);
    let idle = service.memory()?.resident_mb;
    let mut there = 0;
    let mut grow = |size: u64| -> Result<()> {
        while there < size {
            // A parent for each 100,000, as a crawl has sites.
            let parent = target.create_one(None)?;
            let batches = 10.min((size - there).div_ceil(BATCH));
            target.create_batches(parent, batches, 2)?;
            there += batches * BATCH;
        }
        eprintln!("{there} jobs");
        Ok(())
    };
    grow(SMALL)?;
    let small = creations(&target, time)?;
    grow(MIDDLE)?;
    let middle_mb = service.memory()?.resident_mb;
    grow(jobs)?;
    let large = creations(&target, time)?;
    let large_mb = service.memory()?.resident_mb;
    service.kill()?;
    let again = Server::jobtracker(folder.path())?;
    let opened = again.opened_in;

    println!("\nGrowth, with every job in one store:\n");
    table::head();
    table::row("create, distinct roots, at 100,000 jobs", &small, None, "");
    let ratio = small.rate() / large.rate();
    let what = format!("create, distinct roots, at {jobs} jobs (cost ratio)");
    table::row(&what, &large, Some(ratio), "≤ 1.3 × the cost");
    table::line("memory, idle", &format!("{idle:.0} MB"), "≤ 40 MB");
    table::line("memory, after 1,000,000 jobs", &format!("{middle_mb:.0} MB"), "");
    table::line(&format!("memory, after {jobs} jobs"), &format!("{large_mb:.0} MB"), "");
    table::line("open after kill -9", &format!("{:.2} s", opened.as_secs_f64()), "< 2 s");
    Ok(())
}

fn creations(target: &Target, time: Duration) -> Result<Series> {
    let mut series = Series::default();
    for _ in 0..REPEATS {
        series.push(target.create_roots(CONNECTIONS, Until::Elapsed(time))?);
    }
    Ok(series)
}
