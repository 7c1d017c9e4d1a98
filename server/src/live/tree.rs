use std::{
    collections::{BTreeSet, HashMap, HashSet, hash_map::Entry},
    mem::{replace, take},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use jobtracker_engine::{Committed, Error, FeedEvent, Listener, MoveReason};
use jobtracker_model::{
    JobId,
    live::{GapReason, Position},
};
use jobtracker_store::{Store, TreeCommit, Version};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    events,
    ring::{Filter, Found, Kept, Ring},
    window::{Definitions, Rows, Tick, read},
};

/// The time from one tick to the next, at which rows that have changed are told.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// The same when reading the rows takes so long that it would take a tenth of the time.
const SLOW_TICK: Duration = Duration::from_secs(1);
/// The time from one look at what the engine tells to the next, while one commit follows the other:
/// to wake this task for each of them would cost the engine more than to tell it. Without a
/// subscription to events there is time until the next tick, but the feed keeps 64 commits.
const HEARD: Duration = Duration::from_millis(1);
const HEARD_FOR_ROWS: Duration = Duration::from_millis(5);
/// A commit with more rows than this is taken to have changed all rows that are shown.
const ROWS_COMPARED: usize = 256;

/// Rows that are read at once; those of further windows are read after them.
const ROWS_AT_ONCE: usize = 4_096;

/// Ids of a window, sorted.
pub(super) type Ids = Arc<[JobId]>;

/// A tree that is watched.
pub(super) struct LiveTree {
    pub root: JobId,
    viewers: Mutex<Viewers>,
    inner: Mutex<Inner>,
    kept: Arc<Kept>,
    /// Up to where there are events.
    head: watch::Sender<Position>,
    /// Rows have to be read.
    wanted: Notify,
}

struct Viewers {
    count: usize,
    /// When the last one went, or the tree was opened.
    left: Instant,
}

struct Inner {
    ring: Ring,
    windows: HashMap<Ids, Window>,
    /// The jobs that are shown, each with the number of windows that show it.
    shown: HashMap<JobId, usize>,
    /// Those of them that may have changed since the last tick began.
    changed: Changed,
}

/// Jobs that are shown and may have changed.
#[derive(Debug)]
enum Changed {
    Some(HashSet<JobId>),
    All,
}

/// Rows that are shown, to any number of viewers.
struct Window {
    ticks: watch::Sender<Option<Arc<Tick>>>,
    /// A row may have changed since the last tick began.
    is_touched: bool,
    /// A viewer waits for rows as they are now, whether or not they have changed.
    is_awaited: bool,
    /// The rows could not be read.
    has_failed: bool,
}

/// A window that is read.
struct DueWindow {
    ids: Ids,
    ticks: watch::Sender<Option<Arc<Tick>>>,
    before: Option<Arc<Tick>>,
    /// A viewer waits for it.
    is_awaited: bool,
}

/// A window as its viewer has it; dropping it ends that.
pub(super) struct WindowView {
    tree: Arc<LiveTree>,
    ids: Ids,
    pub ticks: watch::Receiver<Option<Arc<Tick>>>,
}

impl LiveTree {
    pub fn new(root: JobId, version: Version, kept: Arc<Kept>) -> Self {
        let ring = Ring::new(version, Arc::clone(&kept));
        let head = watch::Sender::new(ring.head());
        let (windows, shown) = (HashMap::new(), HashMap::new());
        let inner = Mutex::new(Inner { ring, windows, shown, changed: Changed::default() });
        let viewers = Mutex::new(Viewers { count: 0, left: Instant::now() });
        Self { root, viewers, inner, kept, head, wanted: Notify::new() }
    }

    /// Takes what the engine tells of the tree, until it takes no more operations.
    pub async fn listen(&self, mut listener: Listener, store: &dyn Store) {
        while let Some(event) = listener.next().await {
            let mut next = Some(event);
            while let Some(event) = next {
                self.hear(event, store).await;
                next = listener.next().now_or_never().flatten();
            }
            let has_listeners = self.head.receiver_count() > 0;
            sleep(if has_listeners { HEARD } else { HEARD_FOR_ROWS }).await;
        }
    }

