use actix_http::ws::{CloseCode, Message};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Bytes},
};
use futures_util::stream;
use jobtracker_model::{
    ProblemCode,
    live::{ClientFrame, ServerFrame, Subscribe},
};

use super::{
    app::State,
    problem::{ApiError, Result},
    right::Reader,
    topics,
    web_socket::{Came, Messages, close, respond},
};
use crate::live::Connection;

/// The longest message of a client: a window of as many rows as a connection may show.
const MESSAGE: usize = 64 * 1024;

/// Be told of changes over a WebSocket
///
/// The client sends frames of type `ClientFrame`, the service those of type `ServerFrame`, each as
/// a text message. docs/live.md has the whole.
#[utoipa::path(get, path = "/api/v1/live", operation_id = "live", tag = "live",
    responses((status = 101, description = "From here on, frames.", body = ServerFrame)))]
pub(super) async fn live(
    caller: Reader,
    app: State,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let messages = Messages::begin(&request, payload, MESSAGE)?;
    let connection =
        Connection::open(&app.hub, caller.admitted.principal, Reader::ends(request.clone()))?;
    let viewer = Viewer { app, connection, messages };
    let told = stream::unfold(viewer, async |mut viewer| Some((viewer.next().await?, viewer)));
    respond(&request, told)
}

/// A client that watches over a WebSocket.
struct Viewer {
    app: State,
    connection: Connection,
    messages: Messages,
}

impl Viewer {
    /// The next bytes for the client; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.messages.is_closed() {
            let came = if self.connection.is_behind() { None } else { self.messages.take() };
            match came {
                Some(Came::Answer(answer)) => return Some(self.messages.write(answer)),
                Some(Came::Text(text)) => {
                    self.take(&text).await;
                    continue;
                }
                None => {}
            }
            tokio::select! {
                told = self.connection.next() => {
                    let message = told.map(|told| Message::Text(told.text.into()));
                    let message = message.unwrap_or_else(|| close(CloseCode::Away));
                    return Some(self.messages.write(message));
                }
                is_there = self.messages.more(), if self.messages.has_room() => if !is_there {
                    return None;
                },
            }
        }
        None
    }

    /// Does what a client says.
    async fn take(&mut self, text: &[u8]) {
        match serde_json::from_slice::<ClientFrame>(text) {
            Ok(ClientFrame::Sub(wanted)) => self.subscribe(wanted).await,
            Ok(frame) => self.connection.take(frame).await,
            Err(error) => {
                self.connection.refuse(ProblemCode::InvalidJson, &format!("{error}."));
            }
        }
    }

    async fn subscribe(&mut self, wanted: Subscribe) {
        let sub = wanted.sub;
        let begun = match topics::source(&self.app, &wanted).await {
            Ok(None) => return self.connection.take(ClientFrame::Sub(wanted)).await,
            Ok(Some(source)) => {
                self.connection.subscribe_to_state(&wanted, source).map_err(ApiError::from)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = begun {
            self.connection.end_one(sub, topics::problem(&error));
        }
    }
}
