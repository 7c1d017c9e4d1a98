mod bounds;

use std::sync::LazyLock;

use jobtracker_model::{
    Problem, ProblemCode, WorkerCall,
    live::{ClientFrame, EventKind},
};
use serde_json::{Value, json};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Ref, RefOr, Response, ResponseBuilder,
        content::ContentBuilder,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{
    actions, attachments, audit, backup, changes, checks, children, commits, cookie, deliveries,
    endpoints, events, ids, jobs, live, log, operation, queue, retention, roots, rows, schedules,
    session, shape, tasks, tokens, tree, wait, worker_socket, workers,
};

/// The OpenAPI document, with sorted keys and a line break at its end. It is the same text as
/// `server/openapi.json`.
///
/// # Panics
/// The document cannot be written as JSON; a test checks that it can.
#[must_use]
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        // A `Value` keeps the keys of its objects sorted.
        let mut value = serde_json::to_value(Document::openapi())
            .expect("the document is made of texts and numbers, as a test shows");
        add_roles(&mut value);
        bounds::apply(&mut value);
        format!("{value:#}\n")
    });
    &DOCUMENT
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "jobtracker",
        description = "Keeps trees of jobs: who created them, what state each is in, what a tree \
            waits for and why it failed. Every write is durable before its reply.",
    ),
    paths(
        ids::reserve,
        jobs::create, jobs::get_states, jobs::create_children, jobs::get, jobs::get_state,
        jobs::update_options,
        rows::get_rows, live::live, events::events,
        changes::report, changes::list,
        children::children, tree::descendants, tree::ancestors, tree::path, tree::blockers,
        tree::statistics, shape::shape, shape::timeline,
        wait::wait,
        roots::list,
        log::append, log::read,
        attachments::list, attachments::put, attachments::get, attachments::delete,
        actions::add, actions::list, actions::test, actions::test_one,
        checks::add, checks::list, checks::cancel,
        deliveries::list, deliveries::list_failed, deliveries::replay, deliveries::cancel,
        deliveries::replay_failed,
        commits::send, commits::get, commits::trees,
        session::get, session::create, session::end, audit::list,
        tokens::create, tokens::list, tokens::revoke,
        backup::export,
        operation::health, operation::ready, operation::metrics, operation::overview,
        operation::openapi_json,
        retention::delete_tree, retention::list, retention::put, retention::delete,
        retention::preview,
        tasks::get, tasks::report, tasks::create_children, tasks::append_log, tasks::cancel,
        tasks::cancel_tree, tasks::pause, tasks::resume,
        queue::list, queue::counts,
        workers::register, workers::list, workers::get, workers::handlers, workers::claim,
        workers::heartbeat, workers::drain, workers::kick, workers::leave,
        worker_socket::worker_socket,
        schedules::create, schedules::list, schedules::get, schedules::replace, schedules::delete,
        schedules::register, schedules::enable, schedules::disable, schedules::trigger,
        schedules::next_fires, schedules::firings, schedules::plan,
    ),
    components(schemas(Problem, ClientFrame, EventKind, WorkerCall)),
    security(("bearer" = []), ("cookie" = [])),
    modifiers(&Problems, &Schemes)
)]
struct Document;

/// The name of the one problem reply that all operations refer to.
const PROBLEM: &str = "Problem";

struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for item in document.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                let problem = Ref::from_response_name(PROBLEM);
                let responses = &mut operation.responses.responses;
                responses.insert("default".to_owned(), RefOr::Ref(problem));
            }
        }
        let components = document.components.get_or_insert_default();
        components.responses.insert(PROBLEM.to_owned(), problem().into());
    }
}

fn problem() -> Response {
    let mut description = String::from(
        "A problem (RFC 9457) with a stable code. 429 and 503 carry a Retry-After header.\n\n\
         | status | code | meaning |\n|---|---|---|\n",
    );
    for code in ProblemCode::ALL {
        let (status, name, title) = (code.status(), code.code(), code.title());
        description.push_str(&format!("| {status} | `{name}` | {title} |\n"));
    }
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
}

/// Adds the role that each operation needs, as the signature of its handler has it.
fn add_roles(document: &mut Value) {
    for endpoint in endpoints() {
        for (method, role) in endpoint.methods {
            let item = &mut document["paths"][endpoint.path];
            // HEAD is not in the document.
            let Some(operation) = item.get_mut(method.to_lowercase()) else { continue };
            match role {
                Some(role) => operation["x-role"] = role.name().into(),
                None => operation["security"] = json!([]),
            }
        }
    }
}

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The token of the configuration, if one is set, or one that the service made. \
                The role that an operation needs is its `x-role`.",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description(
            cookie::NAME,
            "The session of a browser, which `POST /api/v1/session` begins. Only the service's own \
            page may use it.",
        );
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(cookie));
        components.add_security_scheme("cookie", cookie);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_committed_document_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == document(),
            "server/openapi.json has drifted from the code; write it anew with \
             `cargo run --bin jobtracker -- openapi > server/openapi.json`"
        );
    }

    #[test]
    fn every_route_is_in_the_document_and_nothing_else() {
        let routes: BTreeSet<_> = crate::http::endpoints()
            .into_iter()
            .flat_map(|endpoint| endpoint.methods.into_iter().map(move |m| (endpoint.path, m.0)))
            .filter(|(_, method)| *method != "HEAD")
            .map(|(path, method)| (path.to_owned(), method.to_lowercase()))
            .collect();
        let document: Value = serde_json::from_str(document()).unwrap();
        let documented: BTreeSet<_> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods.map(move |method| (path.clone(), method.clone()))
            })
            .collect();
        assert_eq!(routes, documented);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let whole: Value = serde_json::from_str(document()).unwrap();
        let mut open = vec![&whole];
        while let Some(value) = open.pop() {
            match value {
                Value::Array(items) => open.extend(items),
                Value::Object(fields) => {
                    if let Some(reference) = fields.get("$ref") {
                        let pointer = reference.as_str().unwrap().trim_start_matches('#');
                        assert!(whole.pointer(pointer).is_some(), "{reference}");
                    }
                    open.extend(fields.values());
                }
                _ => {}
            }
        }
    }
}
