use std::{io, net::SocketAddr, net::TcpListener, sync::Arc, time::Duration};

use actix_web::{dev::ServerHandle, web};
use jobtracker_engine::{Engine, Options};
use jobtracker_guard::Guard;
use jobtracker_scheduler::{Fleet, Scheduler, Timer};
use jobtracker_store::Store;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use crate::{
    Config, ConfigError, EngineConfig, Secret, ServerConfig,
    access::{Access, Audit},
    clock,
    follow_ups::{FollowUpMetrics, PREPARED, Parts, Rounds, Uptime},
    http::{self, App, Ends, Proxy, RequestIds, SiteGuard},
    live::Hub,
    metrics::{Metrics, RouteMetrics},
    outbox::{HostLimits, Mailer, OutboxError, Poster, Schedule},
    overview::Overviews,
    retention::{Deletions, Rounds as RetentionRounds, Rules},
    sweep::Sweep,
    tasks::{Dispatch, Routers, Workers},
    tls::{Certificate, Tls},
};

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no address to listen on, or none that may be served with this configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// Deliveries cannot be sent with this configuration.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// Starts the service.
#[derive(Debug)]
pub struct Server;

/// A service that takes requests until it is stopped.
pub struct RunningServer {
    address: SocketAddr,
    http: ServerHandle,
    /// None after it has ended by itself.
    serving: Option<JoinHandle<io::Result<()>>>,
    /// None: connections are not encrypted.
    tls: Option<Arc<Tls>>,
    access: Arc<Access>,
    /// Background tasks; they end when the service stops.
    background: Vec<JoinHandle<()>>,
    stopping: watch::Sender<bool>,
    /// Cuts off connections whose clients read nothing.
    cut: watch::Sender<bool>,
    metrics: Arc<Metrics>,
    engine: Engine,
    store: Arc<dyn Store>,
}

impl Server {
    /// Starts the engine and listens. The service owns `store`: [`RunningServer::stop`] closes it.
    /// Must be called in a Tokio runtime; requests are served by threads of their own.
    ///
    /// # Errors
    /// The address cannot be listened on; the store is left open then.
    pub fn start(config: &Config, store: Arc<dyn Store>) -> Result<RunningServer, StartError> {
        Self::start_with(config, store, Routers::new())
    }

    /// Likewise, with rules of the operator's own that choose workers for tasks.
    ///
    /// # Errors
    /// Likewise.
    pub fn start_with(
        config: &Config,
        store: Arc<dyn Store>,
        routers: Routers,
    ) -> Result<RunningServer, StartError> {
        let address = config.listen_address()?;
        let tls = Certificate::read(&config.server)?.map(Tls::new).map(Arc::new);
        let proxy = Proxy::new(&config.proxy)?;
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;

        let sending = Sending::new(config, address)?;
        let engine = Engine::start(Arc::clone(&store), options(config));
        let (stopping, stops) = watch::channel(false);
        let (cut, cuts) = watch::channel(false);
        let parts = (sending, proxy, routers);
        let app = web::Data::new(app(config, address, parts, &engine, &store, &stops));
        let ends = Ends { stopping: stops.clone(), cut: cuts };
        let server =
            http::serve(&config.server, listener, tls.clone(), &app, ends).map_err(failed)?;
        let http = server.handle();
        let serving = Some(tokio::spawn(server));
        let background = background(config, &app, &stops);
        let (access, metrics) = (Arc::clone(&app.access), Arc::clone(&app.metrics));
        Ok(RunningServer {
            address,
            http,
            serving,
            tls,
            access,
            background,
            stopping,
            cut,
            metrics,
            engine,
            store,
        })
    }
}

