use std::{
    collections::{BTreeMap, VecDeque},
    future::pending,
    sync::Arc,
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{LocalBoxFuture, select_all},
};
use jobtracker_engine::{Error, Result};
use jobtracker_model::{
    FieldError, JobId, Problem, ProblemCode,
    live::{ClientFrame, Frame, Position, Subscribe, Topic},
};
use jobtracker_store::Store;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};

use super::{frame::write_whole, hub::Hub, subscription::Subscription};

/// Subscriptions of a connection.
const SUBSCRIPTIONS: usize = 64;
/// Rows that the subscriptions of a connection show together.
const ROWS: usize = 1_000;
/// After this time there is a mark, if nothing else was said.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// About how many bytes are taken at a time: what a connection that is not read holds back.
const BYTES: usize = 256 * 1024;

/// A client that is told what it subscribes to.
pub(crate) struct Connection {
    hub: Arc<Hub>,
    subscriptions: BTreeMap<u32, Subscribed>,
    ready: VecDeque<Told>,
    heartbeat: Instant,
    /// The subscription that is asked first the next time.
    turn: u32,
    stopping: watch::Receiver<bool>,
    /// Nothing more is said.
    is_over: bool,
    /// Ends when the client has lost its right to be told.
    right_ends: LocalBoxFuture<'static, Problem>,
    _room: OwnedSemaphorePermit,
}

struct Subscribed {
    subscription: Subscription,
    rows: usize,
}

/// A frame for the client.
#[derive(Debug)]
pub(crate) struct Told {
    /// The subscription; none for what is about the connection.
    pub sub: Option<u32>,
    /// The frame as JSON.
    pub text: String,
    /// The position that the client knows by it: of an event, or the end of a snapshot's version.
    pub at: Option<Position>,
}

impl Connection {
    /// One connection more, until `right_ends` says why it ends.
    ///
    /// # Errors
    /// There are as many as are allowed; the service is stopping.
    pub fn open(
        hub: &Arc<Hub>,
        right_ends: impl Future<Output = Problem> + 'static,
    ) -> Result<Self> {
        let (room, hub) = (hub.room()?, Arc::clone(hub));
        let mut connection = Self {
            stopping: hub.stopping.clone(),
            hub,
            subscriptions: BTreeMap::new(),
            ready: VecDeque::new(),
            heartbeat: Instant::now() + HEARTBEAT,
            turn: 0,
            is_over: false,
            right_ends: right_ends.boxed_local(),
            _room: room,
        };
        let heartbeat_ms = HEARTBEAT.as_millis() as u64;
        let hello =
            Frame::Hello { subscriptions: SUBSCRIPTIONS as u32, rows: ROWS as u32, heartbeat_ms };
        connection.say(None, hello);
        Ok(connection)
    }

    /// Does what a client says.
    pub async fn take(&mut self, frame: ClientFrame) {
        let sub = match &frame {
            ClientFrame::Sub(Subscribe { sub, .. })
            | ClientFrame::Window { sub, .. }
            | ClientFrame::Unsub { sub } => Some(*sub),
            ClientFrame::Ping => None,
        };
        let done = match frame {
            ClientFrame::Sub(wanted) => self.subscribe(wanted).await,
            ClientFrame::Window { sub, ids } => self.show(sub, ids),
            ClientFrame::Unsub { sub } => {
                self.subscriptions.remove(&sub);
                Ok(())
            }
            ClientFrame::Ping => {
                self.say(None, Frame::Pong);
                Ok(())
            }
        };
        if let (Err(error), Some(sub)) = (done, sub) {
            self.subscriptions.remove(&sub);
            self.say(Some(sub), Frame::End { problem: problem(&error) });
        }
    }

    /// Begins a subscription; one with the same number is replaced.
    ///
    /// # Errors
    /// There is no such job; the connection has as many subscriptions or rows as are allowed.
    pub async fn subscribe(&mut self, wanted: Subscribe) -> Result<()> {
        let (sub, rows) = (wanted.sub, wanted.ids.len());
        self.subscriptions.remove(&sub);
        if self.subscriptions.len() >= SUBSCRIPTIONS {
            return Err(refused(
                "sub",
                format!("a connection has {SUBSCRIPTIONS} subscriptions at most"),
            ));
        }
        if matches!(wanted.topic, Topic::Rows(_)) == wanted.ids.is_empty() {
            return Err(refused("ids", "belong to a topic of rows, which has at least one".into()));
        }
        self.check_rows(sub, rows)?;
        let subscription = Subscription::begin(&self.hub, wanted).await?;
        if let Some(at) = subscription.position() {
            self.mark(sub, at);
        }
        self.subscriptions.insert(sub, Subscribed { subscription, rows });
        Ok(())
    }

    fn show(&mut self, sub: u32, ids: Vec<JobId>) -> Result<()> {
        self.check_rows(sub, ids.len())?;
        let subscribed = self.subscriptions.get_mut(&sub);
        let subscribed = subscribed.ok_or_else(|| refused("sub", "is not subscribed".into()))?;
        subscribed.rows = ids.len();
        subscribed.subscription.show(ids)
    }

    fn check_rows(&self, sub: u32, more: usize) -> Result<()> {
        let others = self.subscriptions.iter().filter(|(other, _)| **other != sub);
        if others.map(|(_, other)| other.rows).sum::<usize>() + more > ROWS {
            return Err(refused("ids", format!("a connection shows {ROWS} rows at most")));
        }
        Ok(())
    }

    /// Ends the connection, since the client says what cannot be understood.
    pub fn refuse(&mut self, code: ProblemCode, detail: &str) {
        self.end(Problem::new(code, detail));
    }

