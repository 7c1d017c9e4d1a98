//! Deliveries and checks: how fast deliveries go, how late checks are, and what an action costs.

mod receiver;

use std::{net::TcpListener, time::Duration};

use anyhow::{Context, Result};
use jobtracker_client::{
    Action, CheckKind, HttpAction, JobId, JobTrackerClient, NewCheck, NewJob, State, Timestamp,
};
use receiver::Receiver;
use tokio::runtime::Runtime;

use crate::{
    flush,
    load::{Measured, Numbers, Until, now_millis, post, run as load},
    process::Server,
    shapes::CONNECTIONS,
    table::{self, Series, median},
};

/// Tries to one host at once, by default.
const PLACES: usize = 8;
/// Checks that wait for tomorrow, and checks whose lateness is measured, one every 5 ms.
const WAITING: u64 = 100_000;
const TIMELY: u64 = 2_000;
const EVERY_MS: i64 = 5;
/// Children of one request.
const BATCH: u64 = 10_000;
const DAY_MS: i64 = 24 * 3_600_000;

#[derive(Default)]
struct Seen {
    client: Series,
    deliveries: Series,
    p50: Vec<f64>,
    p99: Vec<f64>,
    creates: Costs,
    updates: Costs,
}

/// Requests without an action, with one whose receiver never answers, and with one whose receiver
/// takes everything at once.
#[derive(Default)]
struct Costs {
    without: Series,
    silent: Series,
    fast: Series,
}

pub fn run(rounds: usize, jobs: u64, time: Duration) -> Result<()> {
    let runtime = Runtime::new()?;
    let mut seen = Seen::default();
    for round in 1..=rounds {
        eprintln!("follow-ups, round {round} of {rounds}");
        let receiver = Receiver::start()?;
        deliveries(&mut seen, &runtime, &receiver, jobs)?;
        let late = runtime.block_on(lateness(&receiver))?;
        seen.p50.push(late[late.len() / 2]);
        seen.p99.push(late[late.len() * 99 / 100]);
        costs(&mut seen, &receiver, time)?;
    }
    print(&seen, jobs);
    Ok(())
}

/// All at once in one commit, to one receiver; then the same bodies from the client alone.
fn deliveries(seen: &mut Seen, runtime: &Runtime, receiver: &Receiver, jobs: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    let action = Action::new([State::Faulted], HttpAction::new(receiver.url()));
    let started = service.processor_time()?;
    runtime.block_on(flush::faulted(service.addr, jobs, &action))?;
    let begun = service.processor_time()?;
    let received = receiver.take(jobs)?;
    tell_spent("upload and deliveries", &service, started, jobs)?;
    tell_spent("deliveries", &service, begun, jobs)?;
    let (first, last) = (received.first(), received.last());
    let (first, last) = first.zip(last).context("there are deliveries")?;
    let seconds = (last.time - first.time) / 1e3;
    let (p50, p99) = (Duration::ZERO, Duration::ZERO);
    seen.deliveries.push(Measured { requests: jobs, seconds, p50, p99 });
    drop(service);
    let bodies: Vec<&str> = received.iter().map(|one| one.text.as_str()).collect();
    seen.client.push(runtime.block_on(post_all(&receiver.url(), &bodies))?);
    receiver.take(jobs)?;
    Ok(())
}

/// Tells the processor time of the service per request since it had spent `before`.
fn tell_spent(what: &str, service: &Server, before: Duration, requests: u64) -> Result<()> {
    let spent = service.processor_time()?.saturating_sub(before);
    let each = spent.as_secs_f64() * 1e6 / requests as f64;
    eprintln!("  {what}: {each:.1} µs of the service's processor time each");
    Ok(())
}

/// The client of the service in a loop, with as many requests at once as the service has.
async fn post_all(url: &str, bodies: &[&str]) -> Result<Measured> {
    let client = jobtracker_client::reqwest::Client::builder().no_proxy().build()?;
    let numbers = Numbers::new(Until::Requests(bodies.len() as u64));
    let call = async |number: u64| {
        let body = bodies[number as usize].to_owned();
        let request = client.post(url).header("content-type", "application/json");
        let request = request.header("webhook-id", number).header("webhook-timestamp", number);
        request.body(body).send().await?.error_for_status()?.bytes().await?;
        Ok(())
    };
    numbers.run((0..PLACES).map(|_| numbers.call(&call))).await
}

