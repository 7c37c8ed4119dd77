"""What an agreement that has ended leaves behind: leases go after three years, accounts after ten, kept answers after three;
what is held, goes on or is still open stays, and the balances that the log gives stay what they were."""

import datetime

import pytest

from harness import corpus, store
from harness.api import Api
from harness.authority import Authority, join
from harness.clock import Clock
from harness.gateway import binary, told
from harness.wait import until

YEAR = 365 * 86_400
PRICE = '{ model = "per_pull", amount = "5000", currency = "CNY" }'


def rows(gateway, table, where="1", *values):
    with store.database(gateway) as records:
        return [dict(row) for row in records.execute(f"SELECT * FROM {table} WHERE {where}", values)]


def counts(report):
    return {each["class"]: each for each in report["classes"]}


def later(day, years):
    """The same day so many years on, as the report writes it."""
    try:
        return day.replace(year=day.year + years).isoformat()
    except ValueError:
        return day.replace(year=day.year + years, day=28).isoformat()


@pytest.fixture
def consumer(own_gateway, tmp_path):
    """A participant whose certificates and list outlive the story."""
    authority = Authority(tmp_path / "archive", "archive.example")
    long = {role: authority.by_hand(role, f"URI:{authority.spiffe(role, 'long')}", end=9 * YEAR) for role in ("researcher", "operator")}
    join(own_gateway, authority, "archive", roles=("researcher", "operator"), crl=authority.list_by_hand(end=9 * YEAR))
    return long


