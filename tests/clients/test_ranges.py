"""Ranges against nginx: the same file, the same requests, answer by answer. Whatever differs stands in `REVIEWED` with its
reason, and is never a wrong byte."""

import email
import io
import os
import shutil
import socket
import subprocess

import pyarrow.parquet as pq
import pytest
import requests

from harness import corpus
from harness.wait import until

BYTES = 1_000_000

PLAIN = [
    "bytes=0-0", "bytes=0-99", "bytes=999999-", "bytes=999999-999999", "bytes=0-", "bytes=-1", "bytes=-1000000",
    "bytes=-2000000", "bytes=-0", "bytes=1000000-", "bytes=1000000-1000001", "bytes=999990-2000000", "bytes=0-999999",
    "bytes=5-4", "bytes=abc", "bytes=", "bytes", "bits=0-5", "bytes=0-5,", "bytes=,0-5", "bytes= 0-5", "bytes=0 - 5",
    "BYTES=0-5", "bytes=0-5,10-15", "bytes=0-5,5-10", "bytes=0-0,-1", "bytes=10-15,0-5", "bytes=0-5,2000000-",
    "bytes=2000000-,0-5", "bytes=2000000-,3000000-", "bytes=0-5,0-5", "bytes=0-18446744073709551615",
    "bytes=18446744073709551616-", "bytes=0-99999999999999999999999", "bytes=--5", "bytes=-5-", "bytes=0-5;x",
    "bytes=00-05", "bytes=1-,2-,3-", "bytes=65535-65536", "bytes=131071-131072,65535-65537",
    "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 400, 2)),
    "bytes=" + ",".join("0-" for _ in range(1300)),
]

# Where we differ from nginx, and why. Nothing else may.
REVIEWED = {
    "bytes=0-5,": "RFC 9110 §5.6.1.2: empty list elements are ignored; nginx answers 416",
    "bytes=,0-5": "RFC 9110 §5.6.1.2: empty list elements are ignored; nginx answers 416",
    "bytes=0-18446744073709551615": "RFC 9110 §14.1.2: a last position beyond the end is the end; nginx overflows into 416",
    "bytes=0-99999999999999999999999": "RFC 9110 §14.1.2: a last position beyond the end is the end; nginx overflows into 416",
}


def padded_parquet():
    """A Parquet file of exactly `BYTES`: a key-value entry takes up what the columns leave."""
    table = corpus.numbers(30_000, seed=10)

    def of(padding):
        out = io.BytesIO()
        with pq.ParquetWriter(out, table.schema, compression="none", use_dictionary=False) as writer:
            writer.write_table(table)
            writer.add_key_value_metadata({"p": "x" * padding})
        return out.getvalue()

    padding = BYTES - len(of(0))
    assert padding > 0
    # The lengths of lengths move by a byte or two.
    for _ in range(8):
        data = of(padding)
        if len(data) == BYTES:
            return data
        padding += BYTES - len(data)
    raise AssertionError("no padding gives that length")


@pytest.fixture(scope="module")
def subject(gateway):
    made = corpus.publish(gateway, "test-million", {"million.parquet": padded_parquet()})
    assert made.file["bytes"] == BYTES and made.file["sha256"] == corpus.sha256(made.source), "stored as it came"
    return made


@pytest.fixture(scope="module")
def oracle(subject, tmp_path_factory):
    """nginx on the same bytes."""
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "root").mkdir()
    (folder / "root" / "million.parquet").write_bytes(subject.source)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Started by root, its worker would be somebody who may not look into our folder.
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"""{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log warn;
        events {{ worker_connections 64; }}
        http {{ access_log off; {temporary} default_type application/octet-stream;
          large_client_header_buffers 4 64k;
          server {{ listen 127.0.0.1:{port}; root {folder}/root; }} }}"""
    )
    process = subprocess.Popen([nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder)], stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/million.parquet"

        def up():
            try:
                return requests.head(url, timeout=5).status_code == 200
            except OSError:
                assert process.poll() is None, (folder / "error.log").read_text()
                return False

        until("nginx answers", 10, up)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def canonical(response):
    """What an answer means, without boundaries and spellings."""
    body, kind = response.content, response.headers.get("content-type", "")
    if response.status_code == 206 and kind.startswith("multipart/byteranges"):
        parts = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
        return 206, "multipart", tuple((part["Content-Range"], part.get_payload(decode=True)) for part in parts.get_payload())
    return response.status_code, response.headers.get("content-range"), body if response.status_code in (200, 206) else None


