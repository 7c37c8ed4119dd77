"""Local rules from proposal to revocation, and the replay of everything that was decided on the way."""

import datetime
import json
import shutil

import pytest
import requests

from harness import corpus
from harness.authority import Authority
from harness.gateway import binary, told
from harness.wait import until

PRICE = '{ model = "per_gib", amount = "120000000", currency = "CNY" }'


def rule(name, condition, level="deny", owner="uni", more=""):
    return (
        f'@id("{owner}:{name}") @level("{level}") @reason("Data board, minute 14 of 2026")\n{more}'
        f'@message_en("{owner} does not take this.") @message_zh_hans("不接收。") @message_zh_hant("不接收。")\n'
        f'forbid (principal, action == Action::"export", resource)\nwhen {{ {condition} }};\n'
    )


@pytest.fixture(scope="module")
def gateway(own_gateway):
    return own_gateway


class Uni:
    """A university with an officer of its own."""

    def __init__(self, gateway, folder):
        authority = Authority(folder, "uni.example")
        self.ann = authority.issue("researcher", "ann")
        self.chief = authority.issue("compliance", "chief")
        body = {
            "id": "uni",
            "trust_domain": "uni.example",
            "names": {"en": "A university"},
            "place": "HK",
            "roles": ["researcher", "compliance"],
            "ca": authority.ca,
            "crl": authority.crl,
        }
        # A compliance role takes two officers of an authority.
        gateway.api(gateway.chan).post("/v1/participants", body, status=202)
        gateway.api(gateway.lee).post("/v1/participants", body, status=201)


@pytest.fixture(scope="module")
def uni(gateway, tmp_path_factory):
    return Uni(gateway, tmp_path_factory.mktemp("uni") / "ca")


@pytest.fixture(scope="module")
def numbers(gateway, uni):
    data = corpus.parquet(corpus.numbers(500_000, seed=21), row_group_size=100_000, compression="none", use_dictionary=False)
    made = corpus.publish(gateway, "rules-numbers", {"n.parquet": data}, recipients=("*",), price=PRICE, accept=("alice",))
    corpus.agree(gateway, uni.ann, made.dataset)
    return made


def propose(gateway, who, text, status=201):
    return gateway.api(who).post("/v1/rulesets", {"rules": {"house.cedar": text}, "note": "test"}, status=status)


def activate(gateway, set_id, body=None):
    """Both officers; the answer to the second."""
    first = gateway.api(gateway.chan).post(f"/v1/rulesets/{set_id}/activate", body, status=202)
    assert first["state"] == "awaiting_second_officer"
    return gateway.api(gateway.lee).post(f"/v1/rulesets/{set_id}/activate", body)


def revoke(gateway, set_id):
    body = {"reason": "test is over"}
    gateway.api(gateway.chan).post(f"/v1/rulesets/{set_id}/revoke", body, status=202)
    assert gateway.api(gateway.lee).post(f"/v1/rulesets/{set_id}/revoke", body)["state"] == "revoked"


def decided(gateway, who, dataset):
    return gateway.api(who).post("/v1/plan", {"dataset": dataset})["decision"]


def law(gateway):
    return gateway.api(gateway.alice).get("/v1/rulesets")["rulesets"][0]["digest"]


# Offline


def offline(tmp_path, text, *args, name="house.cedar"):
    file = tmp_path / name
    file.write_text(text)
    return told([binary(), "policy", *args, str(file), "--json"]), file


def test_check_says_file_line_and_fix(tmp_path):
    said, file = offline(tmp_path, rule("a", "context.has_personal") + rule("b", "context.colour == 1"), "check")
    assert said.status == 2
    error = said.json["error"]
    assert error["code"] == "bad_input" and error["problems"][0]["file"] == str(file)
    assert error["problems"][0]["line"] >= 5 and "schema" in error["message"]
    wrong = {
        "permit": rule("a", "true").replace("forbid", "permit"),
        "prefix": rule("a", "context.has_personal").replace("uni:a", "CN-06"),
        "message": rule("a", "context.has_personal").replace('@message_zh_hant("不接收。")', ""),
        "level": rule("a", "context.has_personal", level="allow"),
    }
    for what, text in wrong.items():
        said, file = offline(tmp_path, text, "check", "--owner", "uni")
        assert said.status == 2 and said.json["error"]["problems"][0]["fix"], (what, said)
    # What fails on a worked case would deny there: such a set is refused too.
    said, _ = offline(tmp_path, rule("a", "context.persons * 9223372036854775807 > 0"), "check")
    assert said.status == 2 and not said.json["ok"] and said.json["failed"][0]["rule"] == "uni:a"


