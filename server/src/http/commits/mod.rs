//! Uploads of buffered contexts: sent as a stream, answered with their sums, listed by tree.
//!
//! The handler passes the bytes on as they come in; `receive` unpacks (`unpack`) and reads them on
//! a thread of its own, and passes the records to the engine's session.

mod receive;
mod unpack;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web::Bytes};
use jobtracker_engine::Begun;
use jobtracker_model::{
    Page, ProblemCode as Code, limits,
    upload::{TreeResult, UploadId, UploadOutcome},
};
use jobtracker_store::{PageLimit, TreeResultsQuery};
use tokio::sync::{mpsc, oneshot};

use self::receive::Receiver;
use super::{
    app::{App, State},
    changes::PageQuery,
    cursor::{self, List},
    extract::{Commit, Query, UploadBody, limit},
    problem::{ApiError, Result},
    reply,
    right::{Reader, Writer},
};

/// Parts of a body that may wait for the thread; past that the sender waits.
const PARTS: usize = 8;

/// Send a commit
///
/// Jobs and changes for any number of trees, as a stream of records whose format is part of the
/// `jobtracker-model` crate's documentation (`commit`). Each tree becomes visible whole, at one
/// instant, and durable, or not at all; the reply sums up what became of them, also when trees were
/// refused. Safe to repeat under the same id, from the begin or without the trees that were
/// applied: each is applied once.
#[utoipa::path(put, path = "/api/v1/commits/{commit}", operation_id = "sendCommit",
    tag = "commits",
    params(("commit" = UploadId, Path, description = "Chosen by the sender: 1 to 64 of \
        A-Z a-z 0-9 . _ -")),
    request_body(content = Vec<u8>, content_type = "application/vnd.jobtracker.commit"),
    responses((status = 200, description = "What became of it.", body = UploadOutcome)))]
pub(super) async fn send(
    _: Writer,
    app: State,
    id: Commit,
    mut body: UploadBody,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let taken = take_in(&app, id.0, &mut body, Writer::lost(request)).await;
    // The answer may come before the end of the body.
    let rest = async {
        body.drain().await;
        Ok(())
    };
    // A stop of the service ends this, and closes the connection after the answer.
    let _ = app.unless_stopping(rest).await;
    reply::ok(&taken?)
}

/// `lost`: the caller has no right to send any more.
async fn take_in(
    app: &App,
    id: UploadId,
    body: &mut UploadBody,
    lost: impl Future<Output = ApiError>,
) -> Result<UploadOutcome> {
    let full = |_| ApiError::new(Code::Overloaded, "As many commits as may come in at once do.");
    let place = Arc::clone(&app.commit_places).try_acquire_owned().map_err(full)?;
    let session = match app.engine.begin_upload(id).await? {
        Begun::Session(session) => {
            let validator = app.follow_ups.validator();
            session.validating(Box::new(move |actions, checks| Ok(validator.all(actions, checks)?)))
        }
        Begun::Completed(outcome) => return Ok(outcome),
    };
    let (parts, received) = mpsc::channel(PARTS);
    let receiver = Receiver::new(session, place, body.encoding, app.commits.limit_bytes)?;
    let mut outcome = receiver.start(received)?;
    let slow = |_| ApiError::new(Code::RequestTimeout, "The commit took too long to come in.");
    let most = app.commits.receive_timeout();
    let passing = tokio::time::timeout(most, pass_on(app, body, &parts, &mut outcome));
    let passed = tokio::select! {
        biased;
        passed = passing => passed.map_err(slow).and_then(|passed| passed),
        error = lost => Err(error),
    };
    drop(parts);
    let stopped = |_| ApiError::internal(&"the thread that took the commit in has stopped");
    match passed {
        Ok(Some(early)) => early.map_err(stopped)?,
        Ok(None) => outcome.await.map_err(stopped)?,
        Err(refused) => {
            // The answer invites the client to send the upload again, which works only after the
            // session has been put away.
            let _ = outcome.await;
            Err(refused)
        }
    }
}

/// The thread's answer.
type Answer = std::result::Result<Result<UploadOutcome>, oneshot::error::RecvError>;

/// Passes the body on to the thread, which may answer before the end, when the stream cannot go on.
async fn pass_on(
    app: &App,
    body: &mut UploadBody,
    parts: &mpsc::Sender<Bytes>,
    outcome: &mut oneshot::Receiver<Result<UploadOutcome>>,
) -> Result<Option<Answer>> {
    let silence = app.commits.silence_timeout();
    loop {
        tokio::select! {
            biased;
            early = &mut *outcome => return Ok(Some(early)),
            next = app.sent_by_client(body.next(silence)) => match next? {
                Some(part) => {
                    // The send fails when the thread has ended, and then there is an outcome.
                    let _ = parts.send(part).await;
                }
                None => return Ok(None),
            },
        }
    }
}

/// Ask what became of a commit
///
/// Remembered for at least 24 hours. While it is not complete, what is known so far.
#[utoipa::path(get, path = "/api/v1/commits/{commit}", operation_id = "getCommit",
    tag = "commits", params(("commit" = UploadId, Path, description = "The commit.")),
    responses((status = 200, description = "What became of it.", body = UploadOutcome)))]
pub(super) async fn get(_: Reader, app: State, id: Commit) -> Result<HttpResponse> {
    if let Some(row) = app.store.get_upload(&id.0).await? {
        return reply::ok(&row.outcome);
    }
    let mut outcome = UploadOutcome::new(id.0.clone());
    let mut after = None;
    loop {
        let limit = PageLimit::items(limits::PAGE);
        let query = TreeResultsQuery { upload: id.0.clone(), after, limit };
        let listed = app.store.list_tree_results(query).await?;
        listed.items.iter().for_each(|row| outcome.add(&row.tree_result));
        after = listed.next;
        if after.is_none() {
            break;
        }
    }
    if outcome.trees == 0 && !app.engine.is_receiving(&id.0) {
        let detail = format!("There is no commit {}.", id.0);
        return Err(ApiError::new(Code::CommitNotFound, detail));
    }
    reply::ok(&outcome)
}

/// List what became of the trees of a commit
///
/// By root; those that have been decided so far.
#[utoipa::path(get, path = "/api/v1/commits/{commit}/trees", operation_id = "listCommitTrees",
    tag = "commits",
    params(("commit" = UploadId, Path, description = "The commit."), PageQuery),
    responses((status = 200, description = "A page.", body = Page<TreeResult>)))]
pub(super) async fn trees(
    _: Reader,
    app: State,
    id: Commit,
    query: Query<PageQuery>,
) -> Result<HttpResponse> {
    let PageQuery { limit: items, cursor } = query.0;
    let subject = cursor::fnv(id.0.as_str().as_bytes());
    let after = cursor::decode(List::CommitTrees, subject, cursor.as_deref())?;
    let limit = limit(items.as_deref())?;
    let query = TreeResultsQuery { upload: id.0, after, limit };
    let listed = app.store.list_tree_results(query).await?;
    let items = listed.items.into_iter().map(|row| row.tree_result).collect::<Vec<_>>();
    let next = |last| cursor::encode(List::CommitTrees, subject, &last);
    reply::ok(&Page { items, next_cursor: listed.next.map(next) })
}
