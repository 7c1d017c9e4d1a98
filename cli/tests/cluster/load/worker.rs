use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jobtracker_client::{Error, JobId, JobTrackerClient, NewChange, NewJob, Result, State};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    Shared,
    record::{Fate, Record},
};
use crate::linear::{Operation, Sight, What};

/// The greatest depth of the trees.
const DEPTH: u32 = 8;
/// Tries of one write, at most.
const TRIES: u32 = 200;

const REPORTED: [State; 8] = [
    State::Running,
    State::Running,
    State::Running,
    State::Warning,
    State::WaitingForChildrenToComplete,
    State::RanToCompletion,
    State::RanToCompletion,
    State::Faulted,
];

/// One client. It sends a request without an answer again, to another server if there is one; all
/// tries are one operation, from when the first was sent.
pub struct Worker {
    number: usize,
    shared: Arc<Shared>,
    servers: Vec<JobTrackerClient>,
    /// The server that it uses.
    at: usize,
    root: JobId,
    random: StdRng,
    next_id: u64,
    records: Vec<Record>,
}

#[derive(Debug)]
enum Write {
    Create { job: JobId, parent: JobId, depth: u32 },
    Update { job: JobId, state: State, change_id: String },
}

/// The answer to a write.
struct Told {
    applied: bool,
    /// By an earlier try.
    repeated: bool,
    state: State,
}

/// When a write was first sent, when the answered try was sent, and when the answer came.
struct Times {
    begin: u64,
    sent: u64,
    end: u64,
}

impl Worker {
    pub fn new(
        number: usize,
        first_id: u64,
        seed: u64,
        servers: Vec<JobTrackerClient>,
        root: JobId,
        shared: Arc<Shared>,
    ) -> Self {
        let at = number % servers.len();
        let (random, next_id) = (StdRng::seed_from_u64(seed), first_id);
        Self { number, shared, servers, at, root, random, next_id, records: Vec::new() }
    }

    /// Does this many operations, or fewer if it is told to stop.
    pub async fn run(mut self, operations: usize) -> Vec<Record> {
        for _ in 0..operations {
            if self.shared.is_over.load(Ordering::SeqCst) {
                break;
            }
            let (job, depth) = self.pick();
            match self.random.random_range(0..20) {
                0..5 if depth < DEPTH => {
                    let write = Write::Create { job: self.fresh_id(), parent: job, depth };
                    self.write(write).await;
                }
                0..11 => {
                    let state = REPORTED[self.random.random_range(0..REPORTED.len())];
                    let change_id = format!("c{}", self.fresh_id());
                    self.write(Write::Update { job, state, change_id }).await;
                }
                kind => self.read(job, kind).await,
            }
        }
        self.records
    }

    fn fresh_id(&mut self) -> JobId {
        self.next_id += 1;
        JobId::new(self.next_id).unwrap()
    }

    /// A job that all clients may know; often one that many know.
    fn pick(&mut self) -> (JobId, u32) {
        let known = self.shared.known.read().unwrap();
        let among = match self.random.random_range(0..3) {
            0 => 1,
            1 => known.len().min(8),
            _ => known.len(),
        };
        known[self.random.random_range(0..among)]
    }

    async fn send(&self, write: &Write) -> Result<Told> {
        let server = &self.servers[self.at];
        match write {
            Write::Create { job, parent, .. } => {
                let created = server.create(NewJob::new("job").id(*job).under(*parent)).await?;
                Ok(Told { applied: true, repeated: !created.created, state: created.state })
            }
            Write::Update { job, state, change_id } => {
                let change = NewChange::new(*state).change_id(change_id);
                let updated = server.update(*job, change).await?;
                let (applied, repeated) = (updated.applied, updated.repeated);
                Ok(Told { applied, repeated, state: updated.state })
            }
        }
    }

    async fn write(&mut self, write: Write) {
        let begin = self.shared.now();
        let mut in_doubt = false;
        for tries in 1.. {
            let sent = self.shared.now();
            let error = match self.send(&write).await {
                Ok(told) => {
                    let times = Times { begin, sent, end: self.shared.now() };
                    assert!(tries > 1 || !told.repeated, "done before it was sent: {write:?}");
                    return self.was_told(&write, &told, &times, in_doubt);
                }
                Err(error) => error,
            };
            if error.is_not_found() {
                // All jobs that are named here are known to exist.
                let (Write::Create { parent: job, .. } | Write::Update { job, .. }) = write;
                return self.saw([sent, self.shared.now()], vec![(job, Sight::Absent)]);
            }
            in_doubt |= error.outcome_unknown();
            let gives_up = in_doubt && self.random.random_ratio(1, 8);
            if gives_up || tries == TRIES {
                let fate = if in_doubt { Fate::InDoubt } else { Fate::Denied };
                return self.keep(
                    Operation::in_doubt(self.number, begin, what(&write)),
                    fate,
                    &write,
                );
            }
            self.turn_elsewhere(&write, &error).await;
        }
    }

