"""From a refusal that is left to a person to the release that lets it go, and back (POLICY.md, "Releasing a review")."""

import concurrent.futures
import datetime
import json
import time
import tomllib
import uuid

import pyarrow.flight as flight
import pytest
import requests

from harness import corpus
from harness.api import problem
from harness.authority import Authority, join
from harness.lines import Http1, Reader
from harness.wait import until

TEXT = {"reason": "looked at the map sheets; nothing below 1:50000", "reference": "粤网信复〔2026〕7号"}


@pytest.fixture(scope="module")
def gateway(own_gateway):
    return own_gateway


def held(gateway, dataset, rows=200, seed=31, **terms):
    """A corpus that A8 leaves to a person: surveying data."""
    data = corpus.parquet(corpus.numbers(rows, seed), compression="none", use_dictionary=False, write_statistics=False)
    return corpus.publish(gateway, dataset, {"n.parquet": data}, geospatial=True, **terms)


def later(**how):
    """A day or a time from now, as a person would write it."""
    at = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))) + datetime.timedelta(**how)
    return at.date().isoformat() if "days" in how else at.isoformat(timespec="milliseconds")


def ask(gateway, made, who=None, status=201, **more):
    return gateway.api(who or gateway.alice).post("/v1/reviews", {"dataset": made.dataset, "version": made.version, **more}, status=status)


def release(gateway, review, **more):
    body = {**TEXT, "until": later(days=30), **more}
    return gateway.api(gateway.chan).post(f"/v1/reviews/{review['id']}/release", body)


def get(gateway, url, who=None):
    return gateway.api(who or gateway.alice).request("GET", url, headers={"range": "bytes=0-9"})


def told_why_not(gateway, url, words):
    """The refusal of a pull for which there is a release that does not fit."""
    document = problem(get(gateway, url), 403, "review")
    assert words in document["detail"], document
    return document


def leaf(gateway, index):
    return gateway.api(gateway.chan).get(f"/v1/audit/{index}")["leaf"]


def test_the_whole_way_on_the_command_line(gateway, tmp_path):
    made = held(gateway, "test-review-cli")
    run = lambda who, *args: gateway.kouan(who, *args, "--json")

    # A refusal that says whom to ask, and exits with 9.
    refused = run(gateway.alice, "pull", made.dataset, "--out", tmp_path / "no")
    assert refused.status == 9 and refused.json["error"]["code"] == "review", refused
    error = refused.json["error"]
    assert error["explain"]["review"]["command"] == f"kouan review request --leaf {error['leaf']}", error

    asked = run(gateway.alice, "review", "request", "--leaf", error["leaf"], "--note", "Three sheets, for a thesis")
    assert asked.status == 0, asked
    review = asked.json
    assert (review["state"], review["rules"], review["refusal"]) == ("open", ["A8"], error["leaf"])
    again = run(gateway.alice, "review", "request", made.dataset)
    assert again.status == 0 and again.json["id"] == review["id"], "asking twice is asking once"

    # The officer's inbox, with reasons and facts.
    inbox = run(gateway.chan, "review", "list", "--state", "open").json["reviews"]
    assert review["id"] in [entry["id"] for entry in inbox]
    shown = run(gateway.chan, "review", "show", review["id"]).json
    assert shown["note"] == "Three sheets, for a thesis"
    assert shown["explain"]["reasons"][0]["rule"] == "A8" and shown["facts"]["dataset"]["geospatial"] is True
    own = run(gateway.alice, "review", "show", review["id"]).json
    assert own["explain"]["rules"] == ["A8"] and "facts" not in own

    words = ["--reason", TEXT["reason"], "--reference", TEXT["reference"]]
    assert run(gateway.alice, "review", "release", review["id"], *words, "--until", later(days=30)).status == 3
    released = run(gateway.chan, "review", "release", review["id"], *words, "--until", later(days=30))
    assert released.status == 0 and released.json["state"] == "released" and released.json["release"]["in_force"], released
    assert run(gateway.lee, "review", "refuse", review["id"], "--reason", "late").status == 2, "it is answered already"

    told = gateway.kouan(gateway.alice, "plan", made.dataset, "--columns", "n0")
    assert told.status == 9 and f"kouan review request {made.dataset}@1 --columns n0" in told.out, told

    # The decision is what it was; the pull succeeds.
    plan = run(gateway.alice, "plan", made.dataset)
    assert plan.status == 0 and plan.json["decision"]["effect"] == "review", plan
    assert plan.json["release"]["review"] == review["id"]
    pulled = run(gateway.alice, "pull", made.dataset, "--out", tmp_path / "out")
    assert pulled.status == 0, pulled
    assert (tmp_path / "out" / "n.parquet").read_bytes() == made.source

    # Each step is a leaf, none holds what somebody wrote, and the decision replays to the same answer.
    entries = gateway.api(gateway.chan).get(f"/v1/audit?dataset={made.dataset}&limit=500")["entries"]
    kinds = [entry["leaf"]["kind"] for entry in entries]
    assert [kind for kind in kinds if kind.startswith("review")] == ["review_request", "review_release"]
    [decision] = [e["leaf"] for e in entries if e["leaf"]["kind"] == "decision" and "lease" in e["leaf"]]
    assert (decision["effect"], decision["rules"], decision["review"]) == ("review", ["A8"], review["id"])
    assert decision["release"] == released.json["release"]["id"]
    text = json.dumps(entries, ensure_ascii=False)
    assert TEXT["reason"] not in text and TEXT["reference"] not in text and "thesis" not in text
    facts = gateway.data / "facts" / (decision["facts"].removeprefix("sha256:") + ".json")
    until("the facts are published", 5, facts.exists)
    replayed = run(gateway.chan, "policy", "decide", "--facts", facts)
    assert replayed.status == 9 and replayed.json["policy"] == decision["policy"]
    [asked_for] = [e["leaf"] for e in entries if e["leaf"]["kind"] == "review_request"]
    assert asked_for["refusal"] == error["leaf"] and asked_for["note"].startswith("c:"), "a commitment"
    # Both parties may read what became of it.
    [at] = [e["index"] for e in entries if e["leaf"]["kind"] == "review_release"]
    for party in (gateway.alice, gateway.broker):
        assert gateway.api(party).get(f"/v1/audit/{at}")["leaf"]["until"] == released.json["release"]["until"]


