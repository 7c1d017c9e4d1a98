use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    future::pending,
    mem::take,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use jobtracker_engine::{Error, Result};
use jobtracker_model::{
    FieldError, JobId, Problem,
    live::{EventKind, Gap, GapReason, Position, Subscribe, Topic},
};
use jobtracker_store::{Store, TreeCommit, Version, Wanted};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    events,
    frame::Told,
    hub::{Hub, Watching},
    pace::Pace,
    ring::{Counts, Entry, Filter, What},
    state::StateView,
    tree::{LiveTree, WindowView},
    window::{self, window_of},
};

/// Events that a subscription is told in a second on average.
const EVENTS_A_SECOND: u32 = 1_000;
/// Events that it may be told at once: all that are kept of a tree, to one who comes again.
const EVENTS_AT_ONCE: u32 = 10_000;
const SECOND: Duration = Duration::from_secs(1);
/// Events that are taken at a time.
const BATCH: usize = 64;

/// One subscription of a connection.
pub(super) enum Subscription {
    Tree(Box<TreeSubscription>),
    State(StateView),
}

/// A subscription to what happens in a tree.
pub(super) struct TreeSubscription {
    /// Dropped after the window, which is a part of it.
    rows: Option<Rows>,
    events: Option<Events>,
    tree: Watching,
}

/// Rows that it shows.
struct Rows {
    view: WindowView,
    /// The version of the snapshot of these rows that the client has.
    has: Option<Version>,
    /// The client has a snapshot of this version from another connection.
    since: Option<Version>,
    /// No snapshot of an earlier version is shown: the client has seen this one, of any rows.
    floor: Version,
    pace: Pace,
}

/// Events that it tells.
struct Events {
    filter: Filter,
    /// What is up to here was told.
    at: Position,
    /// What had come by then, if it was here.
    counts: Option<Counts>,
    /// Events behind `at` that the ring no longer has.
    old: VecDeque<Arc<Entry>>,
    /// The position behind those.
    old_to: Option<Position>,
    /// What is behind `at` is no longer in the ring, and was not yet searched in the store.
    is_lost: bool,
    /// The search in the store, as far as it has come.
    look_up: Option<BoxFuture<'static, Vec<TreeCommit>>>,
    heads: watch::Receiver<Position>,
    budget: Budget,
}

/// How many events may be told now.
struct Budget {
    left: u32,
    filled: Instant,
    /// It is used up, and not filled before this.
    waits: Option<Instant>,
    /// It was filled after it had been used up.
    is_refilled: bool,
}

impl Subscription {
    /// Shows other rows.
    pub fn show(&mut self, ids: Vec<JobId>) -> Result<()> {
        match self {
            Self::Tree(tree) => tree.show(ids),
            Self::State(_) => Err(no_window()),
        }
    }

    /// Tells snapshots at another pace.
    pub fn pace(&mut self, every_ms: u32) -> Result<()> {
        match self {
            Self::State(view) => view.pace.change(every_ms),
            Self::Tree(tree) => tree.rows.as_mut().map_or(Ok(()), |it| it.pace.change(every_ms)),
        }
    }

    /// Where its events are; none if it tells of none.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Tree(tree) => tree.events.as_ref().map(|events| events.at),
            Self::State(_) => None,
        }
    }

    /// Ends when there may be something to tell. A dropped call misses nothing.
    pub async fn changed(&mut self, store: &Arc<dyn Store>) {
        match self {
            Self::Tree(tree) => tree.changed(store).await,
            Self::State(view) => view.changed().await,
        }
    }

    /// Takes what there is to tell now, up to about `room` bytes of it.
    ///
    /// # Errors
    /// The subscription has ended.
    pub fn collect(&mut self, room: usize) -> std::result::Result<Vec<Told>, Box<Problem>> {
        match self {
            Self::Tree(tree) => tree.collect(room).map_err(|error| Box::new(problem(&error))),
            Self::State(view) => Ok(view.collect()?.into_iter().collect()),
        }
    }
}

