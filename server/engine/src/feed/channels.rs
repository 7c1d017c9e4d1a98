use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use jobtracker_model::{JobId, State};
use jobtracker_store::{Row, TreeCommit, Version};
use parking_lot::Mutex;
use tokio::sync::broadcast::{Receiver, Sender};

use super::{Committed, FeedEvent, MoveReason, Scope};
use crate::{Error, Result};

/// Listeners at once; past it one more is refused as overload.
const LISTENERS: usize = 50_000;
/// Events that are kept for the slowest listener to a tree, to a job, and to all trees.
const TREE_EVENTS: usize = 64;
const JOB_EVENTS: usize = 8;
const ALL_EVENTS: usize = 1_024;
/// A commit with more bytes of rows, about, is told as a move, so what a slow listener holds back
/// is 64 MiB at most: of one tree, or of all trees, where there are such listeners.
const TREE_COMMIT_BYTES: usize = 1024 * 1024;
const ALL_COMMIT_BYTES: usize = 64 * 1024;

/// Where the listeners are told.
#[derive(Debug)]
pub(super) struct Channels {
    listeners: AtomicUsize,
    /// None once they are closed.
    open: Mutex<Option<Open>>,
}

#[derive(Debug, Default)]
pub(super) struct Open {
    /// Whether other servers commit to the same trees.
    is_shared: bool,
    all: Option<Channel>,
    trees: HashMap<JobId, TreeChannels>,
    /// The number of commits that were copied for listeners.
    captures: u64,
}

/// The channels of one tree.
#[derive(Debug, Default)]
struct TreeChannels {
    /// The version up to which the listeners were told.
    told: Option<Version>,
    tree: Option<Channel>,
    jobs: HashMap<JobId, Channel>,
    /// The youngest channel's `since`.
    newest: u64,
}

#[derive(Debug)]
struct Channel {
    sender: Sender<FeedEvent>,
    listeners: usize,
    /// The number of captures before it was opened: a capture up to this number does not have what
    /// is to be told here.
    since: u64,
}

/// A copy of those parts of a commit under way for which there are listeners.
#[derive(Debug)]
pub(crate) struct Capture {
    number: u64,
    whole: Option<FeedEvent>,
    jobs: HashMap<JobId, FeedEvent>,
    /// What listeners to other jobs are told.
    others: Option<FeedEvent>,
}

impl Channel {
    fn open(events: usize, since: u64) -> Self {
        Self { sender: Sender::new(events), listeners: 0, since }
    }

    fn send(&self, event: &FeedEvent) {
        // It fails when all listeners are being dropped.
        let _ = self.sender.send(event.clone());
    }

    /// Takes a listener off; answers whether it was the last one.
    fn leave(&mut self) -> bool {
        self.listeners -= 1;
        self.listeners == 0
    }
}

impl TreeChannels {
    fn all(&self) -> impl Iterator<Item = &Channel> {
        self.tree.iter().chain(self.jobs.values())
    }
}

impl Channels {
    pub fn new(is_shared: bool) -> Self {
        let open = Open { is_shared, ..Open::default() };
        Self { listeners: AtomicUsize::new(0), open: Mutex::new(Some(open)) }
    }

    pub fn join(&self, scope: Scope) -> Result<Receiver<FeedEvent>> {
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or(Error::ShuttingDown)?;
        if self.listeners.load(Ordering::SeqCst) >= LISTENERS {
            return Err(Error::overloaded());
        }
        self.listeners.fetch_add(1, Ordering::SeqCst);
        Ok(open.join(scope))
    }

    pub fn leave(&self, scope: Scope) {
        self.listeners.fetch_sub(1, Ordering::SeqCst);
        self.open(|open| open.leave(scope));
    }

    pub fn has_listeners(&self) -> bool {
        self.listeners.load(Ordering::SeqCst) > 0
    }

    /// Does something with the channels; `None` once they are closed.
    pub fn open<T>(&self, work: impl FnOnce(&mut Open) -> T) -> Option<T> {
        self.open.lock().as_mut().map(work)
    }

    /// Ends all listening.
    pub fn close(&self) {
        self.open.lock().take();
    }
}

