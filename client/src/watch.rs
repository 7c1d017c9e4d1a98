use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use jobtracker_model::{
    JobId, StateSet,
    live::{EventKind, Frame, Gap, JobSummary, LiveEvent, Position, ServerFrame, Snapshot, Topic},
};
use reqwest::{Response, header::ACCEPT};
use tokio::time::{sleep, timeout};

use crate::{
    Error, JobTrackerClient, Result,
    call::Call,
    reply::{Failure, Reply},
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
    http: Arc<Http>,
    topic: Topic,
    /// With the position up to which it has told.
    filter: WatchFilter,
    row: Option<JobSummary>,
    /// The version of the tree in which the row was told last.
    version: u64,
    frames: Option<Frames>,
    /// Tries since the last frame.
    tries: u32,
    is_over: bool,
}

impl Watcher {
    fn new(http: Arc<Http>, topic: Topic, filter: WatchFilter) -> Self {
        let (row, version, frames, tries, is_over) = Default::default();
        Self { http, topic, filter, row, version, frames, tries, is_over }
    }

    async fn next(&mut self) -> Option<Result<Watched>> {
        while !self.is_over {
            let failure = match self.frames.as_mut() {
                None => match self.connect().await {
                    Ok(frames) => {
                        self.frames = Some(frames);
                        continue;
                    }
                    Err(failure) => failure,
                },
                Some(frames) => match frames.next().await {
                    Ok(Frame::End { problem }) => Error::problem(problem).into(),
                    Ok(frame) => {
                        self.tries = 0;
                        if let Some(watched) = self.take(frame) {
                            return Some(Ok(watched));
                        }
                        continue;
                    }
                    Err(failure) => failure,
                },
            };
            self.frames = None;
            if let Err(error) = self.pause(failure).await {
                self.is_over = true;
                return Some(Err(error));
            }
        }
        None
    }

    async fn connect(&self) -> Result<Frames, Failure> {
        let kinds = self.filter.kinds.as_ref();
        let kinds = kinds.map(|kinds| kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>());
        let call = Call::get("api/v1/events")
            .query("topic", Some(self.topic))
            .query("kinds", kinds.map(|kinds| kinds.join(",")))
            .states(self.filter.states)
            .query("after", self.filter.after);
        let mut request = self.http.request(call)?;
        let kind = const { reqwest::header::HeaderValue::from_static("text/event-stream") };
        request.headers_mut().insert(ACCEPT, kind);
        let answer = timeout(self.http.request_timeout, self.http.client.execute(request));
        let response = answer.await.map_err(|_| silent())??;
        if !response.status().is_success() {
            // It is a problem, whose body ends.
            let reply = Reply::read(response, self.http.max_reply).await?;
            return Err(reply.invalid("a stream of events has another status").into());
        }
        Ok(Frames { response, came: Vec::new(), limit: self.http.max_reply, silence: SILENCE })
    }

    /// Waits before the next try, if there is to be one.
    async fn pause(&mut self, failure: Failure) -> Result<()> {
        self.tries = self.tries.saturating_add(1);
        let retry = &self.http.retry;
        if self.tries >= retry.attempts || !failure.error.is_retryable() {
            return Err(failure.error);
        }
        let after = failure.error.retry_after().or(failure.retry_after);
        let pause = retry.pause(self.tries, after, rand::random());
        tracing::debug!(error = %failure.error, tries = self.tries, ?pause, "watching again");
        sleep(pause).await;
        Ok(())
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

/// How long a connection may say nothing, until the service says how often it does.
const SILENCE: Duration = Duration::from_secs(45);
/// After this many heartbeats that do not come, the connection is taken to be broken.
const HEARTBEATS: u32 = 3;

/// The frames of one connection.
struct Frames {
    response: Response,
    came: Vec<u8>,
    /// The longest frame in bytes.
    limit: usize,
    silence: Duration,
}

impl Frames {
    /// The next frame that this version of the client knows.
    async fn next(&mut self) -> Result<Frame, Failure> {
        loop {
            while let Some(event) = self.event() {
                let data = event.split(|byte| *byte == b'\n');
                let data = data.filter_map(|line| line.strip_prefix(b"data:"));
                let data: Vec<u8> = data.flatten().copied().collect();
                match serde_json::from_slice::<ServerFrame>(&data) {
                    Ok(ServerFrame { frame: Frame::Hello { heartbeat_ms, .. }, .. }) => {
                        self.silence = Duration::from_millis(heartbeat_ms) * HEARTBEATS;
                    }
                    Ok(ServerFrame { frame, .. }) => return Ok(frame),
                    Err(error) => tracing::debug!(%error, "a frame of another version is skipped"),
                }
            }
            let came = timeout(self.silence, self.response.chunk()).await;
            match came.map_err(|_| silent())?? {
                Some(bytes) => self.came.extend_from_slice(&bytes),
                None => return Err(silent().into()),
            }
            if self.came.len() > self.limit {
                let reason = format!("a frame is larger than {} bytes", self.limit);
                let status = self.response.status().as_u16();
                return Err(Error::invalid_reply(status, &self.came, reason).into());
            }
        }
    }

    /// The next event that is complete: its lines.
    fn event(&mut self) -> Option<Vec<u8>> {
        let end = self.came.windows(2).position(|two| two == b"\n\n")?;
        let rest = self.came.split_off(end + 2);
        Some(std::mem::replace(&mut self.came, rest))
    }
}

/// The connection has ended, or says nothing any more.
fn silent() -> Error {
    Error::DeadlineExceeded { last: None, outcome_unknown: false }
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
