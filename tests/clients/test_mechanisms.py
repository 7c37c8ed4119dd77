"""Mechanisms on file: confirmed, filed later, reminded of, revoked. Days are counted from today, so that the tests hold on any
day, whichever calendars there are."""

import datetime
import hashlib
import re
import time
import tomllib

import pytest
import requests

from harness import corpus
from harness.lines import Http1, Reader
from harness.wait import until

PEOPLE = {"resident_id": "sensitive", "phone": "sensitive"}


@pytest.fixture(scope="module")
def gateway(own_gateway):
    return own_gateway


def day(offset):
    """A day in Shanghai, some days from today."""
    today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date()
    return (today + datetime.timedelta(days=offset)).isoformat()


def publish(gateway, dataset):
    data = corpus.parquet(corpus.people(200, seed=41))
    return corpus.publish(gateway, dataset, {"p.parquet": data}, columns=PEOPLE, subjects=(200, 200, 0))


def add(gateway, made=None, kind="sc", confirm=True, **more):
    body = {
        "kind": kind, "reference": "粤网信合同备案〔2026〕12号", "exporter": "qianhai", "recipient": "hku", "effective": day(0),
        "datasets": [made.dataset if made else "no-such-corpus"], "purposes": ["*"], **more,
    }
    added = gateway.api(gateway.broker).post("/v1/mechanisms", body, status=201)
    if confirm:
        gateway.api(gateway.chan).post(f"/v1/mechanisms/{added['id']}/confirm")
    return added


def show(gateway, mechanism, who=None):
    return gateway.api(who or gateway.broker).get(f"/v1/mechanisms/{mechanism['id']}")


def codes(mechanism):
    return [warning["code"] for warning in mechanism["warnings"]]


def deadline(mechanism, what):
    return next(deadline for deadline in mechanism["deadlines"] if deadline["what"] == what)


def get(gateway, made, who=None):
    return gateway.api(who or gateway.alice).request("GET", made.url, headers={"range": "bytes=0-9"})


def test_a_filing_is_recorded_later_and_confirmed_again(gateway, tmp_path):
    made = publish(gateway, "test-filing")
    effective, filed = day(-40), day(-35)
    mechanism = add(gateway, made, effective=effective)
    refused = get(gateway, made).json()
    assert refused["code"] == "denied" and {"MECH-FILING", "MECH-CALENDAR"} & set(refused["explain"]["rules"]), refused
    assert {"filing_overdue", "calendar_missing"} & set(codes(show(gateway, mechanism)))

    paper = tmp_path / "备案表.pdf"
    paper.write_bytes(b"%PDF filing")
    noted = gateway.kouan(gateway.broker, "mechanism", "filed", mechanism["id"], "--filed", filed, "--document", paper, "--json")
    assert noted.status == 0, noted
    waiting = show(gateway, mechanism)
    assert "filed" not in waiting and waiting["filing"]["filed"] == filed and "filing_unconfirmed" in codes(waiting)
    assert get(gateway, made).status_code == 403, "it counts once it is confirmed"
    gateway.api(gateway.broker).refused("POST", f"/v1/mechanisms/{mechanism['id']}/confirm", 403, "forbidden")

    confirmed = gateway.api(gateway.lee).post(f"/v1/mechanisms/{mechanism['id']}/confirm")
    assert (confirmed["filed"], codes(confirmed)) == (filed, []) and "filing" not in confirmed
    assert confirmed["documents"] == [{"name": "备案表.pdf", "sha256": hashlib.sha256(b"%PDF filing").hexdigest()}]
    assert deadline(confirmed, "file")["done"] == filed
    assert get(gateway, made).status_code == 206
    gateway.api(gateway.lee).refused("POST", f"/v1/mechanisms/{mechanism['id']}/confirm", 409, "conflict")

    # Each step is a leaf: digests and days in the clear, what people wrote only as commitments.
    entries = gateway.api(gateway.chan).get("/v1/audit?participant=qianhai&limit=500")["entries"]
    leaves = [e["leaf"] for e in entries if e["leaf"].get("mechanism") == mechanism["id"] and e["leaf"]["kind"].startswith("mech")]
    assert [leaf["kind"] for leaf in leaves] == ["mechanism_add", "mechanism_confirm", "mechanism_filed", "mechanism_confirm"]
    assert leaves[2]["filed"] == filed and hashlib.sha256(b"%PDF filing").hexdigest() in str(leaves[2]["documents"])
    assert "备案" not in str(leaves) and leaves[0]["reference"].startswith("c:")


