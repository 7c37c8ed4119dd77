"""Derived data carry the limits of what they were made from (RULES A5, A7, GBA-08 to GBA-10)."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest

from harness import corpus
from harness.authority import Authority, join

CLASSES = {"resident_id": "sensitive", "phone": "personal"}
SHANGHAI = timezone(timedelta(hours=8))


@dataclass
class Party:
    """A participant of this module's own."""

    participant: str
    broker: object
    researcher: object


@dataclass
class Scene:
    """A corpus that crossed to Hong Kong under the Greater Bay Area contract, and who has to do with it."""

    lab: Party
    abroad: Party
    agreement: str
    lease: str


def party(gateway, folder, participant, place):
    authority = Authority(folder / participant, f"{participant}.example")
    join(gateway, authority, participant, roles=("researcher", "broker"), place=place)
    return Party(participant, authority.issue("broker", "b"), authority.issue("researcher", "r"))


@pytest.fixture(scope="module")
def scene(own_gateway, tmp_path_factory):
    gateway, folder = own_gateway, tmp_path_factory.mktemp("parties")
    lab, abroad = party(gateway, folder, "lab", "HK"), party(gateway, folder, "abroad", "GB")
    text = corpus.manifest(
        "test-input", columns=CLASSES, subjects=(500, 500, 0), recipients=("lab.example", "abroad.example")
    )
    corpus.register(gateway, text.replace('places = ["HK"]', 'places = ["HK", "GB"]'))
    corpus.upload(gateway, "test-input", "1", "p.parquet", corpus.parquet(corpus.people(500, seed=31)))
    corpus.release(gateway, "test-input", "1")
    today = datetime.now(SHANGHAI).date()
    contract = gateway.api(gateway.broker).post(
        "/v1/mechanisms",
        {
            "kind": "gba_sc", "reference": "GBA-TEST-1", "exporter": "qianhai", "recipient": "lab",
            "effective": today.isoformat(), "filed": today.isoformat(), "expires": f"{today.year + 2}-01-01",
            "datasets": ["*"], "purposes": ["*"],
        },
        status=201,
    )
    gateway.api(gateway.chan).post(f"/v1/mechanisms/{contract['id']}/confirm")
    record = gateway.api(gateway.chan).get("/v1/participants/qianhai")
    if not record["baselines"][str(today.year)]["confirmed"]:
        gateway.api(gateway.chan).post("/v1/participants/qianhai/confirm-baseline", {"year": today.year})
    agreement = corpus.agree(gateway, lab.researcher, "test-input")["id"]
    answer = gateway.api(lab.researcher).request("GET", "/v1/datasets/test-input/versions/1/files/p.parquet")
    assert answer.status_code == 200, answer.text
    return Scene(lab, abroad, agreement, answer.headers["kouan-lease"])


def derived(scene, dataset, by="agreement", **changes):
    """A manifest of the lab's that is as strict as its input."""
    terms = dict(
        default='columns_default = "sensitive"', subjects=(500, 500, 0), recipients=("lab.example", "abroad.example")
    )
    text = corpus.manifest(dataset, **{**terms, **changes}).replace('places = ["HK"]', 'places = ["HK", "GB"]')
    return text + f'\n[[derived_from]]\ndataset = "test-input"\nversion = "1"\n{by} = "{getattr(scene, by)}"\n'


def registered(gateway, identity, text, status=201):
    api = gateway.api(identity)
    return api._json("POST", "/v1/datasets", status, data=text.encode(), headers={"content-type": "application/toml"})


def released(gateway, scene, dataset, text):
    """The lab's derived set, published."""
    registered(gateway, scene.lab.broker, text)
    broker, path = gateway.api(scene.lab.broker), f"/v1/datasets/{dataset}/versions/1"
    broker.put(f"{path}/files/d.csv", b"embedding\n0.25\n0.5\n0.75\n")
    broker.post(f"{path}/submit")
    gateway.api(gateway.chan).post(f"{path}/approve")
    broker.post(f"{path}/publish")
    return path


def plan(gateway, scene, dataset):
    return gateway.api(scene.abroad.researcher).post("/v1/plan", {"dataset": dataset, "purpose": "academic-research"})


