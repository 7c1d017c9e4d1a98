use std::{rc::Rc, sync::Arc};

use actix_web::{HttpRequest, HttpResponse};
use jobtracker_model::{RootPage, Timestamp, limits};
use jobtracker_store::PageLimit;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::{App, State},
    cursor::{self, List, fnv},
    exports::{self, Format},
    extract::{Query, flag, limit, states, time},
    filtered,
    problem::Result,
    reply,
    right::Reader,
    roots_filter::{Filter, compile},
    roots_scan::Scan,
};

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
    /// `json` for a page, `ndjson` or `csv` for a file with all of them, which is made as it is
    /// read and is not of one instant. Two files are made at once at most.
    #[param(example = "csv", default = "json")]
    format: Option<String>,
}

/// List root jobs
///
/// Newest first, by the time of creation. A page of a filtered list may be empty and still have a
/// cursor. Matches are counted only when `total` asks for it.
#[utoipa::path(get, path = "/api/v1/roots", operation_id = "listRoots", tag = "roots",
    params(RootsQuery), responses((status = 200, description = "A page.", body = RootPage)))]
pub(super) async fn list(
    _: Reader,
    app: State,
    query: Query<RootsQuery>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let query = query.0;
    let paging = [&query.limit, &query.cursor];
    if let Some(format) = Format::of_file(query.format.as_deref(), paging)? {
        let scan = Rc::new(query.scan(&app, PageLimit::items(limits::PAGE)).await?);
        let read = move |_, after| {
            let scan = Rc::clone(&scan);
            async move { filtered::page(&*scan, after, scan.items_max).await }
        };
        return exports::file(app, request, "roots", format, read).await;
    }
    let subject = query.subject();
    let position = cursor::decode(List::Roots, subject, query.cursor.as_deref())?;
    let limit = limit(query.limit.as_deref())?;
    let counts = flag("total", query.total.as_deref())?;
    let scan = query.scan(&app, limit).await?;
    let found = match position {
        None if counts => scan.counted_page().await?,
        position => scan.page(position).await?,
    };
    let next_cursor = found.next_position().map(|next| cursor::encode(List::Roots, subject, &next));
    let (total, total_exact) = found.total();
    reply::ok(&RootPage { items: found.items, next_cursor, total, total_exact })
}

impl RootsQuery {
    /// The subject of a cursor: all filters of roots.
    fn subject(&self) -> u64 {
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
        fnv(&bytes)
    }

    async fn scan(&self, app: &App, limit: PageLimit) -> Result<Scan> {
        Ok(Scan {
            store: Arc::clone(&app.store),
            from: time("from", self.from.as_deref())?.unwrap_or(Timestamp::MIN),
            to: time("to", self.to.as_deref())?.unwrap_or(Timestamp::MAX),
            filter: self.filter().await?,
            items_max: limit.items,
        })
    }

    async fn filter(&self) -> Result<Filter> {
        let expression = match &self.expression {
            Some(source) => Some(Arc::new(compile(source.clone()).await?)),
            None => None,
        };
        let tags = self.tags.as_deref().unwrap_or("").split(',').filter(|tag| !tag.is_empty());
        Ok(Filter {
            name_prefix: self.name_prefix.clone().unwrap_or_default(),
            created_by: self.created_by.clone(),
            tags: tags.map(str::to_owned).collect(),
            states: states(self.states.as_deref())?,
            expression,
        })
    }
}
