//! A proxy in front of one node, which loses, holds and cuts off the requests and replies that a
//! test names.
//!
//! It reads the frames of the protocol just far enough to know which prepared statements a request
//! executes, and which reply belongs to which request: a test wants to lose the reply to one
//! statement.
//!
//! The driver goes to the address that the node itself gives, with the port that it was told. So a
//! proxy has the address of its node and a port of its own, and is for clusters of one node, on
//! this machine.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex as AsyncMutex, watch},
    time::{Instant, sleep, timeout},
};

use crate::frames::Frame;

/// How long a test waits for an event that has to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the proxy checks.
const STEP: Duration = Duration::from_millis(2);

/// A fault of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The node never gets it.
    LoseRequest,
    /// The node does it, and its reply is lost.
    LoseReply,
    /// The connection breaks before the node gets it.
    CutBefore,
    /// The connection breaks right after the node got it.
    CutBehind,
    /// The connection breaks instead of bringing the reply.
    CutAtReply,
    /// The node does it, and answers that it has not heard from the other copies in time.
    NoQuorum,
    /// It is refused, and the node never gets it.
    Refuse,
    /// The node gets it when the test says so.
    Hold,
    /// No fault: the request is only counted.
    Count,
}

/// All after which a request is sent again.
pub const FAULTS: [Fault; 6] = [
    Fault::LoseRequest,
    Fault::LoseReply,
    Fault::CutBefore,
    Fault::CutBehind,
    Fault::CutAtReply,
    Fault::NoQuorum,
];

/// The fault of the next `times` requests with such a statement.
struct Rule {
    words: &'static str,
    fault: Fault,
    times: usize,
}

/// A request that the node has not answered yet.
struct Pending {
    /// The statement that it prepares.
    prepares: Option<String>,
    /// Whether it executes statements.
    counts: bool,
    fault: Option<Fault>,
}

struct State {
    node: SocketAddr,
    /// Texts of statements by the names that the node gave them.
    statements: Mutex<HashMap<Vec<u8>, String>>,
    rules: Mutex<Vec<Rule>>,
    /// How many faults have happened.
    hits: watch::Sender<usize>,
    /// Held requests up to this number may go on.
    released: watch::Sender<usize>,
    held: AtomicUsize,
    /// Requests that may still pass; `None`: any number.
    left: Mutex<Option<usize>>,
    dead: watch::Sender<bool>,
    under_way: AtomicUsize,
    passed: AtomicUsize,
}

/// A proxy that stands between a store and a node.
#[derive(Clone)]
pub struct Proxy {
    pub address: String,
    state: Arc<State>,
}

