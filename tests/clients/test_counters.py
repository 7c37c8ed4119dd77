"""Whom a year's exports concern: persons by key across corpora, declared numbers, thresholds under load, what is given back,
and signed baselines. Own gateway: its counters are read to the last person."""

import concurrent.futures
import datetime
import json
import threading

import pyarrow
import pytest

from harness import corpus, store
from harness.authority import Authority, join
from harness.lines import Http1
from harness.wait import until

SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))
# What the quickstart signs for the current year, and where a contract, certificate or assessment begins to be needed (CN-07).
BASELINE, THRESHOLD = 12_500, 100_000


def counters(gateway, year=None, who=None):
    query = f"?year={year}" if year else ""
    return gateway.api(who or gateway.broker).get(f"/v1/participants/qianhai/counters{query}")


def counted(gateway, year=None):
    return counters(gateway, year)["counted_persons"]


def subjects(numbers, spelling="S-{:05}".format):
    """Rows about these persons."""
    numbers = list(numbers)
    return pyarrow.table({"subject": [spelling(n) for n in numbers], "score": pyarrow.array(range(len(numbers)), pyarrow.int64())})


def offer(gateway, dataset, table, persons, key="subject", accept=("alice",), version="1", **more):
    """A published corpus of persons."""
    extra = f'subject_key = "{key}"' if key else ""
    return corpus.publish(
        gateway, dataset, {"p.parquet": corpus.parquet(table)}, version=version, accept=accept, extra=extra,
        columns={"subject": "personal"}, subjects=(persons, 0, 0), **more,
    )


def pull(gateway, made, who=None, status=200):
    answer = gateway.api(who or gateway.alice).request("GET", made.url)
    assert answer.status_code == status, answer.text
    return answer


def full_width(n):
    """The same person, as another keyboard writes it."""
    return "".join(chr(ord(c) + 0xFEE0) for c in f"s{n:05}") if n % 2 else f" s {n:05}\u200b"


def test_one_person_in_two_corpora_counts_once(own_gateway):
    gateway, before = own_gateway, counted(own_gateway)
    first = offer(gateway, "test-first", subjects(range(100)), 100)
    second = offer(gateway, "test-second", subjects(range(60, 160), full_width), 100, accept=("alice", "bob"))
    assert counted(gateway) == before, "nothing has left"
    pull(gateway, first)
    assert counted(gateway) == before + 100
    leaf = int(pull(gateway, second).headers["kouan-leaf"])
    assert counted(gateway) == before + 160
    pull(gateway, second, gateway.bob)
    pull(gateway, first)
    assert counted(gateway) == before + 160
    # The decision saw it so: counters + P is the distinct total afterwards.
    digest = gateway.api(gateway.chan).get(f"/v1/audit/{leaf}")["leaf"]["facts"].removeprefix("sha256:")
    with store.database(gateway) as records:
        facts = json.loads(records.execute("SELECT body FROM facts WHERE digest = ?", (bytes.fromhex(digest),)).fetchone()[0])
    assert facts["exporter"]["counters"]["persons"] + facts["dataset"]["subjects"]["persons"] == BASELINE + before + 160

    rows = {row["dataset"]: row for row in counters(gateway)["datasets"]}
    assert {rows[name]["method"] for name in ("test-first", "test-second")} == {"keys"}
    assert rows["test-second"]["by_key"] == 100 and rows["test-second"]["by_number"] == 0


def test_what_keys_do_not_cover_counts_by_number(own_gateway):
    gateway, before = own_gateway, counted(own_gateway)
    # Ten more are declared than have a key, and two rows have none: whichever is more.
    table = pyarrow.concat_tables([subjects(range(1000, 1020)), subjects([0, 0], lambda _: " - ")])
    pull(gateway, offer(gateway, "test-more-declared", table, 30))
    assert counted(gateway) == before + 30
    pull(gateway, offer(gateway, "test-no-key", subjects(range(1000, 1020)), 50, key=None))
    assert counted(gateway) == before + 80
    pull(gateway, offer(gateway, "test-no-key", subjects(range(1000, 1010)), 40, key=None, version="2"))
    assert counted(gateway) == before + 80, "a dataset counts once, by its largest number"
    rows = {row["dataset"]: row for row in counters(gateway)["datasets"]}
    assert (rows["test-more-declared"]["method"], rows["test-no-key"]["method"]) == ("keys and declared", "declared")


