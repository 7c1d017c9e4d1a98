use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
};

use jobtracker_client::JobId;

use super::{
    history::{Operation, What},
    line::Line,
    tree::{Judgement, Places, Tree, mix},
};

/// The size of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    pub operations: usize,
    /// Configurations that were searched.
    pub configurations: usize,
}

#[derive(Debug)]
pub enum Failure {
    /// No order gives these answers.
    NotLinearizable(String),
    /// There are more configurations than can be searched.
    TooHard(Report),
}

/// Configurations that are searched before the search is given up: a minute or two.
const MOST_CONFIGURATIONS: usize = 20_000_000;
/// Stands for the end of an operation that has none.
const NEVER: u64 = u64::MAX;

/// An operation; steps are in the order in which the operations began.
struct Step {
    begin: u64,
    end: u64,
    after: Option<usize>,
    /// On the indices of its jobs in the tree.
    what: What<usize>,
    /// Whether it creates a job that no other operation names which began before it has ended.
    is_unnamed: bool,
}

/// A configuration with several next steps, and those that have been tried.
struct Fork {
    ways: Vec<usize>,
    tried: usize,
    /// How many operations had taken effect, and the mark of the tree.
    order: usize,
    mark: usize,
}

struct Search {
    steps: Vec<Step>,
    tree: Tree,
    line: Line,
    /// The operations that have taken effect, in the order found.
    order: Vec<usize>,
    taken: Vec<bool>,
    /// The hash of the set of these.
    set: u64,
    /// How many operations with an end are left.
    due: usize,
    /// For each step, whether all steps before it have ended and led to one state.
    quiet: Vec<bool>,
    /// Whether a configuration was passed since the last check that every order comes through.
    was_quiet: bool,
    seen: HashSet<(u64, u64)>,
    configurations: usize,
    /// The furthest that any order came, and the open operations there.
    furthest: usize,
    stuck: Vec<usize>,
}

/// The next steps of a configuration.
enum Next {
    /// Every operation that has an end has taken effect.
    Nothing,
    /// One of these may be next.
    OneOf(Vec<usize>),
    /// It leads nowhere, or has been searched.
    DeadEnd,
}

/// Checks the history of a tree whose root existed before, as its creation leaves it.
///
/// # Errors
/// No order explains it, or the search was given up.
pub fn check(root: JobId, history: &[Operation]) -> Result<Report, Failure> {
    let mut by_begin: Vec<usize> = (0..history.len()).collect();
    by_begin.sort_by_key(|place| history[*place].begin);
    let mut search = Search::new(root, history, &by_begin);
    match search.run() {
        Some(true) => Ok(search.report()),
        Some(false) => Err(Failure::NotLinearizable(search.explain(history, &by_begin))),
        None => Err(Failure::TooHard(search.report())),
    }
}

impl Search {
    fn new(root: JobId, history: &[Operation], by_begin: &[usize]) -> Self {
        let mut places = Places::default();
        let root = places.of(root);
        let mut step_of = vec![0; history.len()];
        let mut first_named = HashMap::new();
        for (step, place) in by_begin.iter().enumerate() {
            step_of[*place] = step;
            let Operation { begin, what, .. } = &history[*place];
            what.named(|job| {
                first_named.entry(job).or_insert(*begin);
            });
        }
        let step = |place: &usize| {
            let operation = &history[*place];
            let end = operation.end.unwrap_or(NEVER);
            let is_unnamed = match operation.what {
                What::Create { job, .. } => first_named.get(&job).is_none_or(|named| *named > end),
                _ => false,
            };
            let after = operation.after.map(|before| step_of[before]);
            let what = operation.what.rename(|job| places.of(job));
            Step { begin: operation.begin, end, after, what, is_unnamed }
        };
        let steps: Vec<Step> = by_begin.iter().map(step).collect();
        let count = steps.len();
        Self {
            tree: Tree::new(root, places.len()),
            line: Line::new(count),
            order: Vec::new(),
            taken: vec![false; count],
            set: 0,
            due: steps.iter().filter(|step| step.end != NEVER).count(),
            quiet: quiet(&steps),
            was_quiet: false,
            steps,
            seen: HashSet::new(),
            configurations: 0,
            furthest: 0,
            stuck: Vec::new(),
        }
    }

    fn report(&self) -> Report {
        Report { operations: self.steps.len(), configurations: self.configurations }
    }

