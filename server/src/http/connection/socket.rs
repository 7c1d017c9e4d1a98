use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::web::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{Sleep, sleep},
};

use super::{
    framing::Framing,
    stream::{Stream, Taken},
};

/// How long the service waits for a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the first byte of a head to its last one.
    pub head: Duration,
    /// While the client reads nothing of an answer.
    pub send: Duration,
}

/// The socket of a client: heads come complete and without requests for upgrades, and every wait
/// for the client has an end.
pub(super) struct Socket {
    stream: Stream,
    framing: Framing,
    /// Bytes that have come in and are not read.
    held: BytesMut,
    /// This many of them may be read; the rest is a part of a head.
    cleared: usize,
    /// A part of an answer has been sent, and not yet all of it. Only when it is sent is the next
    /// head let through: the rest of this answer would count as the next one.
    begun: bool,
    patience: Patience,
    /// Runs while a head is incomplete.
    head_timer: Timer,
    /// Runs while the client takes none of the bytes that are sent.
    send_timer: Timer,
    taken: Taken,
    /// What the client had taken when it was last looked at.
    taken_before: u64,
    streamed: Streamed,
}

/// What the requests of an encrypted connection have.
pub(crate) struct Encrypted;

/// Whether the answer under way comes piece by piece, which its handler says, since a socket sees
/// only bytes; and whether the client waits for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streamed(Rc<Answer>);

#[derive(Debug, Default)]
struct Answer {
    is_under_way: Cell<bool>,
    /// The client has closed its side.
    client_goes: Notify,
}

/// The answer comes piece by piece until this is dropped, with its last piece.
#[derive(Debug)]
pub(crate) struct Streaming(Streamed);

impl Streamed {
    pub fn begin(&self) -> Streaming {
        self.0.is_under_way.set(true);
        Streaming(self.clone())
    }

    /// Ends when the client has closed its side. actix-http would find that out only by writing.
    pub async fn client_goes(&self) {
        self.0.client_goes.notified().await;
    }
}

impl Streaming {
    /// Ends when the client has closed its side.
    pub async fn client_goes(&self) {
        self.0.client_goes().await;
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.0.is_under_way.set(false);
    }
}

/// The longest head that is received from a client; actix-http refuses a head of that length.
const HEAD_BYTES: usize = 128 * 1024;

/// Written before an answer.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Bytes that are read at a time of a head that came in parts.
const PART: usize = 4096;

impl Socket {
    /// `taken`: counts what the client takes of this stream.
    pub fn new(stream: Stream, taken: Taken, patience: Patience) -> Self {
        Self {
            stream,
            framing: Framing::default(),
            held: BytesMut::new(),
            cleared: 0,
            begun: false,
            patience,
            head_timer: Timer::default(),
            send_timer: Timer::default(),
            taken,
            taken_before: 0,
            streamed: Streamed::default(),
        }
    }

    pub fn is_encrypted(&self) -> bool {
        self.stream.is_encrypted()
    }

    /// A handle by which a handler says that its answer comes piece by piece, and hears that the
    /// client goes.
    pub fn streamed(&self) -> Streamed {
        self.streamed.clone()
    }

    /// Passes on the held bytes that may be read.
    fn give(&mut self, out: &mut ReadBuf<'_>) {
        let given = self.cleared.min(out.remaining());
        out.put_slice(&self.held.split_to(given));
        self.cleared -= given;
    }

    /// Reads when no bytes are held, which is nearly always: straight into the reader's buffer.
    fn read_straight(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> PollRead {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, out))?;
        let came = &mut out.filled_mut()[before..];
        if came.is_empty() {
            self.streamed.0.client_goes.notify_one();
            return Poll::Ready(Ok(true));
        }
        let empty = self.framing.empty_lines(came);
        let cleared = self.framing.advance(&mut came[empty..]);
        self.held.extend_from_slice(&came[empty + cleared..]);
        if empty > 0 {
            came.copy_within(empty..empty + cleared, 0);
        }
        out.set_filled(before + cleared);
        Poll::Ready(Ok(cleared > 0))
    }

    /// Removes empty lines before a head.
    fn skip_empty_lines(&mut self) {
        let empty = self.framing.empty_lines(&self.held);
        if empty > 0 {
            let _ = self.held.split_to(empty);
            // No head has begun.
            self.head_timer.stop();
        }
    }

    /// Goes on with bytes that were held back until there is an answer; answers whether there were
    /// any.
    fn go_on(&mut self) -> bool {
        self.cleared = self.framing.advance(&mut self.held);
        if self.cleared > 0 {
            self.head_timer.stop();
        }
        self.cleared > 0
    }

    /// The same, or an error when the client has taken nothing of what is sent for too long.
    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        sent: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let taken = self.taken.bytes();
        if sent.is_ready() || taken != self.taken_before {
            self.send_timer.stop();
            self.taken_before = taken;
        }
        if sent.is_pending() && self.send_timer.is_over(cx, self.patience.send) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        sent
    }

    /// Reads on when a part of a head is held. A client that is too slow gets the end of its input.
    fn read_on(&mut self, cx: &mut Context<'_>) -> PollRead {
        let mut room = [0; PART];
        let mut room = ReadBuf::new(&mut room);
        match Pin::new(&mut self.stream).poll_read(cx, &mut room) {
            Poll::Pending if self.head_timer.is_over(cx, self.patience.head) => {
                return Poll::Ready(Ok(true));
            }
            Poll::Pending => return Poll::Pending,
            Poll::Ready(done) => done?,
        }
        self.held.extend_from_slice(room.filled());
        // A head without an end is passed on incomplete, and refused.
        if room.filled().is_empty() || self.held.len() >= HEAD_BYTES {
            self.framing.give_up();
        }
        Poll::Ready(Ok(false))
    }
}

/// Whether there are bytes for the reader, or an end.
type PollRead = Poll<io::Result<bool>>;

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.cleared > 0 {
                this.give(out);
                return Poll::Ready(Ok(()));
            }
            this.skip_empty_lines();
            let has_come = if this.held.is_empty() {
                ready!(this.read_straight(cx, out))?
            } else if this.framing.waits() {
                // The answer wakes the reader.
                return Poll::Pending;
            } else if this.go_on() {
                continue;
            } else {
                ready!(this.read_on(cx))?
            };
            if has_come && this.cleared == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if bytes != CONTINUE {
            this.begun = true;
        }
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.unless_stalled(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Encryption keeps some bytes that the socket does not take.
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        ready!(this.unless_stalled(cx, flushed))?;
        // actix-http flushes only when it has written all that it has: here that is a complete
        // answer, since each body comes in one piece and with its length, unless its handler says
        // otherwise.
        if this.begun && !this.streamed.0.is_under_way.get() {
            this.begun = false;
            if this.framing.waits() && !this.held.is_empty() {
                cx.waker().wake_by_ref();
            }
            this.framing.answered();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Measures from the first poll of a wait.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn is_over(&mut self, cx: &mut Context<'_>, time: Duration) -> bool {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep(time)));
        sleep.as_mut().poll(cx).is_ready()
    }

    fn stop(&mut self) {
        self.0 = None;
    }
}