def test_a_release_fits_one_export_and_no_other(gateway):
    made = held(gateway, "test-review-fit")
    review = ask(gateway, made, columns=["n1", "n0"])
    assert review["columns"] == ["n0", "n1"], "in source order"
    release(gateway, review)
    assert get(gateway, f"{made.url}?columns=n0,n1").status_code == 206
    assert get(gateway, f"{made.url}?columns=n1&columns=n0").status_code == 206, "the same selection, asked otherwise"
    # Every front door: Flight too.
    read = lambda path: open(path, "rb").read()
    client = flight.connect(
        f"grpc+tls://127.0.0.1:{gateway.port}",
        tls_root_certs=read(gateway.trust),
        cert_chain=read(gateway.alice.cert),
        private_key=read(gateway.alice.key),
    )
    wish = {"dataset": made.dataset, "columns": ["n0", "n1"]}
    info = client.get_flight_info(flight.FlightDescriptor.for_command(json.dumps(wish)))
    assert client.do_get(info.endpoints[0].ticket).read_all().num_rows == 200
    with pytest.raises(flight.FlightUnauthorizedError, match="A8"):
        client.get_flight_info(flight.FlightDescriptor.for_path(made.dataset))
    told_why_not(gateway, f"{made.url}?columns=n0", "it was given for other columns")
    told_why_not(gateway, made.url, "it was given for other columns")
    # Another participant's agreement is another matter; nothing is told of somebody else's release.
    corpus.agree(gateway, gateway.bob, made.dataset)
    document = problem(get(gateway, f"{made.url}?columns=n0,n1", gateway.bob), 403, "review")
    assert "release" not in document["detail"], document
    # Another version under the same offer.
    second = held(gateway, made.dataset, seed=32, version="2")
    told_why_not(gateway, f"{second.url}?columns=n0,n1", "it was given for another version")


def test_a_release_ends(gateway):
    made = held(gateway, "test-review-end")
    review = ask(gateway, made)
    ends = later(seconds=2)
    release(gateway, review, until=ends)
    first = get(gateway, made.url)
    assert first.status_code == 206
    lease = gateway.api(gateway.alice).get(f"/v1/leases/{first.headers['kouan-lease']}")
    assert lease["expires"][:19] == ends[:19], "the lease does not outlive it"
    until("the release has ended", 10, lambda: get(gateway, made.url).status_code == 403)
    told_why_not(gateway, made.url, "it has ended")
    api = gateway.api(gateway.chan)
    assert api.get(f"/v1/reviews/{review['id']}")["release"]["in_force"] is False
    again = ask(gateway, made)
    assert again["id"] != review["id"], "what has ended is asked for anew"
    for wrong in (later(seconds=-1), later(days=-1), later(days=3 * 366 + 2), "soon", "2026-12-31T12:00:00"):
        api.refused("POST", f"/v1/reviews/{again['id']}/release", 400, "bad_input", json={**TEXT, "until": wrong})
    for missing in ("reason", "reference"):
        body = {**TEXT, "until": later(days=1), missing: " "}
        api.refused("POST", f"/v1/reviews/{again['id']}/release", 400, "bad_input", json=body)


