use std::{
    cell::Cell,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::rt::net::TcpStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Timeout, sleep, timeout},
};
use tokio_rustls::{Accept, TlsAcceptor, server::TlsStream};

/// The bytes of a connection, which may be encrypted.
pub(super) enum Stream {
    Plain(Counted),
    /// The client and the service agree on the encryption.
    Opening(Pin<Box<Timeout<Accept<Counted>>>>),
    Encrypted(Box<TlsStream<Counted>>),
    /// They did not agree.
    Failed,
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for S {}

impl Stream {
    pub fn plain(stream: TcpStream, taken: Taken) -> Self {
        Self::Plain(Counted { stream, taken })
    }

    /// `patience`: how long the client may take to agree on the encryption.
    pub fn encrypted(
        stream: TcpStream,
        taken: Taken,
        encryption: Arc<rustls::ServerConfig>,
        patience: Duration,
    ) -> Self {
        let accepting = TlsAcceptor::from(encryption).accept(Counted { stream, taken });
        Self::Opening(Box::pin(timeout(patience, accepting)))
    }

    pub fn is_encrypted(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// The stream, once it is open.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Duplex>>> {
        if let Self::Opening(opening) = self {
            let late = |_| io::Error::from(io::ErrorKind::TimedOut);
            let opened = ready!(opening.as_mut().poll(cx)).map_err(late).flatten();
            *self = match opened {
                Ok(stream) => Self::Encrypted(Box::new(stream)),
                Err(error) => {
                    tracing::debug!(%error, "a client and the service agree on no encryption");
                    Self::Failed
                }
            };
        }
        Poll::Ready(match self {
            Self::Plain(stream) => Ok(Pin::new(stream)),
            Self::Encrypted(stream) => Ok(Pin::new(&mut **stream)),
            Self::Opening(_) | Self::Failed => Err(io::ErrorKind::ConnectionAborted.into()),
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(ready!(self.get_mut().poll_open(cx))?.poll_read(cx, out)) {
            // The client has closed the connection without the farewell of TLS. Each message of
            // HTTP says how long it is, so none is cut off unnoticed.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => Poll::Ready(read),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.get_mut().poll_open(cx))?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Encrypted(stream) => Pin::new(&mut **stream).poll_flush(cx),
            // There is nothing to send.
            Self::Opening(_) | Self::Failed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Encrypted(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            Self::Opening(_) | Self::Failed => Poll::Ready(Ok(())),
        }
    }
}

/// How many bytes the client of a connection has taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken(Rc<Cell<u64>>);

impl Taken {
    pub fn bytes(&self) -> u64 {
        self.0.get()
    }

    /// Ends when the client took nothing for this long.
    pub async fn stalls(&self, time: Duration) {
        let mut before = None;
        while before != Some(self.bytes()) {
            before = Some(self.bytes());
            sleep(time).await;
        }
    }
}

/// Counts what the client takes. Below the encryption, which keeps some bytes itself.
pub(super) struct Counted {
    stream: TcpStream,
    taken: Taken,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, out)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        let Taken(taken) = &self.taken;
        taken.set(taken.get() + written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
