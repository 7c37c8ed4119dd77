"""What is refused over HTTP, to whom, and in which words; what is repeated safely."""

import concurrent.futures
import json
import re
import uuid

import pytest

from harness import corpus
from harness.api import problem


def test_denied_with_reason_remedy_and_leaf(gateway, people):
    api = gateway.api(gateway.alice)
    document = api.refused("GET", people.url, 403, "denied")
    explain = document["explain"]
    assert explain["rules"] == ["CN-06", "MECH-MISSING"]
    for reason in explain["reasons"]:
        assert reason["citation"] and set(reason["message"]) >= {"en", "zh-Hans", "zh-Hant"}
    drop = next(remedy for remedy in explain["remedies"] if remedy["kind"] == "drop-columns")
    assert sorted(drop["columns"]) == ["phone", "resident_id"]
    # The leaf is in the log, says what the answer said, and names nobody.
    leaf = api.get(f"/v1/audit/{document['leaf']}")["leaf"]
    assert (leaf["kind"], leaf["effect"], leaf["dataset"]) == ("decision", "deny", people.dataset)
    assert leaf["rules"] == explain["rules"]
    assert "alice" not in str(leaf)
    # The remedy is true.
    assert api.request("GET", f"{people.url}?columns=row,remark").status_code == 200


def numbers(value):
    """Every integer in a JSON value, also those that stand in its sentences."""
    text = json.dumps(value, ensure_ascii=False).replace(",", "")
    return {int(found) for found in re.findall(r"(?<![0-9a-f])[0-9]{3,}(?![0-9a-f])", text)}


def test_an_explanation_says_what_decided_and_who_can_help(gateway, people):
    api = gateway.api(gateway.alice)
    plan = api.post("/v1/plan", {"dataset": people.dataset, "purpose": "academic-research"})["decision"]
    problem = api.refused("GET", people.url, 403, "denied")
    explain = problem["explain"]
    # A plan, a refusal, and what is on record say the same to the same reader.
    recorded = api.get(f"/v1/audit/{problem['leaf']}/explain")
    assert recorded["index"] == problem["leaf"]
    for member in ("rules", "reasons", "remedies", "because", "help", "columns_allowed", "policy"):
        assert plan[member] == explain[member] == recorded["explain"][member], member
    assert [because["rule"] for because in explain["because"]] == explain["rules"]
    [columns, *_] = explain["because"][0]["facts"]
    assert columns["fact"] == "columns.sensitive" and sorted(columns["value"]) == ["phone", "resident_id"]
    assert columns["passes"] == {"test": "none", "value": None}
    [mechanism] = explain["because"][1]["facts"]
    assert mechanism["value"] is None and mechanism["passes"] == {"test": "is", "value": ["gba_sc", "sc", "cert", "sa"]}
    for because in explain["because"]:
        assert because["citation"] and because["who"]
        for fact in because["facts"]:
            assert set(fact["text"]) == {"en", "zh-Hans", "zh-Hant"}
    who = {who["who"] for who in explain["because"][0]["who"]}
    assert who == {"consumer", "provider", "recipient-officer"}
    # One help for each remedy, with the command that carries it out.
    assert [help["kind"] for help in explain["help"]] == [remedy["kind"] for remedy in explain["remedies"]]
    assert explain["help"][0]["commands"] == [f"kouan pull {people.dataset}@1 --redact --purpose academic-research"]


