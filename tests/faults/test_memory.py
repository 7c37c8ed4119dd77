"""Hundreds of readers at 1 KB/s of a corpus of 1 GB: memory is bounded by connections, whatever the consumers do (INV-9)."""

import time

import numpy
import pyarrow
import pyarrow.parquet as pq
import pytest

from harness import corpus
from harness.lines import Http1, Http2

SECONDS = 20

# Who reads, how many, and how much anonymous memory all of them together may cost. The file doors send what lies in the
# store: half a MiB each. A door that decodes holds a batch and the next one while its consumer takes its time: 6 MiB each.
CROWDS = {
    "files": (("http1", "http1", "http2"), 500, 256 << 20),
    "arrow": (("arrow",), 100, 100 * (6 << 20)),
}


@pytest.fixture(scope="module")
def huge(own_gateway, tmp_path_factory):
    """34 million rows of 32 random bytes."""
    path = tmp_path_factory.mktemp("huge") / "huge.parquet"
    random = numpy.random.default_rng(60)
    rows, groups = 500_000, 68
    schema = pyarrow.schema([(f"n{i}", pyarrow.int64()) for i in range(4)])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False, write_statistics=False) as writer:
        for _ in range(groups):
            block = random.integers(7 * 10**18, 2**63 - 1, (4, rows))
            writer.write_table(pyarrow.table([pyarrow.array(column) for column in block], schema=schema))
    assert path.stat().st_size > 1 << 30
    gateway = own_gateway
    corpus.register(gateway, corpus.manifest("test-huge"))
    with open(path, "rb") as file:
        stored = corpus.upload(gateway, "test-huge", "1", "huge.parquet", file)
    path.unlink()
    corpus.release(gateway, "test-huge", "1")
    corpus.agree(gateway, gateway.alice, "test-huge")
    return corpus.Published("test-huge", "1", [stored])


DOORS = {
    "http1": lambda gateway, made: Http1(gateway, gateway.alice, made.url, receive_buffer=4096),
    "http2": lambda gateway, made: Http2(gateway, gateway.alice, made.url, receive_buffer=4096),
    "arrow": lambda gateway, made: Http1(
        gateway, gateway.alice, f"{made.path}/data", receive_buffer=4096, headers=["Accept: application/vnd.apache.arrow.stream"]
    ),
}


@pytest.mark.parametrize("crowd", CROWDS)
def test_slow_readers(own_gateway, huge, crowd):
    doors, readers, limit = CROWDS[crowd]
    # A restart, so that what is measured is the readers', not what taking the corpus in has left in the allocator.
    gateway = own_gateway
    gateway.stop()
    gateway.serve()
    idle = gateway.anonymous_memory()
    streams, peak = [], idle
    try:
        for number in range(readers):
            streams.append(DOORS[doors[number % len(doors)]](gateway, huge))
            assert streams[-1].status == 200
            peak = max(peak, gateway.anonymous_memory())
        start, turns = time.monotonic(), 0
        while time.monotonic() - start < SECONDS:
            # One turn a second: 1 KB from each.
            for stream in streams:
                stream.read(1024)
            turns += 1
            peak = max(peak, gateway.anonymous_memory())
            time.sleep(max(0.0, start + turns - time.monotonic()))
        assert turns >= SECONDS // 3, "the readers themselves could not keep up"
    finally:
        for stream in streams:
            stream.close()
    print(f"{readers} readers by {'+'.join(doors)}: {idle >> 20} MiB idle, {peak >> 20} MiB at most, {turns} turns")
    assert peak < limit, f"{peak >> 20} MiB"
    # And afterwards it serves as before.
    answer = gateway.api(gateway.bob).request("GET", "/v1/whoami")
    assert answer.status_code == 200
