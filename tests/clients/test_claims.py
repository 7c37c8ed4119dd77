"""Claims on incentive programmes: filed, released by another participant, bundled, and verified twice by programs that know
nothing of each other."""

import datetime
import importlib.util
import json
import subprocess
import sys
import zipfile

import pytest

from harness import corpus
from harness.bundle import pack
from harness.gateway import binary, told
from harness.wait import until

# Parts per million: all is signed for, half is paid, no month is closed.
SHARES = {
    "receipted": 1_000_000, "non_affiliated": 1_000_000, "payment_matched": 500_000, "no_round_trip": 1_000_000, "top_five": 1_000_000, "closed": 0
}
REWARD = "qianhai-broker-reward-2024"
SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))


@pytest.fixture(scope="module")
def year():
    """The award year whose base year is now."""
    return str(datetime.datetime.now(SHANGHAI).year + 1)


@pytest.fixture(scope="module")
def sold(gateway, tmp_path_factory):
    """One pull that earns the broker 6,000,000 yuan; it is signed for, and half of it paid."""
    price = '{ model = "per_pull", amount = "600000000", currency = "CNY" }\nfee = { rate_ppm = 1000000 }'
    published = corpus.publish(gateway, "test-costly", {"costly.parquet": corpus.parquet(corpus.mixed(50, 1))}, price=price)
    response = gateway.api(gateway.alice).request("GET", published.url)
    assert response.status_code == 200 and response.content
    # The same lease again: nothing more to pay, and its receipt.
    pulled = gateway.kouan(gateway.alice, "pull", published.dataset, "--out", tmp_path_factory.mktemp("pulled"), "--json")
    assert pulled.status == 0 and pulled.json["files"][0]["lease"] == response.headers["kouan-lease"], pulled
    (agreement,) = [one["id"] for one in gateway.api(gateway.alice).get("/v1/agreements")["agreements"] if one["dataset"] == published.dataset]
    paper = {"kind": "bank", "reference": "SW-1", "digest": "sha256:" + "1" * 64}
    paid = {"agreement": agreement, "amount": "300000000", "currency": "CNY", "on": f"{datetime.datetime.now(SHANGHAI):%Y-%m-%d}", "shown": paper}
    gateway.api(gateway.broker).post("/v1/payments", paid, 201)
    return published


@pytest.fixture(scope="module")
def bundle(gateway, sold, year, tmp_path_factory):
    out = tmp_path_factory.mktemp("claim") / "claim.zip"
    claim = lambda: gateway.kouan(gateway.broker, "incentive", "claim", "--programme", REWARD, "--year", year, "--out", out, "--json")
    filed = claim()
    assert filed.status == 9 and filed.json["state"] == "proposed", filed
    claimed = filed.json["claim"]
    # Whatever else this gateway has sold comes on top.
    assert int(claimed["base"]) >= 600_000_000 and claimed["participant"] == "qianhai"
    assert int(claimed["amount"]) == int(claimed["base"]) // 100
    # A refused claim gives its contracts back: filed again, it is another one.
    refused = gateway.kouan(gateway.chan, "incentive", "refuse", filed.json["id"], "--reason", "invoice missing", "--json")
    assert refused.status == 0 and refused.json["state"] == "refused", refused
    gateway.api(gateway.broker).refused("GET", f"/v1/claims/{filed.json['id']}/evidence", 409, "conflict")
    refiled = claim()
    assert refiled.status == 9 and refiled.json["id"] != filed.json["id"]
    filed = refiled
    # Filing again is the same claim; nobody of the same participant, and no broker, releases it.
    assert claim().json["id"] == filed.json["id"] and not out.exists()
    api = gateway.api(gateway.broker)
    api.refused("POST", f"/v1/claims/{filed.json['id']}/release", 403, "forbidden", json={})
    api.refused("GET", f"/v1/claims/{filed.json['id']}/evidence", 403, "review")
    gateway.api(gateway.alice).refused("GET", f"/v1/claims/{filed.json['id']}", 404, "not_found")
    released = gateway.kouan(gateway.chan, "incentive", "release", filed.json["id"], "--json")
    assert released.status == 0 and released.json["state"] == "released", released
    until("the release is published", 5, lambda: claim().status == 0)
    return out


