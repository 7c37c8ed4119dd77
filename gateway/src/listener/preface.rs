//! The HTTP/2 preface, read by ourselves: hyper waits for it without a limit, and its graceful
//! shutdown waits with it (I22).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What an HTTP/2 client sends first (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that gives bytes again that were already read from it.
#[derive(Debug)]
pub(super) struct Replayed<T> {
    again: Bytes,
    stream: T,
}

/// Reads the preface. The result gives it once more, to hyper.
///
/// # Errors
///
/// `InvalidData` if the peer sent anything else, `UnexpectedEof` if it closed before.
pub(super) async fn await_preface<T: AsyncRead + Unpin>(mut stream: T) -> io::Result<Replayed<T>> {
    let mut got = [0; PREFACE.len()];
    stream.read_exact(&mut got).await?;
    if got != *PREFACE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not the HTTP/2 preface"));
    }
    Ok(Replayed { again: Bytes::from_static(PREFACE), stream })
}

impl<T: AsyncRead + Unpin> AsyncRead for Replayed<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.again.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let bytes = self.again.len().min(buf.remaining());
        buf.put_slice(&self.again.copy_to_bytes(bytes));
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Replayed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[tokio::test]
    async fn the_preface_is_given_again_in_pieces_and_then_the_rest() {
        let sent = [PREFACE.as_slice(), b"settings"].concat();
        let mut replayed = await_preface(sent.as_slice()).await.unwrap();
        let mut first = [0; 5];
        replayed.read_exact(&mut first).await.unwrap();
        assert_eq!(first, PREFACE[..5]);
        let mut rest = Vec::new();
        replayed.read_to_end(&mut rest).await.unwrap();
        assert_eq!([first.as_slice(), &rest].concat(), sent);
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let other = await_preface(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..]).await;
        assert_eq!(other.unwrap_err().kind(), io::ErrorKind::InvalidData);
        let short = await_preface(&PREFACE[..23]).await;
        assert_eq!(short.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