    async fn hear(&self, event: FeedEvent, store: &dyn Store) {
        match event {
            FeedEvent::Moved { from, to, reason, .. }
                if !has_event(reason) && store.is_shared() =>
            {
                let commits = store.commits_after(self.root, from).await;
                self.fill(from, to, &commits.map(|(_, commits)| commits).unwrap_or_default());
                // What the log of the store has not told is a gap.
                self.take(&FeedEvent::Moved { root: self.root, from, to, reason });
            }
            event => self.take(&event),
        }
    }

    /// Takes commits behind a version, up to another one, from the store's log, if it has them.
    fn fill(&self, from: Version, to: Version, commits: &[TreeCommit]) {
        if commits.first().is_none_or(|first| first.expected > from) {
            return;
        }
        let mut inner = self.inner.lock();
        for commit in commits.iter().filter(|commit| commit.expected < to) {
            let version = commit.expected + 1;
            if Position::end_of(version) > inner.ring.head() {
                inner.ring.push(version, events::of_commit(commit));
            }
        }
    }

    fn take(&self, event: &FeedEvent) {
        let Some((root, _, to)) = event.span() else { return };
        let head = {
            let mut inner = self.inner.lock();
            let has_touched = match event {
                FeedEvent::Committed(commit) => {
                    inner.ring.push_commit(commit);
                    inner.touch(Some(commit))
                }
                FeedEvent::Moved { reason: MoveReason::Upload, .. } => {
                    inner.ring.push(to, std::iter::once(events::flushed(root, to)));
                    inner.touch(None)
                }
                FeedEvent::Moved { reason: MoveReason::Deleted, .. } => {
                    inner.ring.push(to, std::iter::once(events::deleted(root, to)));
                    inner.touch(None)
                }
                FeedEvent::Moved { reason, .. } => {
                    inner.ring.push_gap(to, why(*reason));
                    inner.touch(None)
                }
                FeedEvent::Skipped(_) => return,
            };
            if has_touched {
                self.wanted.notify_one();
            }
            inner.ring.head()
        };
        self.head.send_replace(head);
    }

    /// Tells of rows that have changed, tick by tick, for as long as the future is polled.
    pub async fn tick(&self, store: &dyn Store) {
        let mut next = Instant::now();
        loop {
            tokio::select! {
                () = self.wanted.notified() => self.show(store, Window::is_new).await,
                () = self.kept.is_full.notified() => self.inner.lock().ring.trim(),
                () = sleep_until(next), if self.is_touched() => {
                    let begun = Instant::now();
                    self.show(store, |window| window.is_touched).await;
                    let took = begun.elapsed();
                    next = begun + (took * 10).clamp(TICK, SLOW_TICK).max(took * 2);
                }
            }
        }
    }

    fn is_touched(&self) -> bool {
        let inner = self.inner.lock();
        !inner.changed.is_none() || inner.windows.values().any(|window| window.is_touched)
    }

    /// Reads the windows for which that is so, and tells their viewers. What they show is read
    /// together.
    async fn show(&self, store: &dyn Store, is_due: impl Fn(&Window) -> bool) {
        let mut due = self.inner.lock().due(is_due);
        while !due.is_empty() {
            let mut ids = BTreeSet::new();
            let fits = due.iter().take_while(|due| {
                let is_first = ids.is_empty();
                ids.extend(due.ids.iter().copied());
                is_first || ids.len() <= ROWS_AT_ONCE
            });
            let count = fits.count();
            let rest = due.split_off(count);
            self.show_some(store, replace(&mut due, rest)).await;
        }
    }