def test_check_says_which_worked_cases_flip(tmp_path):
    said, _ = offline(tmp_path, rule("a", "context.has_personal") + rule("b", 'context.purpose == "none such"'), "check")
    report = said.json
    assert said.status == 0 and report["ok"] and report["owner"] == "uni" and report["vectors"] == 83
    assert report["flips"] and report["widened"] == [] and report["untried"] == ["uni:b"]
    assert {flip["to"] for flip in report["flips"]} == {"deny"} and {flip["owner_as"] for flip in report["flips"]} == {"exporter", "recipient"}
    said, _ = offline(tmp_path, rule("a", "context.has_personal", more='@effective_from("2027-01-01")\n'), "explain")
    explained = said.json["rules"][0]
    assert explained["effective_from"] == "2027-01-01" and explained["citation"].startswith("Data board")
    assert explained["vectors"] == [] and "has_personal" in explained["text"]
    assert told([binary(), "policy", "explain", "CN-06", "--json"]).json["rules"][0]["vectors"]
    said, _ = offline(tmp_path, rule("a", "context.has_personal"), "explain", "uni:nothing")
    assert said.status == 5


# Over the API


def test_who_may_propose_and_see(gateway, uni, numbers):
    text = rule("a", "context.has_personal")
    for who in (gateway.alice, gateway.broker, gateway.operator):
        gateway.api(who).refused("POST", "/v1/rulesets", 403, "forbidden", json={"rules": {"a.cedar": text}})
    chief = gateway.api(uni.chief)
    problem = chief.refused("POST", "/v1/rulesets", 400, "bad_input", json={"rules": {"a.cedar": text.replace("forbid", "permit")}})
    assert problem["problems"][0]["file"] == "a.cedar" and "only narrow" in problem["detail"]
    # An id of somebody else's would speak in that name.
    chief.refused("POST", "/v1/rulesets", 400, "bad_input", json={"rules": {"a.cedar": text.replace("uni:a", "hku:a")}})
    failing = rule("a", "context.persons * 9223372036854775807 > 0")
    problem = chief.refused("POST", "/v1/rulesets", 400, "bad_input", json={"rules": {"a.cedar": failing}})
    assert problem["check"]["failed"]

    made = propose(gateway, uni.chief, text)
    assert made["state"] == "proposed" and made["reach"] == "own" and made["check"]["flips"]
    shown = gateway.api(uni.ann).get(f"/v1/rulesets/{made['id']}")
    assert shown["texts"] == {"house.cedar": text} and shown["rules"][0]["id"] == "uni:a"
    gateway.api(gateway.chan).get(f"/v1/rulesets/{made['id']}")
    gateway.api(gateway.alice).refused("GET", f"/v1/rulesets/{made['id']}", 404, "not_found")
    assert made["id"] not in [one["id"] for one in gateway.api(gateway.alice).get("/v1/rulesets")["rulesets"]]
    # Proposed is not in force.
    assert decided(gateway, uni.ann, numbers.dataset)["effect"] == "allow"
    chief.refused("POST", f"/v1/rulesets/{made['id']}/activate", 403, "forbidden", json={})
    leaf = gateway.api(gateway.chan).get(f"/v1/audit/{made['leaf']}")["leaf"]
    assert (leaf["kind"], leaf["participant"], leaf["policy"]) == ("policy_propose", "uni", made["digest"])
    # Its owner takes it back alone.
    assert chief.post(f"/v1/rulesets/{made['id']}/revoke", {"reason": "a slip"})["state"] == "revoked"
    gateway.api(gateway.chan).refused("POST", f"/v1/rulesets/{made['id']}/activate", 409, "conflict", json={})