def test_a_withdrawn_release_cuts_its_streams_and_no_others(gateway):
    made = held(gateway, "test-review-cut", rows=2_000_000)
    review = ask(gateway, made)
    released = release(gateway, review)
    free = corpus.publish(gateway, "test-review-free", {"n.parquet": made.source})
    stream, other = Http1(gateway, gateway.alice, made.url), Http1(gateway, gateway.alice, free.url)
    assert stream.status == other.status == 200
    reader, bystander = Reader(stream).flowing(4 << 20), Reader(other).flowing(4 << 20)
    answer = gateway.api(gateway.lee).post(f"/v1/reviews/{review['id']}/withdraw", {"reason": "sheet 7 is restricted"})
    answered = time.monotonic()
    assert answer["state"] == "withdrawn"
    assert reader.end(), "a stream whose release was withdrawn looked complete"
    assert time.monotonic() - answered < 1
    assert not bystander.end(), "a stream that rests on nothing was cut with it"
    lease = gateway.api(gateway.alice).get(f"/v1/leases/{stream.headers['kouan-lease']}")
    assert lease["state"] == "cut" and "sheet 7 is restricted" in lease["reason"], lease
    told_why_not(gateway, made.url, "it was withdrawn")
    entries = gateway.api(gateway.chan).get(f"/v1/audit?dataset={made.dataset}&kind=review_withdraw")["entries"]
    assert entries[0]["leaf"]["release"] == released["release"]["id"]
    gateway.api(gateway.lee).refused(
        "POST", f"/v1/reviews/{review['id']}/withdraw", 409, "conflict", json={"reason": "twice"}
    )


def test_the_numbers_come_first(gateway):
    """UNK-SUBJECTS: no release without numbers, none that the thresholds forbid, and the counters are true afterwards."""
    data = corpus.parquet(corpus.people(200, seed=33))
    terms = {"files": {"p.parquet": data}, "accepted": ["resident_id"]}
    made = corpus.publish(gateway, "test-review-numbers", columns={"phone": "personal"}, subjects=None, **terms)
    refused = corpus.publish(
        gateway, "test-review-refused", columns={"phone": "sensitive"}, subjects=(10, 10, 0), **terms
    )
    counters = lambda: corpus.counters(gateway, refused)
    review = ask(gateway, made, columns=["row", "phone"])
    assert review["rules"] == ["UNK-SUBJECTS"]
    before = counters()
    api, target = gateway.api(gateway.chan), f"/v1/reviews/{review['id']}/release"
    body = {**TEXT, "until": later(days=1)}
    numbers = lambda persons, sensitive=0, under_14=0: {"persons": persons, "sensitive": sensitive, "under_14": under_14}
    assert "UNK-SUBJECTS" in api.refused("POST", target, 400, "bad_input", json=body)["detail"]
    for wrong in (numbers(5, 6), numbers(5, 0, 6), numbers(2**53), {"persons": 5}):
        api.refused("POST", target, 400, "bad_input", json={**body, "subjects": wrong})
    document = api.refused("POST", target, 409, "conflict", json={**body, "subjects": numbers(2_000_000)})
    assert "CN-05" in document["explain"]["rules"], document
    assert get(gateway, f"{made.url}?columns=row,phone").status_code == 403, "nothing is released by an attempt"
    released = api.post(target, {**body, "subjects": numbers(1500)})
    assert released["release"]["subjects"]["persons"] == 1500
    assert counters() == before, "a release counts nobody yet"
    first = get(gateway, f"{made.url}?columns=row,phone")
    assert first.status_code == 206, first.text
    assert counters()["persons"] == before["persons"] + 1500
    decision = leaf(gateway, first.headers["kouan-leaf"])
    assert decision["effect"] == "review" and decision["subjects"] == numbers(1500)
    # A manifest that has the numbers takes none from elsewhere.
    other = ask(gateway, held(gateway, "test-review-no-numbers"))
    api.refused("POST", f"/v1/reviews/{other['id']}/release", 400, "bad_input", json={**body, "subjects": numbers(5)})


