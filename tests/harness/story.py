"""A short scripted story that passes every step of the flow, told by clients that keep a journal: whatever a gateway
answered is noted before the next step, so that the same story can be told again after a crash and must get the same answers."""

import datetime
import os
import re
import shutil

from . import corpus, log_keys, receipts, store
from .clock import Clock
from .gateway import Gateway, binary, told
from .lines import Broken, Http1
from .ports import free_port

PRICE = '{ model = "per_gib", amount = "120000000", currency = "CNY" }'
GROUPS = 8
SELECTIONS = [("n0",), ("n1",), ("n2",), ("n3",), ("n0", "n1"), ("n1", "n2"), ("n2", "n3")]
WINDOW = 1 << 20
TILE = 256
BALLAST = 1 << 20
# As many as a crash point has passes.
PERSONS = 7
# Long enough ago for any month that began then to be due, and within the life of the quickstart's certificates.
AGO = datetime.timedelta(days=50)


class Refused(Exception):
    """The gateway said that it cannot now: 503, and nothing happened."""


class Prepared:
    """A node as a kill left it fifty days ago: leases that have expired, a month that is due, corpora to be pulled. With
    `turning`, persons to be erased, and keys of the log of which one is to be retired and another to come."""

    groups, selections, tile = GROUPS, SELECTIONS, TILE

    def __init__(self, folder, turning=False):
        self.folder = folder / "prepared"
        clock = Clock(folder)
        clock.set(datetime.datetime.now(datetime.timezone.utc) - AGO)
        node = Gateway(self.folder)
        node.extra = clock.environment
        node.start()
        try:
            rows = self.groups * 33_000
            data = corpus.parquet(corpus.numbers(rows, seed=9), row_group_size=rows // self.groups, compression="none", use_dictionary=False)
            terms = f'{PRICE}\nfee = {{ rate_ppm = 100000 }}\nvat = {{ rate_ppm = 60000 }}'
            self.old = corpus.publish(node, "story-old", {"o.parquet": data}, price=terms)
            self.new = corpus.publish(node, "story-new", {"n.parquet": data}, price=f'{terms}\nevidence = "receipt"', accept=())
            people = corpus.parquet(corpus.people(2_000, seed=2))
            self.refused = corpus.publish(
                node, "story-refused", {"p.parquet": people}, columns={"resident_id": "sensitive", "phone": "sensitive"}, subjects=(2_000, 2_000, 0)
            )
            self.manifest = node.api(node.broker).get(self.new.path)["manifest"]
            alice = node.api(node.alice)
            for columns in self.selections:
                part = alice.request("GET", f"{self.old.url}?columns={','.join(columns)}", headers={"range": "bytes=0-99999"})
                assert part.status_code == 206, part.text
            # Its deliveries are recorded before it is read.
            assert alice.get("/v1/statements?participant=hku")["statements"]
            self.persons = [self.person(node, clock, number) for number in range(PERSONS if turning else 0)]
            with store.database(node) as records:
                self.wrapped = dict(map(tuple, records.execute("SELECT handle, wrapped FROM subject_key")))
            # The story fills a tile: what is there then, and in its place before, is a step of its own.
            pad = 0
            while corpus.register(node, corpus.manifest(f"story-pad-{pad}"))["leaf"] < self.tile - 40:
                pad += 1
        finally:
            node.kill()
        config = self.folder / "kouan.toml"
        # Its witnesses would have to be moved with each copy; they have tests of their own.
        text = re.sub(r"(?ms)^\[witness.*?(?=^\[(?!witness))", "", config.read_text())
        # Several stories are told at once, by one process: none may break off because that one was slow.
        config.write_text(f"{text}\n[limits]\ngrant_bytes = {WINDOW}\nballast_bytes = {BALLAST}\nhandshake_seconds = 120\n")
        if turning:
            self.turn(node)

    def person(self, node, clock, number):
        """A researcher of whom the log has one decision: the SPIFFE id, and its index."""
        name = f"story-person-{number}"
        spiffe = f"spiffe://hku.hk/researcher/{name}"
        environment = {**os.environ, **clock.environment}
        said = told([binary(), "cert", "issue", str(node.pki / "hku"), spiffe, "--days", "90", "--json"], env=environment)
        assert said.status == 0, said
        identity = node.identity("hku", f"researcher-{name}")
        return spiffe, node.api(identity).refused("GET", self.refused.url, 403, "denied")["leaf"]

    def turn(self, node):
        """A second key signs beside the first; the next start is to retire the first and bring a third."""
        first, second = log_keys.made(node, "log.key", "second.key")
        log_keys.configured(node, log_key="pki/log.key", next_log_key="pki/second.key")
        try:
            node.serve()
        finally:
            node.kill()
        _, third = log_keys.made(node, "second.key", "third.key")
        (node.pki / "log-keys.vkey").write_text("\n".join([first, second, third]) + "\n")
        log_keys.configured(node, log_key="pki/second.key", next_log_key="pki/third.key")

    def copy(self, folder):
        """A node of its own with the same past."""
        # The ballast is made anew.
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("ballast"))
        config = folder / "kouan.toml"
        text = config.read_text()
        for name in ("listen", "admin"):
            text = re.sub(rf'(?m)^{name} = "[^"]*"', f'{name} = "127.0.0.1:{free_port()}"', text)
        config.write_text(text)
        return Gateway(folder)


