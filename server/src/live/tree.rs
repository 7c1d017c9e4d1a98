use std::{collections::HashMap, mem::take, sync::Arc, time::Duration};

use jobtracker_engine::{Committed, Error, FeedEvent, Listener, MoveReason};
use jobtracker_model::{
    JobId,
    live::{GapReason, Position},
};
use jobtracker_store::{Store, TreeCommit, Version};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use super::{
    events,
    ring::{Filter, Found, Kept, Ring},
    window::{Tick, read},
};

/// The time from one tick to the next, at which rows that have changed are told.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// The same when reading the rows takes so long that it would take a tenth of the time.
const SLOW_TICK: Duration = Duration::from_secs(1);
/// A commit with more rows than this is taken to have changed all rows that are shown.
const ROWS_COMPARED: usize = 256;

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
        let inner = Mutex::new(Inner { ring, windows: HashMap::new() });
        let viewers = Mutex::new(Viewers { count: 0, left: Instant::now() });
        Self { root, viewers, inner, kept, head, wanted: Notify::new() }
    }

    /// Takes what the engine tells of the tree, until it takes no more operations.
    pub async fn listen(&self, mut listener: Listener, store: &dyn Store) {
        while let Some(event) = listener.next().await {
            match event {
                FeedEvent::Moved { from, to, reason, .. }
                    if reason != MoveReason::Upload && store.is_shared() =>
                {
                    let commits = store.commits_after(self.root, from).await;
                    self.fill(from, to, &commits.map(|(_, commits)| commits).unwrap_or_default());
                    // What the log of the store has not told is a gap.
                    self.take(&FeedEvent::Moved { root: self.root, from, to, reason });
                }
                event => self.take(&event),
            }
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
                inner.ring.push(version, events::of_commit(commit).into_iter());
            }
        }
    }

    fn take(&self, event: &FeedEvent) {
        let Some((root, _, to)) = event.span() else { return };
        let head = {
            let mut inner = self.inner.lock();
            let has_touched = match event {
                FeedEvent::Committed(commit) => {
                    let rows = commit.rows.iter().map(|(index, row)| (*index, row));
                    inner.ring.push(to, events::events(root, to, rows));
                    inner.touch(Some(commit))
                }
                FeedEvent::Moved { reason: MoveReason::Upload, .. } => {
                    inner.ring.push(to, std::iter::once(events::flushed(root, to)));
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
        self.inner.lock().windows.values().any(|window| window.is_touched)
    }

    /// Reads the windows for which that is so, and tells their viewers.
    async fn show(&self, store: &dyn Store, is_due: impl Fn(&Window) -> bool) {
        let due: Vec<_> = {
            let mut inner = self.inner.lock();
            let due = inner.windows.iter_mut().filter(|(_, window)| is_due(window));
            let begin = |(ids, window): (&Ids, &mut Window)| {
                window.is_touched = false;
                (Arc::clone(ids), window.ticks.clone(), take(&mut window.is_awaited))
            };
            due.map(begin).collect()
        };
        for (ids, ticks, is_awaited) in due {
            let before = ticks.borrow().clone();
            let known = before.as_ref().map(|tick| &tick.snapshot);
            match read(store, self.root, &ids, known).await {
                Ok(snapshot) => {
                    let is_older = known.is_some_and(|known| known.version > snapshot.version);
                    self.change(&ids, |window| {
                        window.has_failed = false;
                        // The commit after which the rows were read is not visible yet.
                        window.is_touched |= is_older;
                    });
                    let tick = Tick::after(before.as_deref(), snapshot, is_awaited).map(Arc::new);
                    if let Some(tick) = tick.or(before.filter(|_| is_awaited)) {
                        ticks.send_replace(Some(tick));
                    }
                }
                Err(Error::JobNotFound(_)) => {
                    // Without the senders the viewers know that no more comes.
                    drop(ticks);
                    self.inner.lock().windows.remove(&ids);
                }
                Err(error) => self.change(&ids, |window| {
                    if !std::mem::replace(&mut window.has_failed, true) {
                        tracing::warn!(root = %self.root, %error, "rows of a live view not read");
                    }
                    window.is_touched = true;
                    window.is_awaited |= is_awaited;
                }),
            }
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
        let window = inner.windows.entry(Arc::clone(&ids)).or_insert_with(|| {
            self.wanted.notify_one();
            let ticks = watch::Sender::new(None);
            Window { ticks, is_touched: true, is_awaited: true, has_failed: false }
        });
        let mut ticks = window.ticks.subscribe();
        // A tick that is no longer the present is not the first one that a viewer is shown.
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
    pub fn ring<T>(&self, work: impl FnOnce(&Ring) -> T) -> T {
        work(&self.inner.lock().ring)
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
    /// Notes that a commit has changed rows; none: any rows. Answers whether a window has to be
    /// read that had not to be before.
    fn touch(&mut self, commit: Option<&Committed>) -> bool {
        let mut has_touched = false;
        let rows = commit.map(|commit| &commit.rows).filter(|rows| rows.len() <= ROWS_COMPARED);
        for (ids, window) in self.windows.iter_mut().filter(|(_, window)| !window.is_touched) {
            let shows = |id: JobId| ids.binary_search(&id).is_ok();
            window.is_touched =
                rows.is_none_or(|rows| rows.iter().any(|(_, row)| row.job().is_some_and(shows)));
            has_touched |= window.is_touched;
        }
        has_touched
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
            inner.windows.remove(&self.ids);
        }
    }
}

fn why(reason: MoveReason) -> GapReason {
    match reason {
        MoveReason::Large => GapReason::Large,
        MoveReason::OtherServer => GapReason::OtherServer,
        MoveReason::Upload | MoveReason::Slow | MoveReason::Began => GapReason::Slow,
    }
}

#[cfg(test)]
mod tests {
    use jobtracker_engine::{Engine, Options};
    use jobtracker_model::NewJob;
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
