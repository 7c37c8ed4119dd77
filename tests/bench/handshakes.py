"""Full mutual TLS 1.3 handshakes: no resumption, the client's chain and its revocation checked each time."""

import socket
import ssl

from .cores import Span, on
from .figures import Row, in_turn, middle, paired

COUNT = 600


def shake(context, port):
    """One connection from SYN to the server's close. With TLS 1.3 a client is done before the server has judged it: only
    the server's own orderly close, after ours, says that it had accepted us."""
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        # Otherwise our close waits for the acknowledgement of our last flight, which a server may delay.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            assert not tls.session_reused
            try:
                tls.unwrap()
            except (ssl.SSLEOFError, ssl.SSLSyscallError):
                # A close without close_notify; an alert would be another SSLError.
                pass


def sample(gateway, port, pid, core):
    """`COUNT` handshakes, one after the other. Nothing is kept from one to the next but the client's own key."""
    context = gateway.context(gateway.alice, alpn=["http/1.1"], version=ssl.TLSVersion.TLSv1_3)
    with Span(pid) as span, on(core):
        for _ in range(COUNT):
            shake(context, port)
    return {"per_cpu": COUNT / span.cpu, "rate": COUNT / span.wall}


def rows(gateway, nginx, rounds, core):
    """One line: what one core of a server could do."""
    samples = in_turn(
        rounds,
        ours=lambda: sample(gateway, gateway.port, gateway.pid, core),
        theirs=lambda: sample(gateway, nginx.port, nginx.pid, core),
    )
    ours, theirs, key = samples["ours"], samples["theirs"], "per_cpu"
    return [
        Row("full mTLS handshakes", "per server CPU s", middle(ours, key), "nginx", middle(theirs, key), paired(ours, theirs, key))
    ]
