//! Histories of a simulated service: it is linearizable, or has one known fault.

use jobtracker_client::{JobId, State};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    history::{Numbers, Operation, Sight, What},
    tree::{Judgement, Tree},
};

/// The requests to a simulated service, and its faults.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub clients: usize,
    pub operations: usize,
    /// After this many operations all clients wait for each other.
    pub between_lulls: usize,
    /// How many of a hundred answers are lost.
    pub lost_answers: u32,
    /// Whether the outcomes of these are found out, when all clients wait for each other.
    pub resolved: bool,
    /// The fault that happens, once, in the middle.
    pub fault: Option<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An update is answered and not applied.
    LostUpdate,
    /// An update is applied twice.
    DoubledUpdate,
    /// A read answers an old state.
    StaleRead,
    /// A read answers a state from before the one that the same client has read.
    ReadBackwards,
}

/// The job at an index; the root is at the first.
pub fn id(place: usize) -> JobId {
    JobId::new(place as u64 + 1).unwrap()
}

/// An operation under way.
#[derive(Clone, Copy)]
struct Open {
    place: usize,
    request: Request,
    had_effect: bool,
}

#[derive(Clone, Copy)]
enum Request {
    Create { job: usize, parent: usize },
    Update { job: usize, state: State },
    Look { job: usize, state_only: bool },
}

struct Simulation {
    plan: Plan,
    random: StdRng,
    clock: u64,
    tree: Tree,
    history: Vec<Operation>,
    open: Vec<Option<Open>>,
    /// Operations for which no client waits any more.
    forgotten: Vec<Open>,
    /// Indices of those that had an effect all the same.
    found: Vec<usize>,
    /// Jobs whose creation was answered.
    known: Vec<usize>,
    created: usize,
    /// The root after each effect.
    past: Vec<Numbers>,
    fault: Option<Fault>,
    /// What each client has last seen of the root.
    seen: Vec<Option<Numbers>>,
}

pub const REPORTED: [State; 6] = [
    State::Running,
    State::Warning,
    State::Running,
    State::WaitingForChildrenToComplete,
    State::RanToCompletion,
    State::Faulted,
];

/// The history of the plan. At its end all clients wait for all operations, and then each job is
/// read.
pub fn history(plan: Plan) -> Vec<Operation> {
    let mut simulation = Simulation {
        plan,
        random: StdRng::seed_from_u64(plan.seed),
        clock: 0,
        tree: Tree::new(0, plan.operations + 1),
        history: Vec::new(),
        open: vec![None; plan.clients],
        forgotten: Vec::new(),
        found: Vec::new(),
        known: vec![0],
        created: 1,
        past: Vec::new(),
        fault: plan.fault,
        seen: vec![None; plan.clients],
    };
    while simulation.history.len() < plan.operations {
        simulation.step();
    }
    simulation.finish();
    simulation.history
}

