"""Payments recorded with the paper that shows them, rates of exchange that two persons agree on, and the tax that a node's
configuration says is within its prices."""

import datetime
import hashlib
import json

import pytest

from harness import corpus
from harness.wait import until

TODAY = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date()
PRICE = {"CNY": 106_000, "HKD": 50_000}


@pytest.fixture(scope="module")
def gateway(own_gateway):
    """A node that knows the tax within CNY prices, and nothing of HKD."""
    own_gateway.stop()
    config = own_gateway.folder / "kouan.toml"
    rate = '{ currency = "CNY", rate_ppm = 60000, from = "2020-01-01" }'
    config.write_text(f"vat = [{rate}]\n{config.read_text()}")
    return own_gateway.serve()


@pytest.fixture(scope="module")
def sold(gateway):
    """One pull in each currency; gives the statement's lines."""
    # The quickstart has sold something too.
    found = {"before": balance(gateway, "consumer:hku:receivable", "CNY")[0]}
    for currency, amount in PRICE.items():
        price = f'{{ model = "per_pull", amount = "{amount}", currency = "{currency}" }}\nfee = {{ rate_ppm = 100000 }}'
        made = corpus.publish(gateway, f"paid-{currency.lower()}", {"m.parquet": corpus.parquet(corpus.mixed(50, 1))}, price=price)
        assert gateway.api(gateway.alice).request("GET", made.url).status_code == 200
        (found[currency],) = until("it is billed", 10, lambda: [line for line in lines(gateway, currency) if line["dataset"] == made.dataset])
    return found


def lines(gateway, currency, identity=None):
    statement = gateway.api(identity or gateway.alice).get("/v1/statements?participant=hku")
    return [line for part in statement["statements"] if part["currency"] == currency for line in part["lines"]]


@pytest.fixture(scope="module")
def rate(gateway):
    add = lambda who: gateway.kouan(
        who, "fx", "add", "--from", "HKD", "--to", "CNY", "--rate", "9123/10000", "--source", "HKMA", "--as-of", TODAY.isoformat(), "--json"
    )
    first = add(gateway.broker)
    assert first.status == 0 and first.json["state"] == "awaiting_second_officer", first
    assert add(gateway.broker).status != 0, "one person is not two"
    second = add(gateway.chan)
    assert second.status == 0 and second.json["num"] == 9123, second
    return second.json["id"]


@pytest.fixture(scope="module")
def slip(tmp_path_factory):
    path = tmp_path_factory.mktemp("slip") / "slip.pdf"
    path.write_text("a bank’s slip that names 張三", encoding="utf-8")
    return path


def pay(gateway, who, slip, agreement, amount, *more):
    return gateway.kouan(
        who, "payment", "record", agreement, "--amount", amount, "--on", TODAY.isoformat(), "--bank", slip, "--reference", "SW-2026-77", *more, "--json"
    )


def balance(gateway, account, currency):
    accounts = gateway.api(gateway.chan).get("/v1/ledger/balances")["balances"].get(currency, [])
    return next(((int(a["debits"]), int(a["credits"])) for a in accounts if a["account"] == account), (0, 0))


def test_tax_is_what_the_configuration_says_and_else_unknown(gateway, sold):
    assert (sold["CNY"]["tax"], sold["CNY"]["vat"], sold["CNY"]["fee"]) == ("6000", "included", "10600")
    assert (sold["HKD"]["tax"], sold["HKD"]["vat"]) == ("0", "unknown")
    assert balance(gateway, "tax:vat", "CNY") == (0, 6000) and balance(gateway, "tax:vat", "HKD") == (0, 0)
    month = gateway.api(gateway.alice).get("/v1/statements")["period"]
    told = gateway.kouan(gateway.alice, "statement", "--participant", "hku", "--period", month)
    assert "VAT within it 60.00 CNY" in told.out and "VAT in or ex: unknown, not configured" in told.out, told.out
    csv = gateway.kouan(gateway.alice, "statement", "--participant", "hku", "--period", month, "--format", "csv").out
    assert {line.rsplit(",", 2)[1:] == ["6000", "included"] for line in csv.splitlines() if "paid-cny" in line} == {True}