def differs(gateway, subject, oracle, headers, oracle_headers=None):
    ours = canonical(gateway.api(gateway.alice).request("GET", subject.url, headers=headers))
    theirs = canonical(requests.get(oracle, headers=oracle_headers or headers, timeout=30))
    if ours == theirs:
        return None
    short = lambda answer: (answer[0], answer[1], len(answer[2] or b""))
    return f"ours {short(ours)}, nginx {short(theirs)}"


def correct(subject, response):
    """Whatever was answered, each byte is the file's own byte at the place that the answer names."""
    status, where, body = canonical(response)
    pieces = body if where == "multipart" else ((where, body),) if status == 206 else ()
    for content_range, data in pieces:
        first, past = content_range.removeprefix("bytes ").split("/")[0].split("-")
        assert subject.source[int(first) : int(past) + 1] == data, content_range
    assert status != 200 or body == subject.source


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case[:40])
def test_range(gateway, subject, oracle, case):
    correct(subject, gateway.api(gateway.alice).request("GET", subject.url, headers={"range": case}))
    found = differs(gateway, subject, oracle, {"range": case})
    reviewed = REVIEWED.get(case)
    if reviewed is None:
        assert found is None, f"{case[:80]}: {found}"
    else:
        assert found is not None, f"{case[:80]} does not differ any more: take it out of the list ({reviewed})"


CONDITIONS = {
    "if-range, our tag": lambda tag: {"range": "bytes=0-5", "if-range": tag},
    "if-range, another tag": lambda tag: {"range": "bytes=0-5", "if-range": '"nope"'},
    "if-range, a weak tag": lambda tag: {"range": "bytes=0-5", "if-range": "W/" + tag},
    "if-range, an old date": lambda tag: {"range": "bytes=0-5", "if-range": "Mon, 01 Jan 2001 00:00:00 GMT"},
    "if-none-match, our tag": lambda tag: {"range": "bytes=0-5", "if-none-match": tag},
    "if-none-match, any": lambda tag: {"if-none-match": "*"},
    "if-none-match, in a list": lambda tag: {"if-none-match": f'"x", {tag}'},
    "if-none-match, weak": lambda tag: {"if-none-match": "W/" + tag},
    "if-none-match, another": lambda tag: {"range": "bytes=0-5", "if-none-match": '"x"'},
    "if-match, another": lambda tag: {"range": "bytes=0-5", "if-match": '"x"'},
    "if-match, our tag": lambda tag: {"range": "bytes=0-5", "if-match": tag},
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_condition(gateway, subject, oracle, case):
    ours = gateway.api(gateway.alice).request("HEAD", subject.url).headers["etag"]
    theirs = requests.head(oracle, timeout=30).headers["etag"]
    found = differs(gateway, subject, oracle, CONDITIONS[case](ours), CONDITIONS[case](theirs))
    assert found is None, found


def test_not_modified_costs_nothing(gateway, subject):
    api = gateway.api(gateway.alice)
    tag = api.request("HEAD", subject.url).headers["etag"]
    answer = api.request("GET", subject.url, headers={"if-none-match": tag})
    assert answer.status_code == 304 and answer.content == b"" and answer.headers["etag"] == tag


def test_head_ignores_ranges(gateway, subject):
    """RFC 9110 §14.2: a range is defined for GET only."""
    answer = gateway.api(gateway.alice).request("HEAD", subject.url, headers={"range": "bytes=0-5"})
    assert answer.status_code == 200 and answer.headers["content-length"] == str(BYTES)