def test_a_consumer_never_reads_what_the_provider_has_exported(gateway):
    """The provider's year is its own business: a consumer learns that a mark is reached, not the number."""
    made = corpus.publish(
        gateway,
        "test-reached",
        {"p.parquet": corpus.parquet(corpus.people(50, seed=77))},
        columns={"resident_id": "personal", "phone": "personal"},
        accepted=["resident_id"],
        subjects=(1_234_567, 0, 0),
    )
    alice, broker, chan = (gateway.api(who) for who in (gateway.alice, gateway.broker, gateway.chan))
    problem = alice.refused("GET", made.url, 403, "denied")
    assert problem["explain"]["rules"] == ["CN-05", "MECH-MISSING"]
    fact = problem["explain"]["because"][0]["facts"][0]
    assert fact["fact"] == "exporter.counters.persons + P" and fact["withheld"] and fact["value"] is None
    assert fact["passes"] == {"test": "below", "value": 1_000_000}
    year = {}
    for api, hidden in ((alice, True), (broker, False), (chan, False)):
        explain = api.get(f"/v1/audit/{problem['leaf']}/explain")["explain"]
        fact = explain["because"][0]["facts"][0]
        assert fact.get("withheld", False) == hidden, fact
        year[api] = fact["value"]
        assert ("counters_after" in explain) == (not hidden)
    # The baseline of the quickstart and 1,234,567 people: both who may see it see the same.
    assert year[broker] == year[chan] > 1_234_567
    plan = alice.post("/v1/plan", {"dataset": made.dataset})["decision"]
    assert plan["counters_after"] is None
    for answer in (plan, problem, alice.get(f"/v1/audit/{problem['leaf']}/explain")):
        assert year[chan] not in numbers(answer) and year[chan] - 1_234_567 not in numbers(answer), answer
    # Nor in the record of the provider, which its partners may look up.
    provider = alice.get("/v1/participants/qianhai")
    assert provider["baselines"] == {} and "ciio" not in provider, provider
    assert chan.get("/v1/participants/qianhai")["baselines"]
    # Somebody else's decision is not there, and what is no decision has nothing to explain.
    gateway.api(gateway.bob).refused("GET", f"/v1/audit/{problem['leaf']}/explain", 404, "not_found")
    chan.refused("GET", "/v1/audit/0/explain", 404, "not_found")


def test_the_same_refusal_is_one_leaf(gateway, people):
    api = gateway.api(gateway.alice)
    leaves = {api.refused("GET", people.url, 403, "denied")["leaf"] for _ in range(5)}
    assert len(leaves) == 1


def test_plan_moves_nothing_and_says_the_price(gateway, mixed, people):
    api = gateway.api(gateway.alice)
    before = len(api.get("/v1/leases?limit=500")["leases"])
    plan = api.post("/v1/plan", {"dataset": people.dataset, "purpose": "academic-research"})
    assert plan["decision"]["effect"] == "deny" and plan["decision"]["rules"] == ["CN-06", "MECH-MISSING"]
    plan = api.post("/v1/plan", {"dataset": mixed.dataset})
    assert plan["decision"]["effect"] == "allow" and plan["rows"] == 50_000
    assert plan["bytes"] == mixed.file["bytes"] and 0 < plan["unit_bytes"] < plan["bytes"]
    assert int(plan["price"]["amount"]) > 0 and plan["price"]["currency"] == "CNY"
    assert len(api.get("/v1/leases?limit=500")["leases"]) == before
    api.refused("POST", "/v1/plan", 501, "not_yet", json={"dataset": mixed.dataset, "where": "id > 1"})


def test_no_agreement_names_the_call_that_makes_one(gateway):
    made = corpus.publish(gateway, "test-unagreed", {"n.parquet": corpus.parquet(corpus.numbers(100, 3))}, accept=())
    api = gateway.api(gateway.bob)
    document = api.refused("GET", made.url, 403, "no_agreement")
    accept = document["accept"]
    assert accept["body"].items() >= {"dataset": made.dataset, "purpose": "academic-research"}.items()
    first = api.post(accept["path"], accept["body"], status=201)
    again = api.post(accept["path"], accept["body"], status=200)
    assert first["id"] == again["id"]
    assert api.request("GET", made.url).status_code == 200
    # Another version on other terms is not covered by it.
    other = corpus.publish(
        gateway,
        "test-unagreed",
        {"n.parquet": corpus.parquet(corpus.numbers(100, 4))},
        version="2",
        accept=(),
        price='{ model = "per_pull", amount = "5", currency = "CNY" }',
    )
    api.refused("GET", other.url, 403, "no_agreement")
    assert api.request("GET", made.url).status_code == 200