@pytest.fixture(scope="module")
def verifier(bundle, tmp_path_factory):
    """The bundle's own verifier, as a module."""
    path = tmp_path_factory.mktemp("verifier") / "claim_verify.py"
    path.write_bytes(zipfile.ZipFile(bundle).read("verify.py"))
    assert len(path.read_text().splitlines()) <= 300
    spec = importlib.util.spec_from_file_location("claim_verify", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kouan(bundle, *more):
    return told([binary(), "incentive", "verify", str(bundle), *map(str, more), "--json"])


def test_both_verify_it_without_a_network(gateway, bundle, verifier):
    key = gateway.pki / "log.vkey"
    said = kouan(bundle, "--key", key)
    assert said.status == 0 and said.json["verdict"] == "verified", said
    shares = said.json["claim"]["shares"]
    # Whatever else this gateway has sold in its test run comes to little.
    for name, share in SHARES.items():
        assert share - 1000 <= shares[name] <= share, shares
    script = bundle.parent / "verify.py"
    script.write_bytes(zipfile.ZipFile(bundle).read("verify.py"))
    own = subprocess.run([sys.executable, "-I", str(script), str(bundle), str(key)], capture_output=True, text=True, timeout=60)
    assert own.returncode == 0 and own.stdout.endswith("verified\n"), own
    face = zipfile.ZipFile(bundle).read("FACE.txt").decode()
    assert face in own.stdout
    for share in ("Witnessed in time on both sides 兩地及時見證 两地及时见证: 100.0000 %", "VAT 增值稅 增值税: in or ex unknown"):
        assert share in face
    # What is signed, and no signature; a payment, and no paper.
    archive = zipfile.ZipFile(bundle)
    (receipt, *_) = json.loads(archive.read("receipts/receipts.json"))
    assert set(receipt) == {"agreement", "leaf", "ack"} and set(receipt["ack"]) == {"lease", "manifest", "seq", "units"}
    assert all(b"alice" not in archive.read(name) and b"BEGIN CERTIFICATE" not in archive.read(name) for name in archive.namelist())
    assert json.loads(archive.read("payments/payments.json"))[0]["settled"]["amount"] == "300000000"
    bare = kouan(bundle)
    assert bare.status == 0 and bare.json["verdict"] == "self-consistent only"
    assert kouan(bundle, "--key", "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx").status == 6


def test_the_bundle_is_deterministic(bundle):
    archive = zipfile.ZipFile(bundle)
    assert archive.namelist() == sorted(archive.namelist())
    assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert archive.testzip() is None
    paper = bundle.parent / "statement.pdf"
    paper.write_bytes(archive.read("statement.pdf"))
    text = subprocess.run(["pdftotext", "-layout", str(paper), "-"], capture_output=True, text=True, check=True, timeout=60).stdout
    month = f"{datetime.datetime.now(SHANGHAI):%Y-%m}"
    assert [line for line in text.splitlines() if month in line and "test-costly" in line], text
    names = archive.namelist()
    for name in ("MANIFEST.json", "statements.json", "lines.csv", "statement.pdf", "checkpoints/opening", "checkpoints/closing", "checkpoints/consistency", "log.vkey", "rules/programme.toml", "README.txt", "contracts/contracts.json", "payments/payments.json", "receipts/receipts.json"):
        assert name in names


def test_every_flipped_byte_of_every_file_is_found_and_named_by_both(bundle, verifier, tmp_path):
    archive = bundle.read_bytes()
    files = verifier.unpack(archive)
    assert pack(files) == archive
    key = None
    for name, data in files.items():
        # In place: the archive's own checksum is wrong.
        start = archive.index(name.encode() + data) + len(name)
        for at in range(0, len(data), max(1, len(data) // 40)):
            altered = bytearray(archive)
            altered[start + at] ^= 1
            with pytest.raises(verifier.Fault, match=f"^`{name}`"):
                verifier.verify(bytes(altered))
        # Packed again, so that only the bundle's own lists are wrong.
        for at in {0, len(data) // 2, len(data) - 1}:
            changed = bytearray(data)
            changed[at] ^= 1
            other = pack({**files, name: bytes(changed)})
            try:
                verifier.verify(other)
                raise AssertionError(f"{name}: byte {at} was not noticed")
            except verifier.Fault as fault:
                assert str(fault).startswith(f"`{name}`"), fault
            except ValueError:
                assert name == "MANIFEST.json"
        path = tmp_path / "altered.zip"
        path.write_bytes(other)
        said = kouan(path)
        assert said.status == 6 and f"`{name}`" in said.json["error"]["message"], said


def listed(verifier, files):
    """The files with lists that fit them, as whoever makes a bundle can write them."""
    digests = {name: verifier.digest(data) for name, data in files.items() if name not in ("MANIFEST.json", "SHA256SUMS")}
    files["SHA256SUMS"] = "".join(f"{digests[name][7:]}  {name}\n" for name in sorted(digests)).encode()
    digests["SHA256SUMS"] = verifier.digest(files["SHA256SUMS"])
    rules, tools = verifier.digest(files["rules/programme.toml"]), json.loads(files["tools.json"])
    files["MANIFEST.json"] = verifier.canonical({"format": "kouan-claim/3", "rules": rules, "tools": tools, "files": digests})
    return files


def test_both_refuse_what_was_made_again_around_another_amount(bundle, verifier, tmp_path):
    files = verifier.unpack(bundle.read_bytes())
    claim = json.loads(files["claim.json"])
    claim["amount"] = "7000000"
    files["claim.json"] = verifier.canonical(claim)
    made_again = pack(listed(verifier, files))
    with pytest.raises(verifier.Fault, match="^`claim.json`: no leaves"):
        verifier.verify(made_again)
    path = tmp_path / "again.zip"
    path.write_bytes(made_again)
    said = kouan(path)
    assert said.status == 6 and "claim.json" in said.json["error"]["message"], said


def test_a_claim_is_a_leaf_for_each_step_and_a_contract_is_claimed_once(gateway, bundle, year):
    chan = gateway.api(gateway.chan)
    claims = gateway.kouan(gateway.broker, "incentive", "claims", "--json").json["claims"]
    assert [claim["state"] for claim in claims] == ["refused", "released"]
    entries = chan.request("GET", "/v1/audit?kind=claim").json()["entries"]
    assert [(entry["leaf"]["state"], entry["leaf"]["participant"]) for entry in entries] == [
        ("proposed", "qianhai"),
        ("refused", "regulator"),
        ("proposed", "qianhai"),
        ("released", "regulator"),
    ]
    chan.refused("POST", f"/v1/claims/{claims[1]['id']}/refuse", 409, "conflict", json={"reason": "too late"})
    # No more than the programme gives, to whom it gives it.
    early = gateway.kouan(gateway.broker, "incentive", "claim", "--programme", REWARD, "--year", "2025", "--json")
    assert early.status == 3 and early.json["error"]["code"] == "denied", early
    assert gateway.kouan(gateway.alice, "incentive", "claim", "--programme", REWARD, "--year", year, "--json").status == 3
    assert gateway.kouan(gateway.broker, "incentive", "claim", "--programme", "none", "--year", year, "--json").status == 5


def test_receipts_are_opened_by_two_people_and_checked_by_a_stranger(gateway, bundle, verifier, year, tmp_path):
    (released,) = [claim for claim in gateway.kouan(gateway.broker, "incentive", "claims", "--json").json["claims"] if claim["state"] == "released"]
    out, identity = tmp_path / "opened.zip", released["id"]
    claim = lambda: gateway.kouan(gateway.broker, "incentive", "claim", "--programme", REWARD, "--year", year, "--receipts", "--out", out, "--json")
    opened = lambda who, to="Shenzhen DRC": gateway.kouan(who, "incentive", "open-receipts", identity, "--to", to, "--reason", "audit of the reward", "--json")
    # Signatures name persons: not before two people have signed for it, the second an officer of another participant.
    refused = claim()
    assert refused.status == 9 and refused.json["error"]["code"] == "review" and not out.exists(), refused
    assert opened(gateway.operator).status == 3 and opened(gateway.alice).status == 5
    first = opened(gateway.broker)
    assert first.status == 9 and first.json["state"] == "awaiting_second_officer", first
    again = opened(gateway.broker)
    assert again.status != 0 and again.json["error"]["code"] == "conflict", again
    assert claim().status == 9 and not out.exists()
    assert opened(gateway.chan).json["state"] == "opened"
    assert opened(gateway.broker).json["state"] == "opened"
    made = claim()
    assert made.status == 0, made
    files = verifier.unpack(out.read_bytes())
    receipts = {one["leaf"] for one in json.loads(files["receipts/receipts.json"])}
    openings = json.loads(files["receipts/openings.json"])
    assert {one["leaf"] for one in openings} == receipts
    pem = (gateway.pki / "hku/researcher-alice.pem").read_text()
    assert any(one["certificate"][:60] in pem.replace("\n", "") for one in openings)
    # All of it is signed for, and all of that verified by signature; the second verifier says what it does not check.
    said = kouan(out, "--key", gateway.pki / "log.vkey")
    assert said.status == 0 and said.json["signed"] == said.json["claim"]["shares"]["receipted"] > 999_000, said
    assert kouan(bundle).json["signed"] == 0
    assert "signatures of receipts are inside and not checked here" in verifier.verify(out.read_bytes())
    # Each hand-over is on record before it happens, and to whom is a commitment.
    entries = gateway.api(gateway.chan).request("GET", "/v1/audit?kind=access&limit=500").json()["entries"]
    own = [entry["leaf"] for entry in entries if entry["leaf"].get("claim") == identity]
    assert len(own) == 2 and own[0]["to"].startswith("c:") and own[1]["receipts"] == len(openings), own

    # Another's signature, with lists made again around it: the certificate's key did not make it.
    other = json.loads(files["receipts/openings.json"])
    data = bytearray(verifier.base64.b64decode(other[0]["signature"]))
    data[-1] ^= 1
    other[0]["signature"] = verifier.base64.b64encode(data).decode()
    files["receipts/openings.json"] = verifier.canonical(other)
    path = tmp_path / "forged.zip"
    path.write_bytes(pack(listed(verifier, files)))
    said = kouan(path)
    assert said.status == 6 and "receipts/openings.json" in said.json["error"]["message"], said
    with pytest.raises(verifier.Fault, match="^`receipts/openings.json`: the signature is not the one"):
        verifier.verify(path.read_bytes())
