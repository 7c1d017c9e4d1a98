use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use jobtracker_model::{
    FollowUpLoad, JobId, Overview,
    live::{DeliveriesState, Frame, JobSummary, OverviewState, Position, RootsState, Topic},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    JobTrackerClient, Result, RootsQuery,
    call::Call,
    frames::{Frames, events},
};

/// A state of the service as it is now, and again whenever it has become another one: looked at
/// once a second, and told at the pace that was asked for. What was in between is not told.
///
/// A connection that breaks is made anew, as the client's [`RetryPolicy`](crate::RetryPolicy) says,
/// and the state is told again only if it has changed meanwhile. An error is the last item.
pub struct StateWatch<T>(stream::BoxStream<'static, Result<T>>);

/// The first roots of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WatchedRoots {
    /// The roots, in the order of the list, each with its definition.
    pub rows: Vec<JobSummary>,
    /// Whether the list may go on behind them.
    pub more: bool,
}

impl<T> fmt::Debug for StateWatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateWatch").finish_non_exhaustive()
    }
}

impl<T> Stream for StateWatch<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

/// `every` is the shortest time from one state to the next, up to a minute; none: as fast as they
/// come.
impl JobTrackerClient {
    /// Tells the first roots of a list: up to 200, and 100 without a limit. The list has no cursor
    /// and no total.
    ///
    /// # Errors
    /// A tag cannot be listed. The stream ends with `invalid_field` when the list is wrong.
    pub fn watch_roots(
        &self,
        query: RootsQuery,
        every: Option<Duration>,
    ) -> Result<StateWatch<WatchedRoots>> {
        let filter = Call::get("").roots(query)?.query;
        let mut known = HashMap::new();
        Ok(self.watch_state(Topic::Roots, Some(encoded(&filter)), every, move |frame, has| {
            match frame {
                Frame::Roots(roots) => roots_of(&mut known, roots, has),
                _ => Taken::Nothing,
            }
        }))
    }

    /// Tells how many deliveries and checks wait, were done and have failed, of the server that
    /// answers.
    pub fn watch_deliveries(&self, every: Option<Duration>) -> StateWatch<FollowUpLoad> {
        self.watch_state(Topic::Deliveries, None, every, |frame, _| match frame {
            Frame::Deliveries(DeliveriesState { version, follow_ups }) => {
                Taken::State(version, follow_ups)
            }
            _ => Taken::Nothing,
        })
    }

    /// Tells how the server is that answers.
    pub fn watch_overview(&self, every: Option<Duration>) -> StateWatch<Overview> {
        self.watch_state(Topic::Overview, None, every, |frame, _| match frame {
            Frame::Overview(OverviewState { version, overview }) => Taken::State(version, overview),
            _ => Taken::Nothing,
        })
    }

    fn watch_state<T: Send + 'static>(
        &self,
        topic: Topic,
        filter: Option<String>,
        every: Option<Duration>,
        take: impl FnMut(Frame, Option<u64>) -> Taken<T> + Send + 'static,
    ) -> StateWatch<T> {
        let frames = Frames::new(Arc::clone(&self.http));
        let watcher = Watcher { frames, topic, filter, every, take, has: None, is_over: false };
        let states = stream::unfold(watcher, |mut watcher| async move {
            let told = watcher.next().await?;
            Some((told, watcher))
        });
        StateWatch(states.boxed())
    }
}

/// What a frame says.
enum Taken<T> {
    /// A state and its version.
    State(u64, T),
    /// Nothing of the state.
    Nothing,
    /// What differs from a state that is not known here.
    Unknown,
}

/// The state of a watch.
struct Watcher<F> {
    frames: Frames,
    topic: Topic,
    filter: Option<String>,
    every: Option<Duration>,
    /// Makes a state of a frame, given the version of the state that was told before.
    take: F,
    has: Option<u64>,
    is_over: bool,
}

impl<F> Watcher<F> {
    async fn next<T>(&mut self) -> Option<Result<T>>
    where
        F: FnMut(Frame, Option<u64>) -> Taken<T>,
    {
        while !self.is_over {
            let call = || {
                events(self.topic, self.every)
                    .query("filter", self.filter.as_ref())
                    .query("after", self.has.map(Position::end_of))
            };
            let frame = match self.frames.next(call).await {
                Ok(frame) => frame,
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            };
            match (self.take)(frame, self.has) {
                Taken::State(version, state) => {
                    self.has = Some(version);
                    return Some(Ok(state));
                }
                Taken::Nothing => {}
                Taken::Unknown => {
                    self.has = None;
                    self.frames.begin_again();
                }
            }
        }
        None
    }
}

/// The list as it is now. `known`: the rows that were told before.
fn roots_of(
    known: &mut HashMap<JobId, JobSummary>,
    RootsState { version, from, ids, rows, more }: RootsState,
    has: Option<u64>,
) -> Taken<WatchedRoots> {
    if from.is_some() && from != has {
        return Taken::Unknown;
    }
    if from.is_none() {
        known.clear();
    }
    for mut row in rows {
        let definition = known.remove(&row.id).and_then(|row| row.definition);
        row.definition = row.definition.or(definition);
        known.insert(row.id, row);
    }
    let rows: Vec<_> = ids.iter().filter_map(|id| known.get(id).cloned()).collect();
    *known = rows.iter().map(|row| (row.id, row.clone())).collect();
    Taken::State(version, WatchedRoots { rows, more })
}

/// The parameters of a list as a text.
fn encoded(parameters: &[(&'static str, String)]) -> String {
    let parameters = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    parameters.collect::<Vec<_>>().join("&")
}
