"""SIGTERM: nothing new begins, what can finish finishes, and a hard deadline that no peer can hold (I22)."""

import socket
import time

import pytest

from harness import corpus
from harness.gateway import binary, told
from harness.lines import Http1, Reader
from harness.wait import until

SOFT, CUT = 4, 2
# Of the process itself, beyond its schedule, on a machine with other work.
SLACK = 3


@pytest.fixture(scope="module")
def large(own_gateway):
    data = corpus.parquet(corpus.numbers(4_000_000, seed=70), row_group_size=500_000, compression="none", use_dictionary=False)
    return corpus.publish(own_gateway, "test-drain", {"large.parquet": data})


@pytest.fixture(scope="module")
def short(own_gateway, large):
    """The node again, with a drain that a test can wait for."""
    own_gateway.stop()
    path = own_gateway.folder / "kouan.toml"
    text = path.read_text()
    assert "[limits]" not in text
    path.write_text(f"{text}\n[limits]\ndrain_seconds = {SOFT}\ndrain_cut_seconds = {CUT}\n")
    return own_gateway


def test_an_idle_gateway_leaves_at_once(short):
    short.serve()
    start = time.monotonic()
    assert short.stop() == 0
    assert time.monotonic() - start < SLACK


def test_peers_cannot_hold_it(short, large):
    """One parked stream, one peer that never sends the HTTP/2 preface, one that never finishes its handshake, one that never
    finishes its request; beside them a stream that has time to finish, and does."""
    short.serve()
    parked = Http1(short, short.alice, large.url, receive_buffer=64 << 10)
    finishing = Reader(Http1(short, short.alice, large.url, headers=["Range: bytes=0-41943039"])).flowing()
    silent = short.connect(short.alice, alpn=["h2"])
    assert silent.selected_alpn_protocol() == "h2"
    half = short.connect(short.alice, alpn=["http/1.1"])
    half.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: local")
    bare = socket.create_connection(("127.0.0.1", short.port))
    bare.sendall(b"\x16\x03\x01")

    start = time.monotonic()
    short.process.terminate()
    until("nothing new begins", 3, lambda: turned_away(short, large))
    assert finishing.end() is None, "what could finish in time was cut"
    assert short.process.wait(SOFT + CUT + SLACK) == 0
    assert time.monotonic() - start < SOFT + CUT + SLACK
    assert Reader(parked).end(), "the parked stream looked complete"
    for connection in (silent, half, bare):
        connection.close()
    said = told([binary(), "audit", "verify", str(short.log_folder()), "--key", str(short.pki / "log.vkey"), "--json"])
    assert said.status == 0, said


def turned_away(gateway, made):
    try:
        answer = gateway.api(gateway.bob).request("GET", made.url, timeout=3)
    except OSError:
        return True
    return answer.status_code == 503


def test_a_second_signal_does_not_wait(short, large):
    short.serve()
    parked = Http1(short, short.alice, large.url, receive_buffer=64 << 10)
    start = time.monotonic()
    short.process.terminate()
    until("nothing new begins", 3, lambda: turned_away(short, large))
    short.process.terminate()
    short.process.wait(SOFT + CUT + SLACK)
    assert time.monotonic() - start < SOFT, "it waited as after the first"
    parked.close()


def test_what_was_acknowledged_before_the_drain_is_there_after_it(short, large):
    short.serve()
    answer = short.api(short.alice).request("GET", large.url, headers={"range": "bytes=0-999"})
    leaf, lease = int(answer.headers["kouan-leaf"]), answer.headers["kouan-lease"]
    assert short.stop() == 0
    short.serve()
    assert short.api(short.chan).get(f"/v1/audit/{leaf}")["leaf"]["lease"] == lease
    again = short.api(short.alice).request("GET", large.url, headers={"range": "bytes=0-999"})
    assert again.content == answer.content and again.headers["kouan-lease"] == lease, "its lease lives on"