impl Open {
    fn join(&mut self, scope: Scope) -> Receiver<FeedEvent> {
        let since = self.captures;
        let channel = match scope {
            Scope::All => self.all.get_or_insert_with(|| Channel::open(ALL_EVENTS, since)),
            Scope::Tree(root) => {
                let tree = self.trees.entry(root).or_default();
                tree.newest = since;
                tree.tree.get_or_insert_with(|| Channel::open(TREE_EVENTS, since))
            }
            Scope::Job { root, id } => {
                let tree = self.trees.entry(root).or_default();
                tree.newest = since;
                tree.jobs.entry(id).or_insert_with(|| Channel::open(JOB_EVENTS, since))
            }
        };
        channel.listeners += 1;
        channel.sender.subscribe()
    }

    fn leave(&mut self, scope: Scope) {
        let root = match scope {
            Scope::All => {
                self.all.take_if(Channel::leave);
                return;
            }
            Scope::Tree(root) | Scope::Job { root, .. } => root,
        };
        let Some(tree) = self.trees.get_mut(&root) else { return };
        match scope {
            Scope::Job { id, .. } if tree.jobs.get_mut(&id).is_some_and(Channel::leave) => {
                tree.jobs.remove(&id);
            }
            Scope::Job { .. } => {}
            _ => drop(tree.tree.take_if(Channel::leave)),
        }
        if tree.tree.is_none() && tree.jobs.is_empty() {
            self.trees.remove(&root);
        }
    }

    /// The trees that have listeners, each with the version up to which they were told.
    pub fn trees(&self) -> Vec<(JobId, Option<Version>)> {
        self.trees.iter().map(|(root, tree)| (*root, tree.told)).collect()
    }

    /// Copies what there are listeners for. `states` are those that the tree's jobs go through.
    pub fn capture(&mut self, commit: &TreeCommit, states: Vec<(JobId, State)>) -> Option<Capture> {
        let tree = self.trees.get(&commit.root);
        let is_whole = self.all.is_some() || tree.is_some_and(|tree| tree.tree.is_some());
        if tree.is_none() && !is_whole {
            return None;
        }
        self.captures += 1;
        let deleted = commit.tombstone().map(|_| MoveReason::Deleted);
        let of_all = deleted.or(commit.publishes.map(|_| MoveReason::Upload));
        let of_all = of_all.map(|reason| moved(commit, reason));
        let mut jobs: BTreeMap<JobId, Vec<(u32, &Row)>> = BTreeMap::new();
        for (row, id) in (0..).zip(&commit.rows).filter_map(|row| Some((row, row.1.job()?))) {
            if of_all.is_none() && tree.is_some_and(|tree| tree.jobs.contains_key(&id)) {
                jobs.entry(id).or_default().push(row);
            }
        }
        let of_job = |(id, rows): (JobId, Vec<(u32, &Row)>)| {
            let states = states.iter().filter(|(of, _)| *of == id).copied().collect();
            (id, told(commit, rows.into_iter(), states, TREE_COMMIT_BYTES))
        };
        let jobs = jobs.into_iter().map(of_job).collect();
        let limit = if self.all.is_some() { ALL_COMMIT_BYTES } else { TREE_COMMIT_BYTES };
        let whole = is_whole.then(|| {
            let rows = || told(commit, (0..).zip(&commit.rows), states, limit);
            of_all.clone().unwrap_or_else(rows)
        });
        Some(Capture { number: self.captures, whole, jobs, others: of_all })
    }

    /// Tells that a commit which followed this version is durable, unless that was told already.
    pub fn tell(&mut self, root: JobId, from: Version, capture: Option<&Capture>) {
        let to = from + 1;
        let began = FeedEvent::Moved { root, from, to, reason: MoveReason::Began };
        let told = self.trees.get(&root).map(|tree| tree.told);
        if let Some(told) = told {
            // Where other servers commit, it is not known what came before the first commit.
            let known = told.unwrap_or(if self.is_shared { 0 } else { from });
            if known >= to {
                return;
            }
            self.moved(root, known, from);
        }
        let number = capture.map_or(0, |capture| capture.number);
        let knows = |channel: &Channel| channel.since < number;
        let whole = capture.and_then(|capture| capture.whole.as_ref());
        let tell = |channel: &Channel, event: Option<&FeedEvent>| {
            channel.send(event.filter(|_| knows(channel)).unwrap_or(&began));
        };
        if let Some(all) = &self.all {
            tell(all, whole);
        }
        let Some(tree) = self.trees.get_mut(&root) else { return };
        tree.told = Some(to);
        if let Some(channel) = &tree.tree {
            tell(channel, whole);
        }
        if let Some(others) = capture.and_then(|capture| capture.others.as_ref()) {
            tree.jobs.values().filter(|channel| knows(channel)).for_each(|it| it.send(others));
        }
        for (id, event) in capture.iter().flat_map(|capture| &capture.jobs) {
            if let Some(channel) = tree.jobs.get(id).filter(|channel| knows(channel)) {
                channel.send(event);
            }
        }
        if tree.newest >= number {
            tree.jobs.values().filter(|channel| !knows(channel)).for_each(|it| it.send(&began));
        }
    }