def test_a_key_in_a_list_is_refused(own_gateway):
    gateway = own_gateway
    corpus.register(
        gateway,
        corpus.manifest("test-key-list", columns={"who": "personal"}, extra='subject_key = "who.list.element"', subjects=(1, 0, 0)),
    )
    table = pyarrow.table({"who": pyarrow.array([["a", "b"]])})
    answer = gateway.api(gateway.broker).refused(
        "PUT", "/v1/datasets/test-key-list/versions/1/files/p.parquet", 400, "bad_input", data=corpus.parquet(table)
    )
    assert "subject key" in answer["detail"] and "one value a row" in answer["detail"]


@pytest.fixture
def one_stream_each(own_gateway):
    """The same node, where a participant may have one stream at a time."""
    config = own_gateway.folder / "kouan.toml"
    before = config.read_text()
    config.write_text(before + "\n[limits]\nstreams_per_participant_max = 1\n")
    own_gateway.stop()
    yield own_gateway.serve()
    own_gateway.stop()
    config.write_text(before)
    own_gateway.serve()


def test_what_nobody_received_is_given_back_with_the_lease(one_stream_each):
    gateway = one_stream_each
    large = corpus.parquet(corpus.numbers(300_000, seed=78), compression="none", use_dictionary=False)
    busy = corpus.publish(gateway, "test-busy", {"large.parquet": large})
    made = offer(gateway, "test-unused", subjects(range(2000, 2040)), 40, accept=("alice", "bob"))
    before = counted(gateway)
    parked = Http1(gateway, gateway.alice, busy.url, receive_buffer=65536)
    # Decided, recorded, reserved; then there is no place for its stream.
    gateway.api(gateway.alice).refused("GET", made.url, 429, "rate_limited")
    assert counted(gateway) == before + 40
    leases = gateway.api(gateway.alice).get("/v1/leases")["leases"]
    lease = next(lease["id"] for lease in leases if lease["dataset"] == made.dataset)
    chan = gateway.api(gateway.chan)
    chan.post(f"/v1/leases/{lease}/cut", {"reason": "a test"})
    until("its persons are given back", 10, lambda: counted(gateway) == before)
    parked.close()
    # Once a byte has left they stay, however the lease ends.
    lease = pull(gateway, made, gateway.bob).headers["kouan-lease"]
    chan.post(f"/v1/leases/{lease}/cut", {"reason": "a test"})
    assert counted(gateway) == before + 40


def test_who_may_see_the_counters(own_gateway):
    gateway = own_gateway
    assert counters(gateway, who=gateway.chan) == counters(gateway)
    for who in (gateway.alice, gateway.operator):
        gateway.api(who).refused("GET", "/v1/participants/qianhai/counters", 403, "forbidden")
    gateway.api(gateway.broker).refused("GET", "/v1/participants/hku/counters", 404, "not_found")
    gateway.api(gateway.broker).refused("GET", "/v1/participants/qianhai/counters?year=x", 400, "bad_input")
    shown = gateway.kouan(gateway.broker, "participant", "counters", "qianhai-compute.cn", "--json")
    assert shown.status == 0 and shown.json == counters(gateway), shown
    assert "test-first" in gateway.kouan(gateway.broker, "participant", "counters", "qianhai").out


def test_sixty_four_pulls_at_a_threshold_never_pass_it_together(own_gateway):
    gateway, each, pulls = own_gateway, 5_000, 64
    before = counted(gateway)
    room = (THRESHOLD - 1 - BASELINE - before) // each
    assert 0 < room < pulls
    table = subjects(range(3))

    def prepare(number):
        return offer(gateway, f"test-rush-{number}", table, each, key=None, accept=("alice" if number % 2 else "bob",))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(prepare, range(pulls)))
    start = threading.Barrier(pulls)

    def rush(number):
        api = gateway.api(gateway.alice if number % 2 else gateway.bob)
        api.get("/v1/whoami")
        start.wait()
        answer = api.request("GET", made[number].url)
        if answer.status_code == 200:
            assert answer.content == made[number].source
            return True
        assert answer.status_code == 403 and "CN-07" in answer.json()["explain"]["rules"], answer.text
        return False

    with concurrent.futures.ThreadPoolExecutor(pulls) as pool:
        passed = sum(pool.map(rush, range(pulls)))
    assert passed == room, "as many as fit, and not one more"
    assert counted(gateway) == before + room * each
    assert BASELINE + counted(gateway) < THRESHOLD


