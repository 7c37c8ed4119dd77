"""Natural persons: in nothing that is kept in the open (I17), erased for good when two officers say so (I18), opened for an
auditor one member at a time."""

import base64
import datetime
import hashlib
import hmac
import json
import os
import shutil
import sqlite3
import tomllib
import uuid

import pytest
import requests

from harness import corpus, receipts, store
from harness.authority import Authority
from harness.canary import Canary, cells, traces
from harness.checkpoints import published
from harness.gateway import binary, told
from harness.wait import until


@pytest.fixture(scope="module")
def gateway(own_gateway):
    return own_gateway


def person(gateway, participant, domain, role, name):
    """A new principal of a participant that the quickstart left."""
    return Authority.of(gateway.pki / participant, domain).issue(role, name)


def refusal(gateway, identity, made):
    """A decision of a person's own, by its log index."""
    return gateway.api(identity).refused("GET", made.url, 403, "denied")["leaf"]


def signed_twice(gateway, path, body, first=None, second=None):
    """What takes two officers; the answer to the second."""
    asked = gateway.api(first or gateway.chan).post(path, body, status=202)
    assert asked["state"] == "awaiting_second_officer"
    gateway.api(first or gateway.chan).refused("POST", path, 409, "conflict", json=body)
    return gateway.api(second or gateway.lee).post(path, body, status=(200, 201))


def invented(gateway, dataset, seed, **terms):
    """A corpus of persons that is refused to everybody."""
    data = corpus.parquet(corpus.people(2_000, seed=seed))
    kinds = {"resident_id": "sensitive", "phone": "sensitive"}
    return corpus.publish(gateway, dataset, {"p.parquet": data}, columns=kinds, subjects=(2_000, 2_000, 0), accept=(), **terms)


