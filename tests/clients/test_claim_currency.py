"""A claim on sales in HKD: each posting counts at the rate that was on record when it was posted, and none without one."""

import datetime
import json
import subprocess
import sys
import zipfile

import pytest

from harness import corpus
from harness.wait import until

SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))
TODAY = datetime.datetime.now(SHANGHAI)


def sell(gateway, name, seed, amount, buyer):
    price = f'{{ model = "per_pull", amount = "{amount}", currency = "HKD" }}\nfee = {{ rate_ppm = 1000000 }}'
    made = corpus.publish(gateway, name, {"m.parquet": corpus.parquet(corpus.mixed(50, seed))}, price=price, accept=("alice", "bob"))
    assert gateway.api(buyer).request("GET", made.url).status_code == 200
    participant = "hku" if buyer == gateway.alice else "cuhk"
    lines = lambda: [line for part in gateway.api(buyer).get(f"/v1/statements?participant={participant}")["statements"] for line in part["lines"]]
    until("it is billed", 10, lambda: [line for line in lines() if line["dataset"] == name])


def rate(gateway, num):
    quoted = {"from": "HKD", "to": "CNY", "num": num, "den": 10_000, "source": "HKMA", "as_of": f"{TODAY:%Y-%m-%d}"}
    gateway.api(gateway.broker).post("/v1/fx-rates", quoted, 202)
    gateway.api(gateway.chan).post("/v1/fx-rates", quoted, 201)


@pytest.fixture(scope="module")
def gateway(own_gateway):
    sell(own_gateway, "too-early", 1, 700_000_000, own_gateway.alice)
    rate(own_gateway, 9_000)
    sell(own_gateway, "first", 2, 500_000_001, own_gateway.alice)
    rate(own_gateway, 8_000)
    sell(own_gateway, "second", 3, 300_000_000, own_gateway.bob)
    return own_gateway


def test_postings_count_at_their_own_rates_and_both_verifiers_work_them_out_again(gateway, tmp_path):
    out = tmp_path / "claim.zip"
    claim = lambda: gateway.kouan(gateway.broker, "incentive", "claim", "--programme", "qianhai-broker-reward-2024", "--year", str(TODAY.year + 1), "--out", out, "--json")
    filed = claim()
    assert filed.status == 9, filed
    # 500,000,001 × 0.9, floored, and 300,000,000 × 0.8. What quickstart sold in CNY comes on top.
    base = int(filed.json["claim"]["base"])
    assert 690_000_000 <= base < 690_100_000, filed
    assert gateway.kouan(gateway.chan, "incentive", "release", filed.json["id"], "--json").status == 0
    until("the release is published", 10, lambda: claim().status == 0)
    archive = zipfile.ZipFile(out)
    sold = {line["dataset"]: line for line in json.loads(archive.read("statements.json"))["lines"]}
    assert [(one["rate"]["num"], one["amount"]) for name in ("first", "second") for one in sold[name]["rates"]] == [(9_000, "500000001"), (8_000, "300000000")]
    assert "rates" not in sold["too-early"]
    (line,) = [line for line in json.loads(archive.read("rules/evaluation.json"))["lines"] if line["participant"] == "qianhai"]
    trace = "\n".join(line["trace"])
    assert "converted at recorded rates" in trace and "not in CNY and without a recorded rate: 1, 700000000 minor units of HKD" in trace, trace
    key = gateway.pki / "log.vkey"
    said = gateway.kouan(gateway.chan, "incentive", "verify", out, "--key", key, "--json")
    assert said.status == 0 and said.json["verdict"] == "verified", said
    script = tmp_path / "verify.py"
    script.write_bytes(archive.read("verify.py"))
    own = subprocess.run([sys.executable, "-I", str(script), str(out), str(key)], capture_output=True, text=True, timeout=60)
    assert own.returncode == 0 and own.stdout.endswith("verified\n"), own
