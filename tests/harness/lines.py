"""A raw HTTP/1.1 or HTTP/2 exchange that a test drives byte by byte: to park a stream, to see how it ends."""

import ssl
import threading
import time

import h2.config
import h2.connection
import h2.events

from .wait import until


class Broken(Exception):
    """The stream ended before its announced end."""


class Http1:
    """One GET over HTTP/1.1."""

    def __init__(self, gateway, identity, path, receive_buffer=None, headers=()):
        self.socket = gateway.connect(identity, alpn=["http/1.1"], receive_buffer=receive_buffer)
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            data = self.socket.recv(65536)
            assert data, f"no answer: {self.buffer[:200]}"
            self.buffer += data
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *rest = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in rest)}
        self.received = len(self.buffer)
        self.tail = self.buffer[-16:]

    @property
    def expected(self):
        length = self.headers.get("content-length")
        return None if length is None else int(length)

    def read(self, limit=65536):
        """Some bytes; b"" at an end that looks complete; raises Broken at any other."""
        if self.expected is not None and self.received >= self.expected:
            return b""
        try:
            data = self.socket.recv(limit)
        except (ssl.SSLError, ConnectionError) as error:
            raise Broken(str(error)) from None
        if not data:
            chunked_end = self.expected is None and self.tail.endswith(b"0\r\n\r\n")
            if chunked_end:
                return b""
            raise Broken("closed before the end")
        self.received += len(data)
        self.tail = (self.tail + data)[-16:]
        return data

    def close(self):
        self.socket.close()


class Http2:
    """One GET over HTTP/2. With `hold`, its flow-control window is never opened again."""

    def __init__(self, gateway, identity, path, receive_buffer=None, headers=(), window=None, hold=False):
        self.socket = gateway.connect(identity, alpn=["h2"], receive_buffer=receive_buffer)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.connection.initiate_connection()
        if window:
            self.connection.increment_flow_control_window(window)
        fields = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path), *headers]
        self.connection.send_headers(1, fields, end_stream=True)
        if window:
            self.connection.increment_flow_control_window(window, 1)
        self._flush()
        self.hold = hold
        self.headers, self.received, self.pending, self.ended, self.broken = None, 0, b"", False, None
        while self.headers is None:
            self.pump()
        self.status = int(self.headers[":status"])
        self.expected = int(self.headers["content-length"]) if "content-length" in self.headers else None

    def _flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def pump(self):
        """Takes what has come."""
        try:
            data = self.socket.recv(65536)
        except (ssl.SSLError, ConnectionError) as error:
            self.broken = str(error)
            raise Broken(self.broken) from None
        if not data:
            self.broken = "closed before the end"
            raise Broken(self.broken)
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self.headers = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.pending += event.data
                self.received += len(event.data)
                if event.flow_controlled_length and not self.hold:
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended = True
            elif isinstance(event, h2.events.StreamReset):
                self.broken = f"RST_STREAM {event.error_code}"
        try:
            self._flush()
        except OSError:
            pass

    def read(self, limit=None):
        """Some bytes; b"" at an end that looks complete; raises Broken at any other."""
        while not self.pending:
            if self.broken:
                raise Broken(self.broken)
            if self.ended:
                return b""
            self.pump()
        data, self.pending = self.pending, b""
        return data

    def close(self):
        self.socket.close()


class Reader:
    """Reads a stream to its end in the background, at a pace, so that it is still under way when a test acts on it."""

    BYTES_PER_SECOND = 20 << 20

    def __init__(self, stream, seconds=30):
        self.stream, self.seconds = stream, seconds
        self.broke = self.error = None
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        start, stream = time.monotonic(), self.stream
        stream.socket.settimeout(self.seconds)
        try:
            while stream.read():
                ahead = stream.received / self.BYTES_PER_SECOND - (time.monotonic() - start)
                if ahead > 0:
                    self._hurry.wait(ahead)
        except Broken as broken:
            self.broke = str(broken)
        except Exception as error:  # noqa: BLE001 - raised again by `end`
            self.error = error

    def flowing(self, count=1 << 20):
        """Waits until bytes flow."""
        until("bytes flow", 10, lambda: self.stream.received > count)
        assert self._thread.is_alive(), "the stream has ended already"
        return self

    def end(self):
        """How it broke, or None when it looks complete, without further pacing."""
        self._hurry.set()
        self._thread.join(self.seconds)
        assert not self._thread.is_alive(), f"neither an end nor a break within {self.seconds} s"
        if self.error is not None:
            raise self.error
        return self.broke
