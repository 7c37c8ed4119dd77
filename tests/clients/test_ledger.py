"""What is delivered is posted once, signed for by whoever can sign, taken back by two officers; and the log alone gives every
balance again."""

import base64
import json

import pytest

from harness import corpus, receipts
from harness.authority import Authority, join
from harness.wait import until
from test_flight import connect

PRICE = '{ model = "per_gib", amount = "120000000", currency = "CNY" }'
# More than may be out without a receipt, in chunks that are far less.
UNRECEIPTED = 32 << 20


@pytest.fixture(scope="module")
def gateway(own_gateway):
    """A node whose bound for unreceipted bytes is small enough to be reached."""
    own_gateway.stop()
    config = own_gateway.folder / "kouan.toml"
    config.write_text(f"{config.read_text()}\n[limits]\nunreceipted_bytes_max = {UNRECEIPTED}\n")
    return own_gateway.serve()


def terms(evidence="sent"):
    """A price with the rest of an offer's terms, as the manifest's last line of `[offer]`."""
    return f'{PRICE}\nfee = {{ rate_ppm = 100000 }}\nvat = {{ rate_ppm = 60000 }}\nevidence = "{evidence}"'


def publish(gateway, name, evidence="sent", rows=50_000, **more):
    data = corpus.parquet(corpus.mixed(rows, seed=5), row_group_size=10_000, compression="zstd")
    return corpus.publish(gateway, name, {"m.parquet": data}, price=terms(evidence), accept=("alice",), **more)


def plan(gateway, made):
    return gateway.api(gateway.alice).post("/v1/plan", {"dataset": made.dataset})


def lines(gateway, made, identity=None, who="hku"):
    statement = gateway.api(identity or gateway.alice).get(f"/v1/statements?participant={who}")
    return [line for part in statement["statements"] for line in part["lines"] if line["dataset"] == made.dataset]


def version(gateway, made):
    return gateway.api(gateway.alice).get(made.path)


def rebuilt(gateway):
    """What the published log gives, once it holds everything that is recorded."""
    def both():
        told = gateway.api(gateway.chan).get("/v1/ledger/balances")
        made = gateway.kouan(gateway.chan, "audit", "rebuild", gateway.log_folder(), "--json")
        assert made.status == 0, made
        return made.json["size"] == told["size"] and (told, made.json)

    return until("the log is published", 10, both)


