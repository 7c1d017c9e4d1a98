use std::{rc::Rc, sync::Arc};

use actix_web::{HttpRequest, HttpResponse};
use jobtracker_model::{RootPage, Timestamp, limits};
use jobtracker_store::{Order, PageLimit};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::{App, State},
    cursor::{self, List, fnv},
    exports::{self, Format},
    extract::{Query, flag, limit, number, order, states, time},
    fields::{Fields, JobItem},
    filtered,
    problem::{ApiError, Result},
    reply,
    right::Reader,
    roots_filter::compile,
    roots_scan::Scan,
};
use crate::expression::RootFilter;

/// Roots of a list that are watched at most.
const WATCHED: usize = 200;
/// Buckets of a histogram at most.
const BUCKETS: usize = 240;

/// Which root jobs.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RootsQuery {
    /// Created at this time or later.
    #[param(value_type = Option<Timestamp>)]
    from: Option<String>,
    /// Created before this time.
    #[param(value_type = Option<Timestamp>)]
    to: Option<String>,
    /// The name begins like this.
    name_prefix: Option<String>,
    /// Created by exactly this one.
    created_by: Option<String>,
    /// Has all of these tags, separated by commas.
    #[param(example = "linux,slow")]
    tags: Option<String>,
    /// In one of these visible states, separated by commas.
    #[param(example = "Faulted,Running")]
    states: Option<String>,
    /// An expression (CEL, up to 1024 bytes) that is true for the job. It may use `id`, `name`,
    /// `createdBy`, `tags` (a list), `state` (its name), `depth`, `createTime`, `startTime` and
    /// `endTime` (timestamps or null), `children.{pending, successful, failed}` and
    /// `subtree.{total, waiting, running, waitingForChildren, successful, failed}`. A costly
    /// expression is tried on fewer roots for the total.
    #[param(example = "subtree.failed > 0 && createTime > timestamp('2026-11-21T00:00:00Z')")]
    expression: Option<String>,
    /// `newest` or `oldest` first, by the time of creation. A cursor goes with the order of its
    /// page.
    #[param(example = "oldest", default = "newest")]
    order: Option<String>,
    /// Most items on the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200)]
    limit: Option<String>,
    /// The `nextCursor` of the page before; absent for the first page. It goes with the same
    /// filters.
    cursor: Option<String>,
    /// With `true` the first page counts the matches, by looking at up to 100,000 roots. Without,
    /// `total` is what is on the pages so far, and `totalExact` says whether that is all.
    #[param(value_type = Option<bool>, default = false)]
    total: Option<String>,
    /// With `row` each item is a `JobSummary`: a job without options and source link. Not for a
    /// file.
    #[param(example = "row", default = "all")]
    fields: Option<String>,
    /// With a number, the answer has a histogram of the times at which the matches were created,
    /// with this number of buckets, whichever page it is. It looks at up to 100,000 of the newest
    /// roots of the time range, and is shared by those who ask for the same for 5 seconds, or for
    /// ten times as long as it took.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 240, example = 60)]
    histogram: Option<String>,
    /// `json` for a page, `ndjson` or `csv` for a file with all of them, which is made as it is
    /// read and is not of one instant. Two files are made at once at most.
    #[param(example = "csv", default = "json")]
    format: Option<String>,
}

/// List root jobs
///
/// By the time of creation, newest first unless `order` says otherwise. A page of a filtered list
/// may be empty and still have a cursor. Matches are counted only when `total` asks for it.
#[utoipa::path(get, path = "/api/v1/roots", operation_id = "listRoots", tag = "roots",
    params(RootsQuery),
    responses((status = 200, description = "A page.", body = RootPage<JobItem>)))]
