"""Witnesses on both sides of the border: real witness processes, a log that lies to them, and a gateway that needs them."""

import base64
import importlib.util
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from harness import witness as w
from harness.gateway import binary, told
from harness.wait import until

ORIGIN = "log.example/audit"


@pytest.fixture(scope="module")
def second():
    """The verifier that goes with claims: its own Ed25519."""
    path = Path(__file__).parents[2] / "gateway/ledger/src/claim/verify.py"
    spec = importlib.util.spec_from_file_location("second_verifier", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def log():
    return w.Log(ORIGIN, bytes(range(32)))


@pytest.fixture
def witness(gateway, log, tmp_path):
    one = w.Witness(tmp_path / "witness", gateway.pki, "witness.example/w1", [log.vkey])
    try:
        yield one.start()
    finally:
        one.stop()


def test_each_refusal_has_its_status(witness, log, second):
    leaves, fork = w.history(20), w.history(20, forks_at=3)
    stranger, forger = w.Log("other.example/audit", bytes(32)), w.Log(ORIGIN, bytes(32))
    assert witness.add(log.request(leaves, 8, 0)).status_code == 200
    root = w.root(leaves[:4])
    cases = [
        ("old 09\n", 400),
        (b"\xff" * 100, 400),
        ("old 9\n\n" + stranger.checkpoint(4, root), 404),
        ("old 9\n\n" + forger.checkpoint(4, root), 403),
        ("old 9\n\n" + log.checkpoint(4, root), 400),
        ("old 4\n\n" + log.checkpoint(8, w.root(leaves[:8])), 409),
        ("old 8\n\n" + log.checkpoint(8, w.root(fork[:8])), 409),
        (log.request(fork, 20, 8), 422),
        (log.request(leaves, 20, 8).replace("\n\n", "\n" + w.b64(root) + "\n\n", 1), 422),
        ("x" * 300_000, 413),
    ]
    for body, status in cases:
        answer = witness.add(body)
        assert answer.status_code == status, (status, answer.status_code, answer.text, body[:200])
        if status == 409:
            assert (answer.headers["content-type"], answer.text) == (w.SIZE, "8\n")
    # Lines of unknown keys are ignored, and the answer is a cosignature over exactly what was sent.
    request = log.request(leaves, 20, 8) + "— elsewhere.example/w AAAAAAA=\n"
    answer = witness.add(request)
    assert answer.status_code == 200, answer.text
    body = request.split("\n\n")[1] + "\n"
    dash, name, data = answer.text.removesuffix("\n").split(" ")
    known, ident, public = second.verifier(witness.vkey, 4, "vkey")
    data = base64.b64decode(data)
    assert (dash, name, data[:4]) == ("—", known, ident)
    time = int.from_bytes(data[4:12], "big")
    assert second.signed(public, f"cosignature/v1\ntime {time}\n{body}".encode(), data[12:])
    assert not second.signed(public, f"cosignature/v1\ntime {time + 1}\n{body}".encode(), data[12:])
    # No certificate is asked for, and nothing else is served.
    assert witness.session.get(witness.url + "/add-checkpoint", timeout=10).status_code == 405


def test_what_was_seen_outlives_kill_9_and_is_not_forgotten(witness, log):
    leaves, fork = w.history(30), w.history(30, forks_at=9)
    assert witness.add(log.request(leaves, 10, 0)).status_code == 200
    witness.kill()
    witness.start()
    assert witness.add(log.request(fork, 12, 0)).text == "10\n"
    assert witness.add(log.request(fork, 12, 10)).status_code == 422
    assert witness.add(log.request(leaves, 12, 10)).status_code == 200
    assert stat.S_IMODE(os.stat(witness.folder / "witness.key").st_mode) == 0o600
    assert witness.stop() == 0
    # A key without its memory could be made to cosign the fork.
    memory = witness.folder / "seen.db"
    memory.rename(memory.with_suffix(".away"))
    said = told([binary(), "witness", "serve", "--config", str(witness.config)])
    assert said.status == 2 and "retire the key" in said.err, said
    memory.with_suffix(".away").rename(memory)
    witness.start()
    assert witness.add(log.request(leaves, 12, 10)).text == "12\n"
    # Two processes never share a memory.
    said = told([binary(), "witness", "serve", "--config", str(witness.config)])
    assert said.status == 2 and "in use by another process" in said.err, said


def test_of_histories_that_ask_at_once_exactly_one_wins(witness, log):
    seen = 0
    for turn in range(8):
        size = 4 * (turn + 1)
        # All continue what was seen, each in its own way.
        base = w.history(seen) if turn == 0 else chosen[:seen]
        forks = [base + [w.leaf(b"%d %d %d" % (turn, way, n)) for n in range(size - seen)] for way in range(6)]
        bodies = [log.request(fork, size, seen) for fork in forks]
        answers, gate = [None] * len(bodies), threading.Barrier(len(bodies))

        def ask(number):
            gate.wait()
            answers[number] = witness.add(bodies[number]).status_code

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(bodies))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [200] + [409] * (len(bodies) - 1), answers
        chosen, seen = forks[answers.index(200)], size