    /// Whether there is an order; `None` if the search was given up.
    fn run(&mut self) -> Option<bool> {
        let mut forks: Vec<Fork> = Vec::new();
        loop {
            let next = self.next();
            if std::mem::take(&mut self.was_quiet) {
                forks.clear();
                self.seen.clear();
                self.tree.forget();
            }
            match next {
                Next::Nothing => return Some(true),
                Next::OneOf(ways) => {
                    let (order, mark) = (self.order.len(), self.tree.mark());
                    forks.push(Fork { ways, tried: 0, order, mark });
                }
                Next::DeadEnd if self.configurations > MOST_CONFIGURATIONS => return None,
                Next::DeadEnd => {}
            }
            let way = loop {
                let Some(fork) = forks.last_mut() else { return Some(false) };
                self.go_back(fork);
                if let Some(way) = fork.ways.get(fork.tried) {
                    fork.tried += 1;
                    break *way;
                }
                forks.pop();
            };
            self.take(way);
        }
    }

    /// Applies every operation that changes nothing, and finds which others may be next.
    fn next(&mut self) -> Next {
        let mut ways;
        loop {
            let mut any = false;
            let mut bound = NEVER;
            let mut at = self.line.first();
            ways = Vec::new();
            while let Some(place) = at.filter(|place| self.steps[*place].begin < bound) {
                at = self.line.after(place);
                let step = &self.steps[place];
                bound = bound.min(step.end);
                match self.judge(step) {
                    Judgement::Fits if step.what.is_still() => {
                        self.take(place);
                        any = true;
                    }
                    Judgement::Fits => ways.push(place),
                    Judgement::Passed if step.end != NEVER => return self.dead_end(),
                    Judgement::Waits | Judgement::Passed => {}
                }
            }
            if !any {
                break;
            }
        }
        if self.due == 0 {
            return Next::Nothing;
        }
        self.configurations += 1;
        if ways.is_empty() || !self.seen.insert((self.set, self.tree.hash())) {
            return self.dead_end();
        }
        // The operation that has to end first is the best guess.
        ways.sort_by_key(|place| self.steps[*place].end);
        let mut parents = HashSet::new();
        ways.retain(|place| match self.steps[*place].what {
            What::Create { parent, .. } if self.steps[*place].is_unnamed => parents.insert(parent),
            _ => true,
        });
        Next::OneOf(ways)
    }

    fn judge(&self, step: &Step) -> Judgement {
        if step.after.is_some_and(|before| !self.taken[before]) {
            return Judgement::Waits;
        }
        self.tree.judge(&step.what)
    }

    fn take(&mut self, place: usize) {
        let step = &self.steps[place];
        self.tree.apply(&step.what);
        self.due -= usize::from(step.end != NEVER);
        self.line.take(place);
        self.order.push(place);
        self.taken[place] = true;
        self.set ^= mix(place as u64);
        let first = self.line.first();
        self.was_quiet |= first.is_some_and(|first| first == self.order.len() && self.quiet[first]);
    }

    /// Takes back the operations that have taken effect since a fork.
    fn go_back(&mut self, fork: &Fork) {
        self.tree.go_back(fork.mark);
        while self.order.len() > fork.order {
            let place = self.order.pop().expect("it is longer than that");
            self.due += usize::from(self.steps[place].end != NEVER);
            self.line.put_back(place);
            self.taken[place] = false;
            self.set ^= mix(place as u64);
        }
    }

    fn dead_end(&mut self) -> Next {
        if self.order.len() >= self.furthest {
            self.furthest = self.order.len();
            self.stuck.clear();
            let mut bound = NEVER;
            let mut at = self.line.first();
            while let Some(place) = at.filter(|place| self.steps[*place].begin < bound) {
                self.stuck.push(place);
                bound = bound.min(self.steps[place].end);
                at = self.line.after(place);
            }
        }
        Next::DeadEnd
    }

    /// Why there is no order, for people: the furthest that an order came.
    fn explain(&self, history: &[Operation], by_begin: &[usize]) -> String {
        let mut text = format!(
            "no order explains more than {} of {} operations; what was open then:",
            self.furthest,
            self.steps.len()
        );
        for step in &self.stuck {
            let Operation { client, begin, end, what, .. } = &history[by_begin[*step]];
            let _ = write!(text, "\n  client {client} from {begin} to {end:?}: {what:?}");
        }
        text
    }
}

/// For each step whether every operation that began before it has ended before it begins, and all
/// led to one state: the changes of each job have an order of their own.
fn quiet(steps: &[Step]) -> Vec<bool> {
    let mut last_end = 0;
    let mut one_state = true;
    let mut quiet = Vec::with_capacity(steps.len());
    for step in steps {
        quiet.push(one_state && last_end < step.begin);
        last_end = last_end.max(step.end);
        one_state &= !matches!(step.what, What::Update { number: None, .. });
    }
    quiet
}
