"""The log's signing key is changed: both keys sign meanwhile, and what either signed verifies for ever."""

import hashlib
import json
import shutil
import ssl
import stat
import subprocess

import pytest

from harness import store
from harness.gateway import binary, told
from harness.log_keys import configured, rotations, signatures
from harness.wait import until


def recorded(gateway):
    with store.database(gateway) as records:
        return records.execute("SELECT count(*) FROM entry").fetchone()[0]


def published(gateway):
    note = (gateway.log_folder() / "checkpoint").read_text()
    return int(note.splitlines()[1]) == recorded(gateway)


def verify(folder, key, *more):
    return told([binary(), "audit", "verify", str(folder), "--key", str(key), *map(str, more), "--json"])


def trusted(gateway, vkey):
    """Tells the trust policy and the witnesses of the stopped node that the log has another key too."""
    policy = gateway.pki / "witness-policy"
    policy.write_text(f"log {vkey}\n" + policy.read_text())
    for config in gateway.folder.glob("witness/*/witness.toml"):
        config.write_text(config.read_text().replace("logs = [", f'logs = ["{vkey}", '))


def copied(gateway, target):
    shutil.copytree(gateway.log_folder(), target / "log")
    shutil.copytree(gateway.data / "facts", target / "facts")
    return target / "log"


@pytest.fixture
def own(own_gateway):
    return own_gateway


def test_a_key_is_changed(own, tmp_path):
    gateway = own
    pki = gateway.pki
    vkeys = {"old": pki / "log.vkey", "new": tmp_path / "new.vkey", "both": tmp_path / "both.vkey"}
    proof = tmp_path / "early.tlog-proof"
    until("everything is published", 5, lambda: published(gateway))
    said = gateway.kouan(gateway.chan, "audit", "proof", 3, "--key", vkeys["old"], "--out", proof, "--json")
    assert said.status == 0, said
    gateway.stop()
    early = copied(gateway, tmp_path / "early")

    made = told([binary(), "audit", "rotate-key", str(pki / "log.key"), "--out", str(pki / "next.key"), "--vkeys", str(vkeys["both"]), "--json"])
    assert made.status == 0 and stat.S_IMODE((pki / "next.key").stat().st_mode) == 0o600, made
    assert "PRIVATE" not in made.out + made.err
    vkeys["new"].write_text(made.json["new"] + "\n")
    again = told([binary(), "audit", "rotate-key", str(pki / "log.key"), "--out", str(pki / "next.key"), "--json"])
    assert again.status == 2, "a key is never written over"

    # A key that nobody vouched for signs nothing: the node does not start.
    configured(gateway, log_key="pki/next.key")
    refused = told([binary(), "serve", "--config", str(gateway.folder / "kouan.toml")])
    assert refused.status != 0 and "next_log_key" in refused.err, refused
    assert signatures(gateway.log_folder()) == signatures(early)

    # Killed before or after the entry is durable, it is there once in the end.
    configured(gateway, log_key="pki/log.key", next_log_key="pki/next.key")
    for point in ("change.before_commit", "change.after_fsync", "s14.after_signature"):
        environment = {**gateway.environment(gateway.chan), "KOUAN_CRASHPOINT": point}
        killed = told([binary(), "serve", "--config", str(gateway.folder / "kouan.toml")], env=environment)
        assert killed.status == -9, (point, killed)
        assert len(rotations(gateway)) == (0 if point == "change.before_commit" else 1), point
        assert verify(gateway.log_folder(), vkeys["old"]).status == 0, point
    gateway.serve()
    until("everything is published", 5, lambda: published(gateway))
    [leaf] = rotations(gateway)
    assert (leaf["old"], leaf["new"]) == (made.json["old"], made.json["new"]) and set(leaf["signatures"]) == {"old", "new"}
    assert len(signatures(gateway.log_folder())) == 2
    for key in vkeys.values():
        assert verify(gateway.log_folder(), key).status == 0, key
    served = gateway.api(gateway.alice).get("/v1/log-key")
    assert [key["vkey"] for key in served["keys"]] == [made.json["old"], made.json["new"]]
    assert served["keys"][1]["from"] > 0 and all("until" not in key for key in served["keys"])
    mirror = tmp_path / "mirror"
    assert gateway.kouan(gateway.chan, "audit", "mirror", mirror, "--key", vkeys["old"], "--json").status == 0

    gateway.stop()
    configured(gateway, log_key="pki/next.key")
    # Whoever believes the policy has to believe the new key: the node says so.
    refused = told([binary(), "serve", "--config", str(gateway.folder / "kouan.toml")])
    assert refused.status != 0 and f"add `log {made.json['new']}`" in refused.err, refused
    trusted(gateway, made.json["new"])
    gateway.serve()
    until("everything is published", 5, lambda: published(gateway))
    until("the witnesses have seen the new key's checkpoint", 20, lambda: len(signatures(gateway.data / "witnessed")) == 1)
    assert len(signatures(gateway.log_folder())) == 1 and len(rotations(gateway)) == 2
    served = gateway.api(gateway.alice).get("/v1/log-key")
    assert served["vkey"] == made.json["new"] and served["keys"][0]["until"] >= served["keys"][1]["from"]
    now = gateway.log_folder()
    assert verify(now, vkeys["old"]).status == 6
    told_new = verify(now, vkeys["new"])
    assert told_new.status == 0 and [seen["new"] for seen in told_new.json["rotations"]] == [made.json["new"]]
    # What was signed before verifies with the key of before, and with a file that holds both; the log goes on from it.
    assert verify(early, vkeys["old"]).status == verify(early, vkeys["both"]).status == 0
    assert verify(early, vkeys["new"]).status == 6
    assert verify(now, vkeys["both"], "--since", early / "checkpoint").status == 0
    assert gateway.kouan(gateway.chan, "audit", "mirror", mirror, "--key", vkeys["old"], "--json").status == 6
    assert gateway.kouan(gateway.chan, "audit", "mirror", mirror, "--key", vkeys["both"], "--json").status == 0
    assert verify(mirror, vkeys["both"]).status == 0
    for key, status in (("both", 0), ("new", 0), ("old", 6)):
        said = gateway.kouan(gateway.chan, "audit", "proof", 3, "--key", vkeys[key], "--json")
        assert said.status == status, (key, said)


