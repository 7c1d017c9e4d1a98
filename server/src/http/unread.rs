use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpMessage,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::ConnectionType,
    web::Bytes,
};
use futures_util::{FutureExt, Stream, StreamExt};

/// The body of a request, shared by the handler and by the middleware that reads the rest of it.
///
/// A client sends its whole body before it reads the answer, and its next request after that. So
/// the rest is read, up to a bound; beyond it the answer says that the connection closes.
#[derive(Clone)]
pub(super) struct Unread(Rc<RefCell<Shared>>);

struct Shared {
    payload: Payload,
    /// The body has ended, or broken off.
    is_over: bool,
}

/// How much of an unread body is read, and for how long.
const BYTES: usize = 256 * 1024;
const TIME: Duration = Duration::from_millis(500);

impl Unread {
    /// Shares the body of the request, if it has one.
    pub fn share(request: &mut ServiceRequest) -> Option<Self> {
        let payload = request.take_payload();
        if matches!(payload, Payload::None) {
            return None;
        }
        let shared = Self(Rc::new(RefCell::new(Shared { payload, is_over: false })));
        request.set_payload(Payload::Stream { payload: Box::pin(shared.clone()) });
        Some(shared)
    }

    /// Whether there may be more of it, as far as that can be told without waiting. A handler that
    /// has as many bytes as were announced does not ask for the end, so this does.
    pub fn goes_on(&self) -> bool {
        if !self.is_over() {
            let _ = self.clone().next().now_or_never();
        }
        !self.is_over()
    }

    /// Reads what is left. Answers whether that was all of it.
    pub async fn drain(&mut self) -> bool {
        if !self.is_over() {
            // Bytes that do not come in time stay unread, like those past the bound.
            let _ = tokio::time::timeout(TIME, self.read_on()).await;
        }
        self.is_over()
    }

    async fn read_on(&mut self) {
        let mut left = BYTES;
        while left > 0
            && let Some(Ok(bytes)) = self.next().await
        {
            left = left.saturating_sub(bytes.len());
        }
    }

    /// The same response, after which the connection closes: with the unread body, which has to
    /// stay unread until then. If the body were dropped, the rest would be read without a bound.
    pub fn close_after(self, mut response: ServiceResponse) -> ServiceResponse {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
        response.map_body(|_, body| BoxBody::new(Last { body, _unread: self }))
    }

    fn is_over(&self) -> bool {
        self.0.borrow().is_over
    }
}

impl Stream for Unread {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.0.borrow_mut();
        let next = Pin::new(&mut shared.payload).poll_next(cx);
        shared.is_over |= matches!(next, Poll::Ready(None | Some(Err(_))));
        next
    }
}

/// The body of the last response of a connection.
struct Last {
    body: BoxBody,
    _unread: Unread,
}

impl MessageBody for Last {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