impl TreeSubscription {
    pub async fn begin(hub: &Arc<Hub>, wanted: Subscribe) -> Result<Self> {
        let pace = Pace::new(wanted.every_ms)?;
        let Subscribe { topic, ids, kinds, states, after, since, .. } = wanted;
        let (tree, shown, job) = match topic {
            Topic::Rows(root) => (hub.watch(root).await?, Some(ids), None),
            Topic::Tree(root) => (hub.watch(root).await?, Some(vec![root]), None),
            Topic::Job(id) => {
                (hub.watch(root_of(&*hub.store, id).await?).await?, Some(vec![id]), Some(id))
            }
            Topic::Log(id) => (hub.watch(root_of(&*hub.store, id).await?).await?, None, Some(id)),
            _ => {
                let reason = "is a state of the service, and of no tree";
                return Err(Error::Field(FieldError::new("topic", reason)));
            }
        };
        let kinds = match topic {
            Topic::Rows(_) => Some(BTreeSet::new()),
            Topic::Log(_) => Some(BTreeSet::from([EventKind::Log])),
            _ => kinds.map(BTreeSet::from_iter),
        };
        let named = after.map(Position::version).max(since);
        let version = version(hub, &tree, named).await?;
        let tells = kinds.as_ref().is_none_or(|kinds| !kinds.is_empty());
        let filter = Filter { job, kinds, states };
        let events = tells.then(|| Events::begin(&tree, filter, after, version));
        let rows = shown.map(|ids| {
            // A version that the tree does not have is of other data, before a restore.
            let since = since.filter(|since| *since <= version);
            let view = tree.view(window_of(ids));
            Rows { view, has: None, since, floor: since.unwrap_or(0), pace }
        });
        Ok(Self { rows, events, tree })
    }

    /// Shows other rows.
    fn show(&mut self, ids: Vec<JobId>) -> Result<()> {
        let rows = self.rows.as_mut().filter(|_| self.events.is_none());
        let rows = rows.ok_or_else(no_window)?;
        rows.view = self.tree.view(window_of(ids));
        (rows.has, rows.since) = (None, None);
        Ok(())
    }

    /// Ends when there may be something to tell. A dropped call misses nothing.
    async fn changed(&mut self, store: &Arc<dyn Store>) {
        let Self { rows, events, tree } = self;
        let rows = async {
            let Some(Rows { view, pace, .. }) = rows else { return pending().await };
            // At an error there is to tell that no more comes.
            if view.ticks.changed().await.is_ok() {
                view.ticks.mark_changed();
                pace.due().await;
            }
        };
        let events = async {
            match events {
                Some(events) => events.changed(tree, store).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = rows => {}
            () = events => {}
        }
    }

    /// Takes what there is to tell now, up to about `room` bytes of it. Events come first: a gap
    /// says that the tree has gone back, which the rows then show.
    ///
    /// # Errors
    /// The tree is no longer there.
    fn collect(&mut self, room: usize) -> Result<Vec<Told>> {
        let mut told = Vec::new();
        if let Some(events) = &mut self.events {
            events.collect(&self.tree, room, &mut told);
        }
        if let Some(rows) = &mut self.rows {
            let has_changed = rows.view.ticks.has_changed();
            let has_changed = has_changed.map_err(|_| Error::JobNotFound(self.tree.root))?;
            if has_changed && rows.pace.is_due() {
                told.extend(rows.collect(self.events.is_some()));
            }
        }
        Ok(told)
    }
}

impl Rows {
    /// The present rows, if the client does not have them.
    fn collect(&mut self, has_events: bool) -> Option<Told> {
        let tick = self.view.ticks.borrow_and_update().clone()?;
        let version = tick.version();
        if version < self.floor {
            self.view.refresh();
            return None;
        }
        if [self.has, self.since].contains(&Some(version)) {
            return None;
        }
        let has = self.has.replace(version);
        self.floor = version;
        self.pace.tell();
        // A position of events says by itself where they go on.
        let at = (!has_events).then(|| Position::end_of(version));
        Some((tick.text(has), at))
    }
}

impl Events {
    /// Those behind a position, or from now on; the tree has this version at least.
    fn begin(tree: &LiveTree, filter: Filter, after: Option<Position>, version: Version) -> Self {
        let mut heads = tree.heads();
        heads.mark_changed();
        let (head, counts) = tree.ring(|ring| (ring.head(), ring.counts()));
        let (old, old_to, is_lost, look_up) = Default::default();
        let (at, counts) = (after.unwrap_or(head), after.is_none().then_some(counts));
        let budget = Budget::new();
        let mut events = Self { filter, at, counts, old, old_to, is_lost, look_up, heads, budget };
        if at.version() > version {
            // The data is older than the client, for example restored.
            events.leave_out(head, None, GapReason::Gone);
        }
        events
    }

