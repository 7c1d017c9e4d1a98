//! The messages of a WebSocket, without what is said in them.

use actix_http::{
    body::BodyStream,
    ws::{self, CloseCode, Codec, Frame, Item, Message, ProtocolError},
};
use actix_web::{
    HttpRequest, HttpResponse,
    body::MessageBody,
    web::{self, Bytes, BytesMut},
};
use futures_util::{Stream, StreamExt};
use jobtracker_model::ProblemCode;
use tokio_util::codec::{Decoder, Encoder};

use super::problem::{ApiError, Result};

/// The messages of a client, and how those for it are written.
pub(super) struct Messages {
    payload: web::Payload,
    codec: Codec,
    /// The longest message.
    most: usize,
    /// Bytes of the client that are no whole message yet.
    came: BytesMut,
    /// The message that comes in parts, as far as it has come.
    parts: BytesMut,
    /// The closing message is on its way.
    is_closed: bool,
}

/// What has come from a client.
pub(super) enum Came {
    Text(Bytes),
    /// The protocol asks for this message to the client.
    Answer(Message),
}

impl Messages {
    /// `most`: bytes of the longest message of the client.
    ///
    /// # Errors
    /// The request asks for no WebSocket.
    pub fn begin(request: &HttpRequest, payload: web::Payload, most: usize) -> Result<Self> {
        let refused = |error| ApiError::new(ProblemCode::UpgradeRequired, format!("{error}."));
        ws::verify_handshake(request.head()).map_err(refused)?;
        let codec = Codec::new().max_size(most);
        let (came, parts) = (BytesMut::new(), BytesMut::new());
        Ok(Self { payload, codec, most, came, parts, is_closed: false })
    }

    /// Whether the last message was written.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The next message, if all of it has come.
    pub fn take(&mut self) -> Option<Came> {
        loop {
            let came = match self.codec.decode(&mut self.came) {
                Ok(frame) => self.whole(frame?),
                Err(ProtocolError::Overflow) => Some(Came::Answer(close(CloseCode::Size))),
                Err(_) => Some(Came::Answer(close(CloseCode::Protocol))),
            };
            if came.is_some() {
                return came;
            }
        }
    }

    /// Whether more may be read: of messages that wait two of the longest stay here, and more in
    /// the socket.
    pub fn has_room(&self) -> bool {
        self.came.len() < 2 * self.most
    }

    /// Waits for more bytes; false: the client has gone.
    pub async fn more(&mut self) -> bool {
        match self.payload.next().await {
            Some(Ok(bytes)) => {
                self.came.extend_from_slice(&bytes);
                true
            }
            Some(Err(_)) | None => false,
        }
    }

    /// The message of which this is a part, if it ends it.
    fn whole(&mut self, frame: Frame) -> Option<Came> {
        match frame {
            Frame::Text(text) => Some(Came::Text(text)),
            Frame::Continuation(Item::FirstText(part)) => {
                self.parts = BytesMut::from(&*part);
                None
            }
            Frame::Continuation(Item::Continue(part) | Item::Last(part))
                if self.parts.len() + part.len() > self.most =>
            {
                Some(Came::Answer(close(CloseCode::Size)))
            }
            Frame::Continuation(Item::Continue(part)) => {
                self.parts.extend_from_slice(&part);
                None
            }
            Frame::Continuation(Item::Last(part)) => {
                self.parts.extend_from_slice(&part);
                Some(Came::Text(self.parts.split().freeze()))
            }
            Frame::Binary(_) | Frame::Continuation(Item::FirstBinary(_)) => {
                Some(Came::Answer(close(CloseCode::Unsupported)))
            }
            Frame::Ping(bytes) => Some(Came::Answer(Message::Pong(bytes))),
            Frame::Pong(_) => None,
            Frame::Close(reason) => Some(Came::Answer(Message::Close(reason))),
        }
    }

    /// The bytes of a message for the client.
    pub fn write(&mut self, message: Message) -> Bytes {
        self.is_closed = matches!(message, Message::Close(_));
        let mut bytes = BytesMut::new();
        // Only parts of messages can be refused, and here are none.
        let _ = self.codec.encode(message, &mut bytes);
        bytes.freeze()
    }
}

pub(super) fn close(code: CloseCode) -> Message {
    Message::Close(Some(code.into()))
}

/// The answer to a request for a WebSocket. It is asked for more when there is room to send it, and
/// only then.
pub(super) fn respond(
    request: &HttpRequest,
    messages: impl Stream<Item = Bytes> + 'static,
) -> Result<HttpResponse> {
    let messages = messages.map(Ok::<_, ProtocolError>);
    let response = ws::handshake_response(request.head()).message_body(BodyStream::new(messages));
    let response = response.map_err(|error| ApiError::internal(&error))?;
    Ok(HttpResponse::from(response.map_body(|_, body| body.boxed())))
}
