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

use crate::access::Principal;

use super::{
    frame::write_whole,
    hub::Hub,
    pace::Pace,
    state::Source,
    subscription::{Subscription, TreeSubscription, problem},
};

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
    /// Who the client is.
    caller: Principal,
    /// Ends when the client is told no more, and says why, unless it may connect again.
    right_ends: LocalBoxFuture<'static, Option<Problem>>,
    _room: OwnedSemaphorePermit,
}

struct Subscribed {
    subscription: Subscription,
    rows: usize,
    /// The position that the client was told last, and when the next one has to be told.
    known: Option<Position>,
    mark_at: Instant,
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
        caller: Principal,
        right_ends: impl Future<Output = Option<Problem>> + 'static,
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
            caller,
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
            | ClientFrame::Pace { sub, .. }
            | ClientFrame::Unsub { sub } => Some(*sub),
            ClientFrame::Ping => None,
        };
        let done = match frame {
            ClientFrame::Sub(wanted) => self.subscribe(wanted).await,
            ClientFrame::Window { sub, ids } => self.show(sub, ids),
            ClientFrame::Pace { sub, every_ms } => self.pace(sub, every_ms),
            ClientFrame::Unsub { sub } => {
                self.unsubscribe(sub);
                Ok(())
            }
            ClientFrame::Ping => {
                self.say(None, Frame::Pong);
                Ok(())
            }
        };
        if let (Err(error), Some(sub)) = (done, sub) {
            self.end_one(sub, problem(&error));
        }
    }

    /// Ends a subscription by the client's wish: it is told no more of what waits either.
    fn unsubscribe(&mut self, sub: u32) {
        self.subscriptions.remove(&sub);
        self.ready.retain(|told| told.sub != Some(sub));
    }

    /// Ends a subscription, or says why it could not begin.
    pub fn end_one(&mut self, sub: u32, problem: Problem) {
        self.subscriptions.remove(&sub);
        self.say(Some(sub), Frame::End { problem });
    }

    /// Begins a subscription; one with the same number is replaced.
    ///
    /// # Errors
    /// There is no such job; the connection has as many subscriptions or rows as are allowed.
    pub async fn subscribe(&mut self, wanted: Subscribe) -> Result<()> {
        let (sub, rows) = (wanted.sub, wanted.ids.len());
        self.make_room(sub)?;
        if matches!(wanted.topic, Topic::Rows(_)) == wanted.ids.is_empty() {
            return Err(refused("ids", "belong to a topic of rows, which has at least one".into()));
        }
        self.check_rows(sub, rows)?;
        let subscription =
            Subscription::Tree(Box::new(TreeSubscription::begin(&self.hub, wanted).await?));
        self.begin(sub, subscription, rows);
        Ok(())
    }

    /// Begins a subscription to a state of the service; one with the same number is replaced.
    ///
    /// # Errors
    /// The connection has as many subscriptions as are allowed; too many states are watched.
    pub fn subscribe_to_state(&mut self, wanted: &Subscribe, source: Source) -> Result<()> {
        let Subscribe { sub, since, every_ms, .. } = *wanted;
        self.make_room(sub)?;
        let view = self.hub.watch_state(&self.caller, source, since, Pace::new(every_ms)?)?;
        self.begin(sub, Subscription::State(view), 0);
        Ok(())
    }

    /// Ends a subscription with this number, and makes sure that there may be one more.
    fn make_room(&mut self, sub: u32) -> Result<()> {
        self.unsubscribe(sub);
        if self.subscriptions.len() < SUBSCRIPTIONS {
            return Ok(());
        }
        let reason = format!("a connection has {SUBSCRIPTIONS} subscriptions at most");
        Err(refused("sub", reason))
    }

    fn begin(&mut self, sub: u32, subscription: Subscription, rows: usize) {
        let mut subscribed =
            Subscribed { subscription, rows, known: None, mark_at: Instant::now() };
        self.ready.extend(subscribed.mark(sub));
        self.subscriptions.insert(sub, subscribed);
    }

    fn pace(&mut self, sub: u32, every_ms: u32) -> Result<()> {
        let subscribed = self.subscriptions.get_mut(&sub);
        let subscribed = subscribed.ok_or_else(|| refused("sub", "is not subscribed".into()))?;
        subscribed.subscription.pace(every_ms)
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
                self.end_all(problem);
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
                problem = over(&mut self.right_ends, &mut self.stopping) => self.end_all(problem),
                () = changed(&mut self.subscriptions, &self.hub.store) => {}
                () = sleep_until(self.heartbeat) => self.mark_all(),
            }
        }
    }

    /// Ends the connection; without a problem it only closes.
    fn end_all(&mut self, problem: Option<Problem>) {
        match problem {
            Some(problem) => self.end(problem),
            None => self.is_over = true,
        }
    }

    /// Takes what there is to tell, from each subscription in turn.
    fn collect(&mut self) {
        let mut room = BYTES;
        let turn = self.turn;
        let mut order: Vec<_> = self.subscriptions.iter_mut().collect();
        order.sort_by_key(|(sub, _)| **sub < turn);
        let mut ended = Vec::new();
        for (sub, subscribed) in order {
            match subscribed.subscription.collect(room) {
                Ok(told) => {
                    for (text, at) in told {
                        let text = text.with(*sub);
                        room = room.saturating_sub(text.len());
                        subscribed.note(at);
                        self.ready.push_back(Told { sub: Some(*sub), text, at });
                    }
                    self.ready.extend(subscribed.mark_if_due(*sub));
                }
                Err(problem) => ended.push((*sub, problem)),
            }
            if room == 0 {
                self.turn = sub.saturating_add(1);
                break;
            }
        }
        ended.into_iter().for_each(|(sub, problem)| self.end_one(sub, *problem));
    }

    /// Says where each subscription is, or at least that the connection is alive.
    fn mark_all(&mut self) {
        let marks = self.subscriptions.iter_mut().filter_map(|(sub, it)| it.mark(*sub));
        self.ready.extend(marks);
        if self.ready.is_empty() {
            self.say(None, Frame::Mark { at: None });
        }
    }

    fn say(&mut self, sub: Option<u32>, frame: Frame) {
        let text = write_whole(sub, frame);
        self.ready.push_back(Told { sub, text, at: None });
    }
}