def test_what_came_under_the_contract_does_not_leave_hong_kong(own_gateway, scene):
    gateway = own_gateway
    path = released(gateway, scene, "test-derived", derived(scene, "test-derived"))
    decision = plan(gateway, scene, "test-derived")["decision"]
    assert decision["effect"] == "deny" and "GBA-09" in decision["rules"], decision
    corpus.agree(gateway, scene.abroad.researcher, "test-derived")
    refusal = gateway.api(scene.abroad.researcher).refused("GET", f"{path}/files/d.parquet", 403, "denied")
    assert "GBA-09" in refusal["explain"]["rules"]
    # The same set without its input would have been another matter: the limit comes from there.
    facts = json.loads(facts_of(gateway, refusal["leaf"]))
    assert facts["dataset"]["received_under"] == {"kind": "gba_sc", "direction": "CN->HK"}
    assert facts["dataset"]["domestic_pi_introduced"] is True
    # Catalog entry, card and log say what it was made from; agreements stay with their parties.
    entry = gateway.api(scene.abroad.researcher).get(path)
    (shown,) = entry["lineage"]
    assert (shown["dataset"], shown["version"], shown["limits"]["columns"]) == ("test-input", "1", "sensitive")
    assert "agreement" not in shown
    assert gateway.api(scene.lab.broker).get(path)["lineage"][0]["agreement"] == scene.agreement
    assert gateway.api(scene.abroad.researcher).get(f"{path}/card")["entry"]["lineage"][0]["dataset"] == "test-input"
    page = gateway.api(scene.abroad.researcher).request("GET", f"{path}/card", headers={"accept": "text/html"}).text
    assert "test-input@1" in page and "stays in Hong Kong" in page
    entries = gateway.api(gateway.chan).get("/v1/audit?dataset=test-derived&kind=catalog_register")["entries"]
    assert [entry["leaf"]["inputs"] for entry in entries] == [["test-input@1"]]
    told = gateway.kouan(scene.lab.broker, "dataset", "show", "test-derived@1")
    assert told.status == 0 and "test-input@1" in told.out and "CN->HK" in told.out, told


def facts_of(gateway, leaf):
    digest = gateway.api(gateway.chan).get(f"/v1/audit/{leaf}")["leaf"]["facts"].removeprefix("sha256:")
    return gateway.api(gateway.chan).request("GET", f"/log/facts/{digest}.json").text


WEAKER = [
    (dict(default='columns_default = "none"'), "dataset.columns_default", "A5"),
    (dict(columns={"embedding": "personal"}), "columns.embedding.class", "A5"),
    (dict(subjects=(0, 0, 0)), "dataset.subjects", "A5"),
    (dict(compliance="domestic_pi_introduced = false"), "compliance.domestic_pi_introduced", "A7"),
    (
        dict(compliance='received_under = { kind = "gba_sc", direction = "HK->CN" }'),
        "compliance.received_under",
        "GBA-09",
    ),
    (dict(recipients=("lab.example", "hku.hk")), "offer.recipients", "GBA-08"),
]


@pytest.mark.parametrize(("changes", "member", "rule"), WEAKER, ids=[case[1] for case in WEAKER])
def test_less_than_the_input_is_refused(own_gateway, scene, changes, member, rule):
    refusal = registered(own_gateway, scene.lab.broker, derived(scene, "test-weaker", **changes), 400)
    assert refusal["code"] == "bad_input"
    assert [(weaker["member"], weaker["rule"], weaker["input"]) for weaker in refusal["weaker"]] == [
        (member, rule, "test-input@1")
    ]
    assert member in refusal["detail"] and rule in refusal["detail"] and "test-input@1" in refusal["detail"]
    own_gateway.api(scene.lab.broker).refused("GET", "/v1/datasets/test-weaker", 404, "not_found")


def test_a_wider_place_is_refused(own_gateway, scene):
    text = derived(scene, "test-wider").replace('places = ["HK", "GB"]', 'places = ["HK", "US"]')
    refusal = registered(own_gateway, scene.lab.broker, text, 400)
    assert [(weaker["member"], weaker["declared"]) for weaker in refusal["weaker"]] == [("offer.places", "`US`")]