    /// Tells that a tree is not there any more.
    pub fn deleted(&mut self, root: JobId) {
        let Some(tree) = self.trees.get_mut(&root) else { return };
        let from = tree.told.replace(0).unwrap_or(0);
        let event = FeedEvent::Moved { root, from, to: from + 1, reason: MoveReason::Deleted };
        tree.all().chain(&self.all).for_each(|channel| channel.send(&event));
    }

    /// Tells that other servers have brought a tree to this version.
    pub fn moved_to(&mut self, root: JobId, to: Version) {
        let Some(tree) = self.trees.get_mut(&root) else { return };
        let from = tree.told.unwrap_or(0);
        tree.told = Some(from.max(to));
        self.moved(root, from, to);
    }

    fn moved(&self, root: JobId, from: Version, to: Version) {
        if from >= to {
            return;
        }
        let event = FeedEvent::Moved { root, from, to, reason: MoveReason::OtherServer };
        let of_tree = self.trees.get(&root).into_iter().flat_map(TreeChannels::all);
        of_tree.chain(&self.all).for_each(|channel| channel.send(&event));
    }
}

fn moved(commit: &TreeCommit, reason: MoveReason) -> FeedEvent {
    let (root, from) = (commit.root, commit.expected);
    FeedEvent::Moved { root, from, to: from + 1, reason }
}

/// The event of these rows of a commit.
fn told<'a>(
    commit: &TreeCommit,
    rows: impl Iterator<Item = (u32, &'a Row)> + Clone,
    states: Vec<(JobId, State)>,
    limit: usize,
) -> FeedEvent {
    if rows.clone().map(|(_, row)| row.bytes()).sum::<usize>() > limit {
        return moved(commit, MoveReason::Large);
    }
    let rows = rows.map(|(index, row)| (index, row.clone())).collect();
    let (root, version) = (commit.root, commit.expected + 1);
    FeedEvent::Committed(Arc::new(Committed { root, version, rows, states }))
}

#[cfg(test)]
mod tests {
    use jobtracker_model::Definition;

    use super::*;

    const ROOT: JobId = JobId::MIN;

    fn commit(expected: Version, options: usize) -> TreeCommit {
        let definition = Definition { options: Some("x".repeat(options)), ..Definition::default() };
        let definition = Arc::new(definition);
        let rows = vec![Row::Definition { id: ROOT, parent: None, definition }];
        TreeCommit { root: ROOT, expected, rows, publishes: None }
    }

    /// What the last event told, if there is one.
    fn next(listener: &mut Receiver<FeedEvent>) -> Option<(Version, bool)> {
        let event = listener.try_recv().ok()?;
        let (_, _, to) = event.span()?;
        Some((to, matches!(event, FeedEvent::Committed(_))))
    }

    fn tell(open: &mut Open, commit: &TreeCommit) {
        let capture = open.capture(commit, Vec::new());
        open.tell(ROOT, commit.expected, capture.as_ref());
    }

    #[test]
    fn a_commit_with_long_options_is_told_as_a_move() {
        for (scope, limit) in
            [(Scope::All, ALL_COMMIT_BYTES), (Scope::Tree(ROOT), TREE_COMMIT_BYTES)]
        {
            let mut open = Open::default();
            let mut listener = open.join(scope);
            tell(&mut open, &commit(0, limit / 2));
            tell(&mut open, &commit(1, limit));
            assert_eq!(next(&mut listener), Some((1, true)));
            assert_eq!(next(&mut listener), Some((2, false)));
            assert_eq!(next(&mut listener), None);
        }
    }

    /// On a shared store a look at the head may find a commit of this server first.
    #[test]
    fn what_was_told_is_not_told_again() {
        let mut open = Open { is_shared: true, ..Open::default() };
        let (mut all, mut tree) = (open.join(Scope::All), open.join(Scope::Tree(ROOT)));
        open.moved_to(ROOT, 5);
        tell(&mut open, &commit(4, 1));
        tell(&mut open, &commit(5, 1));
        for listener in [&mut all, &mut tree] {
            assert_eq!(next(listener), Some((5, false)));
            assert_eq!(next(listener), Some((6, true)));
            assert_eq!(next(listener), None);
        }
    }
}
