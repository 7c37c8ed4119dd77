"""curl, as anybody has it: whole files, ranges, resumption, HEAD, both HTTP versions."""

import subprocess

import pytest

from harness import corpus


def curl(gateway, identity, *args):
    """Runs curl with a certificate; gives (exit status, output)."""
    base = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "60", "--cacert", gateway.trust]
    done = subprocess.run(
        [*base, "--cert", str(identity.cert), "--key", str(identity.key), *map(str, args)], capture_output=True, timeout=90
    )
    return done.returncode, done.stdout or done.stderr


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_whole_file_has_the_catalogs_digest(gateway, mixed, tmp_path, version):
    target, head = tmp_path / "whole.parquet", tmp_path / "head"
    status, said = curl(gateway, gateway.alice, version, "-D", head, "-o", target, gateway.url + mixed.url)
    assert status == 0, said
    assert corpus.sha256(target.read_bytes()) == mixed.file["sha256"]
    first = head.read_text().splitlines()[0]
    assert first.startswith("HTTP/2 200" if version == "--http2" else "HTTP/1.1 200"), first


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_range(gateway, mixed, version):
    status, got = curl(gateway, gateway.alice, version, "-r", "1000-70999", gateway.url + mixed.url)
    assert status == 0, got
    whole = gateway.api(gateway.alice).request("GET", mixed.url).content
    assert got == whole[1000:71000]


def test_resume_with_continue_at(gateway, mixed, tmp_path):
    target = tmp_path / "half.parquet"
    whole = gateway.api(gateway.alice).request("GET", mixed.url).content
    target.write_bytes(whole[:123_457])
    status, said = curl(gateway, gateway.alice, "-C", "-", "-o", target, gateway.url + mixed.url)
    assert status == 0, said
    assert corpus.sha256(target.read_bytes()) == mixed.file["sha256"]


def test_head_tells_what_get_would(gateway, mixed):
    api = gateway.api(gateway.alice)
    head, get = (api.request(method, mixed.url) for method in ("HEAD", "GET"))
    status, said = curl(gateway, gateway.alice, "-I", gateway.url + mixed.url)
    assert status == 0 and b"200" in said.splitlines()[0], said
    assert head.content == b""
    for name in ("content-length", "etag", "accept-ranges", "content-type", "repr-digest"):
        assert head.headers[name] == get.headers[name], name
    assert head.headers["accept-ranges"] == "bytes"
    assert not head.headers["etag"].startswith("W/")


def test_without_a_certificate_nothing_is_said(gateway, mixed):
    done = subprocess.run(
        ["curl", "--silent", "--max-time", "20", "--cacert", gateway.trust, gateway.url + mixed.url], capture_output=True
    )
    assert done.returncode != 0
    assert done.stdout == b""


def test_a_denial_is_readable(gateway, people):
    status, said = curl(gateway, gateway.alice, gateway.url + people.url)
    assert status == 22, (status, said)
    assert b'"code":"denied"' in said.replace(b" ", b"") and b"CN-06" in said