def test_purpose_is_asked_for_only_when_it_is_open(gateway):
    made = corpus.publish(
        gateway,
        "test-purposes",
        {"n.parquet": corpus.parquet(corpus.numbers(100, 5))},
        purposes=("academic-research", "teaching"),
    )
    api = gateway.api(gateway.alice)
    assert api.request("GET", made.url).status_code == 200
    corpus.agree(gateway, gateway.alice, made.dataset, "teaching")
    document = api.refused("GET", made.url, 409, "purpose_required")
    assert sorted(document["purposes"]) == ["academic-research", "teaching"]
    by_query = api.request("GET", f"{made.url}?purpose=teaching")
    by_header = api.request("GET", made.url, headers={"x-kouan-purpose": "academic-research"})
    assert by_query.status_code == by_header.status_code == 200
    lease = lambda response: api.get(f"/v1/leases/{response.headers['kouan-lease']}")["purpose"]
    assert (lease(by_query), lease(by_header)) == ("teaching", "academic-research")
    api.refused("GET", f"{made.url}?purpose=advertising", 403, "no_agreement")
    api.refused("POST", "/v1/agreements", 403, "offer_mismatch", json={"dataset": made.dataset, "purpose": "advertising"})


def test_what_is_not_for_you_is_not_there(gateway, mixed):
    made = corpus.publish(
        gateway, "test-hku-only", {"n.parquet": corpus.parquet(corpus.numbers(100, 6))}, recipients=("hku.hk",)
    )
    alice, bob = gateway.api(gateway.alice), gateway.api(gateway.bob)
    lease = alice.request("GET", made.url).headers["kouan-lease"]
    assert alice.get(f"/v1/leases/{lease}")["id"] == lease
    for path in (made.url, made.path, f"/v1/datasets/{made.dataset}", f"{made.path}/data", f"/v1/leases/{lease}"):
        bob.refused("GET", path, 404, "not_found")
    bob.refused("POST", "/v1/plan", 404, "not_found", json={"dataset": made.dataset, "purpose": "academic-research"})
    bob.refused("POST", "/v1/agreements", 404, "not_found", json={"dataset": made.dataset, "purpose": "academic-research"})
    assert made.dataset not in bob.request("GET", "/v1/datasets?limit=500").text
    # The same words as for what never was: the answer does not tell the two apart.
    hidden = bob.request("GET", f"/v1/datasets/{made.dataset}").text.replace(made.dataset, "ID")
    absent = bob.request("GET", "/v1/datasets/test-never-made").text.replace("test-never-made", "ID")
    assert hidden == absent


def test_the_url_works_with_its_own_certificate_only(gateway, mixed):
    """A URL carries no right: a certificate without the agreement gets nothing from it."""
    assert gateway.api(gateway.alice).request("GET", mixed.url).status_code == 200
    for identity, status in ((gateway.broker, 403), (gateway.operator, 403), (gateway.chan, 403)):
        answer = gateway.api(identity).request("GET", mixed.url)
        assert answer.status_code == status, (identity.cert.name, answer.text)
        assert len(answer.content) < 10_000