def decided(gateway):
    """The newest decision on HKU."""
    return gateway.api(gateway.chan).get("/v1/audit?participant=hku&effect=allow&limit=500")["entries"][-1]["index"]


def test_proofs_are_witnessed_on_both_sides(gateway, tmp_path):
    index, policy, out = decided(gateway), gateway.pki / "witness-policy", tmp_path / "one.tlog-proof"
    said = gateway.kouan(gateway.alice, "audit", "proof", index, "--policy", policy, "--out", out, "--json")
    assert said.status == 0, said
    witnessed = said.json["witnessed"]
    assert said.json["verdict"] == "verified" and witnessed["quorum"] is True
    assert witnessed["text"] == "witnessed by HK hku.hk/witness, QH qianhai-compute.cn/witness"
    assert {one["side"]: one["key"] for one in witnessed["by"]} == {"HK": "hku.hk/witness", "QH": "qianhai-compute.cn/witness"}
    answer = gateway.api(gateway.alice).request("GET", f"/v1/audit/{index}/proof")
    assert answer.headers["kouan-witnessed"] == witnessed["text"]
    key = gateway.api(gateway.alice).get("/v1/log-key")
    assert key["witnessed"] is True and key["policy"] == policy.read_text()
    assert "hku.hk/witness" in gateway.api(gateway.chan).request("GET", "/log/checkpoint.witnessed").text
    # Another witness's key in the policy, or a changed cosignature, and it is not.
    other = tmp_path / "policy"
    strange = w.Witness(tmp_path / "strange", gateway.pki, "qianhai-compute.cn/witness", [key["vkey"]])
    lines = [line.replace(line.split()[2], strange.vkey) if line.startswith("witness qh1") else line for line in policy.read_text().splitlines()]
    other.write_text("\n".join(lines) + "\n")
    said = gateway.kouan(gateway.alice, "audit", "proof", index, "--policy", other, "--json")
    assert said.status == 6 and "not by QH" in said.json["error"]["message"], said
    # The whole log, offline: its newest witnessed checkpoint is checked against every entry.
    copy = tmp_path / "data"
    until("the witnesses have seen it all", 20, lambda: w.metric(gateway, "kouan_unwitnessed_entries") == 0)
    shutil.copytree(gateway.data / "log", copy / "log")
    shutil.copytree(gateway.data / "facts", copy / "facts")
    shutil.copytree(gateway.data / "witnessed", copy / "witnessed")
    verify = lambda: told([binary(), "audit", "verify", str(copy / "log"), "--policy", str(policy), "--json"])
    said = verify()
    assert said.status == 0 and said.json["witnessed"]["quorum"] is True, said
    assert said.json["witnessed"]["size"] <= said.json["size"]
    kept = copy / "witnessed" / "checkpoint"
    whole = kept.read_text()
    for line in [line for line in whole.splitlines() if "/witness" in line]:
        head, data = line.rsplit(" ", 1)
        data = bytearray(base64.b64decode(data))
        data[40] ^= 1
        kept.write_text(whole.replace(line, f"{head} {w.b64(bytes(data))}"))
        said = verify()
        assert said.status == 6 and "does not verify" in said.json["error"]["message"], said
    kept.write_text("\n".join(line for line in whole.splitlines() if "qianhai-compute.cn" not in line) + "\n")
    said = verify()
    assert said.status == 6 and "not by QH" in said.json["error"]["message"], said


@pytest.fixture(scope="module")
def sides(own_gateway, tmp_path_factory):
    """The quickstart with two witness processes of their own, and three seconds of patience."""
    own_gateway.stop()
    with w.both(own_gateway, tmp_path_factory.mktemp("witnesses")) as both:
        yield both


def pull(gateway, tmp_path, identity, purpose="academic-research"):
    return gateway.kouan(
        identity, "pull", "opencc-phrases", "--accept", "--purpose", purpose, "--out", tmp_path, "--json"
    )


def data(gateway, identity):
    return gateway.api(identity).request("GET", "/v1/datasets/opencc-phrases/versions/1/data?purpose=academic-research")