impl Proxy {
    /// A proxy in front of a node.
    pub async fn to(node: &str) -> Self {
        let node = tokio::net::lookup_host(node).await.unwrap().next().unwrap();
        let listener = TcpListener::bind((node.ip(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State {
            node,
            statements: Mutex::default(),
            rules: Mutex::default(),
            hits: watch::Sender::new(0),
            released: watch::Sender::new(0),
            held: AtomicUsize::new(0),
            left: Mutex::default(),
            dead: watch::Sender::new(false),
            under_way: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
        });
        let weak = Arc::downgrade(&state);
        tokio::spawn(async move {
            while let Ok((driver, _)) = listener.accept().await {
                let Some(state) = weak.upgrade() else { return };
                if !*state.dead.borrow() {
                    tokio::spawn(connect(state, driver));
                }
            }
        });
        Self { address, state }
    }

    /// Lets the next requests fail that execute a statement with these words.
    pub fn inject(&self, words: &'static str, fault: Fault, times: usize) {
        self.state.rules.lock().unwrap().push(Rule { words, fault, times });
    }

    /// Lets everything pass from now on, held requests too.
    pub fn clear(&self) {
        self.state.rules.lock().unwrap().clear();
        self.state.released.send_replace(self.state.held.load(Ordering::SeqCst));
    }

    /// How many faults have happened.
    pub fn hits(&self) -> usize {
        *self.state.hits.borrow()
    }

    /// Waits until this many faults have happened.
    pub async fn hit(&self, count: usize) {
        let mut hits = self.state.hits.subscribe();
        let wait = hits.wait_for(|hits| *hits >= count);
        timeout(PATIENCE, wait).await.expect("no fault happens").unwrap();
    }

    /// Dies after this many more requests, as if the store behind it had been killed.
    pub fn die_after(&self, requests: usize) {
        *self.state.left.lock().unwrap() = Some(requests);
    }

    pub fn is_dead(&self) -> bool {
        *self.state.dead.borrow()
    }

    /// Waits until it is dead and the node has answered what it got before that.
    pub async fn died(&self) {
        let mut dead = self.state.dead.subscribe();
        dead.wait_for(|dead| *dead).await.unwrap();
        self.state.answered().await;
    }

    /// Waits until no more requests come, so that background work is done.
    pub async fn quiet(&self) {
        const CALM: Duration = Duration::from_millis(40);
        let (mut seen, mut since) = (usize::MAX, Instant::now());
        while since.elapsed() < CALM || self.state.under_way.load(Ordering::SeqCst) > 0 {
            sleep(STEP).await;
            let passed = self.state.passed.load(Ordering::SeqCst);
            if passed != seen {
                (seen, since) = (passed, Instant::now());
            }
            if self.is_dead() {
                return;
            }
        }
    }
}

impl State {
    /// The fault that a request meets; an error when it may not pass because the proxy is dead.
    fn judge(&self, frame: &Frame) -> Result<Option<Fault>, ()> {
        let statements = self.statements.lock().unwrap();
        let named = frame.statements();
        let texts: Vec<&String> = named.iter().filter_map(|id| statements.get(id)).collect();
        // The driver sends requests of its own, too.
        if texts.iter().all(|text| text.contains("system")) {
            return Ok(None);
        }
        let mut left = self.left.lock().unwrap();
        match &mut *left {
            Some(0) => {
                self.dead.send_replace(true);
                return Err(());
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let mut rules = self.rules.lock().unwrap();
        let meets =
            |rule: &&mut Rule| rule.times > 0 && texts.iter().any(|text| text.contains(rule.words));
        let Some(rule) = rules.iter_mut().find(meets) else { return Ok(None) };
        rule.times -= 1;
        Ok(Some(rule.fault))
    }

    fn hit(&self) {
        self.hits.send_modify(|hits| *hits += 1);
    }

    async fn answered(&self) {
        let end = Instant::now() + PATIENCE;
        while self.under_way.load(Ordering::SeqCst) > 0 && Instant::now() < end {
            sleep(STEP).await;
        }
    }
}

/// One connection.
struct Link {
    state: Arc<State>,
    pending: Mutex<HashMap<i16, Pending>>,
    to_node: AsyncMutex<OwnedWriteHalf>,
    /// `None` when it is broken for the driver.
    to_driver: AsyncMutex<Option<OwnedWriteHalf>>,
    cut: watch::Sender<bool>,
}

async fn connect(state: Arc<State>, driver: TcpStream) {
    let Ok(node) = TcpStream::connect(state.node).await else { return };
    let _ = (driver.set_nodelay(true), node.set_nodelay(true));
    let (from_driver, to_driver) = driver.into_split();
    let (from_node, to_node) = node.into_split();
    let link = Arc::new(Link {
        state,
        pending: Mutex::default(),
        to_node: AsyncMutex::new(to_node),
        to_driver: AsyncMutex::new(Some(to_driver)),
        cut: watch::Sender::new(false),
    });
    tokio::spawn(Arc::clone(&link).answer(from_node));
    link.ask(from_driver).await;
}

impl Link {
    /// Passes the driver's requests to the node.
    async fn ask(self: Arc<Self>, mut from_driver: OwnedReadHalf) {
        let (mut dead, mut cut) = (self.state.dead.subscribe(), self.cut.subscribe());
        loop {
            let frame = tokio::select! {
                frame = Frame::read(&mut from_driver) => frame,
                _ = dead.wait_for(|dead| *dead) => break,
                _ = cut.wait_for(|cut| *cut) => break,
            };
            let Some(frame) = frame else { break };
            let Ok(fault) = self.state.judge(&frame) else { break };
            if matches!(fault, Some(Fault::LoseRequest | Fault::CutBefore | Fault::Refuse)) {
                self.state.hit();
            } else {
                self.note(&frame, fault);
            }
            match fault {
                Some(Fault::LoseRequest) => {}
                Some(Fault::CutBefore) => break,
                Some(Fault::Refuse) => self.tell(&frame.refusal()).await,
                Some(Fault::Count) => {
                    self.state.hit();
                    self.pass(&frame).await;
                }
                Some(Fault::Hold) => drop(tokio::spawn(Arc::clone(&self).hold(frame))),
                Some(Fault::CutBehind) => {
                    self.pass(&frame).await;
                    self.state.hit();
                    break;
                }
                _ => self.pass(&frame).await,
            }
        }
        drop(from_driver);
        *self.to_driver.lock().await = None;
        // A node may take the end of a connection as a sign that no client waits any more.
        let end = Instant::now() + PATIENCE;
        while !self.pending.lock().unwrap().is_empty() && Instant::now() < end {
            sleep(STEP).await;
        }
        let _ = self.to_node.lock().await.shutdown().await;
    }

    async fn hold(self: Arc<Self>, frame: Frame) {
        let number = self.state.held.fetch_add(1, Ordering::SeqCst) + 1;
        let mut released = self.state.released.subscribe();
        self.state.hit();
        let _ = released.wait_for(|released| *released >= number).await;
        self.pass(&frame).await;
    }

    fn note(&self, frame: &Frame, fault: Option<Fault>) {
        let pending = Pending { prepares: frame.prepares(), counts: frame.executes(), fault };
        self.pending.lock().unwrap().insert(frame.stream(), pending);
    }

    async fn pass(&self, frame: &Frame) {
        if frame.executes() {
            self.state.under_way.fetch_add(1, Ordering::SeqCst);
            self.state.passed.fetch_add(1, Ordering::SeqCst);
        }
        let _ = self.to_node.lock().await.write_all(&frame.bytes).await;
    }

    /// A driver that has gone is noticed by the other half.
    async fn tell(&self, reply: &Frame) {
        if let Some(to_driver) = &mut *self.to_driver.lock().await {
            let _ = to_driver.write_all(&reply.bytes).await;
        }
    }

    /// Passes the node's replies to the driver.
    async fn answer(self: Arc<Self>, mut from_node: OwnedReadHalf) {
        while let Some(frame) = Frame::read(&mut from_node).await {
            let pending = self.pending.lock().unwrap().remove(&frame.stream());
            let fault = pending.as_ref().and_then(|pending| pending.fault);
            let hit = matches!(fault, Some(Fault::LoseReply | Fault::CutAtReply | Fault::NoQuorum));
            let frame = match fault {
                Some(Fault::LoseReply) => None,
                Some(Fault::CutAtReply) => {
                    self.cut.send_replace(true);
                    None
                }
                Some(Fault::NoQuorum) => Some(frame.no_quorum()),
                _ => Some(frame.unsharded()),
            };
            if let Some(frame) = frame {
                if let Some(text) = pending.as_ref().and_then(|pending| pending.prepares.clone())
                    && let Some(id) = frame.prepared()
                {
                    self.state.statements.lock().unwrap().insert(id, text);
                }
                self.tell(&frame).await;
            }
            if pending.is_some_and(|pending| pending.counts) {
                self.state.under_way.fetch_sub(1, Ordering::SeqCst);
            }
            if hit {
                self.state.hit();
            }
        }
        // Requests that are not answered now never will be.
        let left = std::mem::take(&mut *self.pending.lock().unwrap());
        let count = left.values().filter(|pending| pending.counts).count();
        self.state.under_way.fetch_sub(count, Ordering::SeqCst);
        self.cut.send_replace(true);
    }
}