    async fn changed(&mut self, tree: &LiveTree, store: &Arc<dyn Store>) {
        if self.is_lost {
            let known = self.at.whole_version();
            let look_up = self.look_up.get_or_insert_with(|| {
                let (store, root) = (Arc::clone(store), tree.root);
                let commits = async move { store.commits_after(root, known).await };
                commits.map(|found| found.map(|(_, commits)| commits).unwrap_or_default()).boxed()
            });
            let commits = look_up.await;
            self.look_up = None;
            self.find(tree, known, &commits);
        } else if let Some(until) = self.budget.waits {
            sleep_until(until).await;
        } else {
            self.heads.changed().await.expect("the tree has the sender");
        }
    }

    /// Makes a gap of the events between the last one that was told and a position.
    fn leave_out(&mut self, to: Position, count: Option<u64>, why: GapReason) {
        let gap = Gap { from: self.at, to, count, why };
        self.old.push_back(Arc::new(Entry::new(What::Gap(gap))));
        self.old_to = Some(to);
    }

    /// Takes what the ring no longer has from commits of the store's log, or makes it a gap.
    fn find(&mut self, tree: &LiveTree, known: Version, commits: &[TreeCommit]) {
        self.is_lost = false;
        let is_whole = commits.first().is_some_and(|first| first.expected <= known);
        if let Some(last) = commits.last().filter(|_| is_whole) {
            self.old_to = Some(Position::end_of(last.expected + 1));
            // Commits of the log are not counted.
            self.counts = None;
            let events = commits.iter().flat_map(events::of_commit).map(What::Event);
            let entries = events.map(Entry::new).filter(|entry| entry.at > self.at);
            self.old = entries.filter_map(|entry| self.filter.told(&Arc::new(entry))).collect();
            return;
        }
        let (to, counts) = tree.ring(|ring| ring.start());
        let why = if self.counts.is_some() { GapReason::Slow } else { GapReason::Gone };
        self.leave_out(to, counts.since(self.counts), why);
        self.counts = Some(counts);
    }

    fn collect(&mut self, tree: &LiveTree, room: usize, told: &mut Vec<Told>) {
        self.heads.borrow_and_update();
        if self.is_lost || !self.budget.fill() {
            return;
        }
        let mut bytes = 0;
        while bytes < room && self.budget.has_room() {
            if let Some(entry) = self.old.pop_front() {
                bytes += self.tell(&entry, told);
                continue;
            }
            self.at = self.old_to.take().map_or(self.at, |to| to.max(self.at));
            if take(&mut self.budget.is_refilled) {
                self.skip(tree, told);
            }
            let Some(found) = tree.read(self.at, &self.filter, BATCH) else {
                self.is_lost = true;
                return;
            };
            let has_more = found.to < found.head;
            bytes += found.entries.iter().map(|entry| self.tell(entry, told)).sum::<usize>();
            // The gap of an upload goes on behind its event.
            (self.at, self.counts) = (found.to.max(self.at), Some(found.counts));
            if !has_more {
                return;
            }
        }
        // There may be more than is taken now.
        self.heads.mark_changed();
    }

    /// Tells an entry; answers its size.
    fn tell(&mut self, entry: &Entry, told: &mut Vec<Told>) -> usize {
        let text = entry.text();
        let bytes = text.bytes();
        self.budget.left = self.budget.left.saturating_sub(1);
        told.push((text, Some(entry.at)));
        self.at = entry.at;
        bytes
    }

    /// Makes a gap of what has come meanwhile, if it is more than is told in a second.
    fn skip(&mut self, tree: &LiveTree, told: &mut Vec<Told>) {
        let skipped = tree.ring(|ring| {
            let count = ring.count(self.at, &self.filter);
            (count > EVENTS_A_SECOND as usize).then(|| (ring.head(), ring.counts()))
        });
        let Some((to, counts)) = skipped else { return };
        let count = counts.since(self.counts);
        let gap = Gap { from: self.at, to, count, why: GapReason::Rate };
        self.tell(&Entry::new(What::Gap(gap)), told);
        self.counts = Some(counts);
    }
}

impl Budget {
    fn new() -> Self {
        Self { left: EVENTS_AT_ONCE, filled: Instant::now(), waits: None, is_refilled: false }
    }