def test_what_a_filing_cannot_be(gateway):
    contract, certificate = add(gateway, confirm=False), add(gateway, kind="cert", expires=day(900))
    target = f"/v1/mechanisms/{contract['id']}/filed"
    api = gateway.api(gateway.broker)
    for wrong in (day(1), "yesterday", ""):
        api.refused("POST", target, 400, "bad_input", json={"filed": wrong})
    for wrong in ([{"name": "a"}], [{"name": "", "sha256": "0" * 64}], [{"name": "a", "sha256": "0" * 63}]):
        api.refused("POST", target, 400, "bad_input", json={"filed": day(0), "documents": wrong})
    api.refused("POST", f"/v1/mechanisms/{certificate['id']}/filed", 409, "conflict", json={"filed": day(0)})
    gateway.api(gateway.bob).refused("POST", target, 403, "forbidden", json={"filed": day(0)})
    gateway.api(gateway.bob).refused("GET", f"/v1/mechanisms/{contract['id']}", 404, "not_found")
    api.post(target, {"filed": day(0)})
    # One confirmation for both, while it is new.
    confirmed = gateway.api(gateway.chan).post(f"/v1/mechanisms/{contract['id']}/confirm")
    assert (confirmed["state"], confirmed["filed"]) == ("confirmed", day(0))
    api.refused("POST", target, 409, "conflict", json={"filed": day(0)})
    api.post(f"/v1/mechanisms/{contract['id']}/revoke", {"reason": "end of the test"})
    api.refused("POST", target, 409, "conflict", json={"filed": day(-1)})


def test_four_eyes_on_a_mechanism(gateway):
    """An officer of an authority may add one for the parties; then an officer of another participant confirms it."""
    body = {"kind": "sc", "reference": "R", "exporter": "qianhai", "recipient": "hku", "effective": day(0), "datasets": ["*"], "purposes": ["*"]}
    own = gateway.api(gateway.chan).post("/v1/mechanisms", body, status=201)
    document = gateway.api(gateway.lee).refused("POST", f"/v1/mechanisms/{own['id']}/confirm", 403, "forbidden")
    assert "added it" in document["detail"]
    assert codes(own) == ["unconfirmed", "filing_due"]
    proposed = add(gateway, confirm=False)
    gateway.api(gateway.chan).post(f"/v1/mechanisms/{proposed['id']}/filed", {"filed": day(0)})
    document = gateway.api(gateway.lee).refused("POST", f"/v1/mechanisms/{proposed['id']}/confirm", 403, "forbidden")
    assert "recorded its filing" in document["detail"]