class TestCanaries:
    """One word for each place where a person may stand; a whole story; then a search of all that is left of it."""

    WORDS = {
        "name": "zq7-wong-tai-man",
        "officer": "zq7-officer-ho",
        "common": "zq7.mail@secret.example",
        "reason": "ZQ7 Mrs Lam of 12 Nathan Road said so",
        "note": "ZQ7 note: call 陳大文 at 9123 4567",
        "reference": "ZQ7 minutes of Mr Cheung",
        "cut": "ZQ7 cut because Peter Ng left",
        "revoke": "ZQ7 wrong file of Ms Yip",
        "hold": "ZQ7 court case of Mr Fok",
        "audit": "ZQ7 auditor Auntie Mei",
    }

    @pytest.fixture(scope="class")
    def told_story(self, gateway, tmp_path_factory):
        words = self.WORDS
        hku = Authority.of(gateway.pki / "hku", "hku.hk")
        wong = hku.by_hand(words["common"], f"URI:{hku.spiffe('researcher', words['name'])}")
        officer = person(gateway, "regulator", "regulator.example", "compliance", words["officer"])
        api, chan = gateway.api(wong), gateway.api(officer)
        keyed = lambda: {"idempotency-key": uuid.uuid4().hex}

        # A pull with a receipt, by another certificate of the same kind.
        rows = corpus.parquet(corpus.numbers(5_000, seed=3), row_group_size=1_000)
        free = corpus.publish(gateway, "canary-free", {"n.parquet": rows}, accept=())
        corpus.agree(gateway, wong, free.dataset)
        answer = api.request("GET", free.url)
        assert answer.status_code == 200 and answer.content == free.source
        lease = answer.headers["kouan-lease"]
        version = api.get(f"/v1/datasets/{free.dataset}/versions/1")
        ack = receipts.ack(lease, version["manifest"], 1, free.file, ["n0"], [[0, 5]])
        until("it is settled", 10, lambda: api.request("POST", f"/v1/leases/{lease}/acks", json=receipts.signed(wong, ack)).status_code == 200)
        # A refusal.
        people = invented(gateway, "canary-people", 4)
        corpus.agree(gateway, wong, people.dataset)
        refused = refusal(gateway, wong, people)
        # A review with a note, released, withdrawn; every answer kept for a repeated request.
        held = corpus.publish(gateway, "canary-held", {"n.parquet": rows}, geospatial=True, accept=())
        corpus.agree(gateway, wong, held.dataset)
        asked = {"dataset": held.dataset, "version": "1", "note": words["note"]}
        key = keyed()
        review = api.post("/v1/reviews", asked, status=201, headers=key)
        assert review["note"] == words["note"], "who may read it reads it"
        assert api.post("/v1/reviews", asked, status=201, headers=key) == review, "and again"
        until_day = (datetime.date.today() + datetime.timedelta(days=30)).isoformat()
        text = {"reason": words["reason"], "reference": words["reference"], "until": until_day}
        released = chan.post(f"/v1/reviews/{review['id']}/release", text, headers=keyed())
        assert (released["answer"]["reason"], released["release"]["reference"]) == (words["reason"], words["reference"])
        assert api.get(f"/v1/reviews/{review['id']}")["answer"]["reason"] == words["reason"]
        assert api.request("GET", held.url).status_code == 200
        chan.post(f"/v1/reviews/{review['id']}/withdraw", {"reason": words["revoke"]}, headers=keyed())
        assert api.get(f"/v1/reviews/{review['id']}")["answer"]["reason"] == words["revoke"]
        # A cut, which its consumer is told of.
        chan.post(f"/v1/leases/{lease}/cut", {"reason": words["cut"]}, headers=keyed())
        assert api.get(f"/v1/leases/{lease}")["reason"] == words["cut"]
        assert words["cut"] in api.refused("GET", free.url, 403, "cut")["detail"]
        # A version and a participant that are taken out, and say why.
        gateway.api(gateway.chan).post(f"/v1/datasets/{held.dataset}/versions/1/suspend", {"reason": words["reason"]})
        assert words["reason"] in api.refused("GET", held.url, 403, "forbidden")["detail"]
        chan.post("/v1/participants/cuhk/suspend", {"reason": words["reason"]})
        assert words["reason"] in gateway.api(gateway.bob).refused("GET", "/v1/whoami", 401, "unauthenticated")["detail"]
        # A hold, a disclosure, statements.
        signed_twice(gateway, "/v1/holds", {"on": {"kind": "dataset", "value": free.dataset}, "reason": words["hold"]}, officer, gateway.chan)
        assert words["hold"] in [hold["reason"] for hold in chan.get("/v1/holds")["holds"]]
        opened = {"fields": ["person"], "to": words["audit"], "reason": words["audit"]}
        assert words["name"] in json.dumps(chan.post(f"/v1/audit/{refused}/disclosures", opened))
        month = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).strftime("%Y-%m")
        statement = api.get(f"/v1/statements?participant=hku&period={month}")

        # What an auditor carries away, and what a scraper sees.
        out = tmp_path_factory.mktemp("canaries")
        assert gateway.kouan(officer, "audit", "export", "--out", str(out / "export"), "--json").status == 0
        admin = tomllib.loads((gateway.folder / "kouan.toml").read_text())["admin"]
        (out / "metrics").write_text(requests.get(f"http://{admin}/metrics", timeout=10).text)
        (out / "statement").write_text(json.dumps(statement))
        (out / "entries").write_text(json.dumps(chan.get("/v1/audit?limit=500")))
        pages = [gateway.api(gateway.chan).request("GET", path) for path in ("/console/", "/openapi.json", f"/v1/datasets/{free.dataset}/versions/1/card")]
        (out / "pages").write_bytes(b"\n".join(page.content for page in pages))
        shutil.copy(gateway.log_path, out / "output")
        return out

    def test_a_canary_is_found_in_every_form(self, tmp_path):
        """The search itself: were it blind, everything would pass."""
        canary = Canary("zq7-wong")
        for data in (b"zq7-wong", b"7a71372d776f6e67", b"..7A71372D776F6E67..", *(base64.b64encode(b"x" * n + b"zq7-wong" + b"yy") for n in range(4))):
            assert canary.found(data), data
            (tmp_path / "file").write_bytes(data)
            assert traces([canary], tmp_path)
        assert not canary.found(b"zq7-won")

    def test_no_canary_in_anything_that_is_kept(self, gateway, told_story):
        canaries = [Canary(word) for word in self.WORDS.values()]
        canaries += [Canary(word) for word in ("researcher/alice", "broker/lin", "compliance/chan")]
        assert (told_story / "export").is_dir() and (told_story / "output").stat().st_size > 0
        assert traces(canaries, gateway.data) == []
        assert traces(canaries, told_story) == []
        # A long value spans pages of the database, so that the file may hold it in pieces: once more by value.
        found = [(table, str(word)) for table, cell in cells(gateway.data / "kouan.db") for word in canaries if word.found(cell)]
        assert found == []


