//! Whole lists of jobs as one file: the filters of a list, without its pages.

use std::{pin::pin, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    web::Bytes,
};
use futures_util::{
    StreamExt, TryStreamExt,
    future::{Either, select},
    stream,
};
use jobtracker_model::{Job, ProblemCode, Timestamp};
use jobtracker_store::{JobRow, Listed};

use super::{
    app::State,
    connection::Streamed,
    problem::{ApiError, Result},
    right::Reader,
};

/// Files that are made at once. Each reads pages of the store for as long as its client takes them.
pub(crate) const AT_ONCE: usize = 2;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A line of JSON for each job.
    Ndjson,
    /// A table.
    Csv,
}

impl Format {
    /// The format of a file; `None` for a page. A file has no pages.
    pub fn of_file(text: Option<&str>, paging: [&Option<String>; 3]) -> Result<Option<Self>> {
        let format = match text {
            None | Some("json") => return Ok(None),
            Some("ndjson") => Self::Ndjson,
            Some("csv") => Self::Csv,
            Some(_) => return Err(ApiError::query("format", "must be json, ndjson or csv")),
        };
        if paging.iter().any(|given| given.is_some()) {
            let reason = "gives all jobs at once, without limit, cursor and fields";
            return Err(ApiError::query("format", reason));
        }
        Ok(Some(format))
    }

    fn begin(self) -> Vec<u8> {
        match self {
            Self::Ndjson => Vec::new(),
            Self::Csv => format!("{}\r\n", COLUMNS.join(",")).into_bytes(),
        }
    }

    fn jobs(self, jobs: Vec<JobRow>) -> Result<Bytes> {
        let jobs = jobs.into_iter().map(Job::from);
        let mut lines = Vec::new();
        match self {
            Self::Ndjson => {
                for job in jobs {
                    serde_json::to_writer(&mut lines, &job)
                        .map_err(|error| ApiError::internal(&error))?;
                    lines.push(b'\n');
                }
            }
            Self::Csv => {
                let mut table = csv::WriterBuilder::new()
                    .terminator(csv::Terminator::CRLF)
                    .from_writer(&mut lines);
                for job in jobs {
                    table.write_record(cells(&job)).map_err(|error| ApiError::internal(&error))?;
                }
                table.flush().map_err(|error| ApiError::internal(&error))?;
                drop(table);
            }
        }
        Ok(lines.into())
    }
}

/// A file with all jobs of a list, page by page as the client takes it. The first page is read
/// before the answer begins, so that what is wrong with the request is answered as usual. When a
/// later one cannot be read, or the caller has lost the right to it, the connection ends before the
/// file does.
pub(super) async fn file<K, F>(
    app: State,
    request: HttpRequest,
    name: &str,
    format: Format,
    read: impl Fn(State, Option<K>) -> F + 'static,
) -> Result<HttpResponse>
where
    K: Copy + 'static,
    F: Future<Output = Result<Listed<JobRow, K>>> + 'static,
{
    let full = |_| ApiError::new(ProblemCode::Overloaded, "As many files as may be are made.");
    let place = Arc::clone(&app.file_places).try_acquire_owned().map_err(full)?;
    let Listed { items, next } = read(app.clone(), None).await?;
    let mut first = format.begin();
    first.extend_from_slice(&format.jobs(items)?);
    let streamed = request.conn_data::<Streamed>();
    let streaming = streamed.ok_or_else(|| ApiError::internal(&"it comes from no socket"))?.begin();
    // A list with few matches writes nothing for long, and only a write would find that the client
    // has gone.
    let over = Box::pin(async move {
        tokio::select! {
            error = Reader::lost(request) => Err(error),
            () = streaming.client_goes() => Ok(()),
        }
    });
    let rest = stream::try_unfold((next, place, read, over), move |(next, place, read, over)| {
        let app = app.clone();
        async move {
            let Some(after) = next else { return Ok(None) };
            let reading = pin!(app.unless_stopping(read(app.clone(), Some(after))));
            let (read_page, over) = match select(over, reading).await {
                Either::Left((over, _)) => return over.map(|()| None),
                Either::Right(done) => done,
            };
            let Listed { items, next } = read_page?;
            Ok::<_, ApiError>(Some((format.jobs(items)?, (next, place, read, over))))
        }
    });
    let body = stream::once(async { Ok(Bytes::from(first)) }).chain(rest).map_err(|error| {
        tracing::warn!(%error, "a file ends before its list does");
        std::io::Error::other(error.to_string())
    });
    let (kind, ending) = match format {
        Format::Ndjson => ("application/x-ndjson", "ndjson"),
        Format::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.{ending}\"")))
        .streaming(body))
}

const COLUMNS: [&str; 20] = [
    "id",
    "parent",
    "root",
    "depth",
    "name",
    "createdBy",
    "tags",
    "state",
    "createTime",
    "startTime",
    "endTime",
    "childrenPending",
    "childrenSuccessful",
    "childrenFailed",
    "total",
    "waiting",
    "running",
    "waitingForChildren",
    "successful",
    "failed",
];

fn cells(job: &Job) -> [String; COLUMNS.len()] {
    let Job { children, subtree, .. } = job;
    let time = |time: Option<Timestamp>| time.map_or_else(String::new, |time| time.to_string());
    [
        job.id.to_string(),
        job.parent.map_or_else(String::new, |id| id.to_string()),
        job.root.to_string(),
        job.depth.to_string(),
        plain(&job.name),
        plain(&job.created_by),
        plain(&job.tags.join(" ")),
        job.state.name().to_owned(),
        job.create_time.to_string(),
        time(job.start_time),
        time(job.end_time),
        children.pending.to_string(),
        children.successful.to_string(),
        children.failed.to_string(),
        subtree.total.to_string(),
        subtree.waiting.to_string(),
        subtree.running.to_string(),
        subtree.waiting_for_children.to_string(),
        subtree.successful.to_string(),
        subtree.failed.to_string(),
    ]
}

/// A text that no spreadsheet takes for a formula: one that begins like a formula gets an
/// apostrophe before it (OWASP, "CSV Injection").
fn plain(text: &str) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    }
}
