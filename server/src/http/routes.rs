use actix_web::web;
use jobtracker_model::ProblemCode;

use super::{
    actions,
    app::App,
    attachments, audit, backup, changes, checks, children, commits,
    connection::{LIVE, WORKER_SOCKET},
    deliveries,
    endpoint::Endpoint,
    events, ids, jobs, live, log, operation, page,
    problem::ApiError,
    queue, retention,
    right::Reader,
    roots, rows, schedules, session, shape,
    site_guard::EVENTS,
    tasks, tokens, tree, wait, worker_socket, workers,
};

/// All addresses. A fixed part comes before a variable one at the same position.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = endpoints_of_trees();
    endpoints.extend(endpoints_of_tasks());
    endpoints.extend(endpoints_of_schedules());
    endpoints
}

fn endpoints_of_trees() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/ids").post(ids::reserve),
        Endpoint::at("/api/v1/jobs").post(jobs::create),
        Endpoint::at("/api/v1/jobs/states").post(jobs::get_states),
        Endpoint::at("/api/v1/jobs/rows").post(rows::get_rows),
        Endpoint::at("/api/v1/jobs/{id}").get(jobs::get).delete(retention::delete_tree),
        Endpoint::at("/api/v1/jobs/{id}/state").get(jobs::get_state),
        Endpoint::at("/api/v1/jobs/{id}/changes").get(changes::list).post(changes::report),
        Endpoint::at("/api/v1/jobs/{id}/options").put(jobs::update_options),
        Endpoint::at("/api/v1/jobs/{id}/children")
            .get(children::children)
            .post(jobs::create_children),
        Endpoint::at("/api/v1/jobs/{id}/descendants").get(tree::descendants),
        Endpoint::at("/api/v1/jobs/{id}/ancestors").get(tree::ancestors),
        Endpoint::at("/api/v1/jobs/{id}/path").get(tree::path),
        Endpoint::at("/api/v1/jobs/{id}/blockers").get(tree::blockers),
        Endpoint::at("/api/v1/jobs/{id}/shape").get(shape::shape),
        Endpoint::at("/api/v1/jobs/{id}/timeline").get(shape::timeline),
        Endpoint::at("/api/v1/jobs/{id}/statistics").get(tree::statistics),
        Endpoint::at("/api/v1/jobs/{id}/wait").get(wait::wait),
        Endpoint::at("/api/v1/roots").get(roots::list),
        Endpoint::at("/api/v1/jobs/{id}/log").get(log::read).post(log::append),
        Endpoint::at("/api/v1/jobs/{id}/attachments").get(attachments::list),
        Endpoint::at("/api/v1/jobs/{id}/attachments/{key}")
            .get(attachments::get)
            .put(attachments::put)
            .delete(attachments::delete),
        Endpoint::at("/api/v1/jobs/{id}/actions").get(actions::list).post(actions::add),
        Endpoint::at("/api/v1/jobs/{id}/actions/{number}/test").post(actions::test_one),
        Endpoint::at("/api/v1/actions/test").post(actions::test),
        Endpoint::at("/api/v1/jobs/{id}/checks").get(checks::list).post(checks::add),
        Endpoint::at("/api/v1/jobs/{id}/checks/{number}").delete(checks::cancel),
        Endpoint::at("/api/v1/jobs/{id}/deliveries").get(deliveries::list),
        Endpoint::at("/api/v1/deliveries/failed").get(deliveries::list_failed),
        Endpoint::at("/api/v1/deliveries/replay").post(deliveries::replay_failed),
        Endpoint::at("/api/v1/deliveries/{delivery}/replay").post(deliveries::replay),
        Endpoint::at("/api/v1/deliveries/{delivery}/cancel").post(deliveries::cancel),
        Endpoint::at("/api/v1/commits/{commit}").get(commits::get).put(commits::send),
        Endpoint::at("/api/v1/commits/{commit}/trees").get(commits::trees),
        Endpoint::at("/api/v1/session")
            .get(session::get)
            .post(session::create)
            .delete(session::end),
        Endpoint::at("/api/v1/tokens").get(tokens::list).post(tokens::create),
        Endpoint::at("/api/v1/tokens/{name}").delete(tokens::revoke),
        Endpoint::at("/api/v1/audit").get(audit::list),
        Endpoint::at("/api/v1/retention/rules").get(retention::list),
        Endpoint::at("/api/v1/retention/rules/{name}")
            .put(retention::put)
            .delete(retention::delete),
        Endpoint::at("/api/v1/retention/preview").post(retention::preview),
        Endpoint::at(LIVE).get(live::live),
        Endpoint::at(EVENTS).get(events::events),
        Endpoint::at("/api/v1/export").post(backup::export),
        Endpoint::at("/api/v1/overview").get(operation::overview),
        Endpoint::at("/healthz").get(operation::health),
        Endpoint::at("/readyz").get(operation::ready),
        Endpoint::at("/metrics").get(operation::metrics),
        Endpoint::at("/openapi.json").get(operation::openapi_json),
    ]
}

