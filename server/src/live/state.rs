use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use futures_util::future::BoxFuture;
use jobtracker_model::{
    FollowUpLoad, JobId, Overview, Problem, QueueCounts, WorkerView,
    live::{DeliveriesState, Frame, JobSummary, OverviewState, Position, QueueLengths, RootsState},
    schedule::Schedule,
};
use tokio::sync::watch;

use super::{
    frame::{Text, Told},
    list,
    pace::Pace,
};
use crate::access::Share;

/// Versions are numbers that JavaScript keeps.
const VERSION: u64 = (1 << 53) - 1;

/// A state of the whole service that can be watched, and how it is read.
#[derive(Clone)]
pub(crate) struct Source {
    /// Sources with the same name have the same state.
    pub name: String,
    /// Only commits change it.
    pub follows_commits: bool,
    pub read: ReadState,
}

type ReadState = Arc<dyn Fn() -> BoxFuture<'static, Result<State, Problem>> + Send + Sync>;

/// A state of the service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    Roots { rows: Vec<JobSummary>, more: bool },
    Deliveries(FollowUpLoad),
    Overview(Overview),
    Workers(Vec<WorkerView>),
    Schedules { rows: Vec<Schedule>, more: bool },
    Queue(QueueCounts),
}

/// The states that are watched, by name.
pub(super) type States = HashMap<String, Arc<StateTopic>>;

/// A state that is watched.
pub(super) struct StateTopic {
    pub name: String,
    _place: Share,
    ticks: watch::Sender<Option<Arc<StateTick>>>,
}

/// A state as its viewers get it; each form is written once for all of them.
enum StateTick {
    Present {
        version: u64,
        state: State,
        /// The version of the tick before, and what differs from it.
        change: Option<(u64, Text)>,
        whole: OnceLock<Text>,
    },
    /// It cannot be read, and trying again does not help.
    Failed(Problem),
}

/// A state as one viewer has it.
pub(super) struct StateView {
    ticks: watch::Receiver<Option<Arc<StateTick>>>,
    /// The version that the client has, from here or from another connection.
    has: Option<u64>,
    pub pace: Pace,
}

/// Whether trying again does not help.
fn is_final(problem: &Problem) -> bool {
    (400..500).contains(&problem.status) && problem.retry_after_ms.is_none()
}

impl StateTopic {
    pub fn new(name: String, place: Share) -> Self {
        Self { name, _place: place, ticks: watch::Sender::new(None) }
    }

    /// One viewer more, whose client may have a version of the state.
    pub fn view(&self, since: Option<u64>, pace: Pace) -> StateView {
        let mut ticks = self.ticks.subscribe();
        ticks.mark_changed();
        StateView { ticks, has: since, pace }
    }

    /// Ends when it has no viewer.
    pub async fn left(&self) {
        self.ticks.closed().await;
    }

    pub fn has_viewers(&self) -> bool {
        self.ticks.receiver_count() > 0
    }

    /// Tells what came of a look at the state.
    pub fn tell(&self, read: Result<State, Problem>) {
        match read {
            Ok(state) => self.show(state),
            Err(problem) if is_final(&problem) => {
                self.ticks.send_replace(Some(Arc::new(StateTick::Failed(problem))));
            }
            Err(Problem { code, detail, .. }) => {
                tracing::warn!(topic = self.name, code, detail, "a state is not read");
            }
        }
    }

    /// Tells a state, if it is another one than before.
    fn show(&self, state: State) {
        let before = self.ticks.borrow().clone();
        let (before, version) = match before.as_deref() {
            Some(StateTick::Present { state: known, .. }) if *known == state => return,
            Some(StateTick::Present { version, state: known, .. }) => (Some(known), Some(*version)),
            _ => (None, None),
        };
        let next = state.version();
        let change = before.zip(version);
        let change =
            change.and_then(|(known, from)| Some((from, state.change(known, from, next)?)));
        let tick = StateTick::Present { version: next, state, change, whole: OnceLock::new() };
        self.ticks.send_replace(Some(Arc::new(tick)));
    }
}

