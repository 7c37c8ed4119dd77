//! The TCP socket under TLS: its options, its byte counts, and the end of writing at a kill.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, RawFd};
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
    let socket = socket2::Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
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
    let keepalive = TcpKeepalive::new().with_time(options.tcp_keepalive).with_interval(Duration::from_secs(10));
    socket.set_tcp_keepalive(&keepalive)
}

/// Bytes that the peer has acknowledged: `tcpi_bytes_acked` of `TCP_INFO` (RFC 4898, tcpEStatsAppHCThruOctetsAcked).
/// Nothing if the kernel does not say.
pub(super) fn bytes_acknowledged(descriptor: RawFd) -> Option<u64> {
    // linux/tcp.h: 8 bytes of flags, 24 words of 32 bits, two pacing rates of 64 bits, then the count. The struct of the
    // libc crate ends before it.
    const AT: usize = 120;
    const BYTES: usize = 136;
    let mut info = [0_u8; BYTES];
    let mut length = libc::socklen_t::try_from(BYTES).ok()?;
    // SAFETY: the kernel writes at most `length` bytes to the buffer. The descriptor is open: whoever calls holds the
    // lock under which it is taken out before it is closed.
    let asked = unsafe {
        libc::getsockopt(descriptor, libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &raw mut length)
    };
    let count = info.get(AT..AT + 8)?.try_into().ok()?;
    let whole = usize::try_from(length).is_ok_and(|length| length >= AT + 8);
    (asked == 0 && whole).then(|| u64::from_ne_bytes(count))
}

/// An accepted socket that counts its bytes and obeys [`Connection::kill`].
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    connection: Connection,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, connection: Connection, options: &ListenerOptions) -> io::Result<Self> {
        tune(&stream, options)?;
        connection.attach(stream.as_raw_fd());
        Ok(Self { stream, connection })
    }

    /// Acknowledges what has arrived at once. After the handshake nothing else would carry that acknowledgement (there are no
    /// tickets to send), and a client whose kernel gathers small writes would hold its first request back for it.
    pub(super) fn acknowledge_at_once(&self) {
        if let Err(error) = SockRef::from(&self.stream).set_tcp_quickack(true) {
            tracing::debug!(connection = self.connection.id(), %error, "acknowledgements stay delayed");
        }
    }

    fn alive(&self) -> io::Result<()> {
        if self.connection.is_killed() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "connection was cut"));
        }
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.connection.detach();
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
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.alive()?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.connection.count_read(buf.filled().len().saturating_sub(before));
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
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
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(polled, Poll::Ready(Ok(()))) {
            // TLS comes here only when it has written all that it held.
            self.connection.flushed();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