def test_without_both_sides_nothing_new_leaves(own_gateway, sides):
    gateway = own_gateway
    gateway.serve()
    gateway.api(gateway.bob).post("/v1/agreements", {"dataset": "opencc-phrases", "purpose": "academic-research"}, status={200, 201})
    until("the log is witnessed", 20, lambda: w.ready(gateway)[1]["witness"] == "ok")
    assert data(gateway, gateway.alice).status_code == 200
    leases = lambda: len(gateway.api(gateway.chan).get("/v1/leases")["leases"])
    before = leases()
    sides["QH"].kill()

    def lost():
        status, checks = w.ready(gateway)
        return status == 503 and checks["witness"]

    told_so = until("the quorum is lost", 30, lost)
    assert told_so.startswith("quorum_lost: ") and "qh1: cannot reach 127.0.0.1" in told_so, told_so
    for identity in (gateway.bob, gateway.alice):
        answer = data(gateway, identity)
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["reason"]) == (503, "unavailable", "quorum_lost"), answer.text
        assert int(answer.headers["retry-after"]) > 0 and "nothing new leaves" in problem["detail"]
    assert leases() == before
    until("the metric says so", 20, lambda: w.metric(gateway, "kouan_witness_quorum_age_seconds") > 3)
    # The catalog stays, and proofs are made, without the side that is missing.
    assert gateway.api(gateway.alice).get("/v1/datasets")["datasets"]
    index = decided(gateway)
    assert gateway.api(gateway.alice).request("GET", f"/v1/audit/{index}/proof").status_code == 200
    # Across a start the quorum stays lost; a short outage would else be as good as none.
    gateway.stop()
    gateway.serve()
    assert data(gateway, gateway.bob).status_code == 503

    sides["QH"].start()
    until("both sides are back", 30, lambda: w.ready(gateway)[1]["witness"] == "ok")
    assert data(gateway, gateway.bob).status_code == 200
    assert leases() == before + 1


@pytest.fixture
def liar(own_gateway, tmp_path):
    """Makes witnesses that will have been told something else of this gateway's log."""
    made = []

    def make(name):
        made.append(w.Witness(tmp_path / name, own_gateway.pki, f"qh.example/{name}", [str(own_gateway.pki / "log.vkey")]))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_a_log_that_contradicts_its_witnesses(own_gateway, sides, liar):
    gateway = own_gateway
    gateway.stop()
    log = w.Log.of_key_file(gateway.pki / "log.key")
    started = lambda: told([binary(), "serve", "--config", str(gateway.folder / "kouan.toml")])
    config = (gateway.folder / "kouan.toml").read_text()

    # The Qianhai witness has seen more of this log than is here: a backup was restored, with its guard.
    ahead = liar("ahead").start()
    assert ahead.add("old 0\n\n" + log.checkpoint(10_000, bytes(32))).status_code == 200
    w.configure(gateway, {"HK": sides["HK"], "QH": ahead})
    before = (gateway.data / "log" / "checkpoint").read_bytes()
    said = started()
    assert said.status != 0 and "log_behind_witness" in said.err and "10000 entries" in said.err, said
    assert (gateway.data / "log" / "checkpoint").read_bytes() == before, "nothing was signed"
    ahead.stop()

    # It has seen another history: at a start nothing is signed either.
    forked = liar("forked").start()
    assert forked.add("old 0\n\n" + log.checkpoint(5, bytes(32))).status_code == 200
    w.configure(gateway, {"HK": sides["HK"], "QH": forked})
    said = started()
    assert said.status != 0 and "log_forked" in said.err, said
    assert (gateway.data / "log" / "checkpoint").read_bytes() == before, "nothing was signed"

    # A gateway that is running when it hears of it halts, and says so in its log.
    forked.stop()
    w.configure(gateway, {"HK": sides["HK"], "QH": forked}, lost_after=600)
    gateway.serve()
    forked.start()

    def halted():
        return w.ready(gateway)[1]["witness"].startswith("log_forked: ")

    until("it halts", 30, halted)
    assert w.metric(gateway, "kouan_witness_halted") == 1
    answer = data(gateway, gateway.alice)
    assert (answer.status_code, answer.json()["reason"]) == (503, "log_forked"), answer.text
    halts = until("the halt is in the log", 10, lambda: gateway.api(gateway.chan).get("/v1/audit?kind=halt")["entries"])
    assert [entry["leaf"]["reason"] for entry in halts] == ["log_forked"]
    gateway.stop()
    (gateway.folder / "kouan.toml").write_text(config)


def test_a_gateway_without_witnesses_says_so(own_gateway, sides):
    gateway = own_gateway
    gateway.stop()
    w.configure(gateway, None)
    gateway.serve()
    assert data(gateway, gateway.alice).status_code == 200
    index = decided(gateway)
    # What was witnessed before stays on file, and is nobody's word without a policy.
    answer = gateway.api(gateway.alice).request("GET", f"/v1/audit/{index}/proof")
    assert answer.headers["kouan-witnessed"] == "unwitnessed"
    said = gateway.kouan(gateway.alice, "audit", "proof", index, "--key", gateway.pki / "log.vkey", "--json")
    assert said.json["witnessed"]["text"] == "unwitnessed", said
    key = gateway.api(gateway.alice).get("/v1/log-key")
    assert key["witnessed"] is False and "policy" not in key
    assert "witness" in w.ready(gateway)[1] and w.ready(gateway)[1]["witness"] == "ok"