impl State {
    /// A number that names the state by what it is.
    fn version(&self) -> u64 {
        // FNV-1a: equal states have equal numbers, on every server and after a restart.
        let text = Text::of(&self.frame(0)).with(0);
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        (hash ^ (hash >> 53)) & VERSION
    }

    /// The frame with all of it.
    fn frame(&self, version: u64) -> Frame {
        match self {
            Self::Roots { rows, more } => {
                let ids = rows.iter().map(|row| row.id).collect();
                let (rows, from, more) = (rows.clone(), None, *more);
                Frame::Roots(RootsState { version, from, ids, rows, more })
            }
            Self::Deliveries(follow_ups) => {
                Frame::Deliveries(DeliveriesState { version, follow_ups: *follow_ups })
            }
            Self::Overview(overview) => {
                Frame::Overview(OverviewState { version, overview: overview.clone() })
            }
            Self::Workers(rows) => Frame::Workers(list::whole(version, rows, false)),
            Self::Schedules { rows, more } => Frame::Schedules(list::whole(version, rows, *more)),
            Self::Queue(counts) => Frame::Queue(QueueLengths { version, counts: counts.clone() }),
        }
    }

    /// What differs from an earlier state, where that is less than all of it.
    fn change(&self, before: &Self, from: u64, version: u64) -> Option<Text> {
        let frame = match (self, before) {
            (Self::Roots { rows, more }, Self::Roots { rows: before, .. }) => {
                Frame::Roots(changed_roots(version, from, before, (rows, *more)))
            }
            (Self::Workers(rows), Self::Workers(before)) => {
                Frame::Workers(list::change(version, from, before, (rows, false)))
            }
            (Self::Schedules { rows, more }, Self::Schedules { rows: before, .. }) => {
                Frame::Schedules(list::change(version, from, before, (rows, *more)))
            }
            _ => return None,
        };
        Some(Text::of(&frame))
    }
}

/// What differs in a list of roots; of a row that is known the definition is left out.
fn changed_roots(
    version: u64,
    from: u64,
    before: &[JobSummary],
    (rows, more): (&[JobSummary], bool),
) -> RootsState {
    let known: HashMap<JobId, &JobSummary> = before.iter().map(|row| (row.id, row)).collect();
    let differs = rows.iter().filter(|row| known.get(&row.id) != Some(row));
    let told = differs.map(|row| match known.contains_key(&row.id) {
        true => JobSummary { definition: None, ..row.clone() },
        false => row.clone(),
    });
    let ids = rows.iter().map(|row| row.id).collect();
    RootsState { version, from: Some(from), ids, rows: told.collect(), more }
}

impl StateTick {
    /// What a viewer is told that has the state of this version.
    fn text(&self, has: Option<u64>) -> Result<(u64, Text), Box<Problem>> {
        match self {
            Self::Failed(problem) => Err(Box::new(problem.clone())),
            Self::Present { version, change: Some((from, change)), .. } if has == Some(*from) => {
                Ok((*version, change.clone()))
            }
            Self::Present { version, state, whole, .. } => {
                let whole = whole.get_or_init(|| Text::of(&state.frame(*version)));
                Ok((*version, whole.clone()))
            }
        }
    }
}

impl StateView {
    /// Ends when there may be something to tell. A dropped call misses nothing.
    pub async fn changed(&mut self) {
        // Without the sender the service is stopping, which the connection tells.
        if self.ticks.changed().await.is_err() {
            return std::future::pending().await;
        }
        self.ticks.mark_changed();
        self.pace.due().await;
    }

    /// The present state, if the client does not have it and it is time.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn collect(&mut self) -> Result<Option<Told>, Box<Problem>> {
        if !self.pace.is_due() || !self.ticks.has_changed().unwrap_or(false) {
            return Ok(None);
        }
        let Some(tick) = self.ticks.borrow_and_update().clone() else { return Ok(None) };
        let (version, text) = tick.text(self.has)?;
        if self.has.replace(version) == Some(version) {
            return Ok(None);
        }
        self.pace.tell();
        Ok(Some((text, Some(Position::end_of(version)))))
    }
}