/// How late the receiver hears of checks, in milliseconds, while very many wait; sorted.
async fn lateness(receiver: &Receiver) -> Result<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    let tracker = JobTrackerClient::new(format!("http://{}", service.addr))?;
    let root = tracker.create(NewJob::new("root")).await?.id;
    let tomorrow = now_millis() as i64 + DAY_MS;
    for batch in 0..WAITING / BATCH {
        let first = tomorrow + (batch * BATCH) as i64;
        children(&tracker, root, receiver, BATCH, |number| first + number).await?;
    }
    let soon = now_millis() as i64 + 3_000;
    children(&tracker, root, receiver, TIMELY, |number| soon + number * EVERY_MS).await?;
    let mut late = Vec::new();
    for received in receiver.take(TIMELY)? {
        let body: serde_json::Value = serde_json::from_str(&received.text)?;
        let at = body["data"]["check"]["expected"]["at"].as_str().context("a time was expected")?;
        late.push(received.time - at.parse::<Timestamp>()?.millis() as f64);
    }
    late.sort_by(f64::total_cmp);
    Ok(late)
}

/// Jobs with a check each, at these times.
async fn children(
    tracker: &JobTrackerClient,
    parent: JobId,
    receiver: &Receiver,
    count: u64,
    at: impl Fn(i64) -> i64,
) -> Result<()> {
    let job = |number: u64| {
        let at = Timestamp::from_millis(at(number as i64)).context("a time of this century")?;
        let kind = CheckKind::State { at, states: [State::Running].into_iter().collect() };
        let check = NewCheck::new(kind).on_failure(HttpAction::new(receiver.url()));
        anyhow::Ok(NewJob::new("page").check(check))
    };
    tracker.create_children(parent, (0..count).map(job).collect::<Result<_>>()?).await?;
    Ok(())
}

/// Creations under one root, and updates of what was created that become a state which the action
/// names.
fn costs(seen: &mut Seen, receiver: &Receiver, time: Duration) -> Result<()> {
    // Connections wait here for ever.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let silent = format!("http://{}/", silent.local_addr()?);
    let (creates, updates) = (&mut seen.creates, &mut seen.updates);
    for (url, creates, updates) in [
        (None, &mut creates.without, &mut updates.without),
        (Some(silent), &mut creates.silent, &mut updates.silent),
        (Some(receiver.url()), &mut creates.fast, &mut updates.fast),
    ] {
        let is_fast = url.as_deref() == Some(&receiver.url());
        let action = url.map_or_else(String::new, |url| {
            format!(",\"actions\":[{{\"states\":[\"Running\"],\"http\":{{\"url\":\"{url}\"}}}}]")
        });
        let folder = tempfile::tempdir()?;
        let service = Server::jobtracker(folder.path())?;
        load(service.addr, 1, Until::Requests(1), &|out, _| {
            post(out, format_args!("/api/v1/jobs"), format_args!("{{\"id\":1,\"name\":\"root\"}}"));
        })?;
        let begun = service.processor_time()?;
        let created = load(service.addr, CONNECTIONS, Until::Elapsed(time), &|out, number| {
            let id = number + 2;
            post(
                out,
                format_args!("/api/v1/jobs"),
                format_args!("{{\"id\":{id},\"parent\":1,\"name\":\"page {id}\"{action}}}"),
            );
        })?;
        creates.push(created);
        tell_spent("creates", &service, begun, created.requests)?;
        let begun = service.processor_time()?;
        let jobs = created.requests.min(MOST_UPDATES);
        let updated = load(service.addr, CONNECTIONS, Until::Requests(jobs), &|out, number| {
            post(
                out,
                format_args!("/api/v1/jobs/{}/changes", number + 2),
                format_args!("{{\"state\":\"Running\",\"changeId\":\"{number}\"}}"),
            );
        })?;
        updates.push(updated);
        tell_spent("updates", &service, begun, jobs)?;
        if is_fast {
            receiver.take(jobs)?;
        }
    }
    Ok(())
}

/// Jobs that are updated.
const MOST_UPDATES: u64 = 50_000;

fn print(seen: &Seen, jobs: u64) {
    println!("\nFollow-ups; one receiver, {PLACES} requests at once; 64 connections.\n");
    table::head();
    let floor = "floor: the same HTTP client posts the same bodies";
    table::row(floor, &seen.client, None, "");
    let rate = seen.deliveries.rate();
    let ratio = seen.deliveries.ratio_to(&seen.client);
    let what = format!("{jobs} deliveries from one commit");
    table::line(&what, &format!("{rate:.0}/s, {ratio:.2} of the floor"), "≥ 0.5 × the floor");
    let of = |values: &[f64]| median(values.iter().copied());
    let (p50, p99) = (of(&seen.p50), of(&seen.p99));
    let what = format!("checks, {WAITING} others wait: when the receiver hears of them");
    let value = format!("late by p50 {p50:.0} ms, p99 {p99:.0} ms");
    table::line(&what, &value, "p99 ≤ 1 s");
    for (what, Costs { without, silent, fast }) in
        [("create under one root", &seen.creates), ("update to Running", &seen.updates)]
    {
        table::row(what, without, None, "");
        let ratio = silent.ratio_to(without);
        table::row(&format!("{what}, with an action; silent receiver"), silent, Some(ratio), "");
        let ratio = fast.ratio_to(without);
        table::row(&format!("{what}, with an action; fast receiver"), fast, Some(ratio), "");
    }
}
