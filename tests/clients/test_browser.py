"""Rules for browsers, whose pages could act under their user's certificate; and requests that are no HTTP."""

import pytest

from harness.api import problem

NAVIGATE = {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        (NAVIGATE, True),
        ({"sec-fetch-site": "none", "sec-fetch-mode": "cors"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "same-origin", "origin": "https://evil.example"}, False),
    ],
)
def test_fetch_metadata_and_origin(gateway, headers, allowed):
    answer = gateway.api(gateway.alice).request("GET", "/v1/whoami", headers=headers)
    if allowed:
        assert answer.status_code == 200, answer.text
    else:
        problem(answer, 403, "forbidden")
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_our_own_origin_is_ours(gateway):
    for origin in (gateway.url, f"https://localhost:{gateway.port}"):
        answer = gateway.api(gateway.alice).request("GET", "/v1/whoami", headers={"origin": origin})
        assert answer.status_code == 200, (origin, answer.text)


def test_a_navigation_changes_nothing(gateway, mixed):
    body = {"dataset": mixed.dataset, "purpose": "academic-research"}
    gateway.api(gateway.alice).refused("POST", "/v1/agreements", 403, "forbidden", json=body, headers=NAVIGATE)


def test_no_preflight_is_answered(gateway):
    headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answer = gateway.api(gateway.alice).request("OPTIONS", "/v1/agreements", headers=headers)
    assert answer.status_code >= 400
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    "media_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"]
)
def test_what_a_plain_form_can_send_is_not_taken(gateway, mixed, media_type):
    gateway.api(gateway.alice).refused(
        "POST",
        "/v1/agreements",
        415,
        "unsupported_media_type",
        data='{"dataset": "test-mixed", "purpose": "academic-research"}',
        headers={"content-type": media_type},
    )


def test_responses_are_not_guessed_at_or_kept(gateway):
    headers = gateway.api(gateway.alice).request("GET", "/v1/whoami").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "no-store" in headers["cache-control"]


def raw(gateway, request):
    """Bytes in, the status line out."""
    with gateway.connect(gateway.alice, alpn=["http/1.1"]) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n" not in answer:
            data = connection.recv(4096)
            if not data:
                break
            answer += data
    return answer.split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\n\r\n", b"200"),
        (b"GET /v1/whoami HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET /v1/whoami HTTP/1.1\r\nHost: a@localhost\r\n\r\n", b"400"),
        (b"GET /v1/whoami HTTP/9.9\r\nHost: localhost\r\n\r\n", b"400"),
    ],
    ids=["good", "no-host", "two-hosts", "user-in-host", "version"],
)
def test_raw_requests(gateway, request_bytes, status):
    said = raw(gateway, request_bytes)
    assert said.split(b" ")[1:2] == [status] or (status == b"400" and said == b""), said


def test_two_lengths_end_the_connection(gateway):
    """RFC 9112 §6.1: whatever is answered, nothing that follows is taken for another request."""
    request = b"POST /v1/plan HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    follows = b"GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with gateway.connect(gateway.alice, alpn=["http/1.1"]) as connection:
        connection.sendall(request + follows)
        answer = b""
        try:
            while data := connection.recv(65536):
                answer += data
        except OSError:
            pass
    assert answer.count(b"HTTP/1.1 ") <= 1 and b"spiffe://" not in answer, answer


@pytest.mark.parametrize(
    "path",
    [
        "/v1/datasets/../../etc/passwd",
        "/v1/datasets/test-mixed/versions/1/files/../../../../../../etc/passwd",
        "/v1/datasets/test-mixed/versions/1/files/%2e%2e%2f%2e%2e%2fkouan.db",
        "/v1/datasets/test-mixed/versions/..%2f1/files/mixed.parquet",
        "/v1/datasets/test-mixed/versions/1/files/%00",
        "/log/../kouan.db",
        "/log/%2e%2e/kouan.db",
        "/log/tile/../../kouan.db",
        "/log//checkpoint",
        "/log/tile/0/../0/000",
        "/log/tile/entries/%2e%2e%2f%2e%2e%2fkouan.db",
    ],
)
def test_path_traversal(gateway, mixed, path):
    """Sent as raw bytes: a well-behaved client would tidy the path up first."""
    for identity in (gateway.alice, gateway.chan):
        with gateway.connect(identity, alpn=["http/1.1"]) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while data := connection.recv(65536):
                answer += data
        status = int(answer.split(b" ", 2)[1])
        assert status in (400, 403, 404), (path, answer[:300])
        assert b"root:" not in answer and b"SQLite format" not in answer