/// Everything that handlers use.
fn app(
    config: &Config,
    address: SocketAddr,
    (sending, proxy, routers): (Sending, Proxy, Routers),
    engine: &Engine,
    store: &Arc<dyn Store>,
    stops: &watch::Receiver<bool>,
) -> App {
    let lease = Duration::from_millis(config.workers.lease_ms);
    let assign_ttl = Duration::from_millis(config.workers.assign_ttl_ms);
    let workers = Arc::new(Workers::new(Arc::clone(store), lease, assign_ttl));
    let follow_ups = Arc::new(sending.parts(engine, store, Arc::clone(&workers)));
    let dispatch = Dispatch::new(Arc::clone(store), engine.clone(), workers, routers);
    let fleet: Arc<dyn Fleet> = Arc::clone(&dispatch.workers) as _;
    let scheduler = Scheduler::new(engine.clone(), Arc::clone(store)).with_fleet(fleet);
    let kept = config.retention.tombstone_kept();
    let deletions = Arc::new(Deletions::new(engine.clone(), Arc::clone(store), kept));
    let metrics = Metrics::new(engine, Arc::clone(store), &follow_ups.metrics, &deletions);
    let access = Access::new(Arc::clone(store), &config.auth.token, &config.access);
    let overviews = Overviews::new(engine, store, &metrics, &follow_ups);
    let connections = config.live.connections;
    App {
        engine: engine.clone(),
        store: Arc::clone(store),
        follow_ups,
        hub: Hub::new(engine.clone(), Arc::clone(store), connections, stops.clone()),
        overviews,
        unrouted: RouteMetrics::new("none", Arc::clone(&metrics)),
        metrics,
        access: Arc::new(access),
        audit: Arc::new(Audit::new(Arc::clone(store), config.access.audit_days)),
        deletions,
        dispatch: Arc::new(dispatch),
        rules: Arc::new(Rules::new(Arc::clone(store))),
        scheduler: Arc::new(scheduler),
        sites: SiteGuard::new(config, address),
        proxy,
        request_ids: RequestIds::new(),
        body_limit: config.server.body_limit_bytes,
        body_timeout: config.server.body_timeout(),
        commit_places: Arc::new(Semaphore::new(config.commits.at_once)),
        commits: config.commits.clone(),
        histograms: http::Histograms::new(),
        file_places: Arc::new(Semaphore::new(http::FILES_AT_ONCE)),
        export_places: Arc::new(Semaphore::new(http::EXPORTS_AT_ONCE)),
        export: config.export,
        store_kind: config.store.kind,
        runtime: Handle::current(),
        stopping: stops.clone(),
    }
}

/// Starts what goes on beside the requests; each part ends when the service stops.
fn background(config: &Config, app: &App, stops: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
    let sweep = Sweep::new(&app.store, &app.access, &app.audit, &config.commits);
    let retention = RetentionRounds {
        store: Arc::clone(&app.store),
        rules: Arc::clone(&app.rules),
        deletions: Arc::clone(&app.deletions),
        every: config.retention.every(),
    };
    let grace = Duration::from_millis(config.server.shutdown_grace_ms);
    let rounds = Rounds::new(Arc::clone(&app.follow_ups), grace);
    let timer = Timer::new(Arc::clone(&app.scheduler));
    vec![
        tokio::spawn(timer.run(clock::now, stops.clone())),
        tokio::spawn(sweep.run(stops.clone())),
        tokio::spawn(retention.run(stops.clone())),
        tokio::spawn(rounds.run(stops.clone())),
        tokio::spawn(Arc::clone(&app.dispatch).run(stops.clone())),
        tokio::spawn(Arc::clone(&app.access).run(stops.clone())),
        tokio::spawn(Arc::clone(&app.overviews).run(stops.clone())),
    ]
}

impl RunningServer {
    /// When no request is under way, ends the connections that are left, except those whose clients
    /// still read their answers: the others wait for a client that sends nothing, or reads nothing.
    /// Never returns after that.
    async fn cut_the_rest(&self) {
        while self.metrics.in_flight() > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let _ = self.cut.send(true);
        std::future::pending::<()>().await;
    }

