"""A month closes fifteen days after its end: its leaf commits to what stood on every account, and each account is proven to have
its place under it."""

import copy
import datetime
import json
import subprocess
import sys
import zipfile

import pytest

from harness import corpus
from harness.clock import Clock
from harness.wait import until

SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))
TODAY = datetime.datetime.now(SHANGHAI)
MONTH = f"{TODAY:%Y-%m}"


@pytest.fixture(scope="module")
def gateway(own_gateway, tmp_path_factory):
    """A node that has sold something, been paid a part of it, and now stands in the 16th of the next month."""
    gateway = own_gateway
    price = '{ model = "per_pull", amount = "90000", currency = "CNY" }\nfee = { rate_ppm = 100000 }'
    made = corpus.publish(gateway, "closing", {"m.parquet": corpus.parquet(corpus.mixed(50, 1))}, price=price)
    assert gateway.api(gateway.alice).request("GET", made.url).status_code == 200
    # What the broker reward asks for at least.
    costly = '{ model = "per_pull", amount = "600000000", currency = "CNY" }\nfee = { rate_ppm = 1000000 }'
    other = corpus.publish(gateway, "costly", {"m.parquet": corpus.parquet(corpus.mixed(50, 2))}, price=costly)
    assert gateway.api(gateway.alice).request("GET", other.url).status_code == 200
    billed = lambda: [line for line in lines(gateway) if line["dataset"] == made.dataset]
    (line,) = until("it is billed", 10, billed)
    paper = {"kind": "fapiao", "reference": "F-1", "digest": "sha256:" + "1" * 64}
    paid = {"agreement": line["agreement"], "amount": "40000", "currency": "CNY", "on": f"{TODAY:%Y-%m-%d}", "shown": paper}
    gateway.api(gateway.broker).post("/v1/payments", paid, 201)
    assert gateway.api(gateway.alice).refused("GET", f"/v1/periods/{MONTH}", 404, "not_found")
    clock = Clock(tmp_path_factory.mktemp("clock"))
    gateway.stop()
    after = (TODAY.replace(day=1) + datetime.timedelta(days=32)).replace(day=16, hour=0, minute=1)
    clock.set(after)
    gateway.extra = clock.environment
    gateway.serve()
    until("the month is closed", 30, lambda: gateway.api(gateway.chan).request("GET", f"/v1/periods/{MONTH}").status_code == 200)
    return gateway


def lines(gateway):
    statement = gateway.api(gateway.alice).get("/v1/statements?participant=hku")
    return [line for part in statement["statements"] for line in part["lines"]]


def closed(gateway, identity):
    return gateway.api(identity).get(f"/v1/periods/{MONTH}")


def test_a_party_sees_its_own_accounts_and_an_authority_all(gateway):
    own = {account["account"]: account for account in closed(gateway, gateway.alice)["accounts"]}
    assert set(own) == {"consumer:hku:receivable", "consumer:hku:paid"}
    assert own["consumer:hku:paid"]["closing"] == {"debits": "40000", "credits": "0"}
    assert own["consumer:hku:receivable"]["opening"] == {"debits": "0", "credits": "0"}
    everything = closed(gateway, gateway.chan)
    leaf = json.loads(everything["closed"]["leaf"])
    (cny,) = leaf["sums"]
    assert cny["accounts"] == len(everything["accounts"]) > len(own)
    for side in ("debits", "credits"):
        assert int(cny["closing"][side]) == sum(int(account["closing"][side]) for account in everything["accounts"])
    assert cny["closing"]["debits"] == cny["closing"]["credits"]
    gateway.api(gateway.operator).refused("GET", f"/v1/periods/{MONTH}", 403, "forbidden")
    gateway.api(gateway.chan).refused("GET", "/v1/periods/2026-13", 400, "bad_input")
    open_month = gateway.api(gateway.chan).refused("GET", "/v1/periods/2031-12", 404, "not_found")
    assert "closes at 2032-01-16T00:00:00+08:00" in open_month["detail"], open_month


def test_the_command_line_checks_every_place_and_the_log_gives_the_same(gateway):
    prove = lambda *more: gateway.kouan(gateway.alice, "statement", "--participant", "hku", "--period", MONTH, "--proof", *more)
    told = prove("--log-key", gateway.pki / "log.vkey")
    assert told.status == 0 and "consumer:hku:paid" in told.out and "verified" in told.out, told
    assert prove("--json").json["verdict"] == "self-consistent only"
    assert prove("--log-key", "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx").status == 6
    made = gateway.kouan(gateway.chan, "audit", "rebuild", gateway.log_folder(), "--json")
    assert made.status == 0 and made.json["closed_months"] == 1, made


def test_what_comes_now_belongs_to_the_open_month(gateway):
    (line,) = [line for line in gateway.api(gateway.alice).get(f"/v1/statements?participant=hku&period={MONTH}")["statements"][0]["lines"] if line["dataset"] == "closing"]
    before = copy.deepcopy(closed(gateway, gateway.chan)["accounts"])
    paper = {"kind": "bank", "reference": "B-1", "digest": "sha256:" + "2" * 64}
    paid = {"agreement": line["agreement"], "amount": "50000", "currency": "CNY", "on": f"{TODAY:%Y-%m-%d}", "shown": paper}
    assert gateway.api(gateway.broker).post("/v1/payments", paid, 201)["period"] > MONTH
    assert closed(gateway, gateway.chan)["accounts"] == before


def test_a_claim_shows_what_closed_months_hold_and_both_verifiers_agree(gateway, tmp_path):
    out, year = tmp_path / "claim.zip", str(TODAY.year + 1)
    claim = lambda: gateway.kouan(gateway.broker, "incentive", "claim", "--programme", "qianhai-broker-reward-2024", "--year", year, "--out", out, "--json")
    filed = claim()
    assert filed.status == 9, filed
    assert gateway.kouan(gateway.chan, "incentive", "release", filed.json["id"], "--json").status == 0
    until("the release is published", 10, lambda: claim().status == 0)
    archive = zipfile.ZipFile(out)
    (month,) = json.loads(archive.read("sums/sums.json"))
    assert month["account"] == "broker:qianhai:revenue:data_transaction_service" and month["period"] == MONTH
    face = archive.read("FACE.txt").decode()
    assert "已结算月份: 100.0000 %" in face and f"{MONTH} - {MONTH}: CNY" in face
    # The log has grown since the month closed, and begins with what was published then.
    assert archive.read("checkpoints/opening") != archive.read("checkpoints/closing")
    key = gateway.pki / "log.vkey"
    assert gateway.kouan(gateway.chan, "incentive", "verify", out, "--key", key, "--json").json["verdict"] == "verified"
    script = tmp_path / "verify.py"
    script.write_bytes(archive.read("verify.py"))
    own = subprocess.run([sys.executable, "-I", str(script), str(out), str(key)], capture_output=True, text=True, timeout=60)
    assert own.returncode == 0 and own.stdout.endswith("verified\n"), own
