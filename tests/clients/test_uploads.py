"""What brokers send: manifests, files whole and in parts, and everything that is no good. Nothing bad gets in, every
refusal says where, and the gateway stays as it was."""

import io
import os
import random
import tarfile
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet as pq
import pytest

from harness import corpus, store
from harness.api import problem

VECTORS = Path(os.environ.get("KOUAN_VECTORS", Path(__file__).parents[2].parent / "shared" / "vectors"))


@pytest.fixture(scope="module")
def draft(gateway):
    """A draft to send bad files to: none of them stays."""
    corpus.register(gateway, corpus.manifest("test-draft"))
    return "/v1/datasets/test-draft/versions/1"


def small():
    """Two row groups, two columns, no dictionary: its offsets are easy to find."""
    table = pyarrow.table({"a": pyarrow.array(range(1000), pyarrow.int64()), "b": [f"value {n}" for n in range(1000)]})
    return corpus.parquet(table, row_group_size=500, compression="none", use_dictionary=False)


def footer_at(data):
    """First byte of a Parquet file's footer."""
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


def offer(gateway, draft, data, name="bad.parquet"):
    return gateway.api(gateway.broker).request("PUT", f"{draft}/files/{name}", data=data)


def refused(gateway, draft, data, *words, name="bad.parquet"):
    document = problem(offer(gateway, draft, data, name), 400, "bad_input")
    for word in words:
        assert word in document["detail"], document["detail"]
    files = gateway.api(gateway.broker).get(draft)["files"]
    assert name not in [file["name"] for file in files], "what was refused did not stay"
    return document


# Manifests


@pytest.mark.parametrize(
    ("old", "new", "line_of", "word"),
    [
        ('version = "1"', 'verzion = "1"', "verzion", "verzion"),
        ('place = "CN-440300"', 'place = "Shenzhen"', "place", "place"),
        ('class = "general"', 'class = "secret-ish"', "class =", "class"),
        ("state_secret = false", "", None, "state_secret"),
        ('[offer]', '[rows]\nHK = "a > 1"\n[offer]', "[rows]", "rows"),
        ("purposes = [", "purposes = [1, ", "purposes", "purposes"),
    ],
)
def test_a_manifests_mistake_is_named_with_its_line(gateway, old, new, line_of, word):
    text = corpus.manifest("test-mistake")
    assert old in text
    text = text.replace(old, new, 1)
    answer = gateway.api(gateway.broker).request(
        "POST", "/v1/datasets", data=text.encode(), headers={"content-type": "application/toml"}
    )
    document = problem(answer, 400, "bad_input")
    assert word in document["detail"]
    if line_of:
        line = next(n for n, text_line in enumerate(text.splitlines(), 1) if text_line.startswith(line_of))
        assert f"line {line}:" in document["detail"], document["detail"]
        assert document["line"] <= line


def test_unclassified_columns_are_listed(gateway):
    text = corpus.manifest("test-unclassified", default="", columns={"a": "none"})
    corpus.register(gateway, text)
    answer = offer(gateway, "/v1/datasets/test-unclassified/versions/1", small(), "small.parquet")
    document = problem(answer, 400, "bad_input")
    assert "`b`" in document["detail"]


def test_a_manifest_of_100_mb(gateway):
    """413 from its head, and from its bytes when the head does not say; neither is collected in memory."""
    before = gateway.anonymous_memory()
    head = b"POST /v1/datasets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/toml\r\n"
    piece = b"# filler\n" * 8192
    total = 100 * 1024 * 1024
    for framing, wrap in (
        (f"Content-Length: {total}\r\n\r\n".encode(), lambda data: data),
        (b"Transfer-Encoding: chunked\r\n\r\n", lambda data: b"%x\r\n%b\r\n" % (len(data), data)),
    ):
        with gateway.connect(gateway.broker, alpn=["http/1.1"]) as connection:
            connection.sendall(head + framing)
            sent, peak, answer = 0, 0, b""
            try:
                while sent < total:
                    connection.sendall(wrap(piece))
                    sent += len(piece)
                    peak = max(peak, gateway.anonymous_memory())
            except OSError:
                pass  # It answered and closed: what it said can still be read.
            try:
                answer = connection.recv(65536)
            except OSError:
                pass
        assert answer.startswith(b"HTTP/1.1 413") or (not answer and sent < total), answer[:200]
        assert peak - before < 24 * 1024 * 1024, (before, peak)
    gateway.api(gateway.broker).refused(
        "POST", "/v1/datasets", 413, "too_large", data=b"# x\n" * 300_000, headers={"content-type": "application/toml"}
    )


# Parts