    /// What was not told yet stays untold: the client knows how far it has come.
    fn end(&mut self, problem: Problem) {
        self.ready.clear();
        self.say(None, Frame::End { problem });
        self.is_over = true;
    }

    /// Whether there are frames that were not taken, or no more come. What a client says meanwhile
    /// has to wait: its answers would pile up.
    pub fn is_behind(&self) -> bool {
        self.is_over || !self.ready.is_empty()
    }

    /// The next frame, when there is one; none at the end. A dropped call misses nothing.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            // First, since a client may have something to be told all the time.
            if !self.is_over
                && let Some(problem) = over(&mut self.right_ends, &mut self.stopping).now_or_never()
            {
                self.end(problem);
            }
            if let Some(told) = self.ready.pop_front() {
                self.heartbeat = Instant::now() + HEARTBEAT;
                return Some(told);
            }
            if self.is_over {
                return None;
            }
            self.collect();
            if !self.ready.is_empty() {
                continue;
            }
            tokio::select! {
                problem = over(&mut self.right_ends, &mut self.stopping) => self.end(problem),
                () = changed(&mut self.subscriptions, &*self.hub.store) => {}
                () = sleep_until(self.heartbeat) => self.mark_all(),
            }
        }
    }

    /// Takes what there is to tell, from each subscription in turn.
    fn collect(&mut self) {
        let mut room = BYTES;
        let turn = self.turn;
        let mut order: Vec<_> = self.subscriptions.iter_mut().collect();
        order.sort_by_key(|(sub, _)| **sub < turn);
        for (sub, subscribed) in order {
            for (text, at) in subscribed.subscription.collect(room) {
                let text = text.with(*sub);
                room = room.saturating_sub(text.len());
                self.ready.push_back(Told { sub: Some(*sub), text, at });
            }
            if room == 0 {
                self.turn = sub.saturating_add(1);
                break;
            }
        }
    }

    fn mark_all(&mut self) {
        let position = |(sub, it): (&u32, &Subscribed)| Some((*sub, it.subscription.position()?));
        let marks: Vec<_> = self.subscriptions.iter().filter_map(position).collect();
        if marks.is_empty() {
            self.say(None, Frame::Mark { at: None });
        }
        marks.into_iter().for_each(|(sub, at)| self.mark(sub, at));
    }

    fn mark(&mut self, sub: u32, at: Position) {
        let text = write_whole(Some(sub), Frame::Mark { at: Some(at) });
        self.ready.push_back(Told { sub: Some(sub), text, at: Some(at) });
    }

    fn say(&mut self, sub: Option<u32>, frame: Frame) {
        let text = write_whole(sub, frame);
        self.ready.push_back(Told { sub, text, at: None });
    }
}

/// Ends when the client is told no more, and says why.
async fn over(
    right_ends: &mut (impl Future<Output = Problem> + Unpin),
    stopping: &mut watch::Receiver<bool>,
) -> Problem {
    tokio::select! {
        problem = right_ends => problem,
        // An error means that the service is gone.
        _ = stopping.wait_for(|stopping| *stopping) => {
            Problem::new(ProblemCode::ShuttingDown, "The service is stopping.")
        }
    }
}

/// Ends when one of the subscriptions may have something to tell.
async fn changed(subscriptions: &mut BTreeMap<u32, Subscribed>, store: &dyn Store) {
    let all = subscriptions.values_mut();
    let all: Vec<_> = all.map(|it| Box::pin(it.subscription.changed(store))).collect();
    match all.is_empty() {
        true => pending().await,
        false => drop(select_all(all).await),
    }
}

fn refused(field: &str, reason: String) -> Error {
    Error::Field(FieldError::new(field, reason))
}

fn problem(error: &Error) -> Problem {
    let mut problem = Problem::new(error.code(), error.sentence());
    match error {
        Error::Field(field) => problem.field = Some(field.field.clone()),
        Error::Overloaded { retry_after_ms } => problem.retry_after_ms = Some(*retry_after_ms),
        _ => {}
    }
    problem
}

#[cfg(test)]
mod tests {
    use jobtracker_engine::{Engine, Options};
    use jobtracker_model::NewJob;
    use jobtracker_store::memory::MemoryStore;

    use super::*;
    use crate::clock;

    /// A client that is told of a tree, and has much to be told.
    async fn told(
        right_ends: impl Future<Output = Problem> + 'static,
        stopping: watch::Receiver<bool>,
    ) -> Connection {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let engine = Engine::start(Arc::clone(&store), Options::new(clock::now));
        let root = engine.create(NewJob::new("root")).await.unwrap().id;
        let hub = Hub::new(engine, store, 1, stopping);
        let mut connection = Connection::open(&hub, right_ends).unwrap();
        connection.subscribe(Subscribe::new(1, Topic::Tree(root))).await.unwrap();
        assert!(connection.is_behind());
        connection
    }

    #[tokio::test]
    async fn one_who_has_the_right_no_more_is_told_that_and_nothing_else() {
        let (_running, stopping) = watch::channel(false);
        let revoked = async { Problem::new(ProblemCode::TokenRevoked, "") };
        let mut connection = told(revoked, stopping).await;
        let end = connection.next().await.unwrap();
        assert!(end.text.contains("token_revoked"), "{}", end.text);
        assert!(connection.next().await.is_none() && connection.is_behind());
    }

    #[tokio::test]
    async fn a_stop_comes_before_what_is_to_be_told() {
        let (stop, stopping) = watch::channel(false);
        let mut connection = told(pending(), stopping).await;
        stop.send_replace(true);
        let end = connection.next().await.unwrap();
        assert!(end.text.contains("shutting_down"), "{}", end.text);
        assert!(connection.next().await.is_none());
    }
}