impl Subscribed {
    /// Notes that the client is told a position.
    fn note(&mut self, at: Option<Position>) {
        if at.is_some() {
            (self.known, self.mark_at) = (at, Instant::now() + HEARTBEAT);
        }
    }

    /// Says where its events are, if it tells of any.
    fn mark(&mut self, sub: u32) -> Option<Told> {
        let at = Some(self.subscription.position()?);
        self.note(at);
        Some(Told { sub: Some(sub), text: write_whole(Some(sub), Frame::Mark { at }), at })
    }

    /// The same if it is time, and the client does not know: its position goes on with events that
    /// it does not tell, while others of the connection do.
    fn mark_if_due(&mut self, sub: u32) -> Option<Told> {
        let is_due = self.subscription.position() != self.known && self.mark_at <= Instant::now();
        if is_due { self.mark(sub) } else { None }
    }
}

/// Ends when the client is told no more, and says why.
async fn over(
    right_ends: &mut (impl Future<Output = Option<Problem>> + Unpin),
    stopping: &mut watch::Receiver<bool>,
) -> Option<Problem> {
    tokio::select! {
        problem = right_ends => problem,
        // An error means that the service is gone.
        _ = stopping.wait_for(|stopping| *stopping) => {
            Some(Problem::new(ProblemCode::ShuttingDown, "The service is stopping."))
        }
    }
}

