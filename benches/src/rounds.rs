//! The shapes against the floors, in rounds.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::{
    floors,
    load::Until,
    process::Server,
    shapes::{self, BATCH, CONNECTIONS, LIFE, MANY, READ_AMONG, TREE, Target},
    table::{self, Series, median},
};

/// Requests to each server before anything is measured: caches grow and connections are made.
const WARM_UP: u64 = 100_000;
/// Items on the pages that are read.
const PAGE: f64 = 200.0;

#[derive(Clone, Copy, ValueEnum)]
pub enum Shape {
    Alone,
    Roots,
    OneRoot,
    OneTree,
    RollUp,
    Get,
    Page,
    Batch,
    SmallFlush,
    LargeFlush,
}

#[derive(Default)]
struct Seen {
    echo_post: Series,
    echo_get: Series,
    echo_alone: Series,
    roots: Series,
    one_root: Series,
    roll_up: Series,
    get: Series,
    page: Series,
    alone: Series,
    flush: Vec<f64>,
    batch: Vec<f64>,
}

pub fn run(rounds: usize, time: Duration) -> Result<()> {
    let mut seen = Seen::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        // A new service for each round: none inherits the merges that another one left.
        let folder = tempfile::tempdir()?;
        let service = Server::jobtracker(folder.path())?;
        let echo = Server::echo()?;
        measure(&mut seen, &service, &echo, time)?;
        seen.flush.push(floors::flush_512(folder.path())?.as_secs_f64());
    }
    print(&seen);
    Ok(())
}

fn measure(seen: &mut Seen, service: &Server, echo: &Server, time: Duration) -> Result<()> {
    let until = Until::Elapsed(time);
    let target = Target::new(service.addr, 1);
    target.create_roots(CONNECTIONS, Until::Requests(WARM_UP))?;
    shapes::echo_post(echo.addr, CONNECTIONS, Until::Requests(WARM_UP))?;
    seen.echo_alone.push(shapes::echo_post(echo.addr, 1, until)?);
    seen.alone.push(target.create_roots(1, until)?);
    seen.echo_post.push(shapes::echo_post(echo.addr, CONNECTIONS, until)?);
    seen.roots.push(target.create_roots(CONNECTIONS, until)?);
    seen.one_root.push(target.create_under_one_root(until)?);
    seen.roll_up.push(target.update_five_levels(until)?);
    let parent = target.create_one(None)?;
    seen.batch.push(target.create_batches(parent, 20, 2)?);
    let cursors = cursors(service.addr, parent)?;
    seen.echo_get.push(shapes::echo_get(echo.addr, until)?);
    seen.get.push(target.get_jobs(READ_AMONG, until)?);
    seen.page.push(target.page_children(parent, &cursors, until)?);
    Ok(())
}

/// One shape, once.
pub fn run_one(shape: Shape, at: SocketAddr, first_id: u64, time: Duration) -> Result<()> {
    let until = Until::Elapsed(time);
    let target = Target::new(at, first_id);
    let mut series = Series::default();
    series.push(match shape {
        Shape::Alone => target.create_roots(1, until)?,
        Shape::Roots => target.create_roots(CONNECTIONS, until)?,
        Shape::OneRoot => target.create_under_one_root(until)?,
        Shape::OneTree => {
            let (_, first) = target.create_tree(TREE)?;
            target.update(TREE, &|number| first + number, &LIFE, MANY, until)?
        }
        Shape::RollUp => target.update_five_levels(until)?,
        Shape::Get => {
            target.create_roots(CONNECTIONS, Until::Requests(READ_AMONG))?;
            target.get_jobs(READ_AMONG, until)?
        }
        Shape::Page => {
            let parent = target.create_one(None)?;
            target.create_batches(parent, 20, 2)?;
            target.page_children(parent, &cursors(at, parent)?, until)?
        }
        Shape::Batch => {
            let parent = target.create_one(None)?;
            let begun = std::time::Instant::now();
            while begun.elapsed() < time {
                let rate = target.create_batches(parent, 10, 2)?;
                eprintln!("{rate:.0} jobs/s");
            }
            return Ok(());
        }
        Shape::SmallFlush | Shape::LargeFlush => anyhow::bail!("flushes are measured elsewhere"),
    });
    table::row("one shape", &series, None, "");
    Ok(())
}

/// Cursors all over the children of a wide parent.
fn cursors(addr: SocketAddr, parent: u64) -> Result<Vec<String>> {
    let mut cursors = Vec::new();
    let mut after = String::new();
    while cursors.len() < 20 {
        let path = format!("/api/v1/jobs/{parent}/children?limit=1000{after}");
        let reply = crate::load::fetch(addr, &path)?;
        let page: serde_json::Value = serde_json::from_slice(&reply)?;
        let cursor = page["nextCursor"].as_str().context("a wide parent has many pages")?;
        after = format!("&cursor={cursor}");
        cursors.push(cursor.to_owned());
    }
    Ok(cursors)
}

fn print(seen: &Seen) {
    println!("\n64 connections unless said otherwise; every write is on disk before its reply.\n");
    table::head();
    table::row("floor: echo, POST", &seen.echo_post, None, "");
    table::row("floor: echo, GET", &seen.echo_get, None, "");
    table::row("floor: echo, POST, 1 connection", &seen.echo_alone, None, "");
    let flush = median(seen.flush.iter().copied());
    table::line("floor: append 512 B, fdatasync", &format!("p50 {:.0} µs", flush * 1e6), "");
    let against = |series: &Series, floor: &Series| Some(series.ratio_to(floor));
    let (post, get) = (&seen.echo_post, &seen.echo_get);
    table::row("create, distinct roots", &seen.roots, against(&seen.roots, post), "≥ 0.3 × echo");
    let ratio = against(&seen.one_root, &seen.roots);
    table::row("create under one root", &seen.one_root, ratio, "≥ 0.9 × distinct roots");
    let ratio = against(&seen.roll_up, post);
    table::row("update, roll-up through 5 levels", &seen.roll_up, ratio, "≥ 0.25 × echo");
    table::row("get one job", &seen.get, against(&seen.get, get), "≥ 0.7 × echo GET");
    table::row("page of 200 children, 16 connections", &seen.page, None, "");
    let rows = seen.page.rate() * PAGE;
    table::line("the same in rows", &format!("{rows:.0}/s"), "≥ 500,000/s");
    let floor = seen.echo_alone.p50().as_secs_f64() + flush;
    let ratio = seen.alone.p50().as_secs_f64() / floor;
    table::row("create, 1 connection", &seen.alone, Some(ratio), "p50 ≤ 3 × (echo + fdatasync)");
    let batch = median(seen.batch.iter().copied());
    let what = format!("batches of {BATCH} children, 2 connections");
    table::line(&what, &format!("{batch:.0} jobs/s"), "≥ 150,000/s");
}