def test_what_is_over_goes_in_its_time(own_gateway, consumer, tmp_path):
    gateway, researcher, operator = own_gateway, consumer["researcher"], consumer["operator"]
    mine = gateway.api(researcher)
    agreements, made = {}, {}
    for number, (name, price, more) in enumerate(
        (
            ("contract-plain", corpus.FREE, ""),
            ("contract-signed", PRICE, '\nevidence = "receipt"'),
            ("contract-held", corpus.FREE, ""),
            ("contract-goes-on", PRICE, ""),
        )
    ):
        data = {"n.parquet": corpus.parquet(corpus.numbers(20_000, seed=60 + number))}
        made[name] = corpus.publish(gateway, name, data, recipients=("*",), price=price + more, accept=())
        # Each is answered again from what is kept, while it is kept.
        request, key = {"dataset": name, "purpose": "academic-research"}, {"Idempotency-Key": f"once for {name}"}
        accepted = mine.post("/v1/agreements", request, status=201, headers=key)
        assert mine.post("/v1/agreements", request, status=201, headers=key) == accepted
        agreements[name] = accepted["id"]
        if price == corpus.FREE:
            # Without a receipt: those belong to the accounts.
            assert mine.request("GET", made[name].url).status_code == 200
        else:
            said = gateway.kouan(researcher, "pull", name, "--purpose", "academic-research", "--out", tmp_path / name, "--json")
            assert said.status == 0, said
    leases = {name: rows(gateway, "lease", "dataset = ?", name) for name in made}
    assert all(len(found) == 1 for found in leases.values()), leases
    until("the receipt is there", 10, lambda: rows(gateway, "receipt", "lease = ?", leases["contract-signed"][0]["seq"]))
    body = {"on": {"kind": "dataset", "value": "contract-held"}, "reason": "court case 9"}
    gateway.api(gateway.chan).post("/v1/holds", body, status=202)
    gateway.api(gateway.lee).post("/v1/holds", body, status=201)
    for name in ("contract-plain", "contract-signed", "contract-held"):
        mine.post(f"/v1/agreements/{agreements[name]}/end")
    balances = rows(gateway, "balance")

    # Nothing is due, and the report says what falls due first.
    today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date()
    report = counts(gateway.kouan(operator, "store", "report", "--json").json)
    assert {each["due"] for each in report.values()} == {0}
    assert report["records"]["next"] in (later(today, 3), later(today + datetime.timedelta(days=1), 3)), report["records"]
    assert report["accounts"]["next"] in (later(today, 10), later(today + datetime.timedelta(days=1), 10)), report["accounts"]
    assert report["answers"]["next"] == report["openings"]["next"] == later(today, 3), report
    assert report["evidence"]["next"] == later(today, 10) and "next" not in report["log"] and "next" not in report["documents"]

    # Three years later: leases of what is over, and answers; not what is signed for, held, or goes on.
    gateway.stop()
    clock = Clock(tmp_path)
    gateway.extra = clock.environment
    start = datetime.datetime.now(datetime.timezone.utc)
    clock.set(start + datetime.timedelta(days=3 * 366))
    gateway._spawn("serve", "--config", str(gateway.folder / "kouan.toml"))
    gone = leases["contract-plain"][0]
    until("the lease is deleted", 60, lambda: gateway._alive() and not rows(gateway, "lease", "seq = ?", gone["seq"]))
    assert not rows(gateway, "egress_grant", "lease = ?", gone["seq"]) and not rows(gateway, "reservation", "lease = ?", gone["seq"])
    for name in ("contract-signed", "contract-held", "contract-goes-on"):
        [kept] = leases[name]
        assert rows(gateway, "lease", "seq = ?", kept["seq"]) and rows(gateway, "egress_grant", "lease = ?", kept["seq"]), name
    assert rows(gateway, "receipt", "lease = ?", leases["contract-signed"][0]["seq"])
    assert rows(gateway, "delivered", "agreement = ?", agreements["contract-plain"]), "accounts take ten years"
    until("the answer is deleted", 20, lambda: all(row["response"] == b"" for row in rows(gateway, "idempotency", "key = ?", key["Idempotency-Key"])))
    api = Api(gateway, operator)
    until("the long-lived operator is let in", 20, lambda: api.request("GET", "/v1/whoami").status_code == 200)
    # It is not done again; that it was done stays.
    again = gateway.api(researcher).refused("POST", "/v1/agreements", 410, "erased", json=request, headers=key)
    assert "past its time" in again["detail"]
    gateway.api(researcher).refused("POST", "/v1/agreements", 409, "key_reused", json={**request, "purpose": "x"}, headers=key)
    run = gateway.kouan(operator, "retention", "run", "--json")
    assert run.status == 0, run
    last = counts(run.json)
    assert last["records"]["held"] >= 1 and last["records"]["due"] == 0 and last["accounts"]["due"] == 0, last

    # Eleven years later: everything of the agreements that are over but what is held. What goes on stays.
    clock.set(start + datetime.timedelta(days=11 * 366))
    until("evidence is deleted", 60, lambda: gateway._alive() and all(row["evidence"] == b"" for row in rows(gateway, "receipt")))
    over = [agreements[name] for name in ("contract-plain", "contract-signed")]
    # What waits for something that goes in one run goes in the next.
    clock.set(start + datetime.timedelta(days=11 * 366 + 1))
    until("the accounts are deleted", 60, lambda: gateway._alive() and not any(rows(gateway, "delivered", "agreement = ?", each) for each in over))
    for each in over:
        assert not rows(gateway, "entitlement", "agreement = ?", each) and not rows(gateway, "lease", "agreement = ?", each)
        assert not rows(gateway, "posting", "entitlement NOT IN (SELECT seq FROM entitlement)")
    assert not rows(gateway, "receipt", "lease NOT IN (SELECT seq FROM lease)")
    for name in ("contract-held", "contract-goes-on"):
        assert rows(gateway, "lease", "agreement = ?", agreements[name]) and rows(gateway, "delivered", "agreement = ?", agreements[name]), name
    assert rows(gateway, "posting", "entitlement IN (SELECT seq FROM entitlement WHERE agreement = ?)", agreements["contract-goes-on"])
    assert rows(gateway, "doc", "kind = 'agreement' AND id = ?", over[0])
    assert rows(gateway, "balance") == balances
    # The books that the log gives are those that are kept, and every entry is there with its facts.
    gateway.stop()
    store.audit_books(gateway)
    verified = told([binary(), "audit", "verify", str(gateway.log_folder()), "--key", str(gateway.pki / "log.vkey"), "--json"])
    assert verified.status == 0 and verified.json["checked"]["facts"] > 0, verified