    fn was_told(&mut self, write: &Write, told: &Told, times: &Times, in_doubt: bool) {
        let Times { begin, sent, end } = *times;
        let mut what = what(write);
        let (Write::Create { job, .. } | Write::Update { job, .. }) = *write;
        if told.applied {
            // An effect of this try was not an effect of an earlier one.
            let from = if told.repeated { begin } else { sent };
            if let What::Update { visible, .. } = &mut what {
                *visible = Some(told.state).filter(|_| !told.repeated);
            }
            let operation = Operation::answered(self.number, [from, end], what);
            self.keep(operation, Fate::Acknowledged, write);
        } else {
            let refused = What::Refused { job, visible: told.state };
            let refused = Operation::answered(self.number, [sent, end], refused);
            let denied = Operation::in_doubt(self.number, begin, what);
            // An earlier try may still be under way, and arrive when the job is open again.
            let fate = if in_doubt { Fate::InDoubt } else { Fate::Denied };
            self.keep(denied, fate, write);
            self.records.push(Record::of(refused));
        }
        if told.repeated {
            let seen = vec![(job, Sight::State(told.state))];
            let after = Some(self.records.len() - 1);
            self.saw([sent, end], seen);
            let look = self.records.last_mut().expect("just kept");
            look.operation.after = after;
        }
        if let Write::Create { job, depth, .. } = write {
            assert!(told.repeated || told.state == State::WaitingToRun, "{write:?}");
            self.shared.known.write().unwrap().push((*job, depth + 1));
        }
        self.shared.acknowledged.send_modify(|count| *count += 1);
    }

    fn keep(&mut self, operation: Operation, fate: Fate, write: &Write) {
        let change_id = match write {
            Write::Create { .. } => None,
            Write::Update { change_id, .. } => Some(change_id.clone()),
        };
        self.records.push(Record { operation, fate, change_id });
    }

    async fn read(&mut self, job: JobId, kind: u32) {
        let (root, server) = (self.root, &self.servers[self.at]);
        let begin = self.shared.now();
        let whole = |job: Option<_>| job.as_ref().map_or(Sight::Absent, Sight::whole);
        let seen = match kind {
            0..15 => server.get(root).await.map(|found| vec![(root, whole(found))]),
            15..17 => server.get(job).await.map(|found| vec![(job, whole(found))]),
            17 => server.state(job).await.map(|state| vec![(job, Sight::State(state))]),
            _ => server
                .path(job)
                .await
                .map(|path| path.iter().map(|node| (node.id, Sight::Whole(node.into()))).collect()),
        };
        let span = [begin, self.shared.now()];
        match seen {
            Ok(seen) => self.saw(span, seen),
            Err(error) if error.is_not_found() => self.saw(span, vec![(job, Sight::Absent)]),
            Err(error) => self.turn_elsewhere(&kind, &error).await,
        }
    }

    fn saw(&mut self, span: [u64; 2], seen: Vec<(JobId, Sight)>) {
        let look = Operation::answered(self.number, span, What::Look(seen));
        self.records.push(Record::of(look));
    }

    /// After a failure.
    async fn turn_elsewhere(&mut self, what: &impl std::fmt::Debug, error: &Error) {
        assert!(error.is_retryable(), "refused by a service that is well: {error:?} to {what:?}");
        self.shared.failures.fetch_add(1, Ordering::SeqCst);
        if matches!(error, Error::Transport { .. } | Error::DeadlineExceeded { .. }) {
            self.at = (self.at + 1) % self.servers.len();
        }
        // A client would pause too, but never for long.
        tokio::time::sleep(Duration::from_millis(self.random.random_range(1..30))).await;
    }
}

fn what(write: &Write) -> What {
    match *write {
        Write::Create { job, parent, .. } => What::Create { job, parent },
        Write::Update { job, state, .. } => {
            What::Update { job, state, number: None, visible: None }
        }
    }
}