def test_a_rate_has_two_persons_behind_it_and_the_last_is_an_officer(gateway, rate):
    (only,) = gateway.api(gateway.alice).get("/v1/fx-rates")["rates"]
    assert only["id"] == rate and (only["source"], only["as_of"]) == ("HKMA", TODAY.isoformat())
    body = {"from": "CNY", "to": "HKD", "num": 11, "den": 10, "source": "PBOC", "as_of": TODAY.isoformat()}
    chan, broker = gateway.api(gateway.chan), gateway.api(gateway.broker)
    for identity in (gateway.alice, gateway.operator):
        gateway.api(identity).refused("POST", "/v1/fx-rates", 403, "forbidden", json=body)
    tomorrow = (TODAY + datetime.timedelta(days=1)).isoformat()
    for wrong in ({"to": "CNY"}, {"num": 0}, {"source": " "}, {"as_of": tomorrow}):
        chan.refused("POST", "/v1/fx-rates", 400, "bad_input", json={**body, **wrong})
    assert chan.request("POST", "/v1/fx-rates", json=body).status_code == 202
    # The seller may not have the last word.
    broker.refused("POST", "/v1/fx-rates", 403, "forbidden", json=body)
    assert len(chan.get("/v1/fx-rates")["rates"]) == 1
    (leaf,) = [entry["leaf"] for entry in chan.get("/v1/audit?kind=fx_rate")["entries"]]
    assert (leaf["num"], leaf["den"], leaf["source"]) == (9123, 10000, "HKMA")


def test_a_payment_settles_what_is_owed_and_no_more(gateway, sold, rate, slip):
    cny = sold["CNY"]["agreement"]
    for who, status in ((gateway.alice, 3), (gateway.chan, 3)):
        assert pay(gateway, who, slip, cny, 1).status == status
    assert pay(gateway, gateway.broker, slip, "a-nothing", 1).status == 5
    over = pay(gateway, gateway.broker, slip, cny, PRICE["CNY"] + 1)
    assert over.status == 2 and "106000 are posted" in over.json["error"]["message"], over
    half = pay(gateway, gateway.broker, slip, cny, 53_000)
    assert half.status == 0 and half.json["settled"] == {"amount": "53000", "currency": "CNY"}, half
    # The rest in HKD: 58,094 at 0.9123 are 52,999.1…, of which the broker keeps 99.
    assert pay(gateway, gateway.broker, slip, cny, 58_094, "--currency", "HKD").status == 2, "no rate"
    assert pay(gateway, gateway.broker, slip, cny, 1, "--rate", rate).status == 2, "no rate is needed"
    assert pay(gateway, gateway.broker, slip, cny, 58_094, "--currency", "HKD", "--rate", "fx-none").status == 5
    rest = pay(gateway, gateway.broker, slip, cny, 58_094, "--currency", "HKD", "--rate", rate, "--spread", 99)
    assert rest.status == 0 and rest.json["settled"] == {"amount": "52900", "currency": "CNY"}, rest
    assert balance(gateway, "consumer:hku:receivable", "CNY") == (sold["before"] + 106_000, 105_900)
    assert balance(gateway, "consumer:hku:paid", "CNY") == (53_000, 0)
    assert balance(gateway, "consumer:hku:paid", "HKD") == (58_094, 0)
    assert balance(gateway, "fx:liquidity", "HKD") == (0, 58_094) and balance(gateway, "fx:liquidity", "CNY") == (52_999, 0)
    assert balance(gateway, "broker:qianhai:revenue:fx", "CNY") == (0, 99)
    assert pay(gateway, gateway.broker, slip, cny, 101).status == 2
    # Whoever is a party sees it, in the list and in the month's statement; the log names the paper by digest only.
    for identity in (gateway.alice, gateway.broker, gateway.chan):
        shown = gateway.api(identity).get("/v1/payments")["payments"]
        assert [payment["id"] for payment in shown] == [half.json["id"], rest.json["id"]]
    assert gateway.api(gateway.bob).get("/v1/payments")["payments"] == []
    statement = gateway.api(gateway.alice).get("/v1/statements?participant=hku")
    assert [payment["paid"]["amount"] for payment in statement["payments"]] == ["53000", "58094"]
    told = gateway.kouan(gateway.alice, "statement", "--participant", "hku", "--period", statement["period"])
    assert "SW-2026-77" in told.out and "580.94 HKD" in told.out, told.out
    entries = gateway.api(gateway.chan).get("/v1/audit?kind=payment")["entries"]
    assert entries[0]["leaf"]["shown"] == {"kind": "bank", "digest": "sha256:" + hashlib.sha256(slip.read_bytes()).hexdigest()}
    assert "SW-2026-77" not in json.dumps(entries)
    books = gateway.kouan(gateway.alice, "books")
    assert "consumer:hku:paid" in books.out and "provider:" not in books.out, books.out