def test_a_kill_keeps_exactly_what_was_reserved(own_gateway):
    gateway = own_gateway
    # As many as there is room for, less one person: another one would pass the threshold.
    room = THRESHOLD - 1 - counters(gateway)["persons"]
    made = offer(gateway, "test-killed", subjects(range(3)), room, key=None)
    refused = offer(gateway, "test-too-many", subjects(range(3)), 1, key=None)
    parked = Http1(gateway, gateway.alice, made.url)
    lease = parked.headers["kouan-lease"]
    held = counters(gateway)
    assert held["persons"] == THRESHOLD - 1
    gateway.kill()
    gateway.serve()
    assert counters(gateway) == held
    # Nobody knows any more whether a byte had left: it counts as left.
    gateway.api(gateway.chan).post(f"/v1/leases/{lease}/cut", {"reason": "a test"})
    assert counters(gateway) == held
    assert "CN-07" in pull(gateway, refused, status=403).json()["explain"]["rules"]


def baseline(gateway, who, *more, year, persons, sensitive=0):
    numbers = ("--year", year, "--persons", persons, "--sensitive", sensitive)
    return gateway.kouan(who, "participant", "baseline", "qianhai", *numbers, *more, "--json")


def test_a_baseline_counts_when_signed_by_its_own_and_confirmed(own_gateway, tmp_path):
    gateway = own_gateway
    year = datetime.datetime.now(SHANGHAI).year + 1
    signed = baseline(gateway, gateway.broker, year=year, persons=90_000)
    assert signed.status == 0, signed
    declared = signed.json["baselines"][str(year)]
    assert declared["persons"] == 90_000 and not declared["confirmed"] and declared["document"].startswith("sha256:")
    assert counters(gateway, year)["persons"] == 0, "inert until confirmed"
    leaf = gateway.api(gateway.chan).get(f"/v1/audit/{signed.json['leaf']}")["leaf"]
    assert leaf["kind"] == "baseline" and leaf["baseline"]["persons"] == 90_000 and leaf["document"] == declared["document"]
    assert "broker" not in leaf["signature"] and "lin" not in json.dumps(leaf["signature"]), "a commitment, no certificate"

    # Another participant's certificate is none of Qianhai's; a changed number has no signature.
    alice = ("--signer-cert", gateway.alice.cert, "--signer-key", gateway.alice.key)
    foreign = baseline(gateway, gateway.broker, *alice, year=year, persons=1)
    assert foreign.status == 2 and "hku.hk" in foreign.out, foreign
    operator = ("--signer-cert", gateway.operator.cert, "--signer-key", gateway.operator.key)
    assert "broker or compliance" in baseline(gateway, gateway.broker, *operator, year=year, persons=1).out
    swapped = ("--signer-cert", gateway.operator.cert, "--signer-key", gateway.broker.key)
    assert "does not fit" in baseline(gateway, gateway.broker, *swapped, year=year, persons=1).out
    stranger = Authority(tmp_path / "ca", "qianhai-compute.cn").issue("broker", "lin")
    strange = ("--signer-cert", stranger.cert, "--signer-key", stranger.key)
    assert baseline(gateway, gateway.broker, *strange, year=year, persons=1).status == 2
    document = {"participant": "qianhai", "year": year, "persons": 1, "sensitive": 0, "as_of": "2026-01-01"}
    unsigned = {"document": document, "signature": "e30..e30"}
    gateway.api(gateway.broker).refused("POST", "/v1/participants/qianhai/baselines", 400, "bad_input", json=unsigned)
    gateway.api(gateway.alice).refused("POST", "/v1/participants/qianhai/baselines", 403, "forbidden", json=unsigned)

    chan = gateway.api(gateway.chan)
    confirm = "/v1/participants/qianhai/confirm-baseline"
    chan.refused("POST", confirm, 409, "conflict", json={"year": year, "document": "sha256:" + "0" * 64})
    confirmed = chan.post(confirm, {"year": year, "document": declared["document"]})
    assert confirmed["baselines"][str(year)]["confirmed"]
    assert counters(gateway, year)["persons"] == 90_000
    assert baseline(gateway, gateway.broker, year=year, persons=1).status != 0, "what counts is not changed"


def test_without_a_signature_nothing_is_confirmed(own_gateway, tmp_path):
    gateway = own_gateway
    authority = Authority(tmp_path / "ca", "szdata.example")
    body = {
        "id": "szdata", "trust_domain": "szdata.example", "place": "CN-440300", "roles": ["broker"],
        "ca": authority.ca, "crl": authority.crl, "baselines": {"2026": {"persons": 1, "sensitive": 0}},
    }
    added = gateway.api(gateway.operator).post("/v1/participants", body, status=201)
    assert added["baselines"]["2026"] == {"persons": 1, "sensitive": 0, "confirmed": False}
    answer = gateway.api(gateway.chan).refused("POST", "/v1/participants/szdata/confirm-baseline", 409, "conflict", json={"year": 2026})
    assert "not signed" in answer["detail"]
