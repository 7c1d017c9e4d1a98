//! Tasks that may be claimed, as far as they are in memory: those that ask for the same of a worker
//! wait in one queue, so that no kind hides another.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
};

use jobtracker_model::{JobId, NewTask, OnNoWorker, Routing, Timestamp, WorkerFilter};
use jobtracker_store::TaskRow;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{counts::Counts, document::WorkerDocument};
use crate::follow_ups::Entry;

/// Tasks of one queue that are in memory; the others are read again once there is room.
const QUEUE: usize = 1_000;
/// Tasks in memory; past it each queue may have a few.
const TASKS: usize = 50_000;
const FEW: usize = 16;
/// Queues; tasks that ask for something else wait in the index until there are half as many.
const QUEUES: usize = 4_096;

/// A task that may be claimed. While it lives, it is not taken from the index again.
pub(super) struct Candidate {
    pub id: JobId,
    pub epoch: u32,
    /// When it has waited as long as it may.
    pub deadline: Option<Timestamp>,
    /// Whether it fails while there is no worker.
    pub is_urgent: bool,
    place: Place,
    /// If its rule chooses the worker.
    pub route: Option<Box<Route>>,
    missed: Option<Arc<Missed>>,
    _in_progress: Entry,
}

/// What a candidate has whose task has a rule.
pub(super) struct Route {
    pub task: NewTask,
    /// The same for tasks that go to the same worker.
    pub key: String,
    /// Workers that had their time to claim it.
    pub tried: HashSet<String>,
}

impl Route {
    /// `None` for a task that goes to the first that claims it.
    pub fn new(id: JobId, task: &NewTask) -> Option<Box<Self>> {
        if task.routing.is_any() {
            return None;
        }
        let key = task.routing.key(task.params.as_ref(), &id.to_string());
        // The key is all that the rules of the service need of these.
        let is_own = matches!(task.routing, Routing::Custom { .. });
        let params = task.params.clone().filter(|_| is_own);
        let task = NewTask { params, data: None, ..task.clone() };
        Some(Box::new(Self { task, key, tried: HashSet::new() }))
    }
}

/// Where the index has a task: the part, and the time.
pub(super) type Place = (u32, Timestamp);

/// The order of tasks: the oldest is the first.
pub(super) type Turn = (Timestamp, JobId);

/// Candidates that were dropped before it was known what has become of their tasks: by part of the
/// index, what has to be read again.
#[derive(Default)]
pub(super) struct Missed {
    times: Mutex<HashMap<u32, RangeInclusive<Timestamp>>>,
    pub noted: Notify,
}

impl Missed {
    /// From where to where a part has to be read again.
    pub fn take(&self, part: u32) -> Option<RangeInclusive<Timestamp>> {
        self.times.lock().remove(&part)
    }
}

impl Candidate {
    pub fn new(
        id: JobId,
        row: &TaskRow,
        place: Place,
        (missed, in_progress): (&Arc<Missed>, Entry),
    ) -> Self {
        let is_urgent = row.task.on_no_worker == OnNoWorker::Fail;
        let (epoch, deadline) = (row.epoch, row.start_deadline());
        let (route, missed) = (Route::new(id, &row.task), Some(Arc::clone(missed)));
        Self { id, epoch, deadline, is_urgent, place, route, missed, _in_progress: in_progress }
    }

    /// What it asks of its worker, if its rule chooses that.
    pub fn filter(&self) -> Option<&WorkerFilter> {
        self.route.as_ref().map(|route| &route.task.filter)
    }

    /// The task is claimed, or is over.
    pub fn settle(mut self) {
        self.missed = None;
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        let Some(missed) = &self.missed else { return };
        let (part, time) = self.place;
        let mut times = missed.times.lock();
        let known = times.entry(part).or_insert(time..=time);
        *known = time.min(*known.start())..=time.max(*known.end());
        missed.noted.notify_one();
    }
}

/// Tasks that ask for the same of a worker.
#[derive(Default)]
struct Queue {
    tasks: BTreeMap<Turn, Candidate>,
    /// By part of the index, the first task that did not fit in. What comes behind it waits there
    /// too, so that no newer task is claimed before it.
    left: HashMap<u32, Turn>,
    /// The parts that are being read to fill it up.
    filling: HashSet<u32>,
}

/// Whether there is room for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Yes,
    /// Its queue is full: it is read again once that has room.
    Left,
    /// There are too many queues.
    Crowded,
}

/// The tasks in memory, by handler and by what they ask for.
#[derive(Default)]
pub(super) struct Ready {
    handlers: HashMap<String, HashMap<WorkerFilter, Queue>>,
    queues: usize,
    tasks: usize,
}

impl Ready {
    pub fn is_empty(&self) -> bool {
        self.tasks == 0
    }

    /// Whether there is room for a task that was read in a part of the index.
    pub fn room(&mut self, part: u32, turn: Turn, row: &TaskRow) -> Room {
        let (handler, filter) = (&row.task.handler, &row.task.filter);
        let most = if self.tasks < TASKS { QUEUE } else { FEW };
        let known = self.handlers.get_mut(handler).and_then(|queues| queues.get_mut(filter));
        let Some(queue) = known else {
            return if self.queues < QUEUES { Room::Yes } else { Room::Crowded };
        };
        let is_behind = queue.left.get(&part).is_some_and(|left| *left <= turn);
        if is_behind || queue.tasks.len() >= most {
            let left = queue.left.entry(part).or_insert(turn);
            *left = turn.min(*left);
            queue.filling.remove(&part);
            return Room::Left;
        }
        Room::Yes
    }