def test_a_release_is_overtaken_by_what_happens_to_the_version(gateway):
    made = held(gateway, "test-review-overtaken", accept=())
    agreement = corpus.agree(gateway, gateway.alice, made.dataset)["id"]
    review = ask(gateway, made)
    gateway.api(gateway.alice).post(f"/v1/agreements/{agreement}/end")
    document = gateway.api(gateway.chan).refused(
        "POST", f"/v1/reviews/{review['id']}/release", 409, "conflict", json={**TEXT, "until": later(days=1)}
    )
    assert "the agreement has ended" in document["detail"]
    refused = gateway.api(gateway.chan).post(f"/v1/reviews/{review['id']}/refuse", {"reason": "no agreement any more"})
    assert (refused["state"], refused["answer"]["by"]) == ("refused", "regulator")
    assert "release" not in refused


def test_who_may_do_what(gateway, tmp_path):
    made = held(gateway, "test-review-roles", recipients=("*",))
    review = ask(gateway, made)
    one = f"/v1/reviews/{review['id']}"
    body = {**TEXT, "until": later(days=1)}
    # Not there for others; there for the parties; only an authority's officer answers.
    gateway.api(gateway.bob).refused("GET", one, 404, "not_found")
    assert review["id"] not in [entry["id"] for entry in gateway.api(gateway.bob).get("/v1/reviews")["reviews"]]
    assert gateway.api(gateway.broker).get(one)["state"] == "open"
    for who in (gateway.alice, gateway.broker, gateway.operator):
        gateway.api(who).refused("POST", f"{one}/release", 403, "forbidden", json=body)
        gateway.api(who).refused("POST", f"{one}/refuse", 403, "forbidden", json={"reason": "no"})
    for who in (gateway.broker, gateway.chan):
        gateway.api(who).refused("POST", "/v1/reviews", 403, "forbidden", json={"dataset": made.dataset})
    gateway.api(gateway.operator).refused("GET", "/v1/reviews", 403, "forbidden")
    gateway.api(gateway.chan).refused("POST", "/v1/reviews/v-none/release", 404, "not_found", json=body)
    gateway.api(gateway.bob).refused("POST", f"{one}/withdraw", 404, "not_found", json={"reason": "not mine"})
    # Four eyes: an authority that is itself the consumer does not release its own export.
    authority = Authority(tmp_path / "ca", "both.example")
    record = {
        "id": "both", "trust_domain": "both.example", "place": "HK", "roles": ["researcher", "compliance"], "authority": True,
        "ca": authority.ca, "crl": authority.crl,
    }
    gateway.api(gateway.chan).post("/v1/participants", record, status=202)
    gateway.api(gateway.lee).post("/v1/participants", record, status=201)
    consumer, officer = authority.issue("researcher", "one"), authority.issue("compliance", "two")
    corpus.agree(gateway, consumer, made.dataset)
    own = ask(gateway, made, consumer)
    document = gateway.api(officer).refused("POST", f"/v1/reviews/{own['id']}/release", 403, "forbidden", json=body)
    assert "is a party of this export" in document["detail"]
    assert gateway.api(gateway.chan).post(f"/v1/reviews/{own['id']}/release", body)["state"] == "released"
    # Who asked takes an open request back, and no officer does.
    gateway.api(gateway.chan).refused("POST", f"{one}/withdraw", 409, "conflict", json={"reason": "not released"})
    assert gateway.api(gateway.alice).post(f"{one}/withdraw", {"reason": "not needed"})["state"] == "withdrawn"
    gateway.api(gateway.alice).refused("POST", f"{one}/withdraw", 409, "conflict", json={"reason": "again"})


