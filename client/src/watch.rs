use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use jobtracker_model::{
    JobId, StateSet,
    live::{EventKind, Frame, Gap, JobSummary, LiveEvent, Position, Snapshot, Topic},
};

use crate::{
    JobTrackerClient, Result,
    call::Call,
    frames::{Frames, events},
    request::Http,
};

/// What a watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Watched {
    /// The job, or the root of the tree, as it is now: first of all, and when it has changed, up to
    /// four times a second. It is the whole row each time, with its definition.
    Row(JobSummary),
    /// Something happened.
    Event(LiveEvent),
    /// Events are not told; what they changed has to be read again.
    Gap(Gap),
}

/// Which events of a tree a watch tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WatchFilter {
    /// The kinds of events; none: all, empty: no events, so only the row.
    pub kinds: Option<Vec<EventKind>>,
    /// Of events about a state, those to one of these; empty: all.
    pub states: StateSet,
    /// The position behind which events are told; none: from now on.
    pub after: Option<Position>,
    /// The shortest time from one row to the next, up to a minute; none: as fast as they come.
    pub every: Option<Duration>,
}

impl WatchFilter {
    fn call(&self, topic: Topic) -> Call {
        let kinds = self.kinds.as_ref();
        let kinds = kinds.map(|kinds| kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>());
        events(topic, self.every)
            .query("kinds", kinds.map(|kinds| kinds.join(",")))
            .states(self.states)
            .query("after", self.after)
    }
}

/// What happens to a job or a tree, as a stream without an end.
///
/// A connection that breaks is made anew, as the client's [`RetryPolicy`](crate::RetryPolicy) says,
/// and goes on at the last position: what was missed is told, or is a [`Watched::Gap`]. An error is
/// the last item: the job is not there, or the policy allows no more tries.
pub struct Watch {
    stream: stream::BoxStream<'static, (Result<Watched>, Option<Position>)>,
    position: Option<Position>,
}

impl Watch {
    /// The position up to which the stream has told: with it in [`WatchFilter::after`] another
    /// watch goes on here, in another process too.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Stream for Watch {
    type Item = Result<Watched>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.poll_next_unpin(cx).map(|next| {
            let (told, position) = next?;
            self.position = position;
            Some(told)
        })
    }
}

impl JobTrackerClient {
    /// Tells what happens to a job: its row, and its events from now on.
    pub fn watch(&self, id: JobId) -> Watch {
        self.watch_topic(Topic::Job(id), WatchFilter::default())
    }

    /// Tells what happens to a tree: the row of its root, and the events of all of its jobs.
    pub fn watch_tree(&self, root: JobId, filter: WatchFilter) -> Watch {
        self.watch_topic(Topic::Tree(root), filter)
    }

    fn watch_topic(&self, topic: Topic, filter: WatchFilter) -> Watch {
        let position = filter.after;
        let http = Arc::clone(&self.http);
        let watcher = Watcher::new(http, topic, filter);
        let stream = stream::unfold(watcher, |mut watcher| async move {
            let told = watcher.next().await?;
            Some(((told, watcher.filter.after), watcher))
        });
        Watch { stream: stream.boxed(), position }
    }
}

/// The state of a watch.
struct Watcher {
    topic: Topic,
    /// With the position up to which it has told.
    filter: WatchFilter,
    row: Option<JobSummary>,
    /// The version of the tree in which the row was told last.
    version: u64,
    frames: Frames,
    is_over: bool,
}

impl Watcher {
    fn new(http: Arc<Http>, topic: Topic, filter: WatchFilter) -> Self {
        let (row, version, is_over) = Default::default();
        Self { topic, filter, row, version, frames: Frames::new(http), is_over }
    }

    async fn next(&mut self) -> Option<Result<Watched>> {
        while !self.is_over {
            match self.frames.next(|| self.filter.call(self.topic)).await {
                Ok(frame) => {
                    if let Some(watched) = self.take(frame) {
                        return Some(Ok(watched));
                    }
                }
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// What the caller is told by a frame, if anything.
    fn take(&mut self, frame: Frame) -> Option<Watched> {
        let (at, watched) = match frame {
            Frame::Snap(snapshot) => return self.show(snapshot).map(Watched::Row),
            Frame::Event(event) => (Some(event.at), Some(Watched::Event(event))),
            Frame::Gap(gap) => (Some(gap.to), Some(Watched::Gap(gap))),
            Frame::Mark { at } => (at, None),
            // States of the service are of topics that are not watched here.
            Frame::Roots(_) | Frame::Deliveries(_) | Frame::Overview(_) => (None, None),
            Frame::Workers(_) | Frame::Schedules(_) | Frame::Queue(_) => (None, None),
            Frame::Hello { .. } | Frame::Pong | Frame::End { .. } => (None, None),
        };
        if at.is_some_and(|at| Some(at) < self.filter.after) {
            // The service has older data than before, and its rows are the present.
            self.version = 0;
        }
        self.filter.after = at.or(self.filter.after);
        watched
    }

    fn show(&mut self, Snapshot { version, rows, .. }: Snapshot) -> Option<JobSummary> {
        if version < self.version {
            // Another server was asked, which knows less of the tree for now.
            return None;
        }
        self.version = version;
        let mut row = rows.into_iter().find(|row| Some(row.id) == self.topic.id())?;
        let known = self.row.take().and_then(|known| known.definition);
        row.definition = row.definition.or(known);
        self.row = Some(row.clone());
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use jobtracker_model::{State, live::GapReason};

    use super::*;

    #[test]
    fn a_row_is_not_followed_by_an_older_one_of_the_same_data() {
        let client = JobTrackerClient::new("http://127.0.0.1:1").unwrap();
        let topic = Topic::Job(JobId::MIN);
        let mut watcher = Watcher::new(client.http, topic, WatchFilter::default());
        let mut is_shown = |version: u64| {
            let (start_time, end_time, tree_start, tree_end) = Default::default();
            let (children, subtree) = Default::default();
            let row = JobSummary {
                id: JobId::MIN,
                definition: None,
                state: State::Running,
                start_time,
                end_time,
                tree_start,
                tree_end,
                children,
                subtree,
                changes: 1,
                log_lines: 0,
                attachments: 0,
            };
            let (root, from, rows, missing) = (JobId::MIN, None, vec![row], Vec::new());
            watcher.show(Snapshot { root, version, from, rows, missing }).is_some()
        };
        assert_eq!([7, 6, 7, 8].map(&mut is_shown), [true, false, true, true]);
        // The service says that it has older data, of a backup.
        watcher.take(Frame::Mark { at: Some(Position::end_of(8)) });
        let (from, to) = (Position::end_of(8), Position::end_of(3));
        let why = GapReason::Gone;
        watcher.take(Frame::Gap(Gap { from, to, count: None, why }));
        assert_eq!((watcher.version, watcher.filter.after), (0, Some(to)));
    }
}