    async fn show_some(&self, store: &dyn Store, due: Vec<DueWindow>) {
        let ids: BTreeSet<JobId> = due.iter().flat_map(|due| due.ids.iter().copied()).collect();
        let ids: Vec<JobId> = ids.into_iter().collect();
        let mut known = Definitions::new();
        for row in due.iter().flat_map(|due| &due.before).flat_map(|tick| &tick.snapshot.rows) {
            known.extend(row.definition.clone().map(|definition| (row.id, definition)));
        }
        match read(store, self.root, &ids, &known).await {
            Ok(snapshot) => {
                let mut rows = Rows::new(snapshot);
                due.into_iter().for_each(|due| self.tell(due, &mut rows));
            }
            Err(Error::JobNotFound(_)) => {
                let mut inner = self.inner.lock();
                // Without the senders the viewers know that no more comes.
                due.into_iter().for_each(|due| inner.remove(&due.ids));
            }
            Err(error) => {
                for due in due {
                    self.change(&due.ids, |window| {
                        if !replace(&mut window.has_failed, true) {
                            let root = self.root;
                            tracing::warn!(%root, %error, "rows of a live view not read");
                        }
                        window.is_touched = true;
                        window.is_awaited |= due.is_awaited;
                    });
                }
            }
        }
    }

    /// Tells the viewers of a window what has been read.
    fn tell(&self, due: DueWindow, rows: &mut Rows) {
        let DueWindow { ids, ticks, before, is_awaited } = due;
        let is_older = before.as_ref().is_some_and(|tick| tick.version() > rows.version);
        self.change(&ids, |window| {
            window.has_failed = false;
            // The commit after which the rows were read is not visible yet.
            window.is_touched |= is_older;
        });
        let tick = Tick::after(before.as_deref(), rows, &ids, is_awaited).map(Arc::new);
        if let Some(tick) = tick.or(before.filter(|_| is_awaited)) {
            ticks.send_replace(Some(tick));
        }
    }

    fn change(&self, ids: &Ids, change: impl FnOnce(&mut Window)) {
        if let Some(window) = self.inner.lock().windows.get_mut(ids) {
            change(window);
        }
    }

    /// Shows rows to one more viewer.
    pub fn view(self: &Arc<Self>, ids: Ids) -> WindowView {
        let mut inner = self.inner.lock();
        let is_changed = inner.changed.has_any(&ids);
        let window = inner.window(&ids, || self.wanted.notify_one());
        let mut ticks = window.ticks.subscribe();
        // A tick that is no longer the present is not the first one that a viewer is shown.
        window.is_touched |= is_changed;
        if window.is_touched {
            ticks.mark_unchanged();
            window.is_awaited = true;
        } else {
            ticks.mark_changed();
        }
        WindowView { tree: Arc::clone(self), ids, ticks }
    }

    /// Events behind a position; see [`Ring::read`].
    pub fn read(&self, after: Position, filter: &Filter, limit: usize) -> Option<Found> {
        self.inner.lock().ring.read(after, filter, limit)
    }

    /// Does something with the events that are kept.
    pub fn ring<T>(&self, work: impl FnOnce(&mut Ring) -> T) -> T {
        work(&mut self.inner.lock().ring)
    }

    /// Changes when events have come.
    pub fn heads(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    pub fn enter(&self) {
        self.viewers.lock().count += 1;
    }

    pub fn leave(&self) {
        let mut viewers = self.viewers.lock();
        viewers.count -= 1;
        viewers.left = Instant::now();
    }

    /// When the last viewer went; none while there is one.
    pub fn left(&self) -> Option<Instant> {
        let viewers = self.viewers.lock();
        (viewers.count == 0).then_some(viewers.left)
    }
}

impl Inner {
    /// Notes that a commit has changed rows; none: any rows. Answers whether there is something to
    /// read where there was nothing before. It costs the rows, however many windows there are.
    fn touch(&mut self, commit: Option<&Committed>) -> bool {
        let was_none = self.changed.is_none();
        let rows = commit.map(|commit| &commit.rows).filter(|rows| rows.len() <= ROWS_COMPARED);
        match (rows, &mut self.changed) {
            (None, changed) if !self.windows.is_empty() => *changed = Changed::All,
            (Some(rows), Changed::Some(changed)) => {
                let jobs = rows.iter().filter_map(|(_, row)| row.job());
                changed.extend(jobs.filter(|job| self.shown.contains_key(job)));
            }
            _ => {}
        }
        was_none && !self.changed.is_none()
    }