def test_reminders_in_api_doctor_and_metrics(gateway):
    due = add(gateway)
    assert codes(show(gateway, due)) == ["filing_due"]
    by = deadline(show(gateway, due), "file")
    assert day(9) <= by["day"] <= day(25) and by["exact"] in (True, False)
    warning = show(gateway, due)["warnings"][0]
    assert warning["rule"] == "MECH-FILING" and by["day"] in warning["message"]["en"] and warning["citation"]
    assert by["day"] in warning["message"]["zh-Hant"] and by["day"] in warning["message"]["zh-Hans"]
    assessment = add(gateway, kind="sa", effective=day(-700), expires=day(20))
    assert codes(show(gateway, assessment)) == ["extension_late", "expiry_soon"]
    early = add(gateway, kind="sa", effective=day(-700), expires=day(150))
    assert codes(show(gateway, early)) == ["extension_due"]
    certificate = add(gateway, kind="cert", effective=day(-700), expires=day(100))
    assert codes(show(gateway, certificate)) == ["renewal_late"]
    assert codes(show(gateway, add(gateway, kind="cert"))) == ["expiry_missing"]
    assert codes(show(gateway, add(gateway, effective=day(-700), filed=day(-699), expires=day(-1)))) == ["expired"]
    quiet = add(gateway, kind="sa", expires=day(1000))
    assert codes(show(gateway, quiet)) == []
    assert [d["what"] for d in quiet["deadlines"]] == ["ask_extension", "expiry"]

    check = next(c for c in gateway.kouan(gateway.broker, "doctor", "--json").json["checks"] if c["name"] == "mechanisms")
    assert check["state"] == "warning" and f"{assessment['id']}: extension_late" in check["found"], check
    shown = gateway.kouan(gateway.broker, "mechanism", "show", due["id"], "--lang", "zh-Hant")
    assert "備案" in shown.out and f"file by {by['day']}" in shown.out, shown

    admin = tomllib.loads((gateway.folder / "kouan.toml").read_text())["admin"]
    gauges = lambda: {
        label: float(value)
        for label, value in re.findall(
            r'^kouan_mechanism_warnings\{warning="([a-z_]+)"\} (\S+)$', requests.get(f"http://{admin}/metrics", timeout=10).text, re.M
        )
    }
    until("what is due is counted", 5, lambda: gauges().get("extension_due") == 1)
    assert gauges()["renewal_due"] == 0, "those of which there is none are told too"
    gateway.api(gateway.chan).post(f"/v1/mechanisms/{early['id']}/revoke", {"reason": "end of the test"})
    assert codes(show(gateway, early)) == []
    until("it is due no more", 5, lambda: gauges()["extension_due"] == 0)
    text = requests.get(f"http://{admin}/metrics", timeout=10).text
    assert "qianhai" not in text and due["id"] not in text


def test_a_lease_does_not_outlive_its_mechanism(gateway):
    made = publish(gateway, "test-last-day")
    last = day(0)
    mechanism = add(gateway, made, effective=day(-1), filed=day(0), expires=last)
    lease = gateway.api(gateway.alice).get(f"/v1/leases/{get(gateway, made).headers['kouan-lease']}")
    assert lease["mechanism"] == mechanism["id"]
    midnight = (datetime.date.fromisoformat(last) + datetime.timedelta(days=1)).isoformat()
    assert lease["expires"] == f"{midnight}T00:00:00+08:00", lease


def test_revoking_cuts_what_rests_on_it_and_nothing_else(gateway):
    """INV-8: within a second, and never so that it looks complete."""
    data = corpus.parquet(corpus.numbers(2_000_000, seed=42), compression="none", use_dictionary=False, write_statistics=False)
    made = corpus.publish(gateway, "test-revoke", {"p.parquet": data}, columns={"n1": "sensitive"}, subjects=(500, 500, 0))
    free = corpus.publish(gateway, "test-revoke-free", {"p.parquet": made.source})
    mechanism = add(gateway, made, effective=day(-1), filed=day(0))
    stream, other = Http1(gateway, gateway.alice, made.url), Http1(gateway, gateway.alice, free.url)
    assert stream.status == other.status == 200
    reader, bystander = Reader(stream).flowing(4 << 20), Reader(other).flowing(4 << 20)
    gateway.api(gateway.broker).post(f"/v1/mechanisms/{mechanism['id']}/revoke", {"reason": "the filing was withdrawn"})
    answered = time.monotonic()
    assert reader.end(), "a stream whose mechanism was revoked looked complete"
    assert time.monotonic() - answered < 1
    assert not bystander.end(), "a stream between the same parties that rests on no mechanism was cut with it"
    lease = gateway.api(gateway.alice).get(f"/v1/leases/{stream.headers['kouan-lease']}")
    assert lease["state"] == "cut" and "the filing was withdrawn" in lease["reason"]
    assert get(gateway, made).json()["code"] == "denied"
    gateway.api(gateway.broker).refused(
        "POST", f"/v1/mechanisms/{mechanism['id']}/revoke", 409, "conflict", json={"reason": "twice"}
    )