    fn has_room(&mut self) -> bool {
        if self.left == 0 && self.waits.is_none() {
            self.waits = Some(Instant::now() + SECOND);
        }
        self.left > 0
    }

    /// Fills it by the time that has passed; false while it is used up.
    fn fill(&mut self) -> bool {
        let now = Instant::now();
        match self.waits {
            Some(until) if now < until => return false,
            Some(_) => {
                (self.waits, self.is_refilled) = (None, true);
                self.left = EVENTS_A_SECOND;
            }
            None => {
                let passed = now.duration_since(self.filled).as_millis();
                let more = passed * u128::from(EVENTS_A_SECOND) / SECOND.as_millis();
                let more = u32::try_from(more).unwrap_or(EVENTS_AT_ONCE);
                if more == 0 {
                    return true;
                }
                self.left = self.left.saturating_add(more).min(EVENTS_AT_ONCE);
            }
        }
        self.filled = now;
        true
    }
}

fn no_window() -> Error {
    Error::Field(FieldError::new("sub", "only a subscription to rows has a window"))
}

/// What a client is told of an error.
pub(super) fn problem(error: &Error) -> Problem {
    let mut problem = Problem::new(error.code(), error.sentence());
    match error {
        Error::Field(field) => problem.field = Some(field.field.clone()),
        Error::Overloaded { retry_after_ms } => problem.retry_after_ms = Some(*retry_after_ms),
        _ => {}
    }
    problem
}

/// A version that a tree has reached: as it is known here, or as the store has it if a client names
/// a later one.
async fn version(hub: &Hub, tree: &LiveTree, named: Option<Version>) -> Result<Version> {
    let version = tree.ring(|ring| ring.head()).version();
    match named.is_some_and(|named| named > version) {
        true => window::version(&*hub.store, tree.root).await,
        false => Ok(version),
    }
}

/// The root of a job's tree.
async fn root_of(store: &dyn Store, id: JobId) -> Result<JobId> {
    let wanted = Wanted { paths: HashSet::from([id]), ..Wanted::default() };
    let loaded = store.look_up(wanted).await?;
    loaded.nodes.get(&id).map(|node| node.origin.root).ok_or(Error::JobNotFound(id))
}

#[cfg(test)]
mod tests {
    use jobtracker_store::{StageId, memory::MemoryStore};
    use tokio::sync::oneshot;

    use super::*;

    fn upload(expected: Version) -> TreeCommit {
        let publishes = Some(StageId(expected));
        TreeCommit { root: JobId::MIN, expected, rows: Vec::new(), publishes }
    }

    /// Events of others are ready again and again while the store is asked for those that are lost.
    #[tokio::test]
    async fn a_search_for_lost_events_goes_on_from_call_to_call() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let tree = LiveTree::new(JobId::MIN, 9, Arc::default());
        let filter = Filter::default();
        let mut events = Events::begin(&tree, filter, Some(Position::end_of(7)), 9);
        events.collect(&tree, 1, &mut Vec::new());
        assert!(events.is_lost);
        let (answer, look_up) = oneshot::channel();
        events.look_up = Some(async { look_up.await.unwrap_or_default() }.boxed());
        assert!(events.changed(&tree, &store).now_or_never().is_none());
        answer.send(vec![upload(7), upload(8)]).unwrap();
        events.changed(&tree, &store).await;
        let mut told = Vec::new();
        events.collect(&tree, usize::MAX, &mut told);
        let at: Vec<_> = told.iter().filter_map(|(_, at)| *at).collect();
        assert_eq!(at, [Position::new(8, 0), Position::new(9, 0)]);
    }

    /// What the log of the store tells is not among what this server has counted.
    #[test]
    fn events_of_the_log_end_the_count() {
        let tree = LiveTree::new(JobId::MIN, 9, Arc::default());
        let mut events = Events::begin(&tree, Filter::default(), None, 9);
        assert!(events.counts.is_some());
        events.find(&tree, 9, &[upload(9)]);
        assert_eq!((events.counts, events.old_to), (None, Some(Position::end_of(10))));
    }
}