/// Tasks and the workers that run them.
fn endpoints_of_schedules() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/schedules").get(schedules::list).post(schedules::create),
        Endpoint::at("/api/v1/schedules/{name}")
            .get(schedules::get)
            .put(schedules::replace)
            .delete(schedules::delete),
        Endpoint::at("/api/v1/schedules/{name}/register").post(schedules::register),
        Endpoint::at("/api/v1/schedules/{name}/enable").post(schedules::enable),
        Endpoint::at("/api/v1/schedules/{name}/disable").post(schedules::disable),
        Endpoint::at("/api/v1/schedules/{name}/trigger").post(schedules::trigger),
        Endpoint::at("/api/v1/schedules/{name}/next-fires").get(schedules::next_fires),
        Endpoint::at("/api/v1/schedules/{name}/firings").get(schedules::firings),
        Endpoint::at("/api/v1/planned-times").post(schedules::plan),
    ]
}

fn endpoints_of_tasks() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/jobs/{id}/task").get(tasks::get),
        Endpoint::at("/api/v1/jobs/{id}/task/report").post(tasks::report),
        Endpoint::at("/api/v1/jobs/{id}/task/children").post(tasks::create_children),
        Endpoint::at("/api/v1/jobs/{id}/task/log").post(tasks::append_log),
        Endpoint::at("/api/v1/jobs/{id}/task/cancel").post(tasks::cancel),
        Endpoint::at("/api/v1/jobs/{id}/cancel").post(tasks::cancel_tree),
        Endpoint::at("/api/v1/jobs/{id}/task/pause").post(tasks::pause),
        Endpoint::at("/api/v1/jobs/{id}/task/resume").post(tasks::resume),
        Endpoint::at("/api/v1/queue").get(queue::list),
        Endpoint::at("/api/v1/queue/counts").get(queue::counts),
        Endpoint::at("/api/v1/workers").get(workers::list).post(workers::register),
        Endpoint::at(WORKER_SOCKET).get(worker_socket::worker_socket),
        Endpoint::at("/api/v1/workers/{name}").get(workers::get).delete(workers::leave),
        Endpoint::at("/api/v1/workers/{name}/claim").post(workers::claim),
        Endpoint::at("/api/v1/workers/{name}/heartbeat").post(workers::heartbeat),
        Endpoint::at("/api/v1/workers/{name}/drain").post(workers::drain),
        Endpoint::at("/api/v1/workers/{name}/kick").post(workers::kick),
        Endpoint::at("/api/v1/handlers").get(workers::handlers),
    ]
}

/// Registers them with a worker.
pub(crate) fn register(config: &mut web::ServiceConfig, app: &web::Data<App>) {
    config.app_data(app.clone());
    for endpoint in endpoints().into_iter().chain(page::endpoints()) {
        config.service(endpoint.into_resource(&app.metrics));
    }
    config.default_service(web::route().to(nowhere));
}

/// Like an address that exists, it needs a token.
async fn nowhere(_: Reader) -> Result<&'static str, ApiError> {
    Err(ApiError::new(ProblemCode::RouteNotFound, ""))
}