    /// The windows for which that is so, from here on as being read.
    fn due(&mut self, is_due: impl Fn(&Window) -> bool) -> Vec<DueWindow> {
        if !self.changed.is_none() {
            let changed = take(&mut self.changed);
            for (ids, window) in self.windows.iter_mut().filter(|(_, window)| !window.is_touched) {
                window.is_touched = changed.has_any(ids);
            }
        }
        let due = self.windows.iter_mut().filter(|(_, window)| is_due(window));
        due.map(|(ids, window)| {
            window.is_touched = false;
            let (ticks, before) = (window.ticks.clone(), window.ticks.borrow().clone());
            let is_awaited = take(&mut window.is_awaited);
            DueWindow { ids: Arc::clone(ids), ticks, before, is_awaited }
        })
        .collect()
    }

    /// A window with these rows, made if there is none.
    fn window(&mut self, ids: &Ids, is_new: impl FnOnce()) -> &mut Window {
        let Self { windows, shown, .. } = self;
        windows.entry(Arc::clone(ids)).or_insert_with(|| {
            is_new();
            for id in ids.iter() {
                *shown.entry(*id).or_default() += 1;
            }
            let ticks = watch::Sender::new(None);
            Window { ticks, is_touched: true, is_awaited: true, has_failed: false }
        })
    }

    fn remove(&mut self, ids: &Ids) {
        if self.windows.remove(ids).is_none() {
            return;
        }
        for id in ids.iter() {
            if let Entry::Occupied(mut shown) = self.shown.entry(*id) {
                *shown.get_mut() -= 1;
                if *shown.get() == 0 {
                    shown.remove();
                }
            }
        }
    }
}

impl Default for Changed {
    fn default() -> Self {
        Self::Some(HashSet::new())
    }
}

impl Changed {
    fn is_none(&self) -> bool {
        matches!(self, Self::Some(changed) if changed.is_empty())
    }

    fn has_any(&self, ids: &Ids) -> bool {
        match self {
            Self::All => true,
            Self::Some(changed) => ids.iter().any(|id| changed.contains(id)),
        }
    }
}

impl Window {
    fn is_new(&self) -> bool {
        self.ticks.borrow().is_none()
    }
}

impl WindowView {
    /// Has the rows read anew: the viewer knows a later version of the tree.
    pub fn refresh(&self) {
        self.tree.change(&self.ids, |window| {
            (window.is_touched, window.is_awaited) = (true, true);
        });
        self.tree.wanted.notify_one();
    }
}

impl Drop for WindowView {
    fn drop(&mut self) {
        if self.ticks.has_changed().is_err() {
            // Its window is gone; there may be another one with these rows.
            return;
        }
        let mut inner = self.tree.inner.lock();
        // This viewer is one of the receivers until the drop has ended.
        if inner.windows.get(&self.ids).is_some_and(|window| window.ticks.receiver_count() <= 1) {
            inner.remove(&self.ids);
        }
    }
}

/// Whether a move is told as one event.
fn has_event(reason: MoveReason) -> bool {
    matches!(reason, MoveReason::Upload | MoveReason::Deleted)
}

fn why(reason: MoveReason) -> GapReason {
    match reason {
        MoveReason::Large => GapReason::Large,
        MoveReason::OtherServer => GapReason::OtherServer,
        MoveReason::Upload | MoveReason::Deleted | MoveReason::Slow | MoveReason::Began => {
            GapReason::Slow
        }
    }
}

#[cfg(test)]
mod tests {
    use jobtracker_engine::{Engine, Options, Scope};
    use jobtracker_model::{NewChange, NewJob, State};
    use jobtracker_store::memory::MemoryStore;

    use super::*;
    use crate::{clock, live::window::version};