class TestErasure:
    """One person is erased, another is not; the log knows no difference."""

    BODY = {"person": "spiffe://hku.hk/researcher/er-eve", "basis": "pipl-47", "reason": "consent withdrawn by letter"}

    @pytest.fixture(scope="class")
    def story(self, tmp_path_factory):
        from harness.gateway import Gateway

        gateway = Gateway(tmp_path_factory.mktemp("erasure") / "node")
        try:
            yield gateway.start(), {}
        finally:
            gateway.stop()

    def opened(self, gateway, leaf, fields=("person",)):
        return gateway.api(gateway.chan).request(
            "POST", f"/v1/audit/{leaf}/disclosures", json={"fields": list(fields), "to": "auditor", "reason": "audit 7"}
        )

    def test_from_the_first_signature_to_a_backup_that_opens_nothing(self, story, tmp_path):
        gateway, _ = story
        eve = person(gateway, "hku", "hku.hk", "researcher", "er-eve")
        people = invented(gateway, "erasure-people", 5)
        free = corpus.publish(gateway, "erasure-free", {"n.parquet": corpus.parquet(corpus.numbers(500, seed=6))}, accept=())
        for dataset in (people.dataset, free.dataset):
            corpus.agree(gateway, eve, dataset)
        hers = refusal(gateway, eve, people)
        corpus.agree(gateway, gateway.alice, people.dataset)
        alices = refusal(gateway, gateway.alice, people)
        lease = gateway.api(eve).request("GET", free.url).headers["kouan-lease"]
        note = gateway.api(eve).post("/v1/plan", {"dataset": free.dataset, "purpose": "academic-research"})
        assert note["decision"], note
        opened = self.opened(gateway, hers, ("person", "certificate"))
        assert opened.status_code == 200 and opened.json()["fields"][0]["text"] == self.BODY["person"]

        # Whom it is not for, and what is in the way.
        for identity, status, code in ((gateway.alice, 403, "forbidden"), (gateway.broker, 403, "forbidden"), (gateway.operator, 403, "forbidden")):
            gateway.api(identity).refused("POST", "/v1/erasures", status, code, json=self.BODY)
        for change, status, code in (
            ({"person": "spiffe://hku.hk/researcher/nobody"}, 404, "not_found"),
            ({"person": "Eve"}, 400, "bad_input"),
            ({"basis": "because I say so"}, 400, "bad_input"),
            ({"reason": " "}, 400, "bad_input"),
        ):
            gateway.api(gateway.chan).refused("POST", "/v1/erasures", status, code, json={**self.BODY, **change})
        gateway.api(gateway.chan).post("/v1/erasures", self.BODY, status=202)
        assert "lease" in gateway.api(gateway.lee).refused("POST", "/v1/erasures", 409, "conflict", json=self.BODY)["detail"]
        gateway.api(gateway.chan).post(f"/v1/leases/{lease}/cut", {"reason": "she has left"})
        hold = signed_twice(gateway, "/v1/holds", {"on": {"kind": "dataset", "value": people.dataset}, "reason": "court"})
        kept = gateway.api(gateway.lee).refused("POST", "/v1/erasures", 409, "conflict", json=self.BODY)
        assert kept["hold"] == hold["id"] and hold["id"] in kept["detail"]
        signed_twice(gateway, f"/v1/holds/{hold['id']}/release", {"reason": "settled"})

        # A backup of everything in the data directory.
        gateway.stop()
        backup = tmp_path / "backup"
        shutil.copytree(gateway.data, backup)
        with store.database(gateway) as records:
            rows = [dict(row) for row in records.execute("SELECT * FROM subject_key WHERE wrapped IS NOT NULL")]
        gateway.serve()
        keyed = None

        balances = gateway.api(gateway.chan).get("/v1/ledger/balances")
        done = gateway.kouan(
            gateway.lee, "subject", "erase", self.BODY["person"], "--basis", self.BODY["basis"], "--reason", self.BODY["reason"], "--json"
        )
        assert done.status == 0 and done.json["state"] == "erased" and done.json["old_key_destroyed"] is True, done
        assert done.json["counts"]["openings"] >= 4 and done.json["counts"]["leases"] == 1
        leaf = gateway.api(gateway.chan).get(f"/v1/audit/{done.json['leaf']}")["leaf"]
        assert leaf["kind"] == "erasure" and leaf["basis"] == "pipl-47" and leaf["reason"].startswith("c:")
        assert "hku" not in json.dumps(leaf) and "eve" not in json.dumps(leaf)
        gateway.api(gateway.chan).refused("POST", "/v1/erasures", 404, "not_found", json=self.BODY)

        # Hers is gone and says so; everybody else's opens; the log and the books are what they were.
        gone = self.opened(gateway, hers)
        assert gone.status_code == 410 and gone.json()["code"] == "erased" and f"by leaf {done.json['leaf']}" in gone.json()["detail"]
        assert self.opened(gateway, alices).json()["fields"][0]["text"].endswith("researcher/alice")
        until("the erasure is published", 5, lambda: published(gateway) > done.json["leaf"])
        proof = gateway.kouan(gateway.chan, "audit", "proof", str(hers), "--key", str(gateway.chan.key), "--key", str(gateway.pki / "log.vkey"), "--json")
        assert proof.status == 0, proof
        after = gateway.api(gateway.chan).get("/v1/ledger/balances")
        assert after["balances"] == balances["balances"]
        verified = told([binary(), "audit", "verify", str(gateway.log_folder()), "--key", str(gateway.pki / "log.vkey"), "--json"])
        assert verified.status == 0, verified

        # No file has the wrapped key, nor the hash that names her.
        with store.database(gateway) as records:
            left = {bytes(row["handle"]) for row in records.execute("SELECT handle FROM subject_key WHERE wrapped IS NOT NULL")}
            erased = [dict(row) for row in rows if bytes(row["handle"]) not in left]
            assert len(erased) == 1
            keyed = erased[0]["subject"].encode()
            assert [table for table, cell in cells(gateway.data / "kouan.db") if keyed in cell] == []
            assert records.execute("SELECT count(*) FROM lease WHERE principal LIKE 'erased:%'").fetchone()[0] == 1
        for path in gateway.data.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert bytes(erased[0]["wrapped"]) not in data and keyed not in data, path
        assert len(list((gateway.pki / "kek").iterdir())) == 1

        # Stopped or killed in the meantime, it is the same.
        gateway.kill()
        gateway.serve()
        assert self.opened(gateway, hers).status_code == 410
        assert self.opened(gateway, alices).status_code == 200
        # The same refusal within ten minutes would answer with the first one's entry.
        others = invented(gateway, "erasure-again", 9)
        corpus.agree(gateway, eve, others.dataset)
        back = refusal(gateway, eve, others)
        assert self.opened(gateway, back).json()["fields"][0]["text"] == self.BODY["person"], "who comes back is somebody new"
        gateway.stop()
        rebuilt = told([binary(), "audit", "rebuild", str(gateway.log_folder()), "--json"])
        assert rebuilt.status == 0, rebuilt

        # The backup, restored beside everything that is on disk now: it does not start, guard or no guard, and says why.
        now = tmp_path / "now"
        gateway.data.rename(now)
        shutil.copytree(backup, gateway.data)
        guard = gateway.folder / tomllib.loads((gateway.folder / "kouan.toml").read_text())["guard"]
        guard.rename(tmp_path / "guard")
        said = told([binary(), "serve", "--config", str(gateway.folder / "kouan.toml")], timeout=60)
        assert said.status != 0 and ".kek is missing" in said.err + said.out, said
        shutil.rmtree(gateway.data)
        now.rename(gateway.data)
        (tmp_path / "guard").rename(guard)
        gateway.serve()
        assert self.opened(gateway, hers).status_code == 410

    def test_a_participants_own_officers_erase_its_own_people_only(self, story, tmp_path):
        gateway, _ = story
        people = invented(gateway, "erasure-own", 8, recipients=("*",))
        officers = {}
        for name in ("own-one", "own-two"):
            authority = Authority(tmp_path / name, f"{name}.example")
            record = {
                "id": name, "trust_domain": authority.trust_domain, "names": {"en": name}, "place": "HK",
                "roles": ["researcher", "compliance"], "ca": authority.ca, "crl": authority.crl,
            }
            signed_twice(gateway, "/v1/participants", record)
            officers[name] = [authority.issue("compliance", f"er-{number}") for number in ("first", "second")]
            if name == "own-one":
                dan = authority.issue("researcher", "er-dan")
        carol = person(gateway, "hku", "hku.hk", "researcher", "er-carol")
        leaves = {}
        for name, identity in (("carol", carol), ("dan", dan)):
            corpus.agree(gateway, identity, people.dataset)
            leaves[name] = refusal(gateway, identity, people)
        own, strangers = officers["own-one"], officers["own-two"]
        body = {"person": "spiffe://own-one.example/researcher/er-dan", "basis": "pdpo-26", "reason": "left"}
        hers = {**body, "person": "spiffe://hku.hk/researcher/er-carol"}

        def try_all(signed):
            """Nobody else's signature counts, as the first or as the second."""
            for officer in strangers:
                gateway.api(officer).refused("POST", "/v1/erasures", 404, "not_found", json=body)
            for identity in (dan, carol, gateway.broker, gateway.operator):
                gateway.api(identity).refused("POST", "/v1/erasures", 403, "forbidden", json=body)
            # A role that a certificate claims and the participant's record does not list.
            unlisted = person(gateway, "qianhai", "qianhai-compute.cn", "compliance", f"er-officer-{signed}")
            gateway.api(unlisted).refused("POST", "/v1/erasures", 401, "unauthenticated", json=body)
            for leaf in leaves.values():
                assert self.opened(gateway, leaf).status_code == 200

        try_all(0)
        # Its own officers answer for its own people: not for another's, nor for one of whom nothing is kept.
        for wrong in (hers, {**body, "person": "spiffe://own-one.example/researcher/nobody"}, {**body, "person": "spiffe://no.example/researcher/x"}):
            for officer in own:
                gateway.api(officer).refused("POST", "/v1/erasures", 404, "not_found", json=wrong)
        gateway.api(own[0]).post("/v1/erasures", body, status=202)
        gateway.api(own[0]).refused("POST", "/v1/erasures", 409, "conflict", json=body)
        try_all(1)
        # Another reason is another request, and needs two signatures of its own.
        assert gateway.api(own[1]).post("/v1/erasures", {**body, "reason": "another"}, status=202)["state"] == "awaiting_second_officer"
        assert self.opened(gateway, leaves["dan"]).status_code == 200
        gateway.api(own[0]).post("/v1/erasures", body, status=202)
        done = gateway.api(own[1]).post("/v1/erasures", body)
        assert done["state"] == "erased" and done["counts"]["openings"] >= 2, done
        assert self.opened(gateway, leaves["dan"]).status_code == 410
        assert self.opened(gateway, leaves["carol"]).status_code == 200