def test_two_officers_put_it_into_force_and_what_is_live_is_cut(gateway, uni, numbers, tmp_path):
    file = tmp_path / "house.cedar"
    file.write_text(rule("no-numbers", f'context.recipient == "uni" && context.dataset == "{numbers.dataset}"'))
    made = gateway.kouan(uni.chief, "policy", "propose", file, "--note", "no numbers", "--json")
    assert made.status == 0
    set_id = made.json["id"]

    streams = {}
    for name, who in (("ann", uni.ann), ("alice", gateway.alice)):
        streams[name] = gateway.api(who).request("GET", numbers.url, stream=True)
        assert streams[name].status_code == 200
        next(streams[name].iter_content(65_536))
    leases = {name: stream.headers["kouan-lease"] for name, stream in streams.items()}

    # What it would do is known before: hers flips, nobody else's.
    before = gateway.kouan(gateway.chan, "policy", "replay", "--since", "1d", set_id, "--json")
    assert before.status == 0, before
    flips = before.json["flips"]
    assert leases["ann"] in [flip["lease"] for flip in flips] and {flip["participant"] for flip in flips} == {"uni"}
    assert before.json["by_participant"][0]["participant"] == "uni" and before.json["by_participant"][0]["refused"] >= 1

    first = gateway.kouan(gateway.chan, "policy", "activate", set_id, "--json")
    assert first.status == 9 and first.json["leases_refused"] >= 1, first
    gateway.api(gateway.chan).refused("POST", f"/v1/rulesets/{set_id}/activate", 409, "conflict", json={})
    assert gateway.api(uni.ann).get(f"/v1/leases/{leases['ann']}")["state"] == "active", "one officer is not two"
    second = gateway.kouan(gateway.lee, "policy", "activate", set_id, "--json")
    assert second.status == 0 and second.json["state"] == "in_force" and second.json["leases_cut"] >= 1, second

    with pytest.raises(requests.exceptions.RequestException):
        for _ in streams["ann"].iter_content(1 << 20):
            pass
    assert sum(len(piece) for piece in streams["alice"].iter_content(1 << 20)) > 10_000_000, "an unrelated stream goes on"
    lease = gateway.api(uni.ann).get(f"/v1/leases/{leases['ann']}")
    assert lease["state"] == "cut" and "uni:no-numbers" in lease["reason"]
    assert gateway.api(gateway.alice).get(f"/v1/leases/{leases['alice']}")["state"] == "active"

    refused = gateway.api(uni.ann).refused("GET", numbers.url, 403, "denied")
    assert refused["explain"]["rules"] == ["uni:no-numbers"]
    assert refused["explain"]["reasons"][0]["message"]["en"] == "uni does not take this."
    # Each decision names the rules that made it: the law's digest for others, another one here.
    assert decided(gateway, gateway.alice, numbers.dataset)["policy"] == law(gateway)
    leaf = gateway.api(gateway.chan).get(f"/v1/audit/{refused['leaf']}")["leaf"]
    assert leaf["policy"] == refused["explain"]["policy"] != law(gateway)
    published = gateway.api(gateway.chan).get("/v1/audit?kind=policy_publish")["entries"]
    assert published[0]["leaf"]["ruleset"] == "law" and published[0]["leaf"]["policy"] == law(gateway)
    assert published[-1]["leaf"]["ruleset"] == set_id and published[-1]["leaf"]["leases"] == [leases["ann"]]
    listed = gateway.kouan(uni.chief, "policy", "list", "--json").json["rulesets"]
    assert [one["id"] for one in listed if one["in_force"]] == ["law", set_id]


