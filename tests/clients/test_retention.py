"""What is past its time is deleted, what is held is not, and no floor can be lowered."""

import datetime
import json

import pytest

from harness import corpus, store
from harness.api import Api
from harness.authority import Authority, join
from harness.clock import Clock
from harness.gateway import binary, told
from harness.wait import until

YEAR = 365 * 86_400


@pytest.fixture(scope="module")
def gateway(own_gateway):
    return own_gateway


@pytest.mark.parametrize(
    "line, law",
    [
        ("operational_months = 5", "Cybersecurity Law"),
        ("records_years = 2", "PIPL art. 56"),
        ("accounts_years = 9", "Accounting Archives"),
        ("openings_months = 12", "PIPL art. 56"),
        ("forever = 1", "forever"),
    ],
)
def test_a_value_below_its_floor_does_not_start_and_names_the_law(gateway, tmp_path, line, law):
    text = (gateway.folder / "kouan.toml").read_text()
    assert "[retention]" not in text, "nobody has to say anything for the floors to hold"
    wrong = tmp_path / "kouan.toml"
    wrong.write_text(f"{text}\n[retention]\n{line}\n")
    said = told([binary(), "serve", "--config", str(wrong)], timeout=30)
    assert said.status == 2 and law in said.err + said.out and line.split(" ")[0] in said.err + said.out, said


def counts(run, what="due"):
    return {each["class"]: each[what] for each in run["classes"]}


def opened(gateway, leaf):
    with store.database(gateway) as records:
        return records.execute("SELECT count(*) FROM opening WHERE leaf = ?", (leaf,)).fetchone()[0]


def leaves(gateway, kind):
    with store.database(gateway) as records:
        bodies = [json.loads(row["body"]) for row in records.execute("SELECT body FROM entry ORDER BY idx")]
    return [leaf for leaf in bodies if leaf["kind"] == kind]


def invented(gateway, dataset, seed):
    data = corpus.parquet(corpus.people(500, seed=seed))
    kinds = {"resident_id": "sensitive", "phone": "sensitive"}
    made = corpus.publish(gateway, dataset, {"p.parquet": data}, columns=kinds, subjects=(500, 500, 0))
    return made, gateway.api(gateway.alice).refused("GET", made.url, 403, "denied")["leaf"]


