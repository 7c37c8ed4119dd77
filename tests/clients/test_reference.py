"""Registering by reference: copied on the node, from the participant's own root and from nowhere else."""

import os

import pytest

from harness import corpus
from harness.api import problem


@pytest.fixture(scope="module")
def rooted(own_gateway):
    """The node again, with a root for qianhai; one corpus in it, and ways out of it."""
    node = own_gateway
    node.stop()
    path = node.folder / "kouan.toml"
    path.write_text(path.read_text() + '\n[roots]\nqianhai = "incoming"\n')
    root = node.folder / "incoming"
    (root / "deep").mkdir(parents=True)
    data = corpus.parquet(corpus.numbers(1000, seed=80))
    (root / "deep" / "n.parquet").write_bytes(data)
    outside = node.folder / "outside"
    outside.mkdir()
    (outside / "secret.parquet").write_bytes(data)
    (root / "link.parquet").symlink_to(outside / "secret.parquet")
    (root / "inside.parquet").symlink_to(root / "deep" / "n.parquet")
    (root / "way-out").symlink_to(outside)
    os.mkfifo(root / "pipe.parquet")
    node.serve()
    node.root, node.bytes = root, data
    return node


def register(node, version, *paths):
    body = {"manifest": corpus.manifest("test-reference", version=version), "from": list(paths)}
    return node.api(node.broker).request("POST", "/v1/datasets", json=body)


def test_a_file_of_the_own_root_is_copied(rooted):
    answer = register(rooted, "good", "deep/n.parquet")
    assert answer.status_code == 201, answer.text
    [file] = answer.json()["files"]
    assert file["sha256"] == corpus.sha256(rooted.bytes) and file["name"] == "n.parquet"
    # Copied, not referred to: what happens to the original does not matter any more.
    (rooted.root / "deep" / "n.parquet").write_bytes(b"changed")
    corpus.release(rooted, "test-reference", "good")
    corpus.agree(rooted, rooted.alice, "test-reference")
    got = rooted.api(rooted.alice).request("GET", "/v1/datasets/test-reference/versions/good/files/n.parquet")
    assert got.content == rooted.bytes
    (rooted.root / "deep" / "n.parquet").write_bytes(rooted.bytes)


@pytest.mark.parametrize(
    "path",
    [
        "link.parquet", "inside.parquet", "way-out/secret.parquet", "../outside/secret.parquet", "deep/../../outside/secret.parquet",
        "/etc/passwd", "pipe.parquet", "deep", "no-such.parquet", "", ".", "deep/./n.parquet", "file:///etc/passwd",
        "https://example.com/n.parquet", "deep//n.parquet", "deep/n.parquet\u0000",
    ],
)
def test_nothing_else_is(rooted, path):
    answer = register(rooted, "v" + corpus.sha256(path.encode())[:8], path)
    if path in ("deep/./n.parquet", "deep//n.parquet") and answer.status_code == 201:
        return  # Another spelling of a file that is in the root.
    assert answer.status_code in (400, 404), answer.text
    assert problem(answer, answer.status_code, answer.json()["code"])["detail"]
    assert "root:" not in answer.text and "secret" not in answer.text.replace(path, "")


def test_the_command_line_registers_by_reference(rooted, tmp_path):
    (tmp_path / "m.toml").write_text(corpus.manifest("test-reference", version="cli"))
    said = rooted.kouan(rooted.broker, "dataset", "register", tmp_path / "m.toml", "--from", "deep/n.parquet", "--json")
    assert said.status == 0, said
    assert said.json["files"][0]["sha256"] == corpus.sha256(rooted.bytes)