def test_a_set_for_a_later_moment_waits_for_it(gateway, uni, numbers):
    api = gateway.api(gateway.chan)
    made = propose(gateway, uni.chief, rule("nothing-at-all", "context.persons >= 0"))
    old = next(one["id"] for one in api.get("/v1/rulesets")["rulesets"] if one["in_force"] and one["id"] != "law")
    now = datetime.datetime.now(datetime.timezone.utc)
    for wrong in ("tomorrow", (now - datetime.timedelta(hours=1)).isoformat(), (now + datetime.timedelta(days=400)).isoformat()):
        api.refused("POST", f"/v1/rulesets/{made['id']}/activate", 400, "bad_input", json={"from": wrong})
    mixed = corpus.publish(gateway, "rules-later", {"n.parquet": corpus.parquet(corpus.numbers(500, 3))}, recipients=("*",), accept=())
    corpus.agree(gateway, uni.ann, mixed.dataset)
    lease = gateway.api(uni.ann).request("GET", mixed.url).headers["kouan-lease"]
    body = {"from": (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)).isoformat()}
    answer = activate(gateway, made["id"], body)
    assert answer["state"] == "scheduled" and answer["leases_cut"] == 0
    assert api.get(f"/v1/rulesets/{old}")["state"] == "in_force"
    assert decided(gateway, uni.ann, mixed.dataset)["effect"] == "allow"
    until("the set is in force", 10, lambda: api.get(f"/v1/rulesets/{made['id']}")["state"] == "in_force")
    assert api.get(f"/v1/rulesets/{old}")["state"] == "superseded"
    assert decided(gateway, uni.ann, mixed.dataset)["rules"] == ["uni:nothing-at-all"]
    # Nobody called: the moment itself ends what was live.
    until("the lease is cut", 5, lambda: gateway.api(uni.ann).get(f"/v1/leases/{lease}")["state"] == "cut")
    revoke(gateway, made["id"])
    assert decided(gateway, uni.ann, mixed.dataset)["effect"] == "allow"


def test_an_authoritys_rules_bind_everybody(gateway, uni, numbers):
    review = rule("look-first", f'context.dataset == "{numbers.dataset}"', level="review", owner="regulator")
    made = propose(gateway, gateway.chan, review)
    assert made["reach"] == "all"
    activate(gateway, made["id"])
    decision = decided(gateway, gateway.alice, numbers.dataset)
    assert (decision["effect"], decision["rules"]) == ("review", ["regulator:look-first"])
    # Everybody may read what binds everybody.
    assert gateway.api(gateway.alice).get(f"/v1/rulesets/{made['id']}")["texts"]["house.cedar"] == review
    gateway.api(gateway.alice).refused("GET", numbers.url, 403, "review")

    # A release names the rules in force. It holds while they do; under others it no longer fits, and what went on is cut.
    asked = gateway.api(gateway.alice).post("/v1/reviews", {"dataset": numbers.dataset}, status=201)
    assert asked["policy"] == decision["policy"]
    tomorrow = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)).isoformat()
    body = {"reason": "looked at", "reference": "file 14", "until": tomorrow}
    gateway.api(gateway.lee).post(f"/v1/reviews/{asked['id']}/release", body)
    pulled = gateway.api(gateway.alice).request("GET", numbers.url, headers={"range": "bytes=0-9"})
    assert pulled.status_code == 206
    lease = pulled.headers["kouan-lease"]
    activate(gateway, propose(gateway, uni.chief, rule("other", 'context.purpose == "none such"'))["id"])
    assert gateway.api(gateway.alice).get(f"/v1/leases/{lease}")["state"] == "active", "rules of others change nothing here"
    other = propose(gateway, gateway.chan, review + rule("other", 'context.purpose == "none such"', owner="regulator"))
    assert activate(gateway, other["id"])["leases_cut"] == 1
    assert gateway.api(gateway.alice).get(f"/v1/leases/{lease}")["state"] == "cut"
    gateway.api(gateway.alice).refused("GET", numbers.url, 403, "review")
    revoke(gateway, other["id"])
    assert decided(gateway, gateway.alice, numbers.dataset)["effect"] == "allow"


# Replay: after everything above


def replayed(gateway, *args):
    said = gateway.kouan(gateway.chan, "policy", "replay", *args, "--json")
    return said, said.json