def test_years_go_by(gateway, tmp_path):
    broker, chan, lee, alice = (gateway.api(who) for who in (gateway.broker, gateway.chan, gateway.lee, gateway.alice))
    # An operator whose certificate and list outlive the story.
    authority = Authority(tmp_path / "archive", "archive.example")
    operator = authority.by_hand("op", f"URI:{authority.spiffe('operator', 'op')}", end=5 * YEAR)
    join(gateway, authority, "archive", roles=("operator",), crl=authority.list_by_hand(end=5 * YEAR))

    # Decisions: refused; refused and held; allowed under an agreement that ends, and under one that does not.
    _, refused = invented(gateway, "ret-refused", 21)
    held_made, held = invented(gateway, "ret-held", 22)
    numbers = lambda seed: {"n.parquet": corpus.parquet(corpus.numbers(300, seed=seed))}
    ended, goes_on = (corpus.publish(gateway, name, numbers(seed)) for name, seed in (("ret-ended", 23), ("ret-goes-on", 24)))
    decided = {}
    for made in (ended, goes_on):
        answer = alice.request("GET", made.url)
        decided[made.dataset] = int(answer.headers["kouan-leaf"])
    agreement = next(each for each in alice.get("/v1/agreements")["agreements"] if each["dataset"] == ended.dataset)
    alice.post(f"/v1/agreements/{agreement['id']}/end")
    body = {"on": {"kind": "dataset", "value": held_made.dataset}, "reason": "court case 7"}
    chan.post("/v1/holds", body, status=202)
    hold = lee.post("/v1/holds", body, status=201)
    # Files: of a withdrawn version; of one whose bytes another version has; of one that is held; half an upload.
    gone, shared, twin = (
        corpus.publish(gateway, name, numbers(seed), accept=()) for name, seed in (("ret-gone", 25), ("ret-shared", 26), ("ret-twin", 26))
    )
    objects = {made.dataset: gateway.data / "objects" / made.file["sha256"] for made in (gone, shared, held_made)}
    assert all(path.is_file() for path in objects.values()) and shared.file["sha256"] == twin.file["sha256"]
    for made in (gone, shared, held_made):
        broker.post(f"/v1/datasets/{made.dataset}/versions/1/withdraw", {"reason": "superseded"})
    corpus.register(gateway, corpus.manifest("ret-half"))
    half = broker.request(
        "PUT", "/v1/datasets/ret-half/versions/1/files/h.parquet", data=b"PAR1" * 10, headers={"content-range": "bytes 0-39/400"}
    )
    assert half.status_code == 202, half.text
    upload = gateway.data / "uploads" / "ret-half" / "1" / "h.parquet"
    assert upload.is_file()
    every = (refused, held, *decided.values())
    assert all(opened(gateway, leaf) == 2 for leaf in every)

    # Today nothing is due; who may not ask is told so.
    dry = gateway.kouan(operator, "retention", "run", "--dry-run", "--json")
    assert dry.status == 0 and set(counts(dry.json).values()) == {0} and "leaf" not in dry.json, dry
    alice.refused("GET", "/v1/store", 403, "forbidden")
    broker.refused("POST", "/v1/retention/runs", 403, "forbidden", json={})
    until("today's run is recorded", 20, lambda: leaves(gateway, "retention"))
    runs = len(leaves(gateway, "retention"))

    # A year later: files and windows go, openings stay.
    gateway.stop()
    clock = Clock(tmp_path)
    gateway.extra = clock.environment
    start = datetime.datetime.now(datetime.timezone.utc)
    clock.set(start + datetime.timedelta(days=366))
    gateway._spawn("serve", "--config", str(gateway.folder / "kouan.toml"))
    until("the file of the withdrawn version is deleted", 60, lambda: gateway._alive() and not objects["ret-gone"].exists())
    until("the upload is deleted", 10, lambda: not upload.exists())
    assert objects["ret-shared"].is_file() and objects["ret-held"].is_file()
    assert all(opened(gateway, leaf) == 2 for leaf in every)
    after = leaves(gateway, "retention")[runs:]
    assert after and after[-1]["run"]["objects"] >= 1 and after[-1]["run"]["uploads"] >= 1 and after[-1]["held"]["objects"] >= 1, after
    with store.database(gateway) as records:
        assert records.execute("SELECT count(*) FROM denial").fetchone()[0] == 0
        persons = records.execute("SELECT count(*) FROM person").fetchone()[0]
    api = Api(gateway, operator)
    until("the long-lived operator is let in", 20, lambda: api.request("GET", "/v1/whoami").status_code == 200)

    # Four years later: openings go, but those on hold and those of a contract that goes on; persons of that year go.
    clock.set(start + datetime.timedelta(days=4 * 366))
    until("the openings of the refusal are deleted", 60, lambda: gateway._alive() and opened(gateway, refused) == 0)
    assert opened(gateway, decided["ret-ended"]) == 0
    assert opened(gateway, decided["ret-goes-on"]) == 2 and opened(gateway, held) == 2
    until("and the run is closed", 20, lambda: leaves(gateway, "retention")[-1].get("held", {}).get("openings"))
    with store.database(gateway) as records:
        assert records.execute("SELECT count(*) FROM person").fetchone()[0] == 0 or persons == 0
    report = gateway.kouan(operator, "store", "report", "--json")
    assert report.status == 0, report
    classes = {each["class"]: each for each in report.json["classes"]}
    assert classes["openings"]["held"] >= 1 and classes["openings"]["due"] == 0 and "36 months" in classes["openings"]["kept"]
    assert classes["log"]["rows"] > 0 and classes["log"]["bytes"] > 0 and report.json["holds"] == 1 and report.json["last_run"]
    assert any(folder["folder"] == "objects" and folder["bytes"] > 0 for folder in report.json["folders"])
    again = gateway.kouan(operator, "retention", "run", "--json")
    assert again.status == 0 and counts(again.json)["openings"] == 0 and again.json["leaf"] > 0, again
    assert counts(again.json, "held")["openings"] >= 1
    assert hold["id"]
    # No entry is gone, and nothing of the log is another.
    gateway.stop()
    verified = told([binary(), "audit", "verify", str(gateway.log_folder()), "--key", str(gateway.pki / "log.vkey"), "--json"])
    assert verified.status == 0, verified