def test_two_officers_take_a_payment_back_and_the_log_gives_every_balance(gateway, sold, rate, slip):
    (wrong,) = [payment for payment in gateway.api(gateway.alice).get("/v1/payments")["payments"] if "exchanged" in payment]
    reverse = lambda who: gateway.kouan(who, "payment", "reverse", wrong["id"], "--reason", "the cheque bounced", "--json")
    assert reverse(gateway.broker).status == 3
    assert reverse(gateway.chan).json["state"] == "awaiting_second_officer"
    assert reverse(gateway.chan).status != 0
    assert reverse(gateway.lee).json["state"] == "reversed"
    assert reverse(gateway.lee).status != 0, "once"
    assert balance(gateway, "consumer:hku:receivable", "CNY") == (sold["before"] + 106_000 + 52_900, 105_900)
    for account, currency in (("fx:liquidity", "HKD"), ("fx:liquidity", "CNY"), ("broker:qianhai:revenue:fx", "CNY"), ("consumer:hku:paid", "HKD")):
        debits, credits = balance(gateway, account, currency)
        assert debits == credits > 0, account
    # It is owed again.
    paid = pay(gateway, gateway.broker, slip, sold["CNY"]["agreement"], 53_000)
    assert paid.status == 0, paid

    def rebuilt():
        told = gateway.api(gateway.chan).get("/v1/ledger/balances")
        made = gateway.kouan(gateway.chan, "audit", "rebuild", gateway.log_folder(), "--json")
        assert made.status == 0, made
        return made.json["size"] == told["size"] and (told, made.json)

    told, made = until("the log is published", 10, rebuilt)
    assert made["digest"] == told["digest"] and made["balances"] == told["balances"]


def test_the_same_key_with_another_payment_names_both(gateway, sold, slip):
    body = {
        "agreement": sold["HKD"]["agreement"], "amount": "10", "currency": "HKD", "on": TODAY.isoformat(),
        "shown": {"kind": "fapiao", "reference": "F-1", "digest": "sha256:" + "1" * 64},
    }
    api, key = gateway.api(gateway.broker), {"idempotency-key": "pay-once"}
    first = api.request("POST", "/v1/payments", json=body, headers=key).json()
    assert api.request("POST", "/v1/payments", json=body, headers=key).json() == first
    told = api.refused("POST", "/v1/payments", 409, "key_reused", json={**body, "amount": "11"}, headers=key)
    assert told["first"] != told["second"] and told["first"] in told["detail"] and told["second"] in told["detail"]
    assert balance(gateway, "consumer:hku:receivable", "HKD") == (PRICE["HKD"], 10)
