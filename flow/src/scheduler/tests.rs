//! Every order in which runners can call the scheduler, on small graphs: its methods hold its lock
//! from begin to end, so nothing else can happen between threads.

use tokio::sync::oneshot;

use super::{Ready, Scheduler};

/// A step of a small graph: what depends on it, whether its body waits, how often it fails first.
struct Step {
    dependants: &'static [u32],
    open: usize,
    waits: bool,
    fails: u32,
}

/// Where a runner is between two calls.
enum At {
    Take,
    Body(u32),
    Ended(u32),
    /// Has said what is ready; gives its permit back.
    Released,
    Again(u32),
    Turn(u32, oneshot::Receiver<()>),
}

struct Runner {
    at: At,
    has_place: bool,
}

struct World<'a> {
    scheduler: Scheduler,
    steps: &'a [Step],
    limit: Option<usize>,
    open: Vec<usize>,
    fails: Vec<u32>,
    runs: Vec<u32>,
    /// Bodies that have a permit.
    bodies: usize,
    runners: Vec<Runner>,
}

impl World<'_> {
    fn spawn(&mut self, runners: usize) {
        let new = || Runner { at: At::Take, has_place: true };
        self.runners.extend(std::iter::repeat_with(new).take(runners));
    }

    fn begin(&mut self, step: u32) -> At {
        self.bodies += 1;
        assert!(self.limit.is_none_or(|limit| self.bodies <= limit), "too many bodies");
        At::Body(step)
    }

    /// One call of one runner. The runner is gone when it has ended.
    fn call(&mut self, number: usize) {
        let mut runner = self.runners.swap_remove(number);
        runner.at = match runner.at {
            At::Take => match self.scheduler.take() {
                Some(step) => self.begin(step),
                None => return,
            },
            At::Body(step) => {
                if runner.has_place && (self.steps[step as usize].waits || self.fails(step)) {
                    runner.has_place = false;
                    let more = self.scheduler.wait();
                    self.spawn(more);
                }
                self.end(step, &mut runner)
            }
            At::Again(step) => {
                let (turn, more) = self.scheduler.again(step);
                self.spawn(more);
                match turn {
                    None => self.begin(step),
                    Some(turn) => At::Turn(step, turn),
                }
            }
            At::Turn(step, mut turn) => match turn.try_recv() {
                Ok(()) => self.begin(step),
                Err(_) => At::Turn(step, turn),
            },
            At::Ended(step) => {
                let steps = self.steps;
                let ready = steps[step as usize].dependants.iter().copied().filter(|dependant| {
                    self.open[*dependant as usize] -= 1;
                    self.open[*dependant as usize] == 0
                });
                let ready: Ready = ready.collect();
                let more = self.scheduler.push(ready, runner.has_place);
                self.spawn(more);
                At::Released
            }
            At::Released => {
                self.release();
                match runner.has_place {
                    true => At::Take,
                    false => return,
                }
            }
        };
        self.runners.push(runner);
    }

    fn fails(&self, step: u32) -> bool {
        self.fails[step as usize] > 0
    }

    fn end(&mut self, step: u32, runner: &mut Runner) -> At {
        if self.fails(step) {
            self.fails[step as usize] -= 1;
            self.release();
            return At::Again(step);
        }
        self.runs[step as usize] += 1;
        runner.has_place = runner.has_place || self.scheduler.rejoin();
        At::Ended(step)
    }

    fn release(&mut self) {
        self.bodies -= 1;
        if self.limit.is_some() {
            let more = self.scheduler.release();
            self.spawn(more);
        }
    }

    /// Runners whose next call does something.
    fn able(&self) -> Vec<usize> {
        let is_able = |runner: &Runner| match &runner.at {
            At::Turn(_, turn) => !turn.is_empty(),
            _ => true,
        };
        let able = self.runners.iter().enumerate().filter(|(_, runner)| is_able(runner));
        able.map(|(number, _)| number).collect()
    }
}

/// Goes through all orders, by the numbers of what was chosen at each turn. Answers how many.
fn all_orders(steps: &[Step], places: usize, limit: Option<usize>) -> usize {
    let (mut path, mut orders) = (Vec::<(usize, usize)>::new(), 0);
    loop {
        let mut world = World {
            scheduler: Scheduler::new(places, limit),
            steps,
            limit,
            open: steps.iter().map(|step| step.open).collect(),
            fails: steps.iter().map(|step| step.fails).collect(),
            runs: vec![0; steps.len()],
            bodies: 0,
            runners: Vec::new(),
        };
        let ready = steps.iter().zip(0..).filter(|(step, _)| step.open == 0);
        let ready: Ready = ready.map(|(_, number)| number).collect();
        let more = world.scheduler.push(ready, false);
        world.spawn(more);
        let mut turn = 0;
        loop {
            let able = world.able();
            if able.is_empty() {
                break;
            }
            if turn == path.len() {
                path.push((0, able.len()));
            }
            world.call(able[path[turn].0]);
            turn += 1;
        }
        assert!(world.runs.iter().all(|runs| *runs == 1), "{:?} by {path:?}", world.runs);
        assert!(world.runners.is_empty() && world.bodies == 0, "{path:?}");
        let queue = world.scheduler.queue.lock();
        assert!((queue.taken, queue.bodies) == (0, 0) && queue.ready.is_empty(), "{path:?}");
        orders += 1;
        while path.last().is_some_and(|(chosen, of)| chosen + 1 == *of) {
            path.pop();
        }
        match path.last_mut() {
            Some((chosen, _)) => *chosen += 1,
            None => return orders,
        }
    }
}

const fn step(dependants: &'static [u32], open: usize, waits: bool, fails: u32) -> Step {
    Step { dependants, open, waits, fails }
}

#[test]
fn no_order_of_calls_loses_a_step_or_a_place() {
    let graphs: [&[Step]; 4] = [
        &[step(&[1], 0, true, 0), step(&[2], 1, false, 0), step(&[], 1, true, 0)],
        &[step(&[], 0, true, 0), step(&[], 0, false, 0), step(&[], 0, true, 0)],
        &[step(&[1, 2], 0, false, 0), step(&[], 1, true, 0), step(&[], 1, false, 0)],
        &[step(&[2], 0, true, 0), step(&[2], 0, false, 0), step(&[], 2, true, 0)],
    ];
    let mut orders = 0;
    for steps in graphs {
        for places in [1, 2] {
            for limit in [None, Some(1), Some(2)] {
                orders += all_orders(steps, places, limit);
            }
        }
    }
    assert!(orders > 1_000, "{orders} orders are not all");
}

#[test]
fn no_order_of_calls_loses_an_attempt() {
    for steps in [
        [step(&[], 0, false, 1), step(&[], 0, true, 0)],
        [step(&[1], 0, true, 1), step(&[], 1, false, 1)],
        [step(&[], 0, true, 1), step(&[], 0, true, 1)],
    ] {
        for places in [1, 2] {
            for limit in [Some(1), Some(2)] {
                all_orders(&steps, places, limit);
            }
        }
    }
}