impl Simulation {
    fn now(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// One client takes its next step.
    fn step(&mut self) {
        let client = self.random.random_range(0..self.plan.clients);
        let lull = self.history.len().is_multiple_of(self.plan.between_lulls);
        match self.open[client] {
            None if lull && self.open.iter().any(Option::is_some) => {}
            None => {
                if lull && self.plan.resolved {
                    self.resolve();
                }
                self.begin(client);
            }
            Some(open) if !open.had_effect => {
                if self.random.random_range(0..100) < self.plan.lost_answers {
                    self.forgotten.push(open);
                    self.open[client] = None;
                } else {
                    self.take_effect(client, open);
                }
            }
            Some(open) => self.end(client, open),
        }
        if !self.forgotten.is_empty() && self.random.random_ratio(1, 50) {
            let open = self.forgotten.swap_remove(0);
            // Some operations never have any effect.
            if self.random.random() {
                self.history[open.place].what = self.answer(open.request, None);
                if forget_answer(&mut self.history[open.place].what) {
                    self.found.push(open.place);
                }
            }
        }
    }

    /// Every effect has happened before now.
    fn resolve(&mut self) {
        let now = self.now();
        for place in std::mem::take(&mut self.found) {
            self.history[place].end = Some(now);
        }
    }

    fn begin(&mut self, client: usize) {
        let job = match self.random.random_range(0..3) {
            0 => 0,
            _ => self.known[self.random.random_range(0..self.known.len())],
        };
        let request = match self.random.random_range(0..10) {
            0..3 => {
                self.created += 1;
                Request::Create { job: self.created - 1, parent: job }
            }
            3..6 => {
                let state = REPORTED[self.random.random_range(0..REPORTED.len())];
                Request::Update { job, state }
            }
            kind => Request::Look { job, state_only: kind == 6 },
        };
        let what = match request {
            Request::Create { job, parent } => What::Create { job: id(job), parent: id(parent) },
            Request::Update { job, state } => {
                What::Update { job: id(job), state, number: None, visible: None }
            }
            Request::Look { .. } => What::Look(Vec::new()),
        };
        let begin = self.now();
        self.open[client] = Some(Open { place: self.history.len(), request, had_effect: false });
        self.history.push(Operation::in_doubt(client, begin, what));
    }

    fn take_effect(&mut self, client: usize, mut open: Open) {
        self.history[open.place].what = self.answer(open.request, Some(client));
        open.had_effect = true;
        self.open[client] = Some(open);
        self.past.push(self.tree.numbers(0).unwrap());
    }

    fn end(&mut self, client: usize, open: Open) {
        self.history[open.place].end = Some(self.now());
        self.open[client] = None;
        if let Request::Create { job, .. } = open.request {
            self.known.push(job);
        }
    }

    /// The effect of the request, and its answer.
    fn answer(&mut self, request: Request, client: Option<usize>) -> What {
        let fault = self.fault.filter(|_| self.history.len() > self.plan.operations / 2);
        match request {
            Request::Create { job, parent } => {
                self.tree.apply(&What::Create { job, parent });
                What::Create { job: id(job), parent: id(parent) }
            }
            Request::Update { job, state } => self.update(job, state, fault),
            Request::Look { job, state_only: true } => {
                let state = self.tree.numbers(job).unwrap().state;
                What::Look(vec![(id(job), Sight::State(state))])
            }
            Request::Look { job, .. } => {
                let mut numbers = self.tree.numbers(job).unwrap();
                if let (0, Some(client)) = (job, client) {
                    numbers = self.old(client, fault).unwrap_or(numbers);
                    self.seen[client] = Some(numbers);
                }
                What::Look(vec![(id(job), Sight::Whole(numbers))])
            }
        }
    }

    fn update(&mut self, job: usize, state: State, fault: Option<Fault>) -> What {
        let change = What::Update { job, state, number: None, visible: None };
        let before = self.tree.numbers(job).unwrap();
        if self.tree.judge(&change) != Judgement::Fits {
            return What::Refused { job: id(job), visible: before.state };
        }
        let mark = self.tree.mark();
        self.tree.apply(&change);
        let visible = Some(self.tree.numbers(job).unwrap().state);
        let mut number = Some(before.changes);
        match fault {
            Some(Fault::LostUpdate) => {
                self.tree.go_back(mark);
                (number, self.fault) = (None, None);
            }
            Some(Fault::DoubledUpdate) if self.tree.judge(&change) == Judgement::Fits => {
                self.tree.apply(&change);
                self.fault = None;
            }
            _ => {}
        }
        What::Update { job: id(job), state, number, visible }
    }

    /// What a faulty service answers about the root.
    fn old(&mut self, client: usize, fault: Option<Fault>) -> Option<Numbers> {
        let old = match fault? {
            Fault::StaleRead => self.past.get(self.past.len() / 2).copied(),
            Fault::ReadBackwards => {
                let seen = self.seen[client]?;
                let is_before = |numbers: &&Numbers| numbers.subtree[0] < seen.subtree[0];
                self.past.iter().rev().find(is_before).copied()
            }
            Fault::LostUpdate | Fault::DoubledUpdate => None,
        };
        self.fault = self.fault.filter(|_| old.is_none());
        old
    }

    fn finish(&mut self) {
        for client in 0..self.plan.clients {
            if let Some(open) = self.open[client].take() {
                if !open.had_effect {
                    self.take_effect(client, open);
                }
                self.end(client, open);
            }
        }
        if self.plan.resolved {
            self.resolve();
            self.history.retain(|operation| operation.end.is_some());
        }
        assert_eq!(self.fault, None, "the plan has no room for its fault");
        for job in 0..self.created {
            let sight = self.tree.numbers(job).map_or(Sight::Absent, Sight::Whole);
            let span = [self.now(), self.now()];
            let look = What::Look(vec![(id(job), sight)]);
            self.history.push(Operation::answered(0, span, look));
        }
    }
}

/// Keeps what is still known of an operation whose answer was lost: its position among the changes,
/// if the service has it.
fn forget_answer(what: &mut What) -> bool {
    match what {
        What::Update { visible, .. } => *visible = None,
        // No client got this answer.
        What::Refused { .. } | What::Look(_) => *what = What::Look(Vec::new()),
        What::Create { .. } => {}
    }
    !what.is_still()
}
