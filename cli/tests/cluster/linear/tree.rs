use jobtracker_client::{JobId, State};

use super::history::{Numbers, Sight, What};

/// A job of the sequential model: what it reported, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Job {
    parent: Option<usize>,
    last: State,
    ever_faulted: bool,
    numbers: Numbers,
}

/// The sequential model: one tree, as `SEMANTICS` sections 3 to 5 describe it, with updates to
/// finished jobs blocked. It is independent of the project's roll-up. Jobs are named by their
/// indices in a list that is given at the start; every step can be taken back.
pub struct Tree {
    jobs: Vec<Option<Job>>,
    before: Vec<(usize, Option<Job>)>,
    hash: u64,
}

/// What an operation would do to the present tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It could happen now.
    Fits,
    /// It could not happen now, but perhaps after others.
    Waits,
    /// It can happen neither now nor later: the state that it reports has passed.
    Passed,
}

impl From<bool> for Judgement {
    fn from(fits: bool) -> Self {
        if fits { Self::Fits } else { Self::Waits }
    }
}

fn is_finished(state: State) -> bool {
    matches!(state, State::RanToCompletion | State::Faulted)
}

/// The index of a state among the counts of children.
fn category(state: State) -> usize {
    match state {
        State::RanToCompletion => 1,
        State::Faulted => 2,
        _ => 0,
    }
}

/// The index of a state among the counts of descendants.
fn kind(state: State) -> usize {
    match state {
        State::Running | State::Warning => 2,
        State::WaitingForChildrenToComplete => 3,
        State::RanToCompletion => 4,
        State::Faulted => 5,
        State::WaitingToRun | State::WaitingForActivation => 1,
    }
}

impl Job {
    fn visible(&self) -> State {
        let [pending, _, failed] = self.numbers.children;
        match self.last {
            State::WaitingToRun | State::Running | State::Warning => self.last,
            _ if pending > 0 => State::WaitingForChildrenToComplete,
            _ if failed > 0 || self.ever_faulted => State::Faulted,
            _ => State::RanToCompletion,
        }
    }

    fn report(&mut self, state: State) {
        self.last = state;
        self.ever_faulted |= state == State::Faulted;
        self.numbers.changes += 1;
    }
}

impl Tree {
    /// A tree with only its root, and with room for this many jobs.
    pub fn new(root: usize, jobs: usize) -> Self {
        let mut tree = Self { jobs: vec![None; jobs], before: Vec::new(), hash: 0 };
        tree.put(root, new_job(None));
        tree.forget();
        tree
    }

