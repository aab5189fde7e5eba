//! A stream that is read at most one line at a time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream whose reads never reach beyond a line end.
///
/// Somebody between us and the relay can put more lines behind the relay's answer to STARTTLS, in plain text. A buffered
/// reader above would keep them and take them for answers that came over TLS. Read one line at a time they stay down
/// here, and the TLS handshake finds them instead of a handshake and fails.
#[derive(Debug)]
pub(super) struct LineByLine {
    stream: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl LineByLine {
    /// Wraps a stream of which nothing has been read.
    pub(super) fn new(stream: TcpStream) -> LineByLine {
        LineByLine { stream, buffer: vec![0; 4096].into_boxed_slice(), start: 0, end: 0 }
    }
}

impl AsyncRead for LineByLine {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.start == this.end {
            let mut space = ReadBuf::new(&mut this.buffer);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut space))?;
            (this.start, this.end) = (0, space.filled().len());
        }
        let waiting = &this.buffer[this.start..this.end];
        let line = waiting.iter().position(|byte| *byte == b'\n').map_or(waiting.len(), |at| at + 1);
        let taken = line.min(out.remaining());
        out.put_slice(&waiting[..taken]);
        this.start += taken;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LineByLine {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for LineByLine {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}
