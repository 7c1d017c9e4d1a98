//! The service is killed while thousands of actions fire at a receiver that fails, stalls and drops
//! connections: every committed delivery is received at least once, and no other.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use jobtracker_client::{JobTrackerClient, NewChange, NewJob, State};

use super::{
    id,
    receiver::{Reaction, Received, Receiver},
    settled, tell,
};
use crate::process::{ANY_PORT, Process, embedded};

const JOBS: u64 = 400;
const ROUNDS: u64 = 3;
const STATES: [State; 3] = [State::Running, State::Warning, State::Faulted];

/// Random faults that depend on the request alone.
fn at_random(request: &Received, before: usize) -> Reaction {
    let luck = request
        .id()
        .bytes()
        .fold(before as u32, |luck, byte| luck.wrapping_mul(31).wrapping_add(u32::from(byte)));
    match luck % 8 {
        0 => Reaction::Status(500),
        1 => Reaction::Drop,
        2 if before == 0 => Reaction::Stall(Duration::from_millis(300)),
        _ => Reaction::Status(200),
    }
}

/// Reports states until the service is gone; answers how many were acknowledged, by job.
async fn report(client: &JobTrackerClient, first: u64) -> HashMap<u64, usize> {
    let mut acknowledged = HashMap::new();
    for number in first..first + JOBS {
        for state in STATES {
            let change = NewChange::new(state).change_id(state.name());
            if client.update(id(number), change).await.is_err() {
                return acknowledged;
            }
            *acknowledged.entry(number).or_default() += 1;
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_committed_is_received_and_nothing_else() {
    let receiver = Receiver::answering(at_random).await;
    let data = tempfile::tempdir().unwrap();
    let mut settings = embedded(data.path());
    settings.push(("callbacks.schedule_seconds", vec!["0"; 64].join(",")));
    let mut acknowledged: HashMap<u64, usize> = HashMap::new();
    for round in 0..ROUNDS {
        let service = Process::start(ANY_PORT, &settings);
        let client = service.client();
        let first = 1 + round * JOBS;
        for number in first..first + JOBS {
            let action = tell(&receiver, "x", &STATES);
            client.create(NewJob::new("job").id(id(number)).action(action)).await.unwrap();
        }
        let enough = receiver.all().len() + 150 * (1 + round as usize);
        let (told, _) = tokio::join!(report(&client, first), async {
            receiver.count(enough).await;
            service.kill();
        });
        acknowledged.extend(told);
    }
    let service = Process::start(ANY_PORT, &settings);
    let client = service.client();
    let mut committed = HashSet::new();
    for number in 1..=ROUNDS * JOBS {
        let changes = client.load(id(number)).await.unwrap().changes as usize - 1;
        assert!(changes >= acknowledged.get(&number).copied().unwrap_or(0));
        let all = settled(&client, id(number)).await;
        assert_eq!(all.len(), changes, "each step of job {number} fires once");
        committed.extend(all.into_iter().map(|delivery| delivery.id));
    }
    let missing = |all: &[Received]| {
        let received: HashSet<&str> = all.iter().map(Received::id).collect();
        committed.iter().filter(|id| !received.contains(id.as_str())).count()
    };
    let all = receiver.until(|all| missing(all) == 0).await;
    assert!(all.iter().all(|one| committed.contains(one.id())), "nothing else was told");
    let tries = all.len() - committed.len();
    println!("{} deliveries, {tries} requests more than that", committed.len());
}
