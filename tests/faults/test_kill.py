"""kill -9 at fifty random moments of eight parallel pulls. What was acknowledged is in the log with the same content, no
byte went beyond a durable grant, nothing is billed twice, and in the end everybody has the right file."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import threading

import pytest

from harness import corpus, store
from harness.gateway import binary, told
from harness.lines import Broken, Http1
from harness.wait import until

KILLS = 50
PULLS = 8
SEED = int(os.environ.get("KOUAN_SEED", "20261122"))
PRICE = '{ model = "per_gib", amount = "120000000", currency = "CNY" }'


@pytest.fixture(scope="module")
def made(own_gateway):
    """60 MB that do not compress."""
    data = corpus.parquet(corpus.numbers(2_000_000, seed=50), row_group_size=125_000, compression="none", use_dictionary=False)
    return corpus.publish(own_gateway, "test-kill", {"large.parquet": data}, price=PRICE, accept=("alice", "bob"))


class Pull:
    """One consumer's pull, started again whenever it gave up or was done."""

    def __init__(self, gateway, made, folder, who):
        self.gateway, self.made, self.folder, self.who = gateway, made, folder, who
        self.process, self.turn, self.complete = None, 0, 0

    @property
    def out(self):
        return self.folder / str(self.turn)

    def keep_going(self):
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None:
            self.ended()
        self.process = subprocess.Popen(
            [binary(), "pull", self.made.dataset, "--out", str(self.out), "--parallel", "2", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.gateway.environment(getattr(self.gateway, self.who)),
        )

    def ended(self):
        """Judges a run that is over: done and right, or unfinished and saying so."""
        out = self.process.stdout.read().decode()
        status = self.process.wait()
        # 7 resumable, 8 unavailable: both say to run it again. A kill must never look like a denial or damage.
        assert status in (0, 7, 8), (status, out)
        if status == 0:
            [file] = json.loads(out)["files"]
            assert file["sha256"] == self.made.file["sha256"]
            assert corpus.sha256((self.out / "large.parquet").read_bytes()) == self.made.file["sha256"]
            shutil.rmtree(self.out)
            self.turn, self.complete = self.turn + 1, self.complete + 1
        self.process = None

    def received(self):
        """Intervals that this pull holds durably, and the representation that they are of."""
        path = self.out / "large.parquet.part.json"
        if not path.exists():
            return None, []
        sidecar = json.loads(path.read_text())
        spans = [(i["start"], i["end"]) if isinstance(i, dict) else tuple(i) for i in sidecar["done"]]
        return sidecar["identity"]["etag"].strip('"'), spans


class Witness:
    """A consumer that notes every byte it was sent, and a broker that notes every leaf it was told of."""

    def __init__(self, gateway, made, number):
        self.gateway, self.made, self.number = gateway, made, number
        self.leaves, self.lease, self.etag, self.bytes, self.stop = [], None, None, 0, threading.Event()
        self.threads = [threading.Thread(target=self._quietly, args=(work,), daemon=True) for work in (self._read, self._register)]
        for thread in self.threads:
            thread.start()

    def _quietly(self, work):
        try:
            work()
        except (OSError, Broken, AssertionError, ValueError):
            pass  # The gateway is being killed: whatever breaks, breaks. What was noted before counts.

    def _read(self):
        stream = Http1(self.gateway, self.gateway.alice, self.made.url)
        if stream.status != 200:
            return
        self.etag, self.lease = stream.headers["etag"].strip('"'), stream.headers["kouan-lease"]
        self.leaves.append((int(stream.headers["kouan-leaf"]), {"kind": "decision", "lease": self.lease}))
        self.bytes = stream.received
        while stream.read():
            self.bytes = stream.received

    def _register(self):
        broker = self.gateway.api(self.gateway.broker)
        for count in range(1000):
            if self.stop.is_set():
                return
            dataset = f"test-kill-{self.number}-{count}"
            text = corpus.manifest(dataset).encode()
            answer = broker.request("POST", "/v1/datasets", data=text, headers={"content-type": "application/toml"}, timeout=10)
            if answer.status_code == 201:
                self.leaves.append((answer.json()["leaf"], {"kind": "catalog_register", "dataset": dataset}))

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()


def crashed_records(gateway, folder):
    """The database as the kill left it, in a copy: recovering it must not do the gateway's own work."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("kouan.db", "kouan.db-wal"):
        path = gateway.data / name
        if path.exists():
            shutil.copy(path, folder / name)
    connection = sqlite3.connect(folder / "kouan.db")
    connection.row_factory = sqlite3.Row
    return connection


def all_grants(records, representation):
    rows = records.execute("SELECT first, past FROM egress_grant WHERE representation = ?", (representation,))
    return [(row["first"], row["past"]) for row in rows]


def check_grants(records, witness, pulls):
    """No byte was received that no durable grant covers (INV-1)."""
    if witness.bytes:
        granted = store.grants(records, witness.lease).get(witness.etag, [])
        assert store.covered(granted, 0, witness.bytes), (witness.lease, witness.bytes, granted)
    for pull in pulls:
        representation, spans = pull.received()
        if representation:
            granted = all_grants(records, representation)
            for first, past in spans:
                assert store.covered(granted, first, past), (pull.who, first, past)


def test_fifty_kills(own_gateway, made, tmp_path):
    gateway, seeded = own_gateway, random.Random(SEED)
    print(f"KOUAN_SEED={SEED}")
    gateway.stop()
    gateway.serve()
    pulls = [Pull(gateway, made, tmp_path / f"pull{n}", ("alice", "bob")[n % 2]) for n in range(PULLS)]
    journal, contents, moved = {}, {}, 0
    for number in range(KILLS):
        for pull in pulls:
            pull.keep_going()
        witness = Witness(gateway, made, number)
        gateway_alive_for(seeded.uniform(0.02, 0.7), gateway)
        gateway.kill()
        witness.end()
        moved += witness.bytes > 0
        with crashed_records(gateway, tmp_path / "records") as records:
            check_grants(records, witness, pulls)
        gateway.serve()
        for index, wanted in witness.leaves:
            assert journal.setdefault(index, wanted) == wanted, f"leaf {index} was given out twice"
        remember(gateway, witness.leaves, contents)
        if number % 10 == 9:
            verified(gateway)
    print(f"{KILLS} kills, {moved} of them with bytes on the way, {len(journal)} leaves acknowledged")
    assert moved > KILLS // 4 and len(journal) > KILLS, "the kills must meet work"

    until("every pull is complete", 180, lambda: all(finish(pull) for pull in pulls), every=0.2)
    chan = gateway.api(gateway.chan)
    for index, wanted in journal.items():
        leaf = chan.get(f"/v1/audit/{index}")["leaf"]
        assert {name: leaf[name] for name in wanted} == wanted, index
        assert contents.setdefault(index, leaf) == leaf, f"leaf {index} has changed"
    verified(gateway)
    billed_once(gateway, made)


def gateway_alive_for(seconds, gateway):
    """The random moment: the process's own end is the only thing that could come earlier."""
    try:
        gateway.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise AssertionError(f"it ended by itself:\n{gateway.log()}")


def remember(gateway, leaves, contents):
    """What the acknowledged leaves say now; they must say it for ever."""
    chan = gateway.api(gateway.chan)
    for index, _ in leaves:
        leaf = chan.get(f"/v1/audit/{index}")["leaf"]
        assert contents.setdefault(index, leaf) == leaf, f"leaf {index} has changed"


def finish(pull):
    pull.keep_going() if pull.complete == 0 else None
    if pull.process is not None and pull.process.poll() is not None:
        pull.ended()
    return pull.complete > 0 and pull.process is None


def verified(gateway):
    """`audit verify` on the log as it lies there. While the publisher moves on, a reader can meet a checkpoint that is newer
    than the tiles it has just read: then it looks again; damage stays damage."""
    command = [binary(), "audit", "verify", str(gateway.log_folder()), "--key", str(gateway.pki / "log.vkey"), "--json"]
    said = []

    def passes():
        said.append(told(command))
        return said[-1].status == 0

    try:
        until("the log verifies", 10, passes, every=0.1)
    except AssertionError:
        raise AssertionError(f"the log does not verify: {said[-1]}") from None


def billed_once(gateway, made):
    """Each entitlement delivered the whole file, many times over: it pays exactly its price."""
    for who, participant in (("alice", "hku"), ("bob", "cuhk")):
        api = gateway.api(getattr(gateway, who))
        # What was on its way at a kill may not be counted; one more undisturbed pull makes the union whole.
        assert api.request("GET", made.url).content == made.source
        price = api.post("/v1/plan", {"dataset": made.dataset})["price"]["amount"]

        def amounts():
            statement = api.get(f"/v1/statements?participant={participant}")
            lines = [line for part in statement["statements"] for line in part["lines"] if line["dataset"] == made.dataset]
            return [line["amount"] for line in lines] == [price]

        until(f"{participant} pays exactly {price}", 10, amounts)