def test_each_server_certificate_is_in_the_log_once(own_gateway):
    """Exchanged while the node runs, and while it does not."""
    gateway = own_gateway

    def digest():
        return "sha256:" + hashlib.sha256(ssl.PEM_cert_to_DER_cert((gateway.pki / "server.pem").read_text())).hexdigest()

    def exchange():
        san = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        command = ["openssl", "req", "-x509", "-CA", "trust.pem", "-CAkey", "trust.key", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command += ["-nodes", "-keyout", "new.key", "-out", "new.pem", "-subj", "/CN=localhost", "-addext", san, "-days", "30"]
        subprocess.run(command, cwd=gateway.pki, check=True, capture_output=True)
        for kind in ("key", "pem"):
            (gateway.pki / f"new.{kind}").rename(gateway.pki / f"server.{kind}")

    def changes():
        with store.database(gateway) as records:
            rows = [json.loads(row["body"]) for row in records.execute("SELECT body FROM entry ORDER BY idx")]
        return [leaf for leaf in rows if leaf["kind"] == "cert_rotate"]

    [first] = changes()
    assert first["server_certificate"] == digest() and "previous" not in first, first
    exchange()
    until("the exchange is in the log", 10, lambda: len(changes()) == 2)
    [_, second] = changes()
    assert (second["server_certificate"], second["previous"]) == (digest(), first["server_certificate"])
    assert set(second) == {"v", "kind", "at", "server_certificate", "previous"}, second
    gateway.stop()
    gateway.serve()
    assert len(changes()) == 2, "the same certificate again is no change"
    gateway.stop()
    exchange()
    gateway.serve()
    until("the exchange is in the log", 10, lambda: len(changes()) == 3)
    assert changes()[2]["previous"] == second["server_certificate"] and changes()[2]["server_certificate"] == digest()
