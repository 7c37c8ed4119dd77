//! The TCP socket under TLS: its options, its byte counts, and the end of writing at a kill.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::connection::Connection;
use super::options::ListenerOptions;

/// Connections that the kernel may complete before we accept them.
const BACKLOG: i32 = 1024;

/// Binds a listening socket.
pub(super) fn listen(addr: SocketAddr, options: &ListenerOptions) -> io::Result<TcpListener> {
    let socket =
        socket2::Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the process before it.
    socket.set_reuse_address(true)?;
    // Set before listen(2), because accepted sockets inherit it and a buffer that has grown does
    // not shrink. The kernel doubles the figure for its own account.
    socket.set_send_buffer_size(options.send_buffer_bytes / 2)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Sets the options of an accepted socket.
fn tune(stream: &TcpStream, options: &ListenerOptions) -> io::Result<()> {
    let socket = SockRef::from(stream);
    // Heads and last frames must not wait for an acknowledgement (Nagle).
    socket.set_tcp_nodelay(true)?;
    // INVARIANT (INV-8): with the send buffer this bounds what a cut can no longer take back.
    socket.set_tcp_notsent_lowat(options.not_sent_bytes)?;
    socket.set_tcp_user_timeout(Some(options.tcp_user_timeout))?;
    let keepalive = TcpKeepalive::new()
        .with_time(options.tcp_keepalive)
        .with_interval(Duration::from_secs(10));
    socket.set_tcp_keepalive(&keepalive)
}

/// An accepted socket that counts its bytes and obeys [`Connection::kill`].
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    connection: Connection,
}

impl Socket {
    pub(super) fn new(
        stream: TcpStream,
        connection: Connection,
        options: &ListenerOptions,
    ) -> io::Result<Self> {
        tune(&stream, options)?;
        Ok(Self { stream, connection })
    }

    fn alive(&self) -> io::Result<()> {
        if self.connection.is_killed() {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "connection was cut",
            ));
        }
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // INVARIANT (INV-8): a cut never looks complete. With linger 0 close(2) sends a reset and
        // throws the send queue away; otherwise the kernel would deliver it and then a FIN.
        if self.connection.is_killed()
            && let Err(error) = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
        {
            tracing::error!(connection = self.connection.id(), %error, "cut without reset");
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.alive()?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.connection
            .count_read(buf.filled().len().saturating_sub(before));
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.alive()?;
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.connection.count_written(bytes);
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.alive()?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.connection.count_written(bytes);
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
