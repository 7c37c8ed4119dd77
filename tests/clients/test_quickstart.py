"""The main job in one go: a story that ends well, in time, and leaves behind what INTERFACE promises."""

import re
import time

from harness.gateway import Gateway, binary, told

STORY_SECONDS = 30

FILES = [
    "kouan.toml",
    *(f"pki/{participant}/{name}" for participant in ("hku", "cuhk", "qianhai", "regulator") for name in ("ca.pem", "ca.key", "crl.pem")),
    *(
        f"pki/{stem}.{ending}"
        for stem in (
            "hku/researcher-alice", "cuhk/researcher-bob", "qianhai/broker-lin", "qianhai/operator-ops",
            "regulator/compliance-chan", "regulator/compliance-lee", "server",
        )
        for ending in ("pem", "key")
    ),
    "pki/trust.pem",
    "pki/log.vkey",
    "data/log/checkpoint",
]


def test_exit_tells_the_whole_story_and_stops(tmp_path):
    folder = tmp_path / "node"
    start = time.monotonic()
    said = told([binary(), "quickstart", "--dir", str(folder), "--listen", "127.0.0.1:0", "--exit"], timeout=120)
    took = time.monotonic() - start
    assert said.status == 0, said
    assert took < STORY_SECONDS, f"{took:.1f} s"
    story = said.out + said.err
    for word in ("CN-06", "redact", "sha256", "proof", "CNY"):
        assert word.lower() in story.lower(), (word, story)
    for name in FILES:
        assert (folder / name).is_file(), name
    for key in folder.rglob("*.key"):
        assert key.stat().st_mode & 0o077 == 0, key
    assert not (folder / "ready").exists(), "ready says that it stays up"

    # What it left behind starts again, as it was; and the story can be told again on top.
    node = Gateway(folder)
    before = (folder / "pki" / "hku" / "researcher-alice.pem").read_bytes()
    toml = (folder / "kouan.toml").read_text()
    assert re.search(r'listen = "127\.0\.0\.1:[1-9]\d*"', toml), toml
    node.start()
    try:
        assert (folder / "pki" / "hku" / "researcher-alice.pem").read_bytes() == before, "never overwritten"
        assert node.api(node.alice).get("/v1/whoami")["participant"] == "hku"
        verified = node.kouan(node.chan, "audit", "verify", node.log_folder(), "--key", node.pki / "log.vkey", "--json")
        assert verified.status == 0, verified
    finally:
        assert node.stop() == 0


def test_participants_and_corpora(gateway):
    people = gateway.api(gateway.operator).get("/v1/participants")["participants"]
    found = {entry["id"]: (entry["trust_domain"], set(entry["roles"]), entry["authority"]) for entry in people}
    assert found["hku"] == ("hku.hk", {"researcher"}, False)
    assert found["cuhk"] == ("cuhk.edu.hk", {"researcher"}, False)
    assert found["qianhai"] == ("qianhai-compute.cn", {"broker", "operator", "compute"}, False)
    assert found["regulator"] == ("regulator.example", {"compliance"}, True)
    own = [entry for entry in gateway.api(gateway.alice).get("/v1/datasets?limit=500")["datasets"] if not entry["id"].startswith("test-")]
    assert {entry["columns_class"] for entry in own} >= {"none", "sensitive"}
    for entry in own:
        assert "academic-research" in entry["offer"]["purposes"]
        assert {"hku.hk", "cuhk.edu.hk"} <= set(entry["offer"]["recipients"])
    facets = gateway.api(gateway.alice).get("/v1/datasets")["facets"]
    assert {"theme", "language", "class", "participant"} <= set(facets)


def test_health_and_metrics_are_elsewhere(gateway):
    """Plain, on loopback, and not on the public port."""
    import requests

    toml = (gateway.folder / "kouan.toml").read_text()
    admin = re.search(r'^admin = "([^"]+)"', toml, re.M)
    for path in ("/healthz", "/readyz", "/metrics"):
        gateway.api(gateway.operator).refused("GET", path, 404, "not_found")
    if admin and not admin[1].endswith(":0"):
        for path in ("/healthz", "/readyz", "/metrics"):
            assert requests.get(f"http://{admin[1]}{path}", timeout=10).status_code == 200, path