def test_what_cannot_be_reviewed(gateway, people_of):
    api = gateway.api(gateway.alice)
    allowed = corpus.publish(gateway, "test-review-allowed", {"n.parquet": corpus.parquet(corpus.numbers(10, 34))})
    assert "nothing to review" in api.refused("POST", "/v1/reviews", 409, "conflict", json={"dataset": allowed.dataset})["detail"]
    denied = api.refused("POST", "/v1/reviews", 403, "denied", json={"dataset": people_of.dataset})
    assert denied["explain"]["rules"] == ["CN-06", "MECH-MISSING"] and "no officer" in denied["detail"]
    refusal = api.refused("GET", people_of.url, 403, "denied")["leaf"]
    assert "only a `review`" in api.refused("POST", "/v1/reviews", 409, "conflict", json={"leaf": refusal})["detail"]
    api.refused("POST", "/v1/reviews", 404, "not_found", json={"leaf": 10**6})
    api.refused("POST", "/v1/reviews", 404, "not_found", json={"dataset": "no-such-dataset"})
    for wrong in ({}, {"leaf": 1, "dataset": people_of.dataset}, {"leaf": 1, "columns": ["row"]}, {"data": "x"}):
        api.refused("POST", "/v1/reviews", 400, "bad_input", json=wrong)
    api.refused("GET", "/v1/reviews?state=pending", 400, "bad_input")
    # A leaf of somebody else's refusal is not there.
    made = held(gateway, "test-review-leaf", accept=("alice", "bob"))
    theirs = problem(get(gateway, made.url, gateway.bob), 403, "review")["leaf"]
    api.refused("POST", "/v1/reviews", 404, "not_found", json={"leaf": theirs})


@pytest.fixture(scope="module")
def people_of(gateway):
    data = corpus.parquet(corpus.people(100, seed=35))
    classes = {"resident_id": "sensitive", "phone": "sensitive"}
    return corpus.publish(gateway, "test-review-people", {"p.parquet": data}, columns=classes, subjects=(100, 100, 0))


def test_redaction_leaves_the_rest_to_a_person(gateway):
    """The whole is denied, the part without its sensitive columns is left to a person: that part is reviewed and pulled."""
    data = corpus.parquet(corpus.people(100, seed=36))
    classes = {"resident_id": "sensitive", "phone": "sensitive"}
    made = corpus.publish(
        gateway, "test-review-redact", {"p.parquet": data}, columns=classes, subjects=(100, 100, 0), geospatial=True
    )
    document = problem(get(gateway, f"{made.url}?redact=true"), 403, "review")
    assert document["explain"]["rules"] == ["A8"], document
    problem(get(gateway, made.url), 403, "denied")
    review = ask(gateway, made, redact=True)
    assert review["columns"] == ["row", "remark"]
    release(gateway, review)
    assert get(gateway, f"{made.url}?redact=true").status_code == 206
    assert get(gateway, f"{made.url}?columns=row,remark").status_code == 206
    problem(get(gateway, made.url), 403, "denied")


def test_repeating_is_safe_and_is_counted(gateway):
    made = held(gateway, "test-review-again")
    key = {"Idempotency-Key": uuid.uuid4().hex}
    api = gateway.api(gateway.alice)
    admin = tomllib.loads((gateway.folder / "kouan.toml").read_text())["admin"]
    metrics = lambda: requests.get(f"http://{admin}/metrics", timeout=10).text
    gauge = lambda: next(float(l.split()[1]) for l in metrics().splitlines() if l.startswith("kouan_reviews_open "))
    before = gauge()
    first = api.post("/v1/reviews", {"dataset": made.dataset}, status=201, headers=key)
    until("the open review is counted", 5, lambda: gauge() == before + 1)
    released = release(gateway, first)
    until("it is open no more", 5, lambda: gauge() == before)
    assert 'kouan_reviews_total{outcome="released"}' in metrics()
    assert made.dataset not in metrics() and "hku" not in metrics()
    # The same request has the same answer for ever, another body under the same key has none.
    again = api.post("/v1/reviews", {"dataset": made.dataset}, status=201, headers=key)
    assert (again["id"], again["leaf"], again["state"]) == (first["id"], first["leaf"], "open")
    api.refused("POST", "/v1/reviews", 409, "key_reused", json={"dataset": made.dataset, "note": "x"}, headers=key)
    document = api.refused("POST", "/v1/reviews", 409, "conflict", json={"dataset": made.dataset})
    assert document["review"] == released["id"]
    # Many at once are one.
    other = held(gateway, "test-review-at-once")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: ask(gateway, other, status=(200, 201))["id"], range(8)))
    assert len(set(ids)) == 1
    # Pages of one.
    page = gateway.api(gateway.chan).get("/v1/reviews?limit=1")
    assert len(page["reviews"]) == 1
    more = gateway.api(gateway.chan).get(f"/v1/reviews?limit=1&cursor={page['next']}")
    assert more["reviews"][0]["id"] < page["reviews"][0]["id"]


