use actix_web::{HttpResponse, http::StatusCode};
use jobtracker_model::{Attachments, JobId, State as VisibleState};

use super::{
    app::State,
    extract::{AttachmentPath, Id, Text},
    problem::{ApiError, Result},
    reply,
    right::{Reader, Writer},
};

/// List the attachments of a job
///
/// By key, all at once, without their texts.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/attachments", operation_id = "listAttachments",
    tag = "attachments", params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "All of them.", body = Attachments)))]
pub(super) async fn list(_: Reader, app: State, id: Id) -> Result<HttpResponse> {
    reply::ok(&Attachments { items: app.store.list_attachments(id.0).await? })
}

/// Put an attachment
///
/// Durable before the reply. Safe to repeat. Done by hand, it is on the audit list.
#[utoipa::path(put, path = "/api/v1/jobs/{id}/attachments/{key}", operation_id = "putAttachment",
    tag = "attachments",
    params(("id" = JobId, Path, description = "The job."),
        ("key" = String, Path, description = "1 to 128 of A-Z a-z 0-9 . _ -")),
    request_body(content = String, content_type = "text/plain"),
    responses((status = 201, description = "It is new."),
        (status = 204, description = "It has a new text.")))]
pub(super) async fn put(
    caller: Writer,
    app: State,
    path: AttachmentPath,
    body: Text,
) -> Result<HttpResponse> {
    let subject = format!("{} {}", path.id, path.key);
    let putting = async { Ok(app.engine.put_attachment(path.id, path.key, body.0).await?) };
    let new = caller.act_if_by_hand(&app, "putAttachment", subject, putting).await?;
    Ok(HttpResponse::new(if new { StatusCode::CREATED } else { StatusCode::NO_CONTENT }))
}

/// Get the text of an attachment
#[utoipa::path(get, path = "/api/v1/jobs/{id}/attachments/{key}", operation_id = "getAttachment",
    tag = "attachments",
    params(("id" = JobId, Path, description = "The job."),
        ("key" = String, Path, description = "The key.")),
    responses((status = 200, description = "The text.", body = String,
        content_type = "text/plain")))]
pub(super) async fn get(_: Reader, app: State, path: AttachmentPath) -> Result<HttpResponse> {
    let AttachmentPath { id, key } = path;
    if let Some(text) = app.store.get_attachment(id, &key).await? {
        return Ok(reply::text(text));
    }
    // Whether the job exists matters only now that there is no attachment.
    match app.store.get_states(vec![id]).await?.first() {
        None | Some(VisibleState::WaitingForActivation) => Err(ApiError::job_not_found(id)),
        Some(_) => Err(jobtracker_engine::Error::AttachmentNotFound { id, key }.into()),
    }
}

/// Delete an attachment
///
/// Durable before the reply. Done by hand, it is on the audit list.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}/attachments/{key}",
    operation_id = "deleteAttachment", tag = "attachments",
    params(("id" = JobId, Path, description = "The job."),
        ("key" = String, Path, description = "The key.")),
    responses((status = 204, description = "It is gone.")))]
pub(super) async fn delete(
    caller: Writer,
    app: State,
    path: AttachmentPath,
) -> Result<HttpResponse> {
    let subject = format!("{} {}", path.id, path.key);
    let deleting = async { Ok(app.engine.delete_attachment(path.id, path.key).await?) };
    caller.act_if_by_hand(&app, "deleteAttachment", subject, deleting).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}