class TestDisclosure:
    """The members that were asked for, and nothing else; checked by anybody."""

    @pytest.fixture(scope="class")
    def made(self, gateway, tmp_path_factory):
        people = invented(gateway, "disclosure-people", 7)
        corpus.agree(gateway, gateway.alice, people.dataset)
        leaf = refusal(gateway, gateway.alice, people)
        out = tmp_path_factory.mktemp("disclosure") / "d.json"
        said = gateway.kouan(
            gateway.chan, "audit", "disclose", str(leaf), "--fields", "person", "--to", "Audit Commission", "--reason", "case 12", "--out", str(out), "--json"
        )
        assert said.status == 0 and said.json["index"] == leaf, said
        return leaf, out, said.json["access"]

    def test_a_stranger_checks_it_with_the_standard_library(self, made):
        leaf, out, _ = made
        document = json.loads(out.read_text())
        (field,) = document["fields"]
        salt, value = base64.b64decode(field["salt"]), base64.b64decode(field["value"])
        commitment = hmac.new(salt, field["field"].encode() + b"\0" + value, hashlib.sha256).hexdigest()
        assert document["leaf"]["person"] == f"c:{commitment}"
        assert value.decode() == "spiffe://hku.hk/researcher/alice" == field["text"]
        assert document["leaf"]["certificate"].startswith("c:"), "which stays closed"

    def test_the_command_checks_it_offline_and_against_the_log(self, gateway, made, tmp_path):
        leaf, out, _ = made
        assert told([binary(), "audit", "verify-disclosure", str(out), "--json"]).json["in_log"] is False
        proof = tmp_path / "leaf.tlog-proof"
        until("it is published", 5, lambda: published(gateway) > leaf)
        assert gateway.kouan(gateway.chan, "audit", "proof", str(leaf), "--out", str(proof), "--json").status == 0
        args = ["--proof", str(proof), "--key", str(gateway.pki / "log.vkey"), "--json"]
        said = told([binary(), "audit", "verify-disclosure", str(out), *args])
        assert said.status == 0 and said.json["in_log"] is True and said.json["ok"] is True, said
        document = json.loads(out.read_text())
        for change in (
            lambda d: d["fields"][0].update(value=base64.b64encode(b"spiffe://hku.hk/researcher/bob").decode(), text=None),
            lambda d: d["fields"][0].update(salt=base64.b64encode(b"x" * 32).decode()),
            lambda d: d["leaf"].update(person="c:" + "0" * 64),
        ):
            wrong = json.loads(json.dumps(document))
            change(wrong)
            (tmp_path / "wrong.json").write_text(json.dumps(wrong))
            assert told([binary(), "audit", "verify-disclosure", str(tmp_path / "wrong.json"), "--json"]).status == 6
        # An altered leaf whose commitments are right: the proof tells.
        document["leaf"]["participant"] = "cuhk"
        (tmp_path / "wrong.json").write_text(json.dumps(document))
        assert told([binary(), "audit", "verify-disclosure", str(tmp_path / "wrong.json"), *args]).status == 6

    def test_the_log_tells_of_it_and_names_nobody(self, gateway, made):
        leaf, _, access = made
        entry = gateway.api(gateway.chan).get(f"/v1/audit/{access}")["leaf"]
        assert entry["kind"] == "access" and entry["index"] == leaf and entry["fields"] == ["person"]
        assert entry["to"].startswith("c:") and entry["reason"].startswith("c:") and entry["participant"] == "regulator"
        assert "Commission" not in json.dumps(entry)

    def test_it_is_for_an_authoritys_officer_and_for_what_is_there(self, gateway, made):
        leaf, _, _ = made
        body = {"fields": ["person"], "to": "me", "reason": "curious"}
        path = f"/v1/audit/{leaf}/disclosures"
        for identity in (gateway.alice, gateway.broker, gateway.operator):
            gateway.api(identity).refused("POST", path, 403, "forbidden", json=body)
        chan = gateway.api(gateway.chan)
        assert "certificate, person" in chan.refused("POST", path, 404, "not_found", json={**body, "fields": ["purpose"]})["detail"]
        chan.refused("POST", "/v1/audit/99999999/disclosures", 404, "not_found", json=body)
        for change in ({"fields": []}, {"to": " "}, {"reason": ""}):
            chan.refused("POST", path, 400, "bad_input", json={**body, **change})


