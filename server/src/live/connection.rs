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

    fn end(&mut self, problem: Problem) {
        self.say(None, Frame::End { problem });
        self.is_over = true;
    }

    /// The next frame, when there is one; none at the end. A dropped call misses nothing.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
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
                () = is_true(&mut self.stopping) => {
                    self.refuse(ProblemCode::ShuttingDown, "The service is stopping.");
                }
                () = changed(&mut self.subscriptions, &*self.hub.store) => {}
                problem = &mut self.right_ends => self.end(problem),
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

async fn is_true(stopping: &mut watch::Receiver<bool>) {
    // An error means that the service is gone.
    let _ = stopping.wait_for(|stopping| *stopping).await;
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
