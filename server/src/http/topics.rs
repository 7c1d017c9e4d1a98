//! The states of the service that can be watched.

use std::sync::Arc;

use actix_web::web;
use futures_util::FutureExt;
use jobtracker_model::{
    Problem,
    live::{Subscribe, Topic},
};

use super::{
    app::{App, State},
    problem::{ApiError, Result},
    queue,
    roots::RootsQuery,
    schedules,
};
use crate::live::{self, Source};

/// The source of a topic that is a state of the service; `None` if it is about a tree.
///
/// # Errors
/// The filter of the list of roots is wrong.
pub(super) async fn source(app: &State, wanted: &Subscribe) -> Result<Option<Source>> {
    let filter = wanted.filter.as_deref().filter(|filter| !filter.is_empty());
    if filter.is_some() && !wanted.topic.has_filter() {
        let reason = "belongs to the topics roots and schedules";
        return Err(ApiError::invalid_field("filter", reason));
    }
    let app = app.clone().into_inner();
    let source = match wanted.topic {
        Topic::Roots => roots(&app, filter.unwrap_or_default()).await?,
        Topic::Deliveries => {
            plain("deliveries", move || live::State::Deliveries(app.overviews.follow_ups()))
        }
        Topic::Overview => {
            plain("overview", move || live::State::Overview(app.overviews.get(app.hub.viewers())))
        }
        Topic::Schedules => schedules(app, filter.unwrap_or_default())?,
        Topic::Workers => asked("workers", app, |app| async move {
            Ok(live::State::Workers(app.dispatch.workers.views().await?))
        }),
        Topic::Queue => asked("queue", app, |app| async move {
            Ok(live::State::Queue(queue::queue(&app).counts().await?))
        }),
        Topic::Rows(_) | Topic::Job(_) | Topic::Tree(_) | Topic::Log(_) => return Ok(None),
    };
    Ok(Some(source))
}

/// A state in memory.
fn plain(name: &str, read: impl Fn() -> live::State + Send + Sync + 'static) -> Source {
    let read = Arc::new(move || std::future::ready(Ok(read())).boxed());
    Source { name: name.to_owned(), follows_commits: false, read }
}

/// A state that has to be asked for, whether or not something was committed.
fn asked<F>(
    name: &str,
    app: Arc<App>,
    read: impl Fn(Arc<App>) -> F + Send + Sync + 'static,
) -> Source
where
    F: Future<Output = Result<live::State>> + Send + 'static,
{
    let read = Arc::new(move || {
        let reading = read(Arc::clone(&app));
        async move { reading.await.map_err(|error| problem(&error)) }.boxed()
    });
    Source { name: name.to_owned(), follows_commits: false, read }
}

/// The first schedules of a list.
fn schedules(app: Arc<App>, filter: &str) -> Result<Source> {
    let query = web::Query::<schedules::ListParams>::from_query(filter);
    let query = query.map_err(|error| ApiError::invalid_field("filter", error))?.into_inner();
    let (prefix, limit) = query.watched()?;
    Ok(asked(&format!("schedules?{filter}"), app, move |app| {
        let prefix = prefix.clone();
        async move {
            let listed = app.scheduler.list(prefix, None, limit).await?;
            Ok(live::State::Schedules { more: listed.next.is_some(), rows: listed.items })
        }
    }))
}

/// The first roots of a list.
async fn roots(app: &App, filter: &str) -> Result<Source> {
    let query = web::Query::<RootsQuery>::from_query(filter);
    let query = query.map_err(|error| ApiError::invalid_field("filter", error))?.into_inner();
    let scan = Arc::new(query.watched(app).await?);
    let read = move || {
        let scan = Arc::clone(&scan);
        async move {
            let found = scan.page(None).await.map_err(|error| problem(&error))?;
            let rows = found.items.into_iter().map(Into::into).collect();
            Ok(live::State::Roots { rows, more: found.next.is_some() })
        }
        .boxed()
    };
    let name = format!("roots?{filter}");
    Ok(Source { name, follows_commits: true, read: Arc::new(read) })
}

/// What a client is told of an error on a connection, which has no request of its own.
pub(super) fn problem(error: &ApiError) -> Problem {
    Problem { request_id: None, ..error.to_problem("") }
}