    /// The address of the listener, with the port that the system chose for port 0.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Its address for clients, with the scheme.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Reads the certificate again, from the files that this configuration names, and shows it to
    /// new connections; answers whether it is another one. A service that does not encrypt does not
    /// begin to.
    ///
    /// # Errors
    /// The files cannot be used; the certificate stays as it was.
    pub fn read_certificate(&self, config: &ServerConfig) -> Result<bool, ConfigError> {
        let Some(tls) = &self.tls else { return Ok(false) };
        Ok(Certificate::read(config)?.is_some_and(|certificate| tls.replace(certificate)))
    }

    /// Ends when the service takes no more requests without having been stopped: its listener could
    /// not be started, say.
    pub async fn failed(&mut self) -> io::Error {
        let Some(serving) = &mut self.serving else { return std::future::pending().await };
        let ended = serving.await;
        self.serving = None;
        match ended {
            Ok(Err(error)) => error,
            Ok(Ok(())) => io::Error::other("it has ended"),
            Err(error) => io::Error::other(error),
        }
    }

    /// Requires this token in every request from now on; an empty one: none.
    pub fn set_token(&self, token: &Secret) {
        self.access.set_token(token);
    }

    /// Stops: takes no more connections, lets requests in flight end for the configured time (waits
    /// for a state end at once, and so does what only a client or a receiver delays), finishes the
    /// operations that the engine has taken, closes the store.
    pub async fn stop(self) {
        tracing::info!("stopping");
        // The receivers end with the workers; without receivers the send fails, which does not
        // matter.
        let _ = self.stopping.send(true);
        tokio::select! {
            () = self.http.stop(true) => {}
            () = self.cut_the_rest() => {}
        }
        if let Some(serving) = self.serving
            && let Ok(Err(error)) = serving.await
        {
            tracing::warn!(%error, "the listener failed");
        }
        for work in self.background {
            if let Err(error) = work.await {
                tracing::warn!(%error, "work in the background failed");
            }
        }
        self.engine.close().await;
        self.store.close().await;
        tracing::info!("stopped");
    }
}

/// How often a stop checks whether a request is still under way.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// What the follow-ups need besides the engine and the store.
struct Sending {
    poster: Poster,
    mailer: Option<Mailer>,
    schedule: Schedule,
    hosts: Arc<HostLimits>,
}

impl Sending {
    fn new(config: &Config, own: SocketAddr) -> Result<Self, OutboxError> {
        let callbacks = &config.callbacks;
        let rules = callbacks.rules().map_err(|error| OutboxError::BadValue {
            key: "callbacks.allow or callbacks.deny",
            reason: error.to_string(),
        })?;
        let guard = Guard::new(rules, vec![own]);
        Ok(Self {
            poster: Poster::new(callbacks, guard)?,
            mailer: Mailer::new(&config.smtp)?,
            schedule: Schedule::new(callbacks),
            hosts: HostLimits::new(callbacks.at_once_per_host, callbacks.at_once),
        })
    }

    fn parts(self, engine: &Engine, store: &Arc<dyn Store>, workers: Arc<Workers>) -> Parts {
        let Self { poster, mailer, schedule, hosts } = self;
        let (store, engine) = (Arc::clone(store), engine.clone());
        let metrics = FollowUpMetrics::default();
        let prepared = Arc::new(Semaphore::new(PREPARED));
        let uptime = Uptime::default();
        Parts { store, engine, poster, mailer, schedule, hosts, prepared, metrics, uptime, workers }
    }
}

fn options(config: &Config) -> Options {
    let EngineConfig {
        queue_operations,
        queue_bytes,
        group_operations,
        group_bytes,
        commits_at_once,
    } = config.engine;
    Options {
        queue_operations,
        queue_bytes,
        group_operations,
        group_bytes,
        commits_at_once,
        commit_jobs: config.commits.limit_jobs,
        block_updates_after_finish: config.jobs.block_updates_after_finish,
        ..Options::new(clock::now)
    }
}