def test_every_recorded_decision_replays_to_itself(gateway, uni, numbers, tmp_path):
    people = corpus.publish(
        gateway,
        "rules-people",
        {"people.parquet": corpus.parquet(corpus.people(2_000, seed=2))},
        columns={"resident_id": "sensitive", "phone": "sensitive"},
        subjects=(2_000, 2_000, 0),
    )
    alice = gateway.api(gateway.alice)
    alice.refused("GET", people.url, 403, "denied")
    for query in ("?redact=true", "?columns=row", "?columns=row,remark"):
        assert alice.request("GET", people.url + query).status_code == 200
    said, report = replayed(gateway)
    assert said.status == 0 and report["ok"], report
    entries = gateway.api(gateway.chan).get("/v1/audit?kind=decision&limit=500")["entries"]
    assert report["decisions"] == report["reproduced"] == len(entries) >= 10
    # Story, redaction, refusals, several sets: they are all there.
    assert {entry["leaf"]["effect"] for entry in entries} == {"allow", "deny", "review"}
    assert len({entry["leaf"]["policy"] for entry in entries}) >= 3

    # The texts outlive the process, and an export needs no gateway.
    gateway.stop()
    gateway.serve()
    said, again = replayed(gateway)
    assert said.status == 0 and again["reproduced"] == report["reproduced"]
    copy = tmp_path / "export"
    assert gateway.kouan(gateway.chan, "audit", "export", "--out", copy).status == 0
    said = told([binary(), "policy", "replay", "--log", str(copy), "--json"])
    assert said.status == 0 and said.json["reproduced"] == report["reproduced"], said

    # A text that was altered is not taken for what it was.
    digest = next(entry["leaf"]["policy"] for entry in entries if entry["leaf"]["rules"] == ["uni:no-numbers"])
    file = copy / "facts" / f"{digest.removeprefix('sha256:')}.json"
    manifest = json.loads(file.read_text())
    file.chmod(0o600)
    file.write_text(json.dumps({**manifest, "local": []}))
    said = told([binary(), "policy", "replay", "--log", str(copy), "--json"])
    assert said.status == 6 and any("altered" in one["problem"] for one in said.json["unreadable"]), said
    file.unlink()
    said = told([binary(), "policy", "replay", "--log", str(copy), "--json"])
    assert said.status == 6 and said.json["unreadable"]
    shutil.rmtree(copy)


def test_replay_with_new_rules_says_who_and_how_much(gateway, uni, numbers, tmp_path):
    # alice has pulled numbers for money; a rule of hku would have refused that.
    assert gateway.api(gateway.alice).request("GET", numbers.url).status_code == 200
    file = tmp_path / "hku.cedar"
    file.write_text(rule("no-numbers", f'context.dataset == "{numbers.dataset}"', owner="hku"))

    def billed():
        said, report = replayed(gateway, "--since", "30d", str(file))
        assert said.status == 0, said
        mine = [one for one in report["by_participant"] if one["participant"] == "hku"]
        return report if mine and mine[0]["money"] and mine[0]["bytes"] else None

    report = until("the delivery is billed", 10, billed)
    hku = report["by_participant"]
    assert [one["participant"] for one in hku] == ["hku"], "only its own"
    period = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).strftime("%Y-%m")
    lines = gateway.api(gateway.chan).get(f"/v1/statements?participant=hku&period={period}")["statements"]
    amount = sum(int(line["amount"]) for one in lines for line in one["lines"] if line["dataset"] == numbers.dataset)
    assert hku[0]["money"] == [{"amount": str(amount), "currency": "CNY"}] and amount > 0
    for flip in report["flips"]:
        assert flip["dataset"] == numbers.dataset and flip["to"] == "deny" and flip["new_rules"] == ["hku:no-numbers"]
    # Nothing of it is in force.
    assert decided(gateway, gateway.alice, numbers.dataset)["effect"] == "allow"
    # Reading the log is an authority's.
    assert gateway.kouan(uni.chief, "policy", "replay", "--json").status == 3