def test_only_what_one_received_oneself_is_an_input(own_gateway, scene):
    gateway = own_gateway
    good = derived(scene, "test-theft")
    for text in (
        good.replace(scene.agreement, "a-nobody"),
        good.replace('dataset = "test-input"\nversion = "1"', 'dataset = "test-input"\nversion = "2"'),
        good.replace('dataset = "test-input"\nversion = "1"', 'dataset = "opencc-phrases"\nversion = "1"'),
        derived(scene, "test-theft", by="lease").replace(scene.lease, "l-nobody"),
    ):
        refusal = registered(gateway, scene.lab.broker, text, 400)
        assert "received through this gateway" in refusal["detail"], refusal
    # Another participant cannot name the lab's agreement or lease either, and is told no more than that.
    for by in ("agreement", "lease"):
        refusal = registered(gateway, scene.abroad.broker, derived(scene, "test-theft", by=by), 400)
        assert "`abroad` has no" in refusal["detail"], refusal


def test_a_copy_under_another_name_is_noticed(own_gateway, scene):
    gateway, broker = own_gateway, own_gateway.api(scene.lab.broker)
    copy = gateway.api(scene.lab.researcher).request("GET", "/v1/datasets/test-input/versions/1/files/p.parquet").content
    registered(gateway, scene.lab.broker, corpus.manifest("test-copy", recipients=("abroad.example",)))
    path = "/v1/datasets/test-copy/versions/1"
    refusal = broker.refused("PUT", f"{path}/files/mine.parquet", 400, "bad_input", data=copy)
    assert refusal["input"] == "test-input@1" and "[[derived_from]]" in refusal["detail"]
    assert broker.get(path)["files"] == []
    # Named, it is taken, with its limits.
    registered(gateway, scene.lab.broker, derived(scene, "test-copy-named"))
    broker.put("/v1/datasets/test-copy-named/versions/1/files/mine.parquet", copy)


def test_a_lease_brings_the_columns_it_let_through(own_gateway, scene):
    gateway = own_gateway
    answer = gateway.api(scene.lab.researcher).request(
        "GET", "/v1/datasets/test-input/versions/1/files/p.parquet?columns=row,remark"
    )
    plain = Scene(scene.lab, scene.abroad, scene.agreement, answer.headers["kouan-lease"])
    text = derived(plain, "test-plain", by="lease", default='columns_default = "none"', subjects=(0, 0, 0))
    view = registered(gateway, scene.lab.broker, text)
    limits = view["lineage"][0]["limits"]
    assert limits["columns"] == "none" and not limits["domestic_pi_introduced"] and "received_under" not in limits
    registered(gateway, scene.lab.broker, text.replace("test-plain", "test-plain-2").replace(plain.lease, scene.lease), 400)


def test_a_report_lifts_the_limits_once_an_officer_confirms_it(own_gateway, scene):
    gateway = own_gateway
    report = 'anonymisation_report = { reference = "ANON-7", evidence = "sha256:' + "ab" * 32 + '" }'
    text = derived(scene, "test-anon", default='columns_default = "none"', subjects=(0, 0, 0), compliance=report)
    path = released(gateway, scene, "test-anon", text)
    assert "GBA-09" in plan(gateway, scene, "test-anon")["decision"]["rules"], "inert until it is confirmed"
    assert gateway.api(scene.abroad.researcher).get(path)["anonymisation"]["confirmed"] is False
    gateway.api(scene.lab.broker).refused("POST", f"{path}/confirm-anonymisation", 403, "forbidden", json={})
    told = gateway.kouan(gateway.chan, "dataset", "confirm-anonymisation", "test-anon@1", "--json")
    assert told.status == 0, told
    assert gateway.api(scene.abroad.researcher).get(path)["anonymisation"]["confirmed"] is True
    decision = plan(gateway, scene, "test-anon")["decision"]
    assert decision["effect"] == "allow", decision
    # Nothing to confirm elsewhere.
    other = "/v1/datasets/test-input/versions/1/confirm-anonymisation"
    gateway.api(gateway.chan).refused("POST", other, 409, "conflict", json={})
    kinds = gateway.api(gateway.chan).get("/v1/audit?dataset=test-anon&kind=anonymisation_confirm")["entries"]
    assert len(kinds) == 1 and kinds[0]["leaf"]["report"] == "sha256:" + "ab" * 32