class PreparedForLittle(Prepared):
    """One lease that has expired, and a file of one row group."""

    groups, selections, tile = 1, SELECTIONS[:1], 0


class Story:
    """Clients of one node, and what they noted."""

    def __init__(self, prepared, gateway, between=None):
        """`between` is called after each part of the first telling."""
        self.prepared, self.gateway, self.between = prepared, gateway, between
        self.answers, self.leaves, self.received = {}, {}, {}
        self.signed, self.whole, self.lease, self.told, self.erased = {}, bytearray(), None, 0, set()

    def tell(self):
        """From the beginning; what was told before is told again and must come out the same."""
        alice, broker = self.gateway.api(self.gateway.alice), self.gateway.api(self.gateway.broker)
        self.told += 1
        self.agree(alice)
        self.part_ends()
        for number in range(7):
            name = f"story-draft-{number}"
            text = corpus.manifest(name).encode()
            self.keyed(broker, name, "/v1/datasets", 201, data=text, headers={"content-type": "application/toml"})
        self.part_ends()
        denied = alice.request("GET", self.prepared.refused.url)
        taken(denied.status_code, 403, denied.text)
        self.denial = denied.json()["leaf"]
        self.note(self.denial, {"kind": "decision", "effect": "deny"})
        for columns in SELECTIONS:
            self.part(columns)
        self.part_ends()
        self.rest()
        self.part_ends()
        for group in range(GROUPS):
            self.acknowledge(alice, group)
            if group % 4 == 3:
                self.part_ends()
        self.erase(self.gateway.api(self.gateway.chan), self.gateway.api(self.gateway.lee))
        self.part_ends()

    def agree(self, alice):
        self.keyed(alice, "agree", "/v1/agreements", 201, json={"dataset": "story-new", "purpose": "academic-research"})

    def part_ends(self):
        if self.between and self.told == 1:
            self.between()

    def last_leaf(self):
        """The newest that anybody was told of."""
        return max(self.leaves, default=-1)

    def same(self, name, answer):
        """What was answered once is answered for ever (I7, I12)."""
        assert self.answers.setdefault(name, answer) == answer, f"{name}: {self.answers[name]} and then {answer}"

    def note(self, index, wanted):
        """A leaf that the gateway told us of."""
        assert self.leaves.setdefault(int(index), wanted) == wanted, f"leaf {index} was given out twice"

    def keyed(self, api, name, path, status, headers=None, **body):
        answer = api.request("POST", path, headers={"idempotency-key": f"k-{name}", **(headers or {})}, **body)
        taken(answer.status_code, status, answer.text)
        self.same(name, answer.json())
        if "leaf" in answer.json():
            self.note(answer.json()["leaf"], {})

    def stream(self, name, path, *headers):
        """Opens a stream and notes lease and leaf; a lease that was told of stays the same."""
        try:
            stream = Http1(self.gateway, self.gateway.alice, path, headers=headers)
        except AssertionError as error:
            # Closed before the head: the gateway is gone, or something is wrong that the next telling meets again.
            raise Broken(str(error)) from None
        taken(stream.status, (200, 206)["content-range" in stream.headers], stream.buffer)
        lease = stream.headers["kouan-lease"]
        self.same(name, lease)
        self.note(stream.headers["kouan-leaf"], {"kind": "decision", "effect": "allow", "lease": lease})
        return stream, lease

    def heard(self, stream, lease, first):
        """Bytes of a lease's representation that have arrived."""
        spans = self.received.setdefault(lease, {}).setdefault(stream.headers["etag"].strip('"'), {})
        spans[first] = max(spans.get(first, 0), stream.received)

    def part(self, columns):
        stream, lease = self.stream(f"part {columns}", f"{self.prepared.new.url}?columns={','.join(columns)}", "Range: bytes=4096-102399")
        self.heard(stream, lease, 4096)
        while stream.read():
            self.heard(stream, lease, 4096)
        stream.close()

    def rest(self):
        """The whole file, from where it broke off."""
        source, first = self.prepared.new.source, len(self.whole)
        if first == len(source):
            return
        stream, self.lease = self.stream("whole", self.prepared.new.url, f"Range: bytes={first}-")
        data = stream.buffer
        while data or stream.received < stream.expected:
            self.whole += data
            self.heard(stream, self.lease, first)
            data = stream.read()
        stream.close()
        assert self.whole == source, "other bytes than were published"

    def acknowledge(self, alice, group):
        """Signs once, keeps what it signed, sends it until there is an answer."""
        if group not in self.signed:
            body = receipts.ack(self.lease, self.prepared.manifest, group + 1, self.prepared.new.file, [f"n{n}" for n in range(4)], [[group, group + 1]])
            self.signed[group] = receipts.signed(self.gateway.alice, body)
        path = f"/v1/leases/{self.lease}/acks"
        answer = alice.request("POST", path, json=self.signed[group])
        if answer.status_code == 409 and self.told > 1:
            # What was on its way at the crash is not on record as sent: it is sent again, and costs nothing more.
            size = len(self.whole) // self.prepared.groups
            first, last = max(0, (group - 1) * size), min(len(self.whole), (group + 2) * size) - 1
            again, lease = self.stream("whole", self.prepared.new.url, f"Range: bytes={first}-{last}")
            while again.read():
                pass
            self.heard(again, lease, first)
            again.close()
            answer = alice.request("POST", path, json=self.signed[group])
        taken(answer.status_code, 200, answer.text)
        answer = answer.json()
        self.same(f"ack {group}", answer)
        self.note(answer["leaf"], {"kind": "receipt", "seq": group + 1, "lease": self.lease})

    def erase(self, first, second):
        """Two officers have every person erased, one after the other. Whoever is erased stays so; nobody else's name is lost."""
        for spiffe, leaf in self.prepared.persons:
            body = {"person": spiffe, "basis": "pipl-47", "reason": "consent withdrawn"}
            asked = first.request("POST", "/v1/erasures", json=body)
            if spiffe in self.erased or (asked.status_code == 404 and self.told > 1):
                assert asked.status_code == 404, (spiffe, asked.text)
            elif asked.status_code != 409 or self.told == 1:
                taken(asked.status_code, 202, asked.text)
            if asked.status_code != 404:
                done = second.request("POST", "/v1/erasures", json=body)
                taken(done.status_code, 200, done.text)
                assert done.json()["old_key_destroyed"] is True, done.text
                self.note(done.json()["leaf"], {"kind": "erasure"})
            self.erased.add(spiffe)
            opened = self.opened(first, leaf)
            assert (opened.status_code, opened.json().get("code")) == (410, "erased"), opened.text
        if self.prepared.persons:
            opened = self.opened(first, self.denial)
            taken(opened.status_code, 200, opened.text)
            assert opened.json()["fields"][0]["text"].endswith("/researcher/alice"), opened.text

    @staticmethod
    def opened(officer, leaf):
        body = {"fields": ["person"], "to": "auditor", "reason": "audit 7"}
        return officer.request("POST", f"/v1/audit/{leaf}/disclosures", json=body)


class ShortStory(Story):
    """One agreement, one lease, one file, one acknowledgement: every kind of commit, few of each."""

    def tell(self):
        alice = self.gateway.api(self.gateway.alice)
        self.told += 1
        self.agree(alice)
        self.rest()
        self.acknowledge(alice, 0)


def taken(status, wanted, text):
    """The answer has the status that the story expects; that it cannot be given now is a story of its own."""
    if status == 503:
        raise Refused(text)
    assert status == wanted, (status, text)