def test_a_file_in_parts(gateway):
    data = small()
    corpus.register(gateway, corpus.manifest("test-parts"))
    url = "/v1/datasets/test-parts/versions/1/files/small.parquet"
    broker = gateway.api(gateway.broker)
    part = lambda first, past: {"content-range": f"bytes {first}-{past - 1}/{len(data)}"}
    offset = lambda: int(broker.request("HEAD", url).headers["upload-offset"])
    assert offset() == 0
    assert broker.put(url, data[:1000], 202, headers=part(0, 1000))["offset"] == 1000
    assert offset() == 1000
    # A wrong place is answered with the right one, and changes nothing.
    document = problem(broker.request("PUT", url, data=data[2000:3000], headers=part(2000, 3000)), 409, "wrong_offset")
    assert document["offset"] == 1000 and offset() == 1000
    stored = broker.put(url, data[1000:], 201, headers=part(1000, len(data)))
    assert stored["sha256"] == corpus.sha256(data) and stored["rows"] == 1000
    for bad in ("bytes 5-4/10", "bytes 0-9/5", "bytes 0-9/*", "items 0-9/10", "bytes 0-99999/100000"):
        problem(broker.request("PUT", url, data=b"0123456789", headers={"content-range": bad}), 400, "bad_input")


@pytest.mark.parametrize("name", [".hidden.parquet", "a%2Fb.parquet", "..", "%2e%2e", "a" * 201, "a b.parquet", "%E5%8F%A3.parquet"])
def test_names_that_no_file_has(gateway, draft, name):
    answer = gateway.api(gateway.broker).request("PUT", f"{draft}/files/{name}", data=b"PAR1")
    assert answer.status_code in (400, 404, 405), answer.text


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../etc/passwd", "a/../../b", "", ".", "link/../x"])
def test_no_path_escapes_the_own_root(gateway, path):
    name = "test-by-reference"
    answer = gateway.api(gateway.broker).request(
        "POST", "/v1/datasets", json={"manifest": corpus.manifest(name, version=f"v{abs(hash(path)) % 10**6}"), "from": [path]}
    )
    assert 400 <= answer.status_code < 500, answer.text
    assert "root:" not in answer.text


def test_text_becomes_parquet(gateway):
    corpus.register(gateway, corpus.manifest("test-text"))
    text = "id,name\n" + "".join(f"{n},人{n}\n" for n in range(100))
    stored = corpus.upload(gateway, "test-text", "1", "names.csv", text.encode())
    assert stored["name"] == "names.parquet" and stored["rows"] == 100
    assert stored["source"] == {"name": "names.csv", "sha256": corpus.sha256(text.encode())}
    corpus.release(gateway, "test-text", "1")
    corpus.agree(gateway, gateway.alice, "test-text")
    got = gateway.api(gateway.alice).request("GET", "/v1/datasets/test-text/versions/1/files/names.parquet").content
    assert corpus.sha256(got) == stored["sha256"]
    assert pq.read_table(io.BytesIO(got)).column("name").to_pylist() == [f"人{n}" for n in range(100)]


# Four eyes and states


def test_the_life_of_a_version_has_an_order(gateway):
    corpus.register(gateway, corpus.manifest("test-order"))
    path = "/v1/datasets/test-order/versions/1"
    broker, chan, alice = (gateway.api(who) for who in (gateway.broker, gateway.chan, gateway.alice))
    broker.refused("POST", f"{path}/submit", 409, "conflict")
    corpus.upload(gateway, "test-order", "1", "a.parquet", small())
    broker.refused("POST", f"{path}/publish", 409, "conflict")
    chan.refused("POST", f"{path}/approve", 409, "conflict")
    broker.post(f"{path}/submit")
    broker.refused("POST", f"{path}/approve", 403, "forbidden")
    problem(offer(gateway, path, small(), "b.parquet"), 409, "conflict")
    alice.refused("GET", path, 404, "not_found")
    chan.post(f"{path}/approve")
    broker.post(f"{path}/publish")
    assert alice.get(path)["state"] == "published"
    broker.refused("POST", f"{path}/withdraw", 400, "bad_input", json={"reason": " "})
    broker.post(f"{path}/withdraw", {"reason": "an order test is over"})
    broker.refused("POST", f"{path}/publish", 409, "conflict")


# Parquet that lies


def test_hidden_bytes_before_the_footer_are_gone(gateway):
    data, hidden = small(), b"SECRET-ROWS-" * 1000
    at = footer_at(data)
    stuffed = data[:at] + hidden + data[at:]
    assert pq.read_table(io.BytesIO(stuffed)).num_rows == 1000, "readers do not notice"
    made = corpus.publish(gateway, "test-hidden", {"stuffed.parquet": stuffed})
    assert made.file["sha256"] != corpus.sha256(stuffed)
    assert made.file["source"]["sha256"] == corpus.sha256(stuffed)
    got = gateway.api(gateway.alice).request("GET", made.url).content
    assert b"SECRET-ROWS-" not in got
    assert pq.read_table(io.BytesIO(got)).equals(pq.read_table(io.BytesIO(data)))
    # Nor does it lie in the store.
    assert not [
        path for path in gateway.data.rglob("*") if path.is_file() and made.file["sha256"] in path.name
        and b"SECRET-ROWS-" in path.read_bytes()
    ]


def test_padding_that_the_footer_does_not_know_of(gateway, draft):
    """Every offset is wrong then: the footer is untrue, and nothing is guessed."""
    data = small()
    refused(gateway, draft, data[:4] + b"PADDING-AHEAD-" * 40 + data[4:], "byte")


