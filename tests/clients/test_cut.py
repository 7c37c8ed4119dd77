"""A cut ends live and parked streams within one second, never looks complete, and says why (INV-8)."""

import threading
import time

import pyarrow
import pyarrow.flight as flight
import pytest

from harness import corpus
from harness.authority import Authority, join
from harness.lines import Http1, Http2, Reader
from harness.wait import until

# What may be on its way when the cut comes: 1 MiB in the kernel on either side, and what TLS had in hand.
SLACK = 3 << 20
ROWS = 2_000_000
WINDOW = 1 << 30


@pytest.fixture(scope="module")
def gateway(own_gateway):
    return own_gateway


@pytest.fixture(scope="module")
def data():
    """64 MB that do not compress: no buffer on the way holds them."""
    return corpus.parquet(
        corpus.numbers(ROWS, seed=13), row_group_size=500_000, compression="none", use_dictionary=False, write_statistics=False
    )


@pytest.fixture(scope="module")
def authority(gateway, tmp_path_factory):
    """Consumers that a test may lose."""
    authority = Authority(tmp_path_factory.mktemp("lost") / "ca", "lost.example")
    join(gateway, authority, "lost")
    return authority


@pytest.fixture(scope="module")
def big(gateway, authority, data):
    made = corpus.publish(gateway, "test-cut", {"n.parquet": data}, recipients=("*",), accept=("alice",))
    corpus.agree(gateway, authority.issue("researcher", "first"), made.dataset)
    return made


PROTOCOLS = {"http1": Http1, "http2": lambda *args, **more: Http2(*args, window=WINDOW, **more)}


class Second:
    """The one second that a cut has, from the moment that the call for it was answered."""

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            took = time.monotonic() - self.answered
            assert took < 1, f"{took:.2f} s after the call was answered"

    def begin(self, answer=None):
        self.answered = time.monotonic()
        return answer


def cut(gateway, lease, reason="test of the switch"):
    answer = gateway.api(gateway.chan).post(f"/v1/leases/{lease}/cut", {"reason": reason})
    assert answer["state"] == "cut"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_live_stream_is_cut(gateway, authority, big, protocol):
    consumer = authority.issue("researcher", f"live-{protocol}")
    stream = PROTOCOLS[protocol](gateway, consumer, big.url)
    assert stream.status == 200
    reader = Reader(stream).flowing(4 << 20)
    with Second() as second:
        second.begin(cut(gateway, stream.headers["kouan-lease"]))
        broke = reader.end()
    assert broke, "a cut stream looked complete"
    if protocol == "http2":
        assert "RST_STREAM" in broke, broke
    assert stream.received < len(big.source)
    told = gateway.api(consumer).get(f"/v1/leases/{stream.headers['kouan-lease']}")
    assert told["state"] == "cut" and "test of the switch" in told["reason"]


def test_a_parked_http1_stream_is_cut(gateway, authority, big):
    """Nobody reads, the server's buffers are full: the cut must not wait for either."""
    consumer = authority.issue("researcher", "parked-http1")
    stream = Http1(gateway, consumer, big.url, receive_buffer=64 << 10)
    port = stream.socket.getsockname()[1]
    stands_still(port)
    with Second() as second:
        second.begin(cut(gateway, stream.headers["kouan-lease"]))
        until("the server has let go of the connection", 5, lambda: server_socket(port) is None)
    before, broke = stream.received, Reader(stream).end()
    assert broke and stream.received - before <= SLACK


def test_a_parked_http2_stream_is_cut(gateway, authority, big):
    """Its window is closed: the cut must not wait for the consumer to open it, even if the whole connection has to go."""
    consumer = authority.issue("researcher", "parked-http2")
    stream = Http2(gateway, consumer, big.url, hold=True)
    while stream.received < 65_535:
        stream.pump()
    with Second() as second:
        second.begin(cut(gateway, stream.headers["kouan-lease"]))
        broke = Reader(stream).end()
    assert broke, "a cut stream looked complete"
    assert stream.received == 65_535, "not one byte more"


def server_socket(port):
    """The server's side of a connection from our `port`: its send queue in bytes, or None when it is established no more."""
    for line in open("/proc/net/tcp").read().splitlines()[1:]:
        fields = line.split()
        if int(fields[2].split(":")[1], 16) == port and fields[3] == "01":
            return int(fields[4].split(":")[0], 16)
    return None


def stands_still(port):
    """Until the server can send no more."""
    seen = []

    def still():
        seen.append(server_socket(port))
        return len(seen) > 10 and seen[-1] and len(set(seen[-10:])) == 1

    until("the stream stands still", 15, still, every=0.05)


def test_a_participant_is_suspended(gateway, data, tmp_path):
    authority = Authority(tmp_path / "ca", "suspended.example")
    join(gateway, authority, "suspended")
    consumer = authority.issue("researcher", "one")
    made = corpus.publish(gateway, "test-cut-participant", {"n.parquet": data}, recipients=("*",), accept=())
    corpus.agree(gateway, consumer, made.dataset)
    readers = [Reader(opened(gateway, consumer, made.url)).flowing() for opened in PROTOCOLS.values()]
    with Second() as second:
        second.begin(
            gateway.api(gateway.chan).post("/v1/participants/suspended/suspend", {"reason": "test of a suspension"})
        )
        assert all(reader.end() for reader in readers), "a stream of a suspended participant looked complete"
    assert silent(gateway, consumer)
    # One officer cuts; lifting it takes two.
    first = gateway.api(gateway.chan).request("POST", "/v1/participants/suspended/resume", json={})
    assert first.status_code in (200, 202), first.text
    assert silent(gateway, consumer)
    again = gateway.api(gateway.chan).request("POST", "/v1/participants/suspended/resume", json={})
    assert again.status_code >= 400 or silent(gateway, consumer), "the same officer twice is not two"
    gateway.api(gateway.lee).post("/v1/participants/suspended/resume", status=(200, 201, 202))
    until("it takes part again", 3, lambda: not silent(gateway, consumer))