MATRIX = [
    ("alice", "POST", "/v1/datasets"),
    ("alice", "GET", "/v1/audit"),
    ("alice", "POST", "/v1/participants/hku/suspend"),
    ("alice", "POST", "/v1/participants"),
    ("alice", "GET", "/log/checkpoint"),
    ("broker", "POST", "/v1/plan"),
    ("broker", "GET", "/v1/audit"),
    ("broker", "POST", "/v1/datasets/test-mixed/versions/1/approve"),
    ("operator", "GET", "/v1/datasets"),
    ("operator", "GET", "/v1/audit"),
    ("operator", "GET", "/v1/leases"),
    ("operator", "GET", "/v1/statements"),
    ("operator", "GET", "/log/checkpoint"),
    ("chan", "POST", "/v1/datasets"),
    ("chan", "POST", "/v1/agreements"),
    ("chan", "POST", "/v1/datasets/test-mixed/versions/1/publish"),
]


@pytest.mark.parametrize(("who", "method", "path"), MATRIX)
def test_roles(gateway, mixed, who, method, path):
    bodies = {
        "/v1/plan": {"dataset": mixed.dataset},
        "/v1/agreements": {"dataset": mixed.dataset, "purpose": "academic-research"},
        "/v1/participants/hku/suspend": {"reason": "a test of the matrix"},
        "/v1/datasets": {"manifest": corpus.manifest("test-matrix"), "from": []},
        "/v1/participants": {
            "id": "newcomer", "trust_domain": "newcomer.example", "place": "HK", "roles": ["researcher"], "ca": "none",
        },
    }
    kwargs = {"json": bodies.get(path, {})} if method == "POST" else {}
    gateway.api(getattr(gateway, who)).refused(method, path, 403, "forbidden", **kwargs)


def test_idempotency(gateway, mixed):
    api, key = gateway.api(gateway.alice), str(uuid.uuid4())
    dataset = corpus.publish(
        gateway, "test-idempotent", {"n.parquet": corpus.parquet(corpus.numbers(10, 8))}, accept=()
    ).dataset
    body = {"dataset": dataset, "purpose": "academic-research"}
    post = lambda body: api.request("POST", "/v1/agreements", json=body, headers={"idempotency-key": key})
    first = post(body)
    assert first.status_code == 201, first.text
    again = post(body)
    # The same answer for ever: without the key it would be 200 by now.
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    problem(post({"dataset": mixed.dataset, "purpose": "academic-research"}), 409, "key_reused")
    # Another principal's key is another key.
    other = gateway.api(gateway.bob).request("POST", "/v1/agreements", json=body, headers={"idempotency-key": key})
    assert other.status_code == 201 and other.json()["id"] != first.json()["id"]


def test_one_key_sent_at_once_acts_once(gateway):
    dataset = corpus.publish(
        gateway, "test-idempotent-race", {"n.parquet": corpus.parquet(corpus.numbers(10, 9))}, accept=()
    ).dataset
    key = str(uuid.uuid4())

    def once(_):
        body = {"dataset": dataset, "purpose": "academic-research"}
        answer = gateway.api(gateway.alice).request(
            "POST", "/v1/agreements", json=body, headers={"idempotency-key": key}
        )
        return answer.status_code, answer.json().get("id"), answer.json().get("leaf")

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = set(pool.map(once, range(12)))
    assert len(answers) == 1 and next(iter(answers))[0] == 201, answers


@pytest.mark.parametrize(
    ("cursor", "status"), [("/v1/audit/99999999", 404), ("/v1/audit/minus", 404), ("/v1/leases/l-none", 404)]
)
def test_what_is_nowhere(gateway, cursor, status):
    gateway.api(gateway.chan).refused("GET", cursor, status, "not_found")


def test_unknown_members_and_parameters_are_told(gateway, mixed):
    api = gateway.api(gateway.alice)
    api.refused("POST", "/v1/plan", 400, "bad_input", json={"dataset": mixed.dataset, "colums": ["id"]})
    api.refused("GET", f"{mixed.url}?colums=id", 400, "bad_input")
    api.refused("POST", "/v1/plan", 400, "bad_input", data="{", headers={"content-type": "application/json"})
    api.refused("DELETE", "/v1/datasets", 405, "method_not_allowed")
    api.refused("GET", "/v1/no-such-path", 404, "not_found")
