use std::sync::Arc;

use actix_web::{
    HttpResponse,
    http::header::{HeaderName, HeaderValue},
    web,
};
use jobtracker_model::{JobId, LogAppended, LogLine, NewLogLines, Page, limits};
use jobtracker_store::{Listed, LogQuery, PageLimit, Store};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::State,
    cursor::{self, List, fnv},
    extract::{Id, LogBody, Query, limit, number},
    filtered::{self, Filtered},
    problem::{ApiError, Result},
    reply,
    right::{Reader, Writer},
};

/// Bytes of a text that is searched for.
const SEARCH_MAX: usize = 256;

const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// How to append.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AppendQuery {
    /// For a body of plain text: what `appendId` is in JSON.
    #[param(min_length = 1, max_length = 64)]
    append_id: Option<String>,
}

/// Which lines, and how.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadQuery {
    /// `start`, `end` (so that the page ends with the last line), or the number of a line.
    #[param(example = "start", default = "start")]
    from: Option<String>,
    /// Only lines with this text, upper and lower case alike. One page looks at up to 20,000 lines,
    /// so it may be empty and still have a cursor.
    #[param(min_length = 1, max_length = 256)]
    search: Option<String>,
    /// Most lines on the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200)]
    limit: Option<String>,
    /// The cursor of the page before, instead of `from`.
    cursor: Option<String>,
    /// `json` for lines with numbers and times, `text` for the lines alone with a line break
    /// between them; the cursor is then in the header `x-next-cursor`.
    #[param(example = "text", default = "json")]
    format: Option<String>,
}

/// Append lines to the log of a job
///
/// Durable before the reply, all or none. With an append id it is safe to repeat. In plain text
/// each line of the body is a line of the log, and what a program has printed is taken as it is:
/// bytes that are not of its character set are replaced, of a line that is written over (by a
/// carriage return) the last state is kept, and a line that is too long is cut into pieces with a
/// mark where they were cut.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/log", operation_id = "appendLog", tag = "log",
    params(("id" = JobId, Path, description = "The job."), AppendQuery),
    request_body(content((NewLogLines = "application/json"), (String = "text/plain"))),
    responses((status = 200, description = "Where the lines stand.", body = LogAppended)))]
pub(super) async fn append(
    _: Writer,
    app: State,
    id: Id,
    query: Query<AppendQuery>,
    body: LogBody,
) -> Result<HttpResponse> {
    let lines = match (body, query.0.append_id) {
        (LogBody::Lines(lines), append_id) => NewLogLines { lines, append_id },
        (LogBody::Json(lines), None) => lines,
        (LogBody::Json(_), Some(_)) => {
            return Err(ApiError::query("appendId", "belongs into the body when that is JSON"));
        }
    };
    reply::ok(&app.engine.append_log(id.0, lines).await?)
}

/// Read the log of a job
#[utoipa::path(get, path = "/api/v1/jobs/{id}/log", operation_id = "readLog", tag = "log",
    params(("id" = JobId, Path, description = "The job."), ReadQuery),
    responses((status = 200, description = "A page.",
        content((Page<LogLine> = "application/json"), (String = "text/plain")),
        headers(("x-next-cursor" = String, description = "Of plain text: the next cursor.")))))]
pub(super) async fn read(
    _: Reader,
    app: State,
    id: Id,
    query: Query<ReadQuery>,
) -> Result<HttpResponse> {
    let (id, query) = (id.0, query.0);
    let from = first_line(id, &query)?;
    let as_text = match query.format.as_deref() {
        None | Some("json") => false,
        Some("text") => true,
        Some(_) => return Err(ApiError::query("format", "must be json or text")),
    };
    let limit = limit(query.limit.as_deref())?;
    let listed = match query.search.as_deref() {
        None => app.store.list_log(LogQuery { id, from, limit }).await?,
        Some(text) => {
            let (from, text) = (from.unwrap_or(0), Arc::new(matcher(text)?));
            let search = Search { store: &app.store, id, from, text };
            filtered::page(&search, None, limit.items).await?
        }
    };
    let subject = query.subject(id);
    let next = |last: u32| cursor::encode(List::Log, subject, &last.saturating_add(1));
    let next_cursor = listed.next.map(next);
    if as_text {
        text(&listed.items, next_cursor)
    } else {
        reply::ok(&Page { items: listed.items, next_cursor })
    }
}

/// The first line of the page; `None` if the page ends with the last line.
fn first_line(id: JobId, query: &ReadQuery) -> Result<Option<u32>> {
    let behind = cursor::decode(List::Log, query.subject(id), query.cursor.as_deref())?;
    match (behind, query.from.as_deref()) {
        (Some(_), Some(_)) => Err(ApiError::query("from", "does not go with a cursor")),
        (Some(line), None) => Ok(Some(line)),
        (None, None | Some("start")) => Ok(Some(0)),
        (None, Some("end")) if query.search.is_some() => {
            Err(ApiError::query("from", "must be start or the number of a line with a search"))
        }
        (None, Some("end")) => Ok(None),
        (None, from) => number("from", from, 0, limits::LOG_LINES)
            .map_err(|_| ApiError::query("from", "must be start, end or the number of a line")),
    }
}

impl ReadQuery {
    /// The subject of a cursor: the job, and the text that is searched for.
    fn subject(&self, id: JobId) -> u64 {
        let search = self.search.as_ref().map_or(0, |text| fnv(text.as_bytes()));
        id.get() ^ search
    }
}

/// What finds a text in any case.
fn matcher(text: &str) -> Result<Regex> {
    if text.is_empty() || text.len() > SEARCH_MAX {
        return Err(ApiError::query("search", format!("must have 1 to {SEARCH_MAX} bytes")));
    }
    let pattern = RegexBuilder::new(&regex::escape(text)).case_insensitive(true).build();
    pattern.map_err(|error| ApiError::query("search", error))
}

/// The lines of a log that have a text.
struct Search<'a> {
    store: &'a Arc<dyn Store>,
    id: JobId,
    from: u32,
    text: Arc<Regex>,
}

impl Filtered for Search<'_> {
    type Row = LogLine;
    type Key = u32;

    async fn read(&self, after: Option<u32>, rows: usize) -> Result<Listed<LogLine, u32>> {
        let from = Some(after.map_or(self.from, |line| line.saturating_add(1)));
        let limit = PageLimit::rows(rows);
        Ok(self.store.list_log(LogQuery { id: self.id, from, limit }).await?)
    }

    /// Looked through off the worker, so that other requests do not wait.
    async fn wanted(&self, mut rows: Vec<LogLine>) -> Result<Vec<LogLine>> {
        let text = Arc::clone(&self.text);
        let search = web::block(move || {
            rows.retain(|line| text.is_match(&line.text));
            rows
        });
        search.await.map_err(|error| ApiError::internal(&error))
    }

    fn key(row: &LogLine) -> u32 {
        row.line
    }

    fn bytes(row: &LogLine) -> usize {
        size_of::<LogLine>() + row.text.len()
    }
}

fn text(lines: &[LogLine], next_cursor: Option<String>) -> Result<HttpResponse> {
    let size = lines.iter().map(|line| line.text.len() + 1).sum();
    let mut body = String::with_capacity(size);
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            body.push('\n');
        }
        body.push_str(&line.text);
    }
    let mut reply = reply::text(body);
    if let Some(cursor) = next_cursor {
        let value = HeaderValue::try_from(cursor).map_err(|error| ApiError::internal(&error))?;
        reply.headers_mut().insert(NEXT_CURSOR, value);
    }
    Ok(reply)
}