def test_the_doctor_tells_the_officer(gateway):
    made = held(gateway, "test-review-doctor")
    ask(gateway, made)
    check = lambda who: next(
        c for c in gateway.kouan(who, "doctor", "--json").json["checks"] if c["name"] == "reviews"
    )
    officer = check(gateway.chan)
    assert officer["state"] == "warning" and "kouan review list" in officer["fix"], officer
    assert check(gateway.alice)["state"] == "ok" and "wait" in check(gateway.alice)["found"]
    assert check(gateway.operator)["state"] == "skipped"


def test_another_rule_set_ends_a_release(gateway):
    """Even rules that do not touch this export: what was released was looked at under the set that it names."""
    made = held(gateway, "test-review-rules")
    review = ask(gateway, made)
    release(gateway, review)
    plan = lambda: gateway.api(gateway.alice).post("/v1/plan", {"dataset": made.dataset})
    assert plan()["release"]["review"] == review["id"]
    rule = (
        '@id("regulator:none") @level("deny") @reason("Board, minute 3")\n'
        '@message_en("Not for this purpose.") @message_zh_hans("不用于此目的。") @message_zh_hant("不用於此目的。")\n'
        'forbid (principal, action == Action::"export", resource)\nwhen { context.purpose == "none-such" };\n'
    )
    officers = [gateway.api(gateway.chan), gateway.api(gateway.lee)]
    found = officers[0].post("/v1/rulesets", {"rules": {"house.cedar": rule}, "note": "test"}, status=201)["id"]
    for officer, status in zip(officers, (202, 200)):
        officer.post(f"/v1/rulesets/{found}/activate", status=status)
    assert "release" not in plan()
    told_why_not(gateway, made.url, "the rule set has changed")
    assert officers[0].get(f"/v1/reviews/{review['id']}")["release"]["in_force"] is False
    # Back under the set that it names, it applies again.
    for officer, status in zip(officers, (202, 200)):
        officer.post(f"/v1/rulesets/{found}/revoke", {"reason": "test is over"}, status=status)
    assert get(gateway, made.url).status_code == 206


def test_the_numbers_choose_the_mechanism(gateway):
    """With the numbers another mechanism is needed than without: that one carries the export, and revoking it cuts. Last in
    this file, for it takes the exporter over the threshold of CN-04."""
    data = corpus.parquet(corpus.numbers(2_000_000, 37), compression="none", use_dictionary=False, write_statistics=False)
    made = corpus.publish(gateway, "test-review-mechanism", {"n.parquet": data}, columns={"n1": "sensitive"}, subjects=None)
    # The newest is tried first: the contract, which does not carry ten thousand people with sensitive information.
    on_file = {}
    for kind, effective, more in [("sc", 0, {"filed": later(days=0)}), ("sa", -10, {"expires": later(days=900)})]:
        body = {
            "kind": kind, "reference": "R", "exporter": "qianhai", "recipient": "hku", "effective": later(days=effective),
            "datasets": [made.dataset], "purposes": ["*"], **more,
        }
        on_file[kind] = gateway.api(gateway.broker).post("/v1/mechanisms", body, status=201)["id"]
        gateway.api(gateway.chan).post(f"/v1/mechanisms/{on_file[kind]}/confirm")
    review = ask(gateway, made)
    assert review["rules"] == ["UNK-SUBJECTS"]
    release(gateway, review, subjects={"persons": 20_000, "sensitive": 20_000, "under_14": 0})
    stream = Http1(gateway, gateway.alice, made.url)
    decision = leaf(gateway, stream.headers["kouan-leaf"])
    assert (decision["effect"], decision["rules"]) == ("review", ["UNK-SUBJECTS"])
    assert decision["mechanism"] == on_file["sa"]
    assert gateway.api(gateway.alice).get(f"/v1/leases/{stream.headers['kouan-lease']}")["mechanism"] == on_file["sa"]
    reader = Reader(stream).flowing(4 << 20)
    revoke = lambda kind: gateway.api(gateway.broker).post(f"/v1/mechanisms/{on_file[kind]}/revoke", {"reason": f"end of {kind}"})
    revoke("sc")
    assert get(gateway, made.url).status_code == 206, "what carries nothing takes nothing with it"
    revoke("sa")
    assert reader.end(), "a stream whose mechanism was revoked looked complete"
    document = problem(get(gateway, made.url), 403, "denied")
    assert "MECH-MISSING" in document["explain"]["rules"], document