    #[tokio::test]
    async fn a_second_viewer_is_shown_rows_that_may_have_changed_and_have_not() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let engine = Engine::start(Arc::clone(&store), Options::new(clock::now));
        let root = engine.create(NewJob::new("root")).await.unwrap().id;
        let job = engine.create(NewJob::new("job").under(root)).await.unwrap().id;
        let tree = Arc::new(LiveTree::new(root, 2, Arc::default()));
        let ids: Ids = vec![job].into();
        let mut first = tree.view(Arc::clone(&ids));
        tree.show(&*store, Window::is_new).await;
        let old = first.ticks.borrow_and_update().clone().unwrap();
        // First the tree is as it was; then it has moved on, and the row is as it was.
        for created in [0, 1] {
            for _ in 0..created {
                engine.create(NewJob::new("other").under(root)).await.unwrap();
            }
            tree.inner.lock().touch(None);
            let mut second = tree.view(Arc::clone(&ids));
            assert!(!second.ticks.has_changed().unwrap(), "an older tick is not shown");
            tree.show(&*store, |window| window.is_touched).await;
            assert!(second.ticks.has_changed().unwrap());
            let shown = second.ticks.borrow_and_update().clone().unwrap();
            assert_eq!(shown.version(), version(&*store, root).await.unwrap());
            assert_eq!(shown.snapshot.rows, old.snapshot.rows);
        }
    }

    /// All windows are read at once: what a commit has changed is told to those that show it, in
    /// one version, and each row is written once for all of them.
    #[tokio::test]
    async fn windows_that_overlap_are_told_the_same() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let engine = Engine::start(Arc::clone(&store), Options::new(clock::now));
        let root = engine.create(NewJob::new("root")).await.unwrap().id;
        let mut listener = engine.listen(Scope::Tree(root)).unwrap();
        let mut jobs = Vec::new();
        for name in ["one", "other"] {
            jobs.push(engine.create(NewJob::new(name).under(root)).await.unwrap().id);
        }
        let tree = Arc::new(LiveTree::new(root, 3, Arc::default()));
        let windows: [Ids; 4] =
            [&[root, jobs[0]][..], &[root, jobs[1]], &[jobs[1]], &[root]].map(Arc::from);
        let mut views = windows.map(|ids| tree.view(ids));
        tree.show(&*store, Window::is_new).await;
        views.iter_mut().for_each(|view| drop(view.ticks.borrow_and_update()));
        engine.update(jobs[0], NewChange::new(State::Running)).await.unwrap();
        while let Some(event) = listener.next().await {
            tree.take(&event);
            if event.span().is_some_and(|(_, _, to)| to == 4) {
                break;
            }
        }
        tree.show(&*store, |window| window.is_touched).await;
        let told = views.each_ref().map(|view| view.ticks.has_changed().unwrap());
        assert_eq!(told, [true, true, false, true]);
        let text = |view: &WindowView| {
            let tick = view.ticks.borrow().clone().unwrap();
            assert_eq!(tick.version(), 4);
            tick.text(Some(3)).with(1)
        };
        let [first, second, _, root_only] = &views;
        assert_eq!(text(second), text(root_only), "of both only the root has changed");
        let row = text(root_only);
        let row = &row[row.find("\"rows\":[").unwrap() + 8..row.len() - 2];
        assert!(text(first).contains(row) && text(first).len() > text(second).len());
        drop(views);
        let inner = tree.inner.lock();
        assert!(inner.windows.is_empty() && inner.shown.is_empty());
    }

    #[tokio::test]
    async fn a_window_of_a_tree_that_is_gone_is_closed() {
        let store = MemoryStore::new();
        let tree = Arc::new(LiveTree::new(JobId::MIN, 1, Arc::default()));
        let ids: Ids = vec![JobId::MIN].into();
        let view = tree.view(Arc::clone(&ids));
        tree.show(&store, Window::is_new).await;
        assert!(view.ticks.has_changed().is_err(), "its viewers know that no more comes");
        let other = tree.view(ids);
        drop(view);
        assert!(other.ticks.has_changed().is_ok(), "a new window is not the old one");
    }

    #[test]
    fn the_time_without_viewers_begins_when_the_last_one_leaves() {
        let tree = LiveTree::new(JobId::MIN, 1, Arc::default());
        tree.enter();
        assert_eq!(tree.left(), None);
        let before = Instant::now();
        tree.leave();
        assert!(tree.left().is_some_and(|left| left >= before));
    }
}