def test_a_stock_client_that_over_reads_and_overlaps_pays_once(gateway):
    made = publish(gateway, "ledger-stock")
    api, size = gateway.api(gateway.alice), int(made.file["bytes"])
    third = size // 3
    for first, last in [(0, 2 * third), (third, size - 1), (0, size - 1), (third, 2 * third), (size - 8, size - 1)]:
        answer = api.request("GET", made.url, headers={"range": f"bytes={first}-{last}"})
        assert answer.status_code == 206 and len(answer.content) == last - first + 1
    quoted = plan(gateway, made)
    (line,) = until("it is billed", 10, lambda: [line for line in lines(gateway, made) if line["unit_bytes"] == quoted["unit_bytes"]])
    assert line["amount"] == quoted["price"]["amount"] and int(line["amount"]) > 0
    assert line["fee"] == str(int(line["amount"]) // 10)
    assert line["tax"] == str(int(line["amount"]) * 60_000 // 1_060_000)
    assert line["wire_bytes"] > 2 * size and line["evidence"] == {"sent": line["unit_bytes"], "receipt": 0}
    # Wire bytes stand beside units, of which each counts once, whatever parts it came in.
    units = [chunk for chunk in api.get(f"{made.url}/chunks") if chunk["row_group"] is not None]
    assert line["units"] == len(units) > 1 and line["unit_bytes"] == sum(unit["bytes"] for unit in units), line
    assert line["rows"] == made.file["rows"], line


@pytest.mark.parametrize("arguments", [(), ("--columns", "id,text"), ("--format", "jsonl", "--columns", "id")])
def test_pull_signs_for_what_it_has_verified(gateway, tmp_path, arguments):
    made = publish(gateway, f"ledger-pull-{len(arguments)}")
    said = gateway.kouan(gateway.alice, "pull", made.dataset, "--out", tmp_path, "--json", *arguments)
    assert said.status == 0, said
    (file,) = said.json["files"]
    lease = gateway.api(gateway.alice).get(f"/v1/leases/{file['lease']}")
    assert [receipt["seq"] for receipt in lease["receipts"]] == [1]
    assert lease["receipts"][0]["leaf"] == file["receipt"]["leaf"]
    assert lease["egress_bytes"] >= lease["sent_bytes"] > 0
    (line,) = lines(gateway, made)
    assert line["evidence"] == {"sent": line["unit_bytes"], "receipt": line["unit_bytes"]} and line["unit_bytes"] > 0
    # The parties can read the receipt; it names no person.
    for identity in (gateway.alice, gateway.broker, gateway.chan):
        leaf = gateway.api(identity).get(f"/v1/audit/{file['receipt']['leaf']}")["leaf"]
        assert leaf["kind"] == "receipt" and leaf["unit_bytes"] == str(line["unit_bytes"])
        # By what its certificate was judged: the authority's, which are no person's.
        assert leaf["roots"].startswith("sha256:") and leaf["crl"].startswith("sha256:") and isinstance(leaf["issuers"], list)
        assert "alice" not in json.dumps(leaf)
    assert gateway.api(gateway.bob).request("GET", f"/v1/leases/{file['lease']}").status_code == 404


def test_what_is_not_right_changes_nothing_and_says_why(gateway):
    made = publish(gateway, "ledger-wrong")
    alice, bob = gateway.api(gateway.alice), gateway.api(gateway.bob)
    size = int(made.file["bytes"])
    lease = alice.request("GET", made.url, headers={"range": f"bytes=0-{size // 2}"}).headers["kouan-lease"]
    manifest, path = version(gateway, made)["manifest"], f"/v1/leases/{lease}/acks"
    columns = plan(gateway, made)["columns"]
    body = lambda seq=1, groups=((0, 1),), names=columns[:2], of=manifest, to=lease: receipts.ack(
        to, of, seq, made.file, names, [list(group) for group in groups]
    )
    signed = lambda ack, identity=gateway.alice: receipts.signed(identity, ack)
    before = gateway.api(gateway.chan).get("/v1/ledger/balances")["balances"]

    forged = {**signed(body()), "ack": body(seq=2)}
    for wrong, status, code in [
        (signed(body(to="l-0")), 400, "bad_input"),
        ({**signed(body()), "signature": "!"}, 400, "bad_input"),
        (forged, 403, "forbidden"),
        (signed(body(), gateway.bob), 403, "forbidden"),
        (signed(body(of="sha256:" + "0" * 64)), 400, "bad_input"),
        (signed(body(names=["nothing"])), 400, "bad_input"),
        (signed(body(groups=((0, 6),))), 400, "bad_input"),
        (signed(body(seq=0)), 400, "bad_input"),
        (signed(body(groups=((0, 5),))), 409, "conflict"),  # not sent
        (signed(body(seq=2)), 409, "conflict"),  # out of order
    ]:
        alice.refused("POST", path, status, code, json=wrong)
    bob.refused("POST", path, 404, "not_found", json=signed(body(), gateway.bob))
    gateway.api(gateway.broker).refused("POST", path, 403, "forbidden", json=signed(body(), gateway.broker))
    assert alice.get(f"/v1/leases/{lease}")["receipts"] == []
    assert gateway.api(gateway.chan).get("/v1/ledger/balances")["balances"] == before

    # The right one, and the same again: the same answer for ever, restarts included; another under its number never.
    first = alice.post(path, signed(body()))
    assert first["ack"] == receipts.digest(body()) and first["new_unit_bytes"] == first["unit_bytes"] > 0
    assert alice.post(path, signed(body())) == first
    told = alice.refused("POST", path, 409, "key_reused", json=signed(body(groups=((1, 2),))))
    assert {told["first"], told["second"]} == {first["ack"], receipts.digest(body(groups=((1, 2),)))}
    assert alice.post(path, signed(body(seq=2)))["new_unit_bytes"] == 0
    gateway.stop()
    gateway.serve()
    assert gateway.api(gateway.alice).post(path, signed(body())) == first


def test_three_forged_acknowledgements_suspend_the_lease_until_two_officers_lift_it(gateway):
    made = publish(gateway, "ledger-forged")
    corpus.agree(gateway, gateway.bob, made.dataset)
    alice, chan = gateway.api(gateway.alice), gateway.api(gateway.chan)
    lease = alice.request("GET", made.url).headers["kouan-lease"]
    manifest, path = version(gateway, made)["manifest"], f"/v1/leases/{lease}/acks"
    ack = lambda seq: receipts.ack(lease, manifest, seq, made.file, plan(gateway, made)["columns"], [[0, 5]])
    forged = {**receipts.signed(gateway.alice, ack(1)), "ack": ack(2)}
    taken = alice.post(path, receipts.signed(gateway.alice, ack(1)))
    # What is merely wrong is no strike: out of order, replayed under another body, malformed, somebody else's.
    for _ in range(4):
        alice.refused("POST", path, 409, "conflict", json=receipts.signed(gateway.alice, ack(7)))
        alice.refused("POST", path, 400, "bad_input", json={**forged, "signature": "!"})
        gateway.api(gateway.bob).refused("POST", path, 404, "not_found", json=receipts.signed(gateway.bob, ack(2)))
    assert alice.refused("POST", path, 403, "forbidden", json=forged)["forged"] == 1
    # The count survives a restart, and Flight is the same door.
    gateway.stop()
    gateway.serve()
    alice, chan = gateway.api(gateway.alice), gateway.api(gateway.chan)
    with connect(gateway, gateway.alice) as client, pytest.raises(Exception, match="signature"):
        list(client.do_action(("ack", json.dumps(forged).encode())))
    shown = alice.get(f"/v1/leases/{lease}")
    assert (shown["state"], shown["forged_acks"]) == ("active", 2)
    assert alice.refused("POST", path, 403, "forbidden", json=forged)["forged"] == 3
    shown = alice.get(f"/v1/leases/{lease}")
    assert (shown["state"], shown["forged_acks"]) == ("cut", 3) and "forged" in shown["reason"]
    assert shown["receipts"] == [taken], "what was signed for stays"
    # Nothing more of this access, whatever the selection; the log says why, and that the node did it.
    assert "forged" in alice.refused("GET", made.url, 403, "cut")["detail"]
    assert "forged" in alice.refused("GET", f"{made.url}?columns=id", 403, "cut")["detail"]
    (leaf,) = [entry["leaf"] for entry in chan.get("/v1/audit?kind=cut")["entries"] if entry["leaf"].get("lease") == lease]
    assert leaf["cause"] == "forged_acks" and "participant" not in leaf and "person" not in leaf
    assert gateway.api(gateway.bob).request("GET", made.url).status_code == 200, "nobody else is concerned"
    for who, lifted in ((gateway.chan, False), (gateway.lee, True)):
        told = gateway.kouan(who, "lease", "restore", lease, "--json")
        assert told.status == 0 and ("lifted" in told.json) == lifted, told
    assert alice.request("GET", made.url).status_code == 200


def test_flight_and_ed25519(gateway, tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("ed") / "ca", "ed.example")
    join(gateway, authority, "ed")
    person = authority.issue("researcher", "ed", algorithm="ed25519")
    made = publish(gateway, "ledger-flight", recipients=("*",))
    corpus.agree(gateway, person, made.dataset)
    api = gateway.api(person)
    lease = api.request("GET", made.url).headers["kouan-lease"]
    columns = plan(gateway, made)["columns"]
    ack = receipts.ack(lease, version(gateway, made)["manifest"], 1, made.file, columns, [[0, 5]])
    signed = json.dumps(receipts.signed(person, ack)).encode()
    with connect(gateway, person) as client:
        assert "ack" in [action.type for action in client.list_actions()]
        (answer,) = client.do_action(("ack", signed))
        said = json.loads(answer.body.to_pybytes())
        with pytest.raises(Exception, match="signature"):
            list(client.do_action(("ack", json.dumps({"ack": ack, "signature": base64.b64encode(b"x").decode()}).encode())))
    assert said["seq"] == 1 and said["unit_bytes"] == plan(gateway, made)["unit_bytes"]
    assert api.get(f"/v1/leases/{lease}")["receipts"] == [said]


def test_where_receipts_are_asked_for_nothing_is_billed_without_one(gateway):
    made = publish(gateway, "ledger-receipt", "receipt")
    api = gateway.api(gateway.alice)
    answer = api.request("GET", made.url)
    lease = answer.headers["kouan-lease"]
    (line,) = until("it is on record", 10, lambda: [line for line in lines(gateway, made) if line["unit_bytes"] > 0])
    assert line["amount"] == "0" and line["evidence"]["receipt"] == 0
    names = plan(gateway, made)["columns"]
    ack = receipts.ack(lease, version(gateway, made)["manifest"], 1, made.file, names, [[0, 5]])
    taken = api.post(f"/v1/leases/{lease}/acks", receipts.signed(gateway.alice, ack))
    quoted = plan(gateway, made)["price"]
    assert taken["amount"] == quoted
    (line,) = lines(gateway, made)
    assert line["amount"] == quoted["amount"] and line["evidence"]["receipt"] == line["unit_bytes"]


def test_without_receipts_a_stream_stops_and_pull_goes_on_by_itself(gateway, tmp_path):
    data = corpus.parquet(
        corpus.numbers(1_350_000, seed=8), row_group_size=100_000, compression="none", use_dictionary=False, write_statistics=False
    )
    made = corpus.publish(gateway, "ledger-cap", {"n.parquet": data}, price=terms("receipt"), accept=("alice", "bob"))
    size = int(made.file["bytes"])
    assert size > UNRECEIPTED * 5 // 4
    # A client that cannot sign gets the bound and no more; then it is told what to do.
    api = gateway.api(gateway.alice)
    for first in range(0, UNRECEIPTED, 8 << 20):
        api.request("GET", made.url, headers={"range": f"bytes={first}-{first + (8 << 20) - 1}"})
    rest = {"range": f"bytes={UNRECEIPTED}-{size - 1}"}
    (problem,) = until("it is told", 10, lambda: [said for said in [api.request("GET", made.url, headers=rest)] if said.status_code == 429])
    assert "acks" in problem.json()["detail"] and problem.headers["retry-after"]
    # Our own signs on the way and gets everything.
    said = gateway.kouan(gateway.bob, "pull", made.dataset, "--out", tmp_path, "--json")
    assert said.status == 0, said
    (line,) = lines(gateway, made, gateway.bob, "cuhk")
    assert line["evidence"]["receipt"] == line["unit_bytes"] and line["amount"] == plan(gateway, made)["price"]["amount"]
    lease = gateway.api(gateway.bob).get(f"/v1/leases/{said.json['files'][0]['lease']}")
    assert len(lease["receipts"]) > 1, lease


def test_two_officers_take_a_posting_back(gateway):
    made = publish(gateway, "ledger-credit")
    gateway.api(gateway.alice).request("GET", made.url)
    (line,) = until("it is billed", 10, lambda: [line for line in lines(gateway, made) if int(line["amount"]) > 0])
    month = gateway.api(gateway.alice).get("/v1/statements?participant=hku")["period"]
    amount = int(line["amount"]) // 2
    credit = lambda who, amount=amount, agreement=line["agreement"]: gateway.kouan(
        who, "agreement", "credit", agreement, "--version", "1", "--amount", amount, "--period", month, "--reason", "damaged rows", "--json"
    )
    assert credit(gateway.broker).status == 3 and credit(gateway.alice).status == 3
    assert credit(gateway.chan, amount=int(line["amount"]) + 1).status == 2
    assert credit(gateway.chan, agreement="a-nothing").status == 5
    assert "awaiting" in credit(gateway.chan).json["state"]
    assert credit(gateway.chan).status != 0, "one officer is not two"
    assert len(lines(gateway, made)) == 1
    told = credit(gateway.lee)
    assert told.status == 0, told
    (note,) = [found for found in lines(gateway, made) if "credit_note" in found]
    assert (note["amount"], note["service_period"]) == (str(-amount), month) and note["credit_note"] == told.json["id"]
    assert int(note["fee"]) < 0 and sum(int(found["amount"]) for found in lines(gateway, made)) == int(line["amount"]) - amount
    assert credit(gateway.chan, amount=int(line["amount"])).status == 2, "more than is left"


def test_the_log_alone_gives_every_balance(gateway):
    told, made = rebuilt(gateway)
    assert made["batches"] > 0 and made["digest"] == told["digest"] and made["balances"] == told["balances"]
    for accounts in told["balances"].values():
        for side in ("", "pending_"):
            assert sum(int(a[f"{side}debits"]) for a in accounts) == sum(int(a[f"{side}credits"]) for a in accounts)
    # A participant sees its own accounts, and no digest of the others'.
    own = gateway.api(gateway.alice).get("/v1/ledger/balances")
    assert {a["account"] for a in own["balances"]["CNY"]} == {"consumer:hku:receivable"} and "digest" not in own
    gateway.api(gateway.operator).refused("GET", "/v1/ledger/balances", 403, "forbidden")
    # What was posted to hku is what its statement says.
    statement = gateway.api(gateway.alice).get("/v1/statements?participant=hku")
    (cny,) = [part for part in statement["statements"] if part["currency"] == "CNY"]
    (account,) = own["balances"]["CNY"]
    assert int(account["debits"]) - int(account["credits"]) == int(cny["total"])


def test_rebuild_refuses_a_log_that_does_not_hold(gateway, tmp_path):
    assert gateway.kouan(gateway.chan, "audit", "rebuild", tmp_path, "--json").status == 5
    said = gateway.kouan(gateway.chan, "audit", "export", "--out", tmp_path / "log", "--json")
    assert said.status == 0, said
    entries = max((path for path in (tmp_path / "log" / "tile" / "entries").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(entries.read_bytes())
    data[len(data) // 2] ^= 1
    entries.chmod(0o600)
    entries.write_bytes(data)
    said = gateway.kouan(gateway.chan, "audit", "rebuild", tmp_path / "log", "--json")
    assert said.status == 6, said
