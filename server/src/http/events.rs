use std::convert::Infallible;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue},
    web::Bytes,
};
use futures_util::stream;
use jobtracker_model::{
    JobId, StateSet,
    live::{EventKind, Position, ServerFrame, Subscribe, Topic},
};

use super::{
    app::State,
    connection::{Streamed, Streaming},
    problem::{ApiError, Result},
    right::Reader,
    topics,
};
use crate::live::{Connection, Told};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// A proxy that would collect the answer passes it on as it comes.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Be told of changes by server-sent events
///
/// The same as `/api/v1/live` for programs that only read, such as curl. Each event is a
/// `ServerFrame`; the topics are its subscriptions, from 1 on. A client that comes again sends the
/// last `id` as `Last-Event-ID`. docs/live.md has the whole.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "events", tag = "live",
    params(
        ("topic" = Vec<Topic>, Query, description = "What to tell of; once or more.", min_items = 1,
            max_items = 64),
        ("ids" = Option<String>, Query,
            description = "The jobs of topics of rows, separated by commas."),
        ("kinds" = Option<String>, Query,
            description = "The events that are told, with commas; absent: all, empty: none.",
            example = "state,log"),
        ("states" = Option<String>, Query,
            description = "Of events about a state, those to one of these states, separated by \
                commas."),
        ("filter" = Option<String>, Query,
            description = "Of the topics `roots` and `schedules`: which ones, as the query of \
                `/api/v1/roots` or `/api/v1/schedules`.",
            example = "states=Faulted&limit=20"),
        ("everyMs" = Option<u32>, Query, maximum = 60000,
            description = "The shortest time from one snapshot to the next."),
        ("after" = Option<String>, Query,
            description = "The last `id` that the client knows, if it cannot send \
                `Last-Event-ID`, which counts before this."),
    ),
    responses((status = 200, description = "Frames, until the client closes the connection.",
        body = ServerFrame, content_type = "text/event-stream")))]
pub(super) async fn events(
    caller: Reader,
    app: State,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let wanted = subscriptions(&request)?;
    let mut connection =
        Connection::open(&app.hub, caller.admitted.principal, Reader::ends(request.clone()))?;
    let mut known = Vec::new();
    for wanted in wanted {
        known.push(wanted.after.or(wanted.since.map(Position::end_of)));
        match topics::source(&app, &wanted).await? {
            Some(source) => connection.subscribe_to_state(&wanted, source)?,
            None => connection.subscribe(wanted).await?,
        }
    }
    let streamed = request.conn_data::<Streamed>();
    let streaming = streamed.ok_or_else(|| ApiError::internal(&"it comes from no socket"))?.begin();
    let feed = Feed { connection, known, streaming };
    // The body is asked for more when there is room to send it, and only then.
    let frames = stream::unfold(feed, |mut feed| async move {
        let told = tokio::select! {
            told = feed.connection.next() => told?,
            () = feed.streaming.client_goes() => return None,
        };
        Some((Ok::<_, Infallible>(feed.write(&told)), feed))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((ACCEL_BUFFERING, "no"))
        .streaming(frames))
}

/// The frames of a connection as server-sent events.
struct Feed {
    connection: Connection,
    /// The position that the client knows in each subscription.
    known: Vec<Option<Position>>,
    streaming: Streaming,
}

impl Feed {
    fn write(&mut self, Told { sub, text, at }: &Told) -> Bytes {
        let known = sub.and_then(|sub| self.known.get_mut(sub as usize - 1)).zip(*at);
        let mut event = String::with_capacity(text.len() + 64);
        if let Some((known, at)) = known {
            *known = Some(at);
            event.push_str("id: ");
            for (number, known) in self.known.iter().enumerate() {
                let comma = if number > 0 { "," } else { "" };
                let known = known.map(|known| known.to_string()).unwrap_or_default();
                event.push_str(comma);
                event.push_str(&known);
            }
            event.push('\n');
        }
        event.push_str("data: ");
        event.push_str(text);
        event.push_str("\n\n");
        event.into()
    }
}

/// What is subscribed to, by the query string and the last id.
fn subscriptions(request: &HttpRequest) -> Result<Vec<Subscribe>> {
    let mut topics: Vec<Topic> = Vec::new();
    let (mut ids, mut kinds, mut states, mut after) = (Vec::new(), None, None, None);
    let (mut filter, mut every_ms) = (None, None);
    for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        let refused = |error: &dyn std::fmt::Display| ApiError::query(&name, error);
        match &*name {
            "topic" => topics.push(value.parse().map_err(|error| refused(&error))?),
            "ids" => ids = list::<JobId>(&name, &value)?,
            "kinds" => kinds = Some(list::<EventKind>(&name, &value)?),
            "states" => {
                let set: StateSet = value.parse().map_err(|error| refused(&error))?;
                states = Some(set).filter(|set| !set.is_empty());
            }
            "after" => after = Some(value.into_owned()),
            "filter" => filter = Some(value.into_owned()),
            "everyMs" => every_ms = Some(value.parse().map_err(|error| refused(&error))?),
            _ => return Err(refused(&"there is no such parameter")),
        }
    }
    if topics.is_empty() {
        return Err(ApiError::query("topic", "is missing; name one at least"));
    }
    let last = request.headers().get(LAST_EVENT_ID).map(HeaderValue::to_str);
    let last = last.transpose().map_err(|_| ApiError::query("Last-Event-ID", "is no text"))?;
    let after = positions(topics.len(), last.or(after.as_deref()))?;
    let each = (1..).zip(topics).zip(after);
    let subscribe = each.map(|((sub, topic), at)| match topic {
        Topic::Rows(_) => {
            let since = at.map(Position::version);
            Subscribe { ids: ids.clone(), since, every_ms, ..Subscribe::new(sub, topic) }
        }
        Topic::Job(_) | Topic::Tree(_) | Topic::Log(_) => {
            let (kinds, after) = (kinds.clone(), at);
            Subscribe { kinds, states, after, every_ms, ..Subscribe::new(sub, topic) }
        }
        of_service => {
            let filter = filter.clone().filter(|_| of_service.has_filter());
            let since = at.map(Position::version);
            Subscribe { filter, since, every_ms, ..Subscribe::new(sub, of_service) }
        }
    });
    Ok(subscribe.collect())
}

/// The positions of the subscriptions in an id.
fn positions(count: usize, id: Option<&str>) -> Result<Vec<Option<Position>>> {
    let Some(id) = id.filter(|id| !id.is_empty()) else { return Ok(vec![None; count]) };
    let parts: Vec<_> = id.split(',').collect();
    if parts.len() != count {
        return Err(ApiError::query("after", format!("has not the positions of {count} topics")));
    }
    let parse = |part: &str| match part {
        "" => Ok(None),
        part => part.parse().map(Some).map_err(|error| ApiError::query("after", error)),
    };
    parts.into_iter().map(parse).collect()
}

fn list<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<Vec<T>> {
    let items = text.split(',').filter(|item| !item.is_empty());
    items.map(|item| item.parse().map_err(|error| ApiError::query(name, error))).collect()
}