def silent(gateway, identity):
    """Whether the certificate gets nothing but a refusal, if anything."""
    try:
        return gateway.api(identity).request("GET", "/v1/whoami").status_code in (401, 403)
    except OSError:
        return True


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_certificate_is_revoked(gateway, authority, big, protocol):
    consumer = authority.issue("researcher", f"revoked-{protocol}")
    reader = Reader(PROTOCOLS[protocol](gateway, consumer, big.url)).flowing()
    authority.revoke(consumer)
    with Second() as second:
        second.begin(gateway.api(gateway.operator).put("/v1/participants/lost/crl", authority.crl, status=200))
        assert reader.end(), "a stream of a revoked certificate looked complete"


@pytest.mark.parametrize("how", ["suspend", "withdraw"])
def test_a_version_is_taken_out(gateway, data, how):
    made = corpus.publish(gateway, f"test-cut-{how}", {"n.parquet": data})
    readers = [Reader(opened(gateway, gateway.alice, made.url)).flowing() for opened in PROTOCOLS.values()]
    who = gateway.chan if how == "suspend" else gateway.broker
    with Second() as second:
        second.begin(gateway.api(who).post(f"{made.path}/{how}", {"reason": f"test of {how}"}))
        assert all(reader.end() for reader in readers), "a stream of a version that was taken out looked complete"
    answer = gateway.api(gateway.alice).request("GET", made.url)
    assert answer.status_code == 403 and f"test of {how}" in answer.json()["detail"], answer.text


def test_an_agreement_is_ended(gateway, data):
    made = corpus.publish(gateway, "test-cut-agreement", {"n.parquet": data}, accept=())
    agreement = corpus.agree(gateway, gateway.bob, made.dataset)["id"]
    reader = Reader(Http1(gateway, gateway.bob, made.url)).flowing()
    with Second() as second:
        second.begin(gateway.api(gateway.bob).post(f"/v1/agreements/{agreement}/end"))
        assert reader.end()
    gateway.api(gateway.bob).refused("GET", made.url, 403, "no_agreement")


def test_a_flight_stream_gets_a_status(gateway, authority, big):
    consumer = authority.issue("researcher", "flyer")
    read = lambda path: open(path, "rb").read()
    client = flight.connect(
        f"grpc+tls://127.0.0.1:{gateway.port}",
        tls_root_certs=read(gateway.trust),
        cert_chain=read(consumer.cert),
        private_key=read(consumer.key),
    )
    info = client.get_flight_info(flight.FlightDescriptor.for_path(big.dataset))
    reader, chunks, ended = client.do_get(info.endpoints[0].ticket), [], []

    def read_on():
        # At a pace, so that the stream is live, neither over nor parked, when it is cut.
        try:
            for chunk in reader:
                chunks.append(chunk.data.num_rows)
                threading.Event().wait(0.01)
            ended.append(None)
        except (flight.FlightError, pyarrow.ArrowException, OSError) as error:
            ended.append(error)

    thread = threading.Thread(target=read_on, daemon=True)
    thread.start()
    until("batches flow", 10, lambda: len(chunks) > 2)
    [lease] = [lease["id"] for lease in gateway.api(consumer).get("/v1/leases?state=active")["leases"]]
    with Second() as second:
        second.begin(cut(gateway, lease, "grounded by a test"))
        thread.join(20)
    assert ended and ended[0] is not None, "a cut Flight stream looked complete"
    assert "grounded by a test" in str(ended[0]), ended
    assert sum(chunks) < ROWS


def test_an_arrow_stream_that_is_cut_has_no_end(gateway, authority, big):
    """A stock reader takes a stream that ends between two messages as complete: the transport itself must break."""
    consumer = authority.issue("researcher", "arrow")
    stream = Http1(gateway, consumer, f"{big.path}/data", headers=["Accept: application/vnd.apache.arrow.stream"])
    assert stream.status == 200
    reader = Reader(stream).flowing()
    with Second() as second:
        second.begin(cut(gateway, stream.headers["kouan-lease"]))
        assert reader.end(), "a cut stream ended with its final chunk"


def test_a_cut_lease_does_not_come_back(gateway, authority, big):
    """The next request is decided anew, under another lease; the old one stays cut."""
    consumer = authority.issue("researcher", "again")
    api = gateway.api(consumer)
    first = api.request("GET", big.url, headers={"range": "bytes=0-9"}).headers["kouan-lease"]
    cut(gateway, first, "once")
    gateway.api(gateway.chan).refused("POST", f"/v1/leases/{first}/cut", 409, "conflict", json={"reason": "twice"})
    answer = api.request("GET", big.url, headers={"range": "bytes=0-9"})
    assert answer.headers.get("kouan-lease") != first
    assert api.get(f"/v1/leases/{first}")["state"] == "cut"
