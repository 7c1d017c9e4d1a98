use actix_http::{
    body::BodyStream,
    ws::{self, CloseCode, Codec, Frame, Item, Message, ProtocolError},
};
use actix_web::{
    HttpRequest, HttpResponse,
    body::MessageBody,
    web::{self, Bytes, BytesMut},
};
use futures_util::{StreamExt, stream};
use jobtracker_model::{
    ProblemCode,
    live::{ClientFrame, ServerFrame, Subscribe},
};
use tokio_util::codec::{Decoder, Encoder};

use super::{
    app::State,
    problem::{ApiError, Result},
    right::Reader,
    topics,
};
use crate::live::Connection;

/// The longest message of a client: a window of as many rows as a connection may show.
const MESSAGE: usize = 64 * 1024;
/// Bytes of messages that wait until the client has taken what it is told; more stay in the socket.
const UNREAD: usize = 2 * MESSAGE;

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
    let refused = |error| ApiError::new(ProblemCode::UpgradeRequired, format!("{error}."));
    ws::verify_handshake(request.head()).map_err(refused)?;
    let connection =
        Connection::open(&app.hub, caller.admitted.principal, Reader::ends(request.clone()))?;
    let socket = WebSocket {
        app,
        connection,
        payload,
        codec: Codec::new().max_size(MESSAGE),
        came: BytesMut::new(),
        parts: BytesMut::new(),
        is_closed: false,
    };
    // The body is asked for more when there is room to send it, and only then.
    let messages = stream::unfold(socket, |mut socket| async move {
        let bytes = socket.next().await?;
        Some((Ok::<_, ProtocolError>(bytes), socket))
    });
    let response = ws::handshake_response(request.head()).message_body(BodyStream::new(messages));
    let response = response.map_err(|error| ApiError::internal(&error))?;
    Ok(HttpResponse::from(response.map_body(|_, body| body.boxed())))
}

/// A WebSocket between a connection and a client.
struct WebSocket {
    app: State,
    connection: Connection,
    payload: web::Payload,
    codec: Codec,
    /// Bytes of the client that are no whole message yet.
    came: BytesMut,
    /// The message that comes in parts, as far as it has come.
    parts: BytesMut,
    /// The closing message is on its way.
    is_closed: bool,
}

impl WebSocket {
    /// The next bytes for the client; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.is_closed {
                return None;
            }
            let said = match self.connection.is_behind() {
                true => Ok(None),
                false => self.codec.decode(&mut self.came),
            };
            match said {
                Ok(None) => {}
                Ok(Some(frame)) => match self.take(frame).await {
                    Some(answer) => return Some(self.write(answer)),
                    None => continue,
                },
                Err(_) => return Some(self.write(close(CloseCode::Protocol))),
            }
            tokio::select! {
                told = self.connection.next() => {
                    let message = told.map(|told| Message::Text(told.text.into()));
                    return Some(self.write(message.unwrap_or_else(|| close(CloseCode::Away))));
                }
                bytes = self.payload.next(), if self.came.len() < UNREAD => match bytes {
                    Some(Ok(bytes)) => self.came.extend_from_slice(&bytes),
                    // The client has gone.
                    Some(Err(_)) | None => return None,
                },
            }
        }
    }

    /// Does what a client says; answers what the protocol asks for.
    async fn take(&mut self, frame: Frame) -> Option<Message> {
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Continuation(Item::FirstText(part)) => {
                self.parts = BytesMut::from(&*part);
                return None;
            }
            Frame::Continuation(Item::Continue(part) | Item::Last(part))
                if self.parts.len() + part.len() > MESSAGE =>
            {
                return Some(close(CloseCode::Size));
            }
            Frame::Continuation(Item::Continue(part)) => {
                self.parts.extend_from_slice(&part);
                return None;
            }
            Frame::Continuation(Item::Last(part)) => {
                self.parts.extend_from_slice(&part);
                self.parts.split().freeze()
            }
            Frame::Binary(_) | Frame::Continuation(Item::FirstBinary(_)) => {
                return Some(close(CloseCode::Unsupported));
            }
            Frame::Ping(bytes) => return Some(Message::Pong(bytes)),
            Frame::Pong(_) => return None,
            Frame::Close(reason) => return Some(Message::Close(reason)),
        };
        match serde_json::from_slice::<ClientFrame>(&text) {
            Ok(ClientFrame::Sub(wanted)) => self.subscribe(wanted).await,
            Ok(frame) => self.connection.take(frame).await,
            Err(error) => {
                self.connection.refuse(ProblemCode::InvalidJson, &format!("{error}."));
            }
        }
        None
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

    fn write(&mut self, message: Message) -> Bytes {
        self.is_closed = matches!(message, Message::Close(_));
        let mut bytes = BytesMut::new();
        // Only parts of messages can be refused, and here are none.
        let _ = self.codec.encode(message, &mut bytes);
        bytes.freeze()
    }
}

fn close(code: CloseCode) -> Message {
    Message::Close(Some(code.into()))
}