    /// A hash of the part of the tree that determines its future: all numbers follow from it.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn numbers(&self, job: usize) -> Option<Numbers> {
        self.jobs[job].map(|job| job.numbers)
    }

    /// Whether this could be the next operation.
    pub fn judge(&self, what: &What<usize>) -> Judgement {
        match *what {
            What::Create { job, parent } => match self.jobs[job] {
                Some(_) => Judgement::Passed,
                None => self.jobs[parent].is_some().into(),
            },
            What::Update { job, state, number, visible } => {
                self.judge_update(job, state, number, visible)
            }
            What::Refused { job, visible } => {
                let seen = self.jobs[job].map(|job| job.numbers.state);
                (is_finished(visible) && seen == Some(visible)).into()
            }
            What::Look(ref seen) => {
                let mut all = Judgement::Fits;
                for (job, sight) in seen {
                    match self.judge_sight(*job, sight) {
                        Judgement::Passed => return Judgement::Passed,
                        Judgement::Waits => all = Judgement::Waits,
                        Judgement::Fits => {}
                    }
                }
                all
            }
        }
    }

    fn judge_update(
        &self,
        job: usize,
        state: State,
        number: Option<u64>,
        visible: Option<State>,
    ) -> Judgement {
        let Some(mut job) = self.jobs[job] else { return Judgement::Waits };
        if number.is_some_and(|number| job.numbers.changes > number) {
            return Judgement::Passed;
        }
        let accepted = !is_finished(job.numbers.state)
            && number.is_none_or(|number| job.numbers.changes == number);
        job.report(state);
        (accepted && visible.is_none_or(|visible| job.visible() == visible)).into()
    }

    /// Whether a job looks like this. Own changes and descendants never become fewer.
    fn judge_sight(&self, job: usize, sight: &Sight) -> Judgement {
        match (self.numbers(job), sight) {
            (None, Sight::Absent) => Judgement::Fits,
            (None, _) => Judgement::Waits,
            (Some(_), Sight::Absent) => Judgement::Passed,
            (Some(numbers), Sight::State(state)) => (numbers.state == *state).into(),
            (Some(numbers), Sight::Whole(seen)) => {
                let is_past =
                    numbers.changes > seen.changes || numbers.subtree[0] > seen.subtree[0];
                if is_past { Judgement::Passed } else { (numbers == *seen).into() }
            }
        }
    }

    /// Applies an operation that fits.
    pub fn apply(&mut self, what: &What<usize>) {
        match *what {
            What::Create { job, parent } => {
                self.put(job, new_job(Some(parent)));
                self.count(parent, None, State::WaitingToRun);
            }
            What::Update { job, state, .. } => {
                let mut changed = self.jobs[job].expect("the update was judged");
                changed.report(state);
                self.put(job, changed);
                self.settle(job);
            }
            What::Refused { .. } | What::Look(_) => {}
        }
    }

    /// A mark for [`go_back`](Self::go_back).
    pub fn mark(&self) -> usize {
        self.before.len()
    }

    /// Takes back all steps since a mark.
    pub fn go_back(&mut self, mark: usize) {
        while self.before.len() > mark {
            let (place, job) = self.before.pop().expect("it is longer than the mark");
            self.hash ^= essence(place, self.jobs[place]) ^ essence(place, job);
            self.jobs[place] = job;
        }
    }

    /// Makes all steps until now final.
    pub fn forget(&mut self) {
        self.before.clear();
    }

    fn put(&mut self, place: usize, job: Job) {
        let job = Some(job);
        self.before.push((place, self.jobs[place]));
        self.hash ^= essence(place, self.jobs[place]) ^ essence(place, job);
        self.jobs[place] = job;
    }

    /// Gives a job the visible state that it should have, and updates its ancestors.
    fn settle(&mut self, place: usize) {
        let mut job = self.jobs[place].expect("it is there");
        let (before, after) = (job.numbers.state, job.visible());
        if before == after {
            return;
        }
        job.numbers.state = after;
        self.put(place, job);
        if let Some(parent) = job.parent {
            self.count(parent, Some(before), after);
        }
    }

    /// A child of `parent` has changed its visible state, or is new.
    fn count(&mut self, parent: usize, before: Option<State>, after: State) {
        let mut above = Some(parent);
        while let Some(place) = above {
            let mut job = self.jobs[place].expect("a parent is there before its child");
            match before {
                Some(before) => job.numbers.subtree[kind(before)] -= 1,
                None => job.numbers.subtree[0] += 1,
            }
            job.numbers.subtree[kind(after)] += 1;
            if place == parent {
                if let Some(before) = before {
                    job.numbers.children[category(before)] -= 1;
                }
                job.numbers.children[category(after)] += 1;
            }
            self.put(place, job);
            above = job.parent;
        }
        self.settle(parent);
    }
}

fn new_job(parent: Option<usize>) -> Job {
    let state = State::WaitingToRun;
    let numbers = Numbers { state, children: [0; 3], subtree: [0; 6], changes: 1 };
    Job { parent, last: state, ever_faulted: false, numbers }
}

/// A hash of what a job reported; parents never change.
fn essence(place: usize, job: Option<Job>) -> u64 {
    let Some(job) = job else { return 0 };
    let own = job.numbers.changes << 8 | u64::from(job.ever_faulted) << 4 | job.last as u64;
    mix(mix(place as u64 + 1) ^ own)
}

/// The finalizer of SplitMix64: every bit of the answer depends on every bit of the number.
pub fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The jobs that a history names, each with its index.
#[derive(Default)]
pub struct Places(std::collections::HashMap<JobId, usize>);

impl Places {
    pub fn of(&mut self, job: JobId) -> usize {
        let next = self.0.len();
        *self.0.entry(job).or_insert(next)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}