pub(super) async fn list(
    caller: Reader,
    app: State,
    query: Query<RootsQuery>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let query = query.0;
    let paging = [&query.limit, &query.cursor, &query.fields];
    if let Some(format) = Format::of_file(query.format.as_deref(), paging)? {
        let scan = Rc::new(query.scan(&app, PageLimit::items(limits::PAGE)).await?);
        let read = move |_, after| {
            let scan = Rc::clone(&scan);
            async move { filtered::page(&*scan, after, scan.items_max).await }
        };
        return exports::file(app, request, "roots", format, read).await;
    }
    let subject = query.subject();
    let fields = Fields::parse(query.fields.as_deref())?;
    let list = match query.order()? {
        Order::Newest => List::Roots,
        Order::Oldest => List::OldestRoots,
    };
    let position = cursor::decode(list, subject, query.cursor.as_deref())?;
    let limit = limit(query.limit.as_deref())?;
    let buckets = number("histogram", query.histogram.as_deref(), 1, BUCKETS)?;
    let counts = flag("total", query.total.as_deref())?;
    let scan = query.scan(&app, limit).await?;
    let found = match position {
        None if counts => scan.counted_page().await?,
        position => scan.page(position).await?,
    };
    let next_cursor = found.next_position().map(|next| cursor::encode(list, subject, &next));
    let (total, total_exact) = found.total();
    let items = fields.items(found.items);
    let histogram = match buckets {
        Some(buckets) => {
            let scan = Scan { order: Order::Newest, ..scan };
            Some(
                app.histograms
                    .get(&caller.admitted.principal, (query.filters(), buckets), scan)
                    .await?,
            )
        }
        None => None,
    };
    reply::ok(&RootPage { items, next_cursor, total, total_exact, histogram })
}

impl RootsQuery {
    /// The first roots of the list, to be watched.
    ///
    /// # Errors
    /// There is more than a filter and a limit.
    pub async fn watched(&self, app: &App) -> Result<Scan> {
        let Self { order, cursor, total, histogram, fields, format, .. } = self;
        let others = [order, cursor, total, histogram, fields, format];
        if others.iter().any(|given| given.is_some()) {
            return Err(ApiError::invalid_field("filter", "may only have filters and a limit"));
        }
        let limit = number("limit", self.limit.as_deref(), 1, WATCHED)?.unwrap_or(WATCHED / 2);
        self.scan(app, PageLimit::items(limit)).await
    }

    /// The subject of a cursor.
    fn subject(&self) -> u64 {
        fnv(&self.filters())
    }

    /// All filters of roots: the same ones are the same bytes.
    fn filters(&self) -> Vec<u8> {
        let Self { from, to, name_prefix, created_by, tags, states, expression, .. } = self;
        let mut bytes = Vec::new();
        for part in [from, to, name_prefix, created_by, tags, states, expression] {
            match part {
                // No text has this byte, so different filters have different bytes.
                None => bytes.push(0xff),
                Some(text) => {
                    bytes.extend_from_slice(text.as_bytes());
                    bytes.push(0xfe);
                }
            }
        }
        bytes
    }

    fn order(&self) -> Result<Order> {
        Ok(order(self.order.as_deref())?.unwrap_or(Order::Newest))
    }

    async fn scan(&self, app: &App, limit: PageLimit) -> Result<Scan> {
        Ok(Scan {
            store: Arc::clone(&app.store),
            from: time("from", self.from.as_deref())?.unwrap_or(Timestamp::MIN),
            to: time("to", self.to.as_deref())?.unwrap_or(Timestamp::MAX),
            order: self.order()?,
            filter: self.filter().await?,
            items_max: limit.items,
        })
    }

    async fn filter(&self) -> Result<RootFilter> {
        let expression = match &self.expression {
            Some(source) => Some(Arc::new(compile(source.clone()).await?)),
            None => None,
        };
        let tags = self.tags.as_deref().unwrap_or("").split(',').filter(|tag| !tag.is_empty());
        Ok(RootFilter {
            name_prefix: self.name_prefix.clone().unwrap_or_default(),
            created_by: self.created_by.clone(),
            tags: tags.map(str::to_owned).collect(),
            states: states(self.states.as_deref())?,
            expression,
        })
    }
}