/// Ends when one of the subscriptions may have something to tell.
async fn changed(subscriptions: &mut BTreeMap<u32, Subscribed>, store: &Arc<dyn Store>) {
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

#[cfg(test)]
mod tests {
    use jobtracker_engine::{Engine, Options};
    use jobtracker_model::{
        NewJob, NewLogLines,
        live::{EventKind, GapReason, ServerFrame, Snapshot},
    };
    use jobtracker_store::memory::MemoryStore;
    use tokio::time::timeout;

    use super::*;
    use crate::clock;

    /// A server with a tree of a root.
    struct Server {
        hub: Arc<Hub>,
        stop: watch::Sender<bool>,
        root: JobId,
    }

    impl Server {
        async fn start() -> Self {
            let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
            let engine = Engine::start(Arc::clone(&store), Options::new(clock::now));
            let root = engine.create(NewJob::new("root")).await.unwrap().id;
            let (stop, stopping) = watch::channel(false);
            Self { hub: Hub::new(engine, store, 9, stopping), stop, root }
        }

        fn open(&self) -> Connection {
            Connection::open(&self.hub, Principal::Anonymous, pending()).unwrap()
        }

        /// Creates a job, by which the tree has one version more.
        async fn create(&self) -> JobId {
            self.hub.engine.create(NewJob::new("job").under(self.root)).await.unwrap().id
        }

        async fn log(&self, id: JobId) {
            let lines = NewLogLines { lines: vec!["line".into()], append_id: None };
            self.hub.engine.append_log(id, lines).await.unwrap();
        }

        fn rows(&self, id: JobId) -> Subscribe {
            Subscribe { ids: vec![id], ..Subscribe::new(1, Topic::Rows(self.root)) }
        }

        fn events(&self, kind: EventKind) -> Subscribe {
            Subscribe { kinds: Some(vec![kind]), ..Subscribe::new(1, Topic::Tree(self.root)) }
        }
    }

    async fn next(connection: &mut Connection) -> Frame {
        let told = timeout(Duration::from_secs(30), connection.next()).await;
        let told = told.expect("something is told").unwrap();
        serde_json::from_str::<ServerFrame>(&told.text).unwrap().frame
    }

    async fn snapshot(connection: &mut Connection) -> Snapshot {
        for _ in 0..9 {
            if let Frame::Snap(snapshot) = next(connection).await {
                return snapshot;
            }
        }
        panic!("no snapshot");
    }

    /// The next frame that is no snapshot.
    async fn next_event(connection: &mut Connection) -> Frame {
        loop {
            let frame = next(connection).await;
            if !matches!(frame, Frame::Snap(_)) {
                return frame;
            }
        }
    }

    #[tokio::test]
    async fn one_who_has_the_right_no_more_is_told_that_and_nothing_else() {
        let server = Server::start().await;
        let revoked = async { Some(Problem::new(ProblemCode::TokenRevoked, "")) };
        let mut connection = Connection::open(&server.hub, Principal::Anonymous, revoked).unwrap();
        connection.subscribe(Subscribe::new(1, Topic::Tree(server.root))).await.unwrap();
        assert!(connection.is_behind());
        let end = connection.next().await.unwrap();
        assert!(end.text.contains("token_revoked"), "{}", end.text);
        assert!(connection.next().await.is_none() && connection.is_behind());
    }

    #[tokio::test]
    async fn a_stop_comes_before_what_is_to_be_told() {
        let server = Server::start().await;
        let mut connection = server.open();
        connection.subscribe(Subscribe::new(1, Topic::Tree(server.root))).await.unwrap();
        server.stop.send_replace(true);
        let end = connection.next().await.unwrap();
        assert!(end.text.contains("shutting_down"), "{}", end.text);
        assert!(connection.next().await.is_none());
    }

    /// Another window has rows that were read before the client was shown later ones.
    #[tokio::test]
    async fn a_client_that_shows_other_rows_is_told_no_older_ones() {
        let server = Server::start().await;
        let job = server.create().await;
        let (mut other, mut connection) = (server.open(), server.open());
        other.subscribe(server.rows(job)).await.unwrap();
        let old = snapshot(&mut other).await;
        server.create().await;
        connection.subscribe(server.rows(server.root)).await.unwrap();
        let shown = snapshot(&mut connection).await;
        assert!(shown.version > old.version);
        connection.take(ClientFrame::Window { sub: 1, ids: vec![job] }).await;
        let again = snapshot(&mut connection).await;
        assert_eq!((again.version, &again.rows), (shown.version, &old.rows));
    }

    #[tokio::test]
    async fn the_first_rows_are_whole_to_a_client_that_has_some() {
        let server = Server::start().await;
        let job = server.create().await;
        let (mut other, mut connection) = (server.open(), server.open());
        other.subscribe(server.rows(job)).await.unwrap();
        let old = snapshot(&mut other).await;
        let since = Some(old.version);
        connection.subscribe(Subscribe { since, ..server.rows(job) }).await.unwrap();
        connection.collect();
        server.log(job).await;
        let shown = snapshot(&mut connection).await;
        assert_eq!((shown.from, shown.version), (None, old.version + 1));
        // A version of other data says nothing of these.
        let since = Some(99);
        connection.subscribe(Subscribe { since, ..server.rows(job) }).await.unwrap();
        assert_eq!(snapshot(&mut connection).await.version, shown.version);
    }

    #[tokio::test]
    async fn a_position_that_the_tree_has_not_reached_is_a_gap_back_to_where_it_is() {
        let server = Server::start().await;
        let mut connection = server.open();
        let after = Some(Position::new(99, 3));
        let wanted = Subscribe { after, ..server.events(EventKind::Created) };
        connection.subscribe(wanted).await.unwrap();
        assert!(matches!(next(&mut connection).await, Frame::Hello { .. }));
        assert!(matches!(next(&mut connection).await, Frame::Mark { .. }));
        let Frame::Gap(gap) = next_event(&mut connection).await else { panic!("no gap") };
        assert_eq!((gap.from, gap.why), (Position::new(99, 3), GapReason::Gone));
        let job = server.create().await;
        let Frame::Event(event) = next_event(&mut connection).await else { panic!("no event") };
        assert_eq!((event.id, event.at.version()), (job, gap.to.version() + 1));
    }

    #[tokio::test]
    async fn a_subscription_says_where_it_is_while_another_one_tells_events() {
        let server = Server::start().await;
        let mut connection = server.open();
        connection.subscribe(server.events(EventKind::Delivery)).await.unwrap();
        let told = Subscribe { sub: 2, ..server.events(EventKind::Created) };
        connection.subscribe(told).await.unwrap();
        connection.collect();
        connection.ready.clear();
        // The time between two marks has passed.
        connection.subscriptions.get_mut(&1).unwrap().mark_at = Instant::now();
        server.create().await;
        let at = Some(Position::end_of(2));
        assert_eq!(next_event(&mut connection).await, Frame::Mark { at });
        assert!(matches!(next_event(&mut connection).await, Frame::Event(_)));
        connection.collect();
        assert!(connection.ready.iter().all(|told| told.sub != Some(1)), "it was told that");
    }

    #[tokio::test]
    async fn a_subscription_that_has_ended_leaves_nothing_to_tell() {
        let server = Server::start().await;
        let mut connection = server.open();
        let kinds = Some(vec![EventKind::Created; 1_000]);
        let wanted = Subscribe { kinds, ..server.events(EventKind::Created) };
        connection.subscribe(wanted.clone()).await.unwrap();
        connection.subscribe(wanted).await.unwrap();
        let of_it = |connection: &Connection| {
            connection.ready.iter().filter(|told| told.sub == Some(1)).count()
        };
        assert_eq!(of_it(&connection), 1);
        connection.take(ClientFrame::Unsub { sub: 1 }).await;
        assert_eq!((of_it(&connection), connection.ready.len()), (0, 1));
    }
}