class TestEarlierRelease:
    """What a release kept that had no keys for persons."""

    def test_an_answer_in_the_clear_comes_under_its_persons_key_and_the_one_key_goes(self, gateway):
        body, key = {"dataset": "opencc-phrases", "purpose": "academic-research"}, {"Idempotency-Key": "asked before the upgrade"}
        gateway.api(gateway.alice).post("/v1/agreements", body, status=(200, 201), headers=key)
        gateway.stop()
        earlier = json.dumps({"status": 200, "body": {"told": "long ago"}}, separators=(",", ":")).encode()
        records = sqlite3.connect(gateway.data / "kouan.db")
        with records:
            assert records.execute("UPDATE idempotency SET response = ? WHERE key = ?", (earlier, key["Idempotency-Key"])).rowcount == 1
        records.close()
        one_key = gateway.data / "secrets" / "seal.key"
        one_key.write_bytes(os.urandom(32))
        gateway.serve()
        until("the one key is destroyed", 20, lambda: not one_key.exists())
        with store.database(gateway) as records:
            (kept,) = records.execute("SELECT response FROM idempotency WHERE key = ?", (key["Idempotency-Key"],)).fetchone()
        assert kept[0] == 1 and b"long ago" not in kept
        assert gateway.api(gateway.alice).post("/v1/agreements", body, headers=key)["told"] == "long ago"
