use std::pin::Pin;

use actix_http::ws::{CloseCode, CloseReason, Message};
use actix_web::{
    HttpRequest, HttpResponse,
    body::MessageBody,
    rt::{spawn, task::JoinHandle},
    web::{self, Bytes},
};
use futures_util::{
    StreamExt,
    stream::{self, FuturesUnordered},
};
use jobtracker_model::{
    FieldError, Payload, Problem, ProblemCode, WorkerAnswer, WorkerCall, WorkerOp,
};
use serde::de::DeserializeOwned;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    app::State,
    extract::{Id, Json, Name},
    gone,
    problem::{ApiError, Result},
    right::Writer,
    tasks, topics,
    web_socket::{Came, Messages, close, respond},
    workers,
};

/// The longest call of a worker; what is longer goes over HTTP.
const CALL: usize = 1024 * 1024;
/// Calls of a connection that are worked on at once, and their bytes, which the last of them may
/// exceed; more wait in the socket.
const AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 4 * CALL;

/// Be a worker over a WebSocket
///
/// The worker sends frames of type `WorkerCall`, at most 1 MiB each, the service answers each with
/// one of type `WorkerAnswer`, each as a text message. The operations, their bodies and their
/// answers are those over HTTP; claims that wait end with the connection.
#[utoipa::path(get, path = "/api/v1/workers/socket", operation_id = "workerSocket",
    tag = "workers",
    responses((status = 101, description = "From here on, frames.", body = WorkerAnswer)))]
pub(super) async fn worker_socket(
    caller: Writer,
    app: State,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let messages = Messages::begin(&request, payload, CALL)?;
    let over = CancellationToken::new();
    let connection = Connection {
        messages,
        calls: FuturesUnordered::new(),
        at_work: 0,
        right_ends: Box::pin(Writer::ends(request.clone())),
        _over: over.clone().drop_guard(),
        callee: Callee { caller, app, over },
    };
    let answers = stream::unfold(connection, async |mut connection| {
        Some((connection.next().await?, connection))
    });
    respond(&request, answers)
}

/// A worker that is connected.
struct Connection {
    messages: Messages,
    /// Calls that are worked on; one whose worker has gone is still worked on to its end.
    calls: FuturesUnordered<JoinHandle<Answered>>,
    /// The bytes of these calls.
    at_work: usize,
    right_ends: Pin<Box<dyn Future<Output = Option<Problem>>>>,
    callee: Callee,
    _over: DropGuard,
}

/// A call that was worked on.
struct Answered {
    text: String,
    /// The bytes of the call.
    of: usize,
}

/// Who does what is called for.
#[derive(Clone)]
struct Callee {
    caller: Writer,
    app: State,
    /// Ends claims that wait when the worker has gone.
    over: CancellationToken,
}

impl Connection {
    /// The next bytes for the worker; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.messages.is_closed() {
            let has_place = self.calls.len() < AT_ONCE && self.at_work < BYTES_AT_ONCE;
            match if has_place { self.messages.take() } else { None } {
                Some(Came::Answer(answer)) => return Some(self.messages.write(answer)),
                Some(Came::Text(text)) => {
                    self.begin(&text);
                    continue;
                }
                None => {}
            }
            let is_idle = self.calls.is_empty();
            tokio::select! {
                Some(answer) = self.calls.next(), if !is_idle => {
                    // It cannot be cancelled, and a panic in it is told like one over HTTP: the
                    // connection breaks.
                    let Answered { text, of } = answer.ok()?;
                    self.at_work -= of;
                    return Some(self.messages.write(Message::Text(text.into())));
                }
                is_there = self.messages.more(), if has_place && self.messages.has_room() => {
                    if !is_there {
                        return None;
                    }
                }
                problem = &mut self.right_ends => return Some(self.messages.write(ended(problem))),
                // What waits is ended by the stop too, and answered first.
                () = self.callee.app.stopped(), if is_idle => {
                    return Some(self.messages.write(close(CloseCode::Away)));
                }
            }
        }
        None
    }

    /// Has a call worked on.
    fn begin(&mut self, text: &[u8]) {
        self.at_work += text.len();
        let call = serde_json::from_slice(text);
        self.calls.push(spawn(self.callee.clone().hear(call, text.len())));
    }
}

/// The last message to a worker that has lost its right, or has to connect again.
fn ended(problem: Option<Problem>) -> Message {
    let (code, description) = match problem {
        Some(problem) => (CloseCode::Policy, Some(problem.code.to_string())),
        None => (CloseCode::Away, None),
    };
    Message::Close(Some(CloseReason { code, description }))
}

impl Callee {
    /// Does what a worker asks for in a call of this many bytes.
    async fn hear(self, call: serde_json::Result<WorkerCall>, of: usize) -> Answered {
        let _in_flight = self.app.metrics.enter();
        let (call, done) = match call {
            Ok(call) => (Some(call.call), self.clone().run(call).await),
            Err(error) => (None, Err(ApiError::new(ProblemCode::InvalidJson, format!("{error}.")))),
        };
        let (status, body) = match done {
            Ok(response) => {
                let status = response.status().as_u16();
                let bytes = response.into_body().try_into_bytes().unwrap_or_default();
                (status, str::from_utf8(&bytes).ok().and_then(|text| Payload::parse(text).ok()))
            }
            Err(error) => {
                let error = gone::instead(&self.app, &error).await.unwrap_or(error);
                let problem = topics::problem(&error);
                (problem.status, Payload::of(&problem).ok())
            }
        };
        // All of it can be written.
        let text = serde_json::to_string(&WorkerAnswer { call, status, body }).unwrap_or_default();
        Answered { text, of }
    }

    async fn run(self, call: WorkerCall) -> Result<HttpResponse> {
        let Self { caller, app, over, .. } = self;
        let WorkerCall { op, worker, job, body, .. } = call;
        let worker = || worker.map(Name).ok_or_else(|| missing("worker"));
        let job = || job.map(Id).ok_or_else(|| missing("job"));
        match op {
            WorkerOp::RegisterWorker => workers::register(caller, app, read(body)?).await,
            WorkerOp::ClaimTasks => {
                let gone = async move { over.cancelled().await };
                workers::claim_until(&app, worker()?, read(body)?, gone).await
            }
            WorkerOp::Heartbeat => workers::heartbeat(caller, app, worker()?, read(body)?).await,
            WorkerOp::ReportTask => tasks::report(caller, app, job()?, read(body)?).await,
            WorkerOp::CreateChildrenOfTask => {
                tasks::create_children(caller, app, job()?, read(body)?).await
            }
            WorkerOp::AppendLogOfTask => tasks::append_log(caller, app, job()?, read(body)?).await,
            WorkerOp::DrainWorker => workers::drain(caller, app, worker()?).await,
            WorkerOp::LeaveWorker => workers::leave(caller, app, worker()?).await,
        }
    }
}

fn missing(field: &str) -> ApiError {
    FieldError::new(field, "is missing").into()
}

/// The body of an operation.
fn read<T: DeserializeOwned>(body: Option<Payload>) -> Result<Json<T>> {
    let body = body.ok_or_else(|| missing("body"))?;
    let read = serde_json::from_str(body.as_str()).map(Json);
    read.map_err(|error| ApiError::new(ProblemCode::InvalidJson, format!("body: {error}.")))
}
