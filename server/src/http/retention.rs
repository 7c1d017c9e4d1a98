use actix_web::{HttpResponse, http::StatusCode};
use jobtracker_model::{
    DeletedTree, JobId, NamedRetentionRule, Order, Page, RetentionPreview, RetentionRule,
    Timestamp, check_name, limits,
};
use jobtracker_store::{Listed, PageLimit, RootsQuery, Tombstone};

use super::{
    app::State,
    extract::{Id, Json, Name},
    filtered::CHUNK,
    problem::Result,
    reply,
    right::Admin,
    roots_filter::elsewhere,
};
use crate::{
    clock,
    retention::{Rule, previewed},
};

/// Trees that a preview names.
const NAMED: usize = 10;

/// Delete a tree
///
/// Durable before the reply, and cannot be undone. From then on no reader finds a job of the tree;
/// what it has occupied is removed in the background. The root is answered as gone for a configured
/// time. A tree with deliveries or checks that are still to be done is refused. Safe to repeat: the
/// repetition is answered as gone.
///
/// Costs a look at each job of the tree.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", operation_id = "deleteTree", tag = "retention",
    params(("id" = JobId, Path, description = "The root.")),
    responses((status = 200, description = "It is gone.", body = DeletedTree)))]
pub(super) async fn delete_tree(caller: Admin, app: State, id: Id) -> Result<HttpResponse> {
    let root = id.0;
    let name = caller.admitted.principal.name();
    let deleting = async { Ok(app.deletions.by_hand(root, name).await?) };
    let deleted = caller.act(&app, "deleteTree", root, deleting).await?;
    let Tombstone { time, by, jobs, until, summary: _ } = deleted;
    let (delete_time, deleted_by, known_until) = (time, by, until);
    reply::ok(&DeletedTree { root, delete_time, deleted_by, jobs, known_until })
}

/// List the retention rules
///
/// By name: at most 100.
#[utoipa::path(get, path = "/api/v1/retention/rules", operation_id = "listRetentionRules",
    tag = "retention",
    responses((status = 200, description = "All rules.", body = Page<NamedRetentionRule>)))]
pub(super) async fn list(_: Admin, app: State) -> Result<HttpResponse> {
    reply::ok(&Page { items: app.rules.all().await?, next_cursor: None })
}

/// Put a retention rule
///
/// Durable before the reply; it replaces the rule of that name, and is in force from the next round
/// on. Safe to repeat.
#[utoipa::path(put, path = "/api/v1/retention/rules/{name}", operation_id = "putRetentionRule",
    tag = "retention",
    params(("name" = String, Path,
        description = "Its name: 1 to 64 of A-Z a-z 0-9 . _ -, not only dots.")),
    request_body = RetentionRule,
    responses((status = 200, description = "The rule.", body = NamedRetentionRule)))]
pub(super) async fn put(
    caller: Admin,
    app: State,
    name: Name,
    body: Json<RetentionRule>,
) -> Result<HttpResponse> {
    check(&body.0).await?;
    // So that no text of any length is put on the audit list.
    check_name(&name.0)?;
    let by = caller.admitted.principal.name().to_owned();
    let rule = NamedRetentionRule { name: name.0, rule: body.0, time: clock::now(), by };
    let putting = async { Ok(app.rules.put(&rule).await?) };
    caller.act(&app, "putRetentionRule", &rule.name, putting).await?;
    reply::ok(&rule)
}

/// Delete a retention rule
#[utoipa::path(delete, path = "/api/v1/retention/rules/{name}",
    operation_id = "deleteRetentionRule", tag = "retention",
    params(("name" = String, Path, description = "The name.")),
    responses((status = 204, description = "It is not in force any more.")))]
pub(super) async fn delete(caller: Admin, app: State, name: Name) -> Result<HttpResponse> {
    check_name(&name.0)?;
    let deleting = async { Ok(app.rules.delete(&name.0).await?) };
    caller.act(&app, "deleteRetentionRule", &name.0, deleting).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}

/// See what a retention rule would delete now
///
/// Deletes nothing. Looks at the newest 100,000 roots.
#[utoipa::path(post, path = "/api/v1/retention/preview", operation_id = "previewRetentionRule",
    tag = "retention", request_body = RetentionRule,
    responses((status = 200, description = "The trees.", body = RetentionPreview)))]
pub(super) async fn preview(
    _: Admin,
    app: State,
    body: Json<RetentionRule>,
) -> Result<HttpResponse> {
    let mut rule = check(&body.0).await?;
    let (now, mut after, mut preview) = (clock::now(), None, RetentionPreview::default());
    loop {
        let (from, to, limit) = (Timestamp::MIN, Timestamp::MAX, PageLimit::items(CHUNK));
        let Listed { items, next } = app
            .store
            .list_roots(RootsQuery { from, to, order: Order::Newest, after, limit })
            .await?;
        preview.looked_at += items.len() as u64;
        let work = move || {
            let mut meant = Vec::new();
            for root in &items {
                if rule.means(root, now)? {
                    meant.push(previewed(root));
                }
            }
            Ok((rule, meant))
        };
        let meant;
        (rule, meant) = elsewhere(work).await?;
        preview.trees += meant.len() as u64;
        preview.jobs += meant.iter().map(|tree| tree.jobs).sum::<u64>();
        preview.oldest = meant.last().cloned().or(preview.oldest);
        let named = NAMED.saturating_sub(preview.newest.len());
        preview.newest.extend(meant.into_iter().take(named));
        after = next;
        preview.complete = after.is_none();
        if preview.complete || preview.looked_at >= limits::ROOTS_COUNTED as u64 {
            return reply::ok(&preview);
        }
    }
}

/// The rule, if it is one.
async fn check(rule: &RetentionRule) -> Result<Rule> {
    rule.check()?;
    let rule = rule.clone();
    elsewhere(move || Rule::compile(rule)).await
}