def varint(number):
    """Thrift's zigzag varint of a positive number."""
    number, out = number * 2, bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def rewritten(data, old, new):
    """The file with one number of its footer replaced by another of the same length."""
    at = footer_at(data)
    body, footer = data[:at], data[at:]
    assert len(varint(old)) == len(varint(new)) and footer.count(varint(old)) >= 1
    return body + footer.replace(varint(old), varint(new))


def test_an_overlapping_chunk(gateway, draft):
    data = small()
    group = pq.read_metadata(io.BytesIO(data)).row_group(0)
    second = group.column(1).data_page_offset
    document = refused(gateway, draft, rewritten(data, second, second - 64))
    assert str(second - 64) in document["detail"] or str(second) in document["detail"], document["detail"]


def test_an_untrue_row_count(gateway, draft):
    refused(gateway, draft, rewritten(small(), 500, 501), "byte")


def test_an_untrue_size(gateway, draft):
    data = small()
    chunk = pq.read_metadata(io.BytesIO(data)).row_group(0).column(0)
    size = chunk.total_compressed_size
    refused(gateway, draft, rewritten(data, size, size - 1), "byte")


def test_cut_off_and_garbled_files(gateway, draft):
    data = small()
    at = footer_at(data)
    for kind, bad in {
        "empty": b"",
        "magic only": b"PAR1PAR1",
        "no footer": data[:at],
        "cut in the footer": data[:-20],
        "cut in the middle": data[: len(data) // 2],
        "no magic at the start": b"XXXX" + data[4:],
        "footer longer than the file": data[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1",
        "footer of length zero": data[:-8] + bytes(4) + b"PAR1",
        "encrypted footer": data[:-4] + b"PARE",
        "footer of noise": data[:at] + random.Random(1).randbytes(len(data) - at - 8) + data[-8:],
        "first page of noise": data[:4] + random.Random(2).randbytes(60) + data[64:],
    }.items():
        document = refused(gateway, draft, bad)
        assert len(document["detail"]) < 1000, kind


def test_every_flipped_bit_is_refused_or_harmless(gateway):
    """Never our fault; and what is taken in spite of a flip is stored as a file that pyarrow reads."""
    corpus.register(gateway, corpus.manifest("test-flips"))
    data = corpus.parquet(
        pyarrow.table({"a": pyarrow.array(range(50), pyarrow.int64()), "b": [str(n) for n in range(50)]}),
        compression="none",
        store_schema=False,
    )
    random_ = random.Random(20261122)
    taken, unreadable = 0, []
    for _ in range(200):
        position, bit = random_.randrange(footer_at(data), len(data)), 1 << random_.randrange(8)
        flipped = bytearray(data)
        flipped[position] ^= bit
        answer = offer(gateway, "/v1/datasets/test-flips/versions/1", bytes(flipped), "flip.parquet")
        assert answer.status_code in (201, 400), (position, bit, answer.status_code, answer.text)
        if answer.status_code == 201:
            taken += 1
            try:
                rows = pq.read_table(store.object_path(gateway, answer.json()["sha256"])).num_rows
            except (OSError, pyarrow.ArrowException) as error:
                rows = str(error)
            if rows != 50:
                unreadable.append((position - footer_at(data), bit, rows))
    assert not unreadable, unreadable
    assert taken < 150, "most of a footer matters"


def test_a_column_that_unpacks_without_end(gateway, draft):
    """512 MiB of zeros in a few KiB: refused by its own account, without unpacking it in memory."""
    before = gateway.anonymous_memory()
    zeros = pyarrow.table({"z": pyarrow.array(numpy.zeros(192 * 1024 * 1024 // 8, dtype="int64"))})
    options = {"compression": "zstd", "use_dictionary": False, "data_page_size": 1 << 20, "write_batch_size": 1 << 17}
    data = corpus.parquet(pyarrow.concat_tables([zeros] * 3), row_group_size=10**9, column_encoding={"z": "PLAIN"}, **options)
    assert len(data) < 512 * 1024 * 1024 / 1000
    refused(gateway, draft, data, "byte")
    assert gateway.anonymous_memory() - before < 256 * 1024 * 1024


def test_the_public_collection_of_bad_files(gateway):
    archive = VECTORS / "parquet-testing-bad.tar.gz"
    if not archive.is_file():
        print(f"did not run: {archive} is not here")
        return
    with tarfile.open(archive) as files:
        found = {member.name: files.extractfile(member).read() for member in files if member.name.endswith(".parquet")}
    assert len(found) >= 8
    taken = []
    for number, (name, data) in enumerate(found.items()):
        corpus.register(gateway, corpus.manifest("test-collection", version=str(number)))
        answer = offer(gateway, f"/v1/datasets/test-collection/versions/{number}", data)
        if readable(data):
            # One of them is there because a reader once refused what is right.
            taken.append(name)
            continue
        document = problem(answer, 400, "bad_input")
        assert "byte" in document["detail"], (name, document["detail"])
    assert len(taken) <= 1, taken


def readable(data):
    try:
        pq.read_table(io.BytesIO(data))
    except (OSError, pyarrow.ArrowException):
        return False
    return True
