use std::{cell::Cell, sync::Arc};

use actix_web::HttpResponse;
use jobtracker_model::{ChildrenPage, JobId, StateSet};
use jobtracker_store::{
    ChildPage, ChildrenQuery, JobRow, Listed, Order, PageLimit, Store, Version,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::State,
    cursor::{self, List},
    extract::{Id, Query, limit, number, order, states},
    fields::{Fields, JobItem},
    filtered::{self, Filtered},
    problem::{ApiError, Result},
    reply,
    right::Reader,
};

/// Which page of the children of a job, and which of them.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChildrenParams {
    /// Only children in one of these visible states, separated by commas. A page of a filtered
    /// list may be empty and still have a cursor.
    #[param(example = "Faulted,Running")]
    states: Option<String>,
    /// Only children whose name begins like this. One page looks at up to 20,000 children.
    name_prefix: Option<String>,
    /// `oldest` or `newest` first, by id. A cursor goes with the order of its page.
    #[param(example = "newest", default = "oldest")]
    order: Option<String>,
    /// How many of the children that are asked for come before the page. It does not go with a
    /// cursor. With `states` or `namePrefix` those before the page are read, up to 20,000 children;
    /// without, any offset costs the same.
    #[param(value_type = Option<u64>, minimum = 0, example = 900000)]
    offset: Option<String>,
    /// Most items on the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200)]
    limit: Option<String>,
    /// The `nextCursor` of the page before; absent for the first page.
    cursor: Option<String>,
    /// With `row` each item is a `JobSummary`: a job without options and source link.
    #[param(example = "row", default = "all")]
    fields: Option<String>,
}

/// List the direct children of a job
///
/// By id. The answer says how many children there are and where the page stands among them, at one
/// instant. The first request with an offset above 1,024 counts the children of its parent (about a
/// million a second); later ones count those that were added.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/children", operation_id = "listChildren",
    tag = "tree", params(("id" = JobId, Path, description = "The parent."), ChildrenParams),
    responses((status = 200, description = "A page.", body = ChildrenPage<JobItem>)))]
pub(super) async fn children(
    _: Reader,
    app: State,
    id: Id,
    query: Query<ChildrenParams>,
) -> Result<HttpResponse> {
    let (parent, params) = (id.0, query.0);
    let fields = Fields::parse(params.fields.as_deref())?;
    let order = order(params.order.as_deref())?.unwrap_or(Order::Oldest);
    let list = match order {
        Order::Oldest => List::Children,
        Order::Newest => List::NewestChildren,
    };
    let after = cursor::decode(list, parent.get(), params.cursor.as_deref())?;
    let offset = number("offset", params.offset.as_deref(), 0, u64::MAX)?;
    if after.is_some() && offset.is_some() {
        return Err(ApiError::query("offset", "does not go with a cursor"));
    }
    let (states, limit) = (states(params.states.as_deref())?, limit(params.limit.as_deref())?);
    let skip = offset.unwrap_or(0);
    let query = ChildrenQuery { parent, states, order, after, skip, limit };
    let page = match params.name_prefix.filter(|prefix| !prefix.is_empty()) {
        None => app.store.list_children(query).await?,
        Some(prefix) => named(&app.store, query, prefix).await?,
    };
    let next = |last: JobId| cursor::encode(list, parent.get(), &last);
    reply::ok(&ChildrenPage {
        items: fields.items(page.items),
        next_cursor: page.next.map(next),
        offset: after.is_none().then_some(page.skipped),
        total: page.total,
        version: page.version,
    })
}

/// The page of the children whose names begin with a text.
async fn named(store: &Arc<dyn Store>, query: ChildrenQuery, prefix: String) -> Result<ChildPage> {
    let ChildrenQuery { parent, states, order, after, skip, limit } = query;
    let (left, version) = (Cell::new(skip), Cell::new(None));
    let named = Named { store, parent, states, order, prefix, left, version };
    let Listed { items, next } = filtered::page(&named, after, limit.items).await?;
    let skipped = skip - named.left.get();
    let version = named.version.get().unwrap_or_default();
    Ok(ChildPage { items, next, skipped, total: None, version })
}

struct Named<'a> {
    store: &'a Arc<dyn Store>,
    parent: JobId,
    states: StateSet,
    order: Order,
    prefix: String,
    /// How many are still to be passed over.
    left: Cell<u64>,
    /// The version of the tree when the first of them were read.
    version: Cell<Option<Version>>,
}

impl Filtered for Named<'_> {
    type Row = JobRow;
    type Key = JobId;

    async fn read(&self, after: Option<JobId>, rows: usize) -> Result<Listed<JobRow, JobId>> {
        let Self { parent, states, order, .. } = *self;
        let (limit, skip) = (PageLimit::rows(rows), 0);
        let query = ChildrenQuery { parent, states, order, after, skip, limit };
        let page = self.store.list_children(query).await?;
        self.version.set(self.version.get().or(Some(page.version)));
        Ok(Listed { items: page.items, next: page.next })
    }

    async fn wanted(&self, mut rows: Vec<JobRow>) -> Result<Vec<JobRow>> {
        rows.retain(|row| row.definition.name.starts_with(&self.prefix));
        let skipped = rows.len().min(usize::try_from(self.left.get()).unwrap_or(usize::MAX));
        self.left.set(self.left.get() - skipped as u64);
        rows.drain(..skipped);
        Ok(rows)
    }

    fn key(row: &JobRow) -> JobId {
        row.id
    }

    fn bytes(row: &JobRow) -> usize {
        row.definition.bytes()
    }
}