    /// Adds a task for which there is room, or one that was taken out.
    pub fn add(&mut self, turn: Turn, task: &NewTask, candidate: Candidate) {
        let queues = self.handlers.entry(task.handler.clone()).or_default();
        let queue = queues.entry(task.filter.clone()).or_insert_with(|| {
            self.queues += 1;
            Queue::default()
        });
        self.tasks += usize::from(queue.tasks.insert(turn, candidate).is_none());
    }

    /// Takes tasks for a worker, the oldest first, and counts them.
    pub fn take(
        &mut self,
        id: &str,
        worker: &WorkerDocument,
        free: usize,
        counts: &mut Counts,
    ) -> Vec<Candidate> {
        let queues = self.handlers.iter_mut().flat_map(|(handler, queues)| {
            queues.iter_mut().map(move |(filter, queue)| (handler, filter, queue))
        });
        let fitting = queues.filter(|(handler, filter, _)| worker.may_run(id, handler, filter));
        let mut fitting: Vec<_> = fitting.map(|(_, filter, queue)| (filter, queue)).collect();
        let first = |(at, (_, queue)): (usize, &(&WorkerFilter, &mut Queue))| {
            queue.tasks.first_key_value().map(|(turn, _)| Reverse((*turn, at)))
        };
        let mut oldest: BinaryHeap<_> = fitting.iter().enumerate().filter_map(first).collect();
        let mut taken = Vec::new();
        while taken.len() < free
            && let Some(Reverse((_, at))) = oldest.pop()
        {
            let (filter, queue) = &mut fitting[at];
            // All tasks of a queue have the same key.
            if !counts.has_room(filter) {
                continue;
            }
            counts.add(filter);
            taken.extend(queue.tasks.pop_first().map(|(_, candidate)| candidate));
            oldest.extend(first((at, &fitting[at])));
        }
        self.tasks -= taken.len();
        self.forget_empty();
        taken
    }

    /// Takes out what is taken out of each queue.
    pub fn visit(
        &mut self,
        mut take: impl FnMut(&str, &WorkerFilter, &mut BTreeMap<Turn, Candidate>),
    ) {
        for (handler, queues) in &mut self.handlers {
            for (filter, Queue { tasks, .. }) in queues {
                let before = tasks.len();
                take(handler, filter, tasks);
                self.tasks -= before - tasks.len();
            }
        }
        self.forget_empty();
    }

    /// Takes out the tasks that are over, by this judgement, with the reasons.
    pub fn take_over<T>(
        &mut self,
        why: impl Fn(&str, &WorkerFilter, &Candidate) -> Option<T>,
    ) -> Vec<(Candidate, T)> {
        let mut over = Vec::new();
        for (handler, queues) in &mut self.handlers {
            for (filter, queue) in queues {
                let ended =
                    queue.tasks.extract_if(.., |_, task| why(handler, filter, task).is_some());
                let ended: Vec<_> = ended.collect();
                let told = |(_, task): (Turn, Candidate)| {
                    why(handler, filter, &task).map(|why| (task, why))
                };
                over.extend(ended.into_iter().filter_map(told));
            }
        }
        self.tasks -= over.len();
        self.forget_empty();
        over
    }

    /// Forgets tasks that no worker here may claim any more.
    pub fn retain(&mut self, mut fits: impl FnMut(&str, &WorkerFilter) -> bool) {
        let (mut queues_gone, mut tasks_gone) = (0, 0);
        for (handler, queues) in &mut self.handlers {
            let gone = queues.extract_if(|filter, _| !fits(handler, filter));
            for (_, queue) in gone {
                queues_gone += 1;
                tasks_gone += queue.tasks.len();
            }
        }
        self.queues -= queues_gone;
        self.tasks -= tasks_gone;
        self.handlers.retain(|_, queues| !queues.is_empty());
    }

    /// Whether another kind of tasks has room.
    pub fn has_room_for_kinds(&self) -> bool {
        self.queues < QUEUES / 2
    }

    /// Begins to fill up queues with room from a part of the index; answers from where on to read.
    pub fn fill(&mut self, part: u32) -> Option<Timestamp> {
        let most = if self.tasks < TASKS { QUEUE } else { FEW };
        let mut from = None;
        for queue in self.handlers.values_mut().flat_map(HashMap::values_mut) {
            if queue.tasks.len() <= most / 2
                && let Some((time, _)) = queue.left.remove(&part)
            {
                queue.filling.insert(part);
                from = from.into_iter().chain([time]).min();
            }
        }
        from
    }

    /// Whether a queue still has room for what a part of the index has.
    pub fn is_filling(&self, part: u32) -> bool {
        let mut queues = self.handlers.values().flat_map(HashMap::values);
        queues.any(|queue| queue.filling.contains(&part))
    }

    /// A part of the index has been read to its end.
    pub fn filled(&mut self, part: u32) {
        for queue in self.handlers.values_mut().flat_map(HashMap::values_mut) {
            queue.filling.remove(&part);
        }
        self.forget_empty();
    }

    fn forget_empty(&mut self) {
        let is_used = |queue: &Queue| {
            !(queue.tasks.is_empty() && queue.left.is_empty() && queue.filling.is_empty())
        };
        let queues = &mut self.queues;
        self.handlers.retain(|_, of_handler| {
            of_handler.retain(|_, queue| {
                let is_used = is_used(queue);
                *queues -= usize::from(!is_used);
                is_used
            });
            !of_handler.is_empty()
        });
    }
}
