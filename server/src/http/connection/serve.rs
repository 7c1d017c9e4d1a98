use std::{
    future::poll_fn,
    io,
    net::TcpListener,
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};

use actix_http::{HttpService, Protocol};
use actix_service::{apply_fn_factory, map_config};
use actix_web::{
    App as ActixApp,
    dev::{AppConfig, Server, Service},
    middleware::from_fn,
    rt::net::TcpStream,
    web,
};
use tokio::sync::watch;

use super::{
    socket::{Encrypted, Patience, Socket},
    stream::{Stream, Taken},
};
use crate::{
    ServerConfig,
    http::{app::App, middleware::around, routes::register},
    tls::Tls,
};

/// Threads per worker for work that would block it: large bodies and filter expressions. More of
/// this work waits, so that it cannot take the processor from everything else.
const BLOCKING_THREADS_PER_WORKER: usize = 4;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// How far the clock of actix-http may be behind, which it reads twice a second: a time that it
/// counts from there would end too early.
const CLOCK_LAG: Duration = Duration::from_millis(500);

/// How long the server reads from a client that was answered before the end of its body, so that
/// the client receives the answer: sending to a closed connection would lose it.
const LINGER: Duration = Duration::from_secs(5);

/// How long a client may read nothing of its answer when only such clients delay a stop.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// When connections end.
#[derive(Clone)]
pub(crate) struct Ends {
    /// True once they are to end after the request under way is answered.
    pub stopping: watch::Receiver<bool>,
    /// True once they are to end at once, except those whose clients still read an answer.
    pub cut: watch::Receiver<bool>,
}

/// Serves the connections of `listener`. It does what `HttpServer` of actix-web does, which gives
/// no access to the sockets.
pub(crate) fn serve(
    config: &ServerConfig,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    app: &web::Data<App>,
    ends: Ends,
) -> io::Result<Server> {
    let address = listener.local_addr()?;
    let builder = Server::build()
        .disable_signals()
        .backlog(BACKLOG)
        .max_concurrent_connections(config.connections_per_worker)
        .worker_max_blocking_threads(BLOCKING_THREADS_PER_WORKER)
        .shutdown_timeout(config.shutdown_grace_ms.div_ceil(1000));
    let builder = match config.workers {
        0 => builder,
        workers => builder.workers(workers),
    };
    let millis = Duration::from_millis;
    let (head, send) = (millis(config.head_timeout_ms), millis(config.send_timeout_ms));
    let keep_alive = millis(config.keep_alive_ms) + CLOCK_LAG;
    let app = app.clone();
    let worker = move || {
        let (app, stopping, cut) = (app.clone(), ends.stopping.clone(), ends.cut.clone());
        let tls = tls.clone();
        let routes =
            ActixApp::new().wrap(from_fn(around)).configure(move |config| register(config, &app));
        let service = HttpService::build()
            .graceful_shutdown_signal(move || is_true(stopping.clone()))
            .keep_alive(keep_alive)
            .client_request_timeout(head + CLOCK_LAG)
            .client_disconnect_timeout(LINGER)
            .local_addr(address)
            .on_connect_ext(|socket: &Socket, data| {
                data.insert(socket.streamed());
                if socket.is_encrypted() {
                    data.insert(Encrypted);
                }
            })
            .finish(map_config(routes, |()| AppConfig::default()));
        apply_fn_factory(service, move |stream: TcpStream, http| {
            // Answers are written as a whole, so a delay would save nothing.
            let _ = stream.set_nodelay(true);
            let peer = stream.peer_addr().ok();
            let taken = Taken::default();
            let stream = match &tls {
                Some(tls) => Stream::encrypted(stream, taken.clone(), tls.encryption(), head),
                None => Stream::plain(stream, taken.clone()),
            };
            let socket = Socket::new(stream, taken.clone(), Patience { head, send });
            // It is large, and futures around it would each have room for it twice.
            let serving = Box::pin(Service::call(http, (socket, Protocol::Http1, peer)));
            let cut = is_true(cut.clone());
            async move {
                let cut = async {
                    cut.await;
                    taken.stalls(LAST_ANSWER).await;
                };
                tokio::select! {
                    biased;
                    done = serving => done,
                    () = cut => Ok(()),
                }
            }
        })
    };
    Ok(builder.listen("http", listener, worker)?.run())
}

/// Ends once the value is true, or can never become true.
///
/// It is polled whenever its connection goes on, and waits in a list that all connections share: so
/// it polls the list only the first time, or when it was woken.
fn is_true(mut receiver: watch::Receiver<bool>) -> impl Future<Output = ()> {
    let news = receiver.clone();
    let mut told = Box::pin(async move { drop(receiver.wait_for(|is_true| *is_true).await) });
    let mut waits: Option<Waker> = None;
    poll_fn(move |cx| {
        let is_waiting = waits.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_waiting && matches!(news.has_changed(), Ok(false)) {
            return Poll::Pending;
        }
        waits = Some(cx.waker().clone());
        told.as_mut().poll(cx)
    })
}
