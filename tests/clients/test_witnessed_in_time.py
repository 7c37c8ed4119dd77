"""A claim that is filed after its base year has closed: what both sides of the border saw in time is shown by the checkpoints
that a gateway keeps, through restarts and kills."""

import datetime
import json
import subprocess
import sys
import zipfile

import pytest

from harness import corpus
from harness import witness as w
from harness.wait import until

SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))
YEAR = 2026
PRICE = '{ model = "per_pull", amount = "300000000", currency = "CNY" }\nfee = { rate_ppm = 1000000 }'


def sell(gateway, name, seed):
    made = corpus.publish(gateway, name, {"m.parquet": corpus.parquet(corpus.mixed(50, seed))}, price=PRICE)
    assert gateway.api(gateway.alice).request("GET", made.url).status_code == 200
    lines = lambda: [line for part in gateway.api(gateway.alice).get("/v1/statements?participant=hku")["statements"] for line in part["lines"]]
    until("it is billed", 10, lambda: [line for line in lines() if line["dataset"] == name])


def size(note):
    return int(note.split("\n")[1])


def seen(gateway):
    """Waits until the witnesses have cosigned all that is there now; its size."""
    wanted = size((gateway.log_folder() / "checkpoint").read_text())
    kept = gateway.data / "witnessed/checkpoint"
    until("it is witnessed", 30, lambda: size(kept.read_text()) >= wanted)
    return size(kept.read_text())


def kept(gateway):
    return {path.name: size(path.read_text()) for path in (gateway.data / "witnessed").glob("before-*")}


@pytest.fixture(scope="module")
def closed(december_gateway):
    """A node that has sold twice, the second time minutes before the year ended, and stands in the 20th of the next January."""
    gateway, clock = december_gateway, december_gateway.clock
    sell(gateway, "early", 1)
    seen(gateway)
    gateway.stop()
    clock.set(datetime.datetime(YEAR, 12, 31, 23, 50, tzinfo=SHANGHAI))
    gateway.serve()
    sell(gateway, "late", 2)
    last = seen(gateway)
    assert f"before-{YEAR + 1}-01-01" not in kept(gateway)
    # Killed and started again beyond midnight: what was the newest is kept.
    gateway.kill()
    clock.set(datetime.datetime(YEAR + 1, 1, 1, 0, 5, tzinfo=SHANGHAI))
    gateway.serve()
    sell(gateway, "new", 3)
    january = seen(gateway)
    eve = kept(gateway)[f"before-{YEAR + 1}-01-01"]
    assert last <= eve < january
    # Past the day on which the year closes, while it runs.
    clock.set(datetime.datetime(YEAR + 1, 1, 20, 12, 0, tzinfo=SHANGHAI))
    until("another half of a month has begun", 90, lambda: gateway.api(gateway.chan).get("/v1/audit?limit=1") and f"before-{YEAR + 1}-01-16" in kept(gateway))
    files = kept(gateway)
    assert files[f"before-{YEAR + 1}-01-01"] == eve < files[f"before-{YEAR + 1}-01-16"]
    for how in (gateway.kill, gateway.stop):
        how()
        gateway.serve()
        seen(gateway)
        assert kept(gateway) == files
    return gateway


@pytest.fixture(scope="module")
def bundle(closed, tmp_path_factory):
    out = tmp_path_factory.mktemp("claim") / "claim.zip"
    claim = lambda: closed.kouan(closed.broker, "incentive", "claim", "--programme", "qianhai-broker-reward-2024", "--year", str(YEAR + 1), "--out", out, "--json")
    filed = claim()
    assert filed.status == 9 and int(filed.json["claim"]["base"]) >= 600_000_000, filed
    assert closed.kouan(closed.chan, "incentive", "release", filed.json["id"], "--json").status == 0
    until("the release is published", 10, lambda: claim().status == 0)
    return out


def test_a_claim_filed_after_its_year_has_closed_was_witnessed_in_time(closed, bundle, tmp_path):
    archive = zipfile.ZipFile(bundle)
    face = archive.read("FACE.txt").decode()
    assert "Witnessed in time on both sides 兩地及時見證 两地及时见证: 100.0000 %" in face, face
    frozen, closing = (archive.read(f"checkpoints/{name}").decode() for name in ("witnessed", "closing"))
    assert size(frozen) == kept(closed)[f"before-{YEAR + 1}-01-16"] < size(closing)
    key, policy = closed.pki / "log.vkey", closed.pki / "witness-policy"
    said = closed.kouan(closed.chan, "incentive", "verify", bundle, "--key", key, "--json")
    assert (said.json["verdict"], said.json["witnessed"], said.json["policy"]) == ("verified", 1_000_000, "bundle"), said
    script = tmp_path / "verify.py"
    script.write_bytes(archive.read("verify.py"))
    own = lambda *trust: subprocess.run([sys.executable, "-I", str(script), str(bundle), *map(str, trust)], capture_output=True, text=True, timeout=60)
    for trust, ending in [((key,), "verified\n"), ((), "whose log it is\n")]:
        told = own(*trust)
        assert told.returncode == 0 and told.stdout.endswith(ending) and "its own trust.policy" in told.stdout, told

    # By a policy of the auditor's own.
    said = closed.kouan(closed.chan, "incentive", "verify", bundle, "--policy", policy, "--json")
    assert said.status == 0 and (said.json["witnessed"], said.json["policy"]) == (1_000_000, "given"), said
    with_log = tmp_path / "with-log"
    with_log.write_text(policy.read_text() if "\nlog " in policy.read_text() else f"log {key.read_text().strip()}\n{policy.read_text()}")
    said = closed.kouan(closed.chan, "incentive", "verify", bundle, "--policy", with_log, "--json")
    assert said.json["verdict"] == "verified", said
    told = own(with_log)
    assert told.returncode == 0 and told.stdout.endswith("as the policy that you trust asks\nverified\n"), told

    # Another witness's key in it, or another log, and neither takes the bundle.
    strange = w.Witness(tmp_path / "strange", closed.pki, "qianhai-compute.cn/witness", [key.read_text().strip()])
    lines = with_log.read_text().splitlines()
    stranger = tmp_path / "stranger"
    stranger.write_text("\n".join(line.replace(line.split()[2], strange.vkey) if line.startswith("witness qh1") else line for line in lines) + "\n")
    other = tmp_path / "other"
    other.write_text(with_log.read_text().replace(key.read_text().strip(), "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"))
    for trust, file in [(stranger, "checkpoints/closing"), (other, "log.vkey")]:
        said = closed.kouan(closed.chan, "incentive", "verify", bundle, "--policy", trust, "--json")
        assert said.status == 6 and f"`{file}`" in said.json["error"]["message"], said
        told = own(trust)
        assert told.returncode == 6 and told.stdout.startswith(f"`{file}`"), told


def test_the_leaves_of_what_is_claimed_are_in_the_bundle(bundle):
    archive = zipfile.ZipFile(bundle)
    leaves = [json.loads(archive.read(name)) for name in archive.namelist() if name.startswith("leaves/")]
    posted = {leaf["dataset"] for leaf in leaves if leaf["kind"] == "ledger_batch"}
    assert posted >= {"early", "late"} and "new" not in posted
