//! The service is killed at random while many clients write, started again, and compared with its
//! acknowledgements: no write is missing, none is there twice, all numbers are exact.
//!
//! Three rounds by default; `JOBTRACKER_KILL_ROUNDS=200` makes it a long run.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jobtracker_client::{JobId, JobTrackerClient, NewChange, NewJob, NewLogLines, State};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    inventory::Inventory,
    process::{ANY_PORT, Process, embedded},
};

const CLIENTS: u64 = 16;
/// All trees are shared by all clients.
const ROOTS: [u64; 2] = [1, 2];

/// A write that a client requested.
#[derive(Debug, Clone)]
enum Write {
    Create { id: JobId, parent: JobId },
    Update { id: JobId, state: State, change_id: String },
    Log { id: JobId, append_id: String },
}

/// The requests of one client in a round: all of them acknowledged, except the last one if the
/// service was killed meanwhile.
#[derive(Debug, Default)]
struct Journal {
    acknowledged: Vec<(Write, bool)>,
    in_doubt: Option<Write>,
}

fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

/// Sends one write; the answer is whether it was applied.
async fn send(client: &JobTrackerClient, write: &Write) -> jobtracker_client::Result<bool> {
    match write {
        Write::Create { id, parent } => {
            let job = NewJob::new(format!("job {id}")).id(*id).under(*parent);
            client.create(job).await.map(|_| true)
        }
        Write::Update { id, state, change_id } => {
            let change = NewChange::new(*state).change_id(change_id);
            client.update(*id, change).await.map(|updated| updated.applied)
        }
        Write::Log { id, append_id } => {
            let lines = NewLogLines {
                lines: vec![append_id.clone(), "second line".into()],
                append_id: Some(append_id.clone()),
            };
            client.append_log(*id, lines).await.map(|_| true)
        }
    }
}

/// Writes until the service is gone.
async fn write(client: JobTrackerClient, first: u64, seed: u64, done: Arc<AtomicU64>) -> Journal {
    let mut random = StdRng::seed_from_u64(seed);
    let mut journal = Journal::default();
    let mut mine: Vec<JobId> = ROOTS.map(id).to_vec();
    for number in 0.. {
        let at = mine[random.random_range(0..mine.len())];
        let write = match random.random_range(0..8) {
            0..3 => Write::Create { id: id(first + number), parent: at },
            3 => Write::Log { id: at, append_id: format!("l{first}-{number}") },
            pick => {
                let states =
                    [State::Running, State::Warning, State::RanToCompletion, State::Faulted];
                let state = states[pick as usize - 4];
                Write::Update { id: at, state, change_id: format!("c{first}-{number}") }
            }
        };
        match send(&client, &write).await {
            Ok(applied) => {
                if let Write::Create { id, .. } = write {
                    mine.push(id);
                }
                journal.acknowledged.push((write, applied));
                done.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                assert!(error.code().is_none(), "refused by a service that is well: {error}");
                journal.in_doubt = Some(write);
                break;
            }
        }
    }
    journal
}

/// All data that the service has.
struct Found {
    inventory: Inventory,
    logs: BTreeMap<JobId, Vec<String>>,
}

async fn read_everything(client: &JobTrackerClient) -> Found {
    let inventory = Inventory::read(client, &ROOTS.map(id)).await;
    let mut logs = BTreeMap::new();
    for job in &inventory.jobs {
        let log = client.log_stream(job.id, Default::default());
        let log: Vec<_> = futures_util::TryStreamExt::try_collect(log).await.unwrap();
        assert_eq!(job.log_lines as usize, log.len());
        logs.insert(job.id, log.into_iter().map(|line| line.text).collect());
    }
    Found { inventory, logs }
}

impl Found {
    /// How often a write was applied.
    fn count(&self, write: &Write) -> usize {
        match write {
            Write::Create { id, .. } => usize::from(self.inventory.changes.contains_key(id)),
            Write::Update { id, change_id, .. } => self.inventory.places(*id, change_id).len(),
            // An append is there as a whole or not at all.
            Write::Log { id, append_id } => {
                let lines = self.logs.get(id).map_or(&[][..], Vec::as_slice);
                let whole = lines.windows(2).filter(|two| two[0] == *append_id);
                let whole = whole.inspect(|two| assert_eq!(two[1], "second line")).count();
                assert_eq!(whole, lines.iter().filter(|line| *line == append_id).count());
                whole
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_nothing_acknowledged_is_lost() {
    let rounds =
        std::env::var("JOBTRACKER_KILL_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("JOBTRACKER_KILL_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("JOBTRACKER_KILL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let data = tempfile::tempdir().unwrap();
    let mut expected: Vec<(Write, bool)> = Vec::new();
    let mut acknowledged = 0;
    for round in 0..rounds {
        let service = Process::start(ANY_PORT, &embedded(data.path()));
        for root in ROOTS {
            service.client().create(NewJob::new("root").id(id(root))).await.unwrap();
        }
        let done = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let first = 1_000_000 * (round * CLIENTS + client + 1);
                let write = write(service.client(), first, random.random(), Arc::clone(&done));
                tokio::spawn(write)
            })
            .collect();
        let enough = random.random_range(50..400);
        while done.load(Ordering::SeqCst) < enough {
            let gone = clients.iter().all(tokio::task::JoinHandle::is_finished);
            assert!(!gone, "the service has gone before it was killed");
            tokio::task::yield_now().await;
        }
        service.kill();
        let mut in_doubt = Vec::new();
        for client in clients {
            let journal = client.await.unwrap();
            acknowledged += journal.acknowledged.len();
            expected.extend(journal.acknowledged);
            in_doubt.extend(journal.in_doubt);
        }
        let service = Process::start(ANY_PORT, &embedded(data.path()));
        let client = service.client();
        check(&read_everything(&client).await, &expected, &in_doubt);
        // Writes in doubt are sent again, twice: each is applied once.
        for write in in_doubt {
            let applied = send(&client, &write).await.unwrap();
            assert_eq!(send(&client, &write).await.unwrap(), applied);
            expected.push((write, applied));
        }
        check(&read_everything(&client).await, &expected, &[]);
    }
    println!("{rounds} rounds, {acknowledged} acknowledged writes, none lost, none doubled");
}

fn check(found: &Found, expected: &[(Write, bool)], in_doubt: &[Write]) {
    for (write, applied) in expected {
        assert_eq!(found.count(write), usize::from(*applied), "{write:?}");
    }
    assert!(in_doubt.iter().all(|write| found.count(write) <= 1));
    let there: usize = found.inventory.jobs.len() - ROOTS.len();
    let created = |writes: &mut dyn Iterator<Item = &Write>| {
        writes.filter(|write| matches!(write, Write::Create { .. })).count()
    };
    let known = created(&mut expected.iter().map(|(write, _)| write));
    let doubtful = created(&mut in_doubt.iter());
    assert!((known..=known + doubtful).contains(&there), "{there} jobs, {known} acknowledged");
}
