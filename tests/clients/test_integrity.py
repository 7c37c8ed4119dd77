"""Bytes that changed in the store never leave; and one reader with many requests is one export."""

import concurrent.futures
import io

import pyarrow.flight as flight
import pyarrow.parquet as pq
import pytest

from harness import corpus, store
from harness.wait import until

PRICE = '{ model = "per_gib", amount = "120000000", currency = "CNY" }'


def period(gateway, identity):
    """This month's lines of the identity's participant."""
    me = gateway.api(identity).get("/v1/whoami")["participant"]
    statement = gateway.api(identity).get(f"/v1/statements?participant={me}")
    return [line for currency in statement["statements"] for line in currency["lines"]]


def change_in_column(gateway, made, column):
    """One byte in the middle of a column's last chunk."""
    metadata = pq.read_metadata(io.BytesIO(made.source))
    group = metadata.row_group(metadata.num_row_groups - 1)
    index = group.to_dict()["columns"]
    chunk = next(entry for entry in index if entry["path_in_schema"] == column)
    at = chunk["data_page_offset"] + chunk["total_compressed_size"] // 2
    store.change_byte(store.object_path(gateway, made.file["sha256"]), at)
    return at


def make(gateway, name):
    data = corpus.parquet(corpus.numbers(200_000, seed=11), row_group_size=50_000, compression="none", use_dictionary=False)
    made = corpus.publish(gateway, name, {"n.parquet": data}, price=PRICE)
    assert made.file["sha256"] == corpus.sha256(data), "stored as it came, so that offsets are those of the source"
    return made


@pytest.mark.parametrize("protocol", ["range", "whole", "arrow", "flight"])
def test_a_changed_byte_is_never_sent(own_gateway, protocol):
    gateway, alice = own_gateway, own_gateway.api(own_gateway.alice)
    made = make(gateway, f"test-damage-{protocol}")
    at = change_in_column(gateway, made, "n3")
    good, got = made.source, b""
    first = at // 65536 * 65536
    try:
        if protocol == "range":
            answer = alice.request("GET", made.url, headers={"range": f"bytes={first}-{at + 100}"}, stream=True)
            got = b"".join(answer.iter_content(4096)) if answer.status_code in (200, 206) else b""
            assert good[first : first + len(got)] == got
            complete = len(got) == at + 101 - first
        elif protocol == "whole":
            answer = alice.request("GET", made.url, stream=True)
            chunks = []
            try:
                for chunk in answer.iter_content(4096):
                    chunks.append(chunk)
            finally:
                got = b"".join(chunks)
                assert answer.status_code != 200 or (good.startswith(got) and len(got) <= at), "not one byte past the change"
            complete = len(got) == len(good)
        elif protocol == "arrow":
            answer = alice.request(
                "GET", f"{made.path}/data", headers={"accept": "application/vnd.apache.arrow.stream"}, stream=True
            )
            got = b"".join(answer.iter_content(65536)) if answer.status_code == 200 else b""
            complete = got.endswith(b"\xff\xff\xff\xff\x00\x00\x00\x00")
        else:
            read = lambda path: open(path, "rb").read()
            client = flight.connect(
                f"grpc+tls://127.0.0.1:{gateway.port}", tls_root_certs=read(gateway.trust),
                cert_chain=read(gateway.alice.cert), private_key=read(gateway.alice.key),
            )
            info = client.get_flight_info(flight.FlightDescriptor.for_path(made.dataset))
            rows = sum(client.do_get(endpoint.ticket).read_all().num_rows for endpoint in info.endpoints)
            complete = rows == 200_000
    except Exception as error:  # Any client's way to say that the stream broke off.
        assert not isinstance(error, AssertionError), error
        complete = False
    assert not complete, "a stream over changed bytes looked complete"

    broker = gateway.api(gateway.broker)
    version = until("the version is quarantined", 5, lambda: quarantined(broker, made))
    assert version["reason"]
    # It stays closed, also for ranges that hold no changed byte.
    assert alice.request("GET", made.url, headers={"range": "bytes=0-3"}).status_code in (403, 500)
    entries = gateway.api(gateway.chan).get(f"/v1/audit?dataset={made.dataset}&limit=500")["entries"]
    assert [entry for entry in entries if "quarantine" in entry["leaf"]["kind"]], [e["leaf"]["kind"] for e in entries]
    # Nothing is billed, neither for the damaged unit nor for what left on that stream before it.
    assert not [line for line in period(gateway, gateway.alice) if line["dataset"] == made.dataset and int(line["amount"])]


def quarantined(broker, made):
    version = broker.get(made.path)
    return version if version["state"] == "quarantined" else None


def test_a_shorter_or_missing_file_is_not_served(own_gateway):
    gateway, alice = own_gateway, own_gateway.api(own_gateway.alice)
    made = make(gateway, "test-truncated")
    path = store.object_path(gateway, made.file["sha256"])
    path.chmod(0o600)
    with open(path, "r+b") as file:
        file.truncate(len(made.source) // 2)
    path.chmod(0o400)
    try:
        answer = alice.request("GET", made.url)
        assert answer.status_code >= 400 or len(answer.content) < len(made.source)
        assert not (answer.status_code == 200 and answer.content == made.source)
    except OSError:
        pass
    assert gateway.reachable(), "the gateway has survived it"


def test_forty_ranges_of_one_reader_are_one_export(own_gateway):
    gateway = own_gateway
    people = corpus.parquet(corpus.people(5_000, seed=12), compression="none")
    made = corpus.publish(
        gateway, "test-forty", {"p.parquet": people}, columns={"resident_id": "personal", "phone": "personal"}, accepted=["resident_id"],
        subjects=(5_000, 0, 0), price=PRICE,
    )
    confirm_baseline(gateway)
    size = made.file["bytes"]
    step = -(-size // 40)

    def piece(number):
        first = number * step
        answer = gateway.api(gateway.alice).request(
            "GET", made.url, headers={"range": f"bytes={first}-{min(first + step, size) - 1}"}
        )
        assert answer.status_code == 206, answer.text
        return answer.content, answer.headers["kouan-lease"], answer.headers["kouan-leaf"]

    before = persons_counted(gateway)
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(piece, range(40)))
    assert b"".join(answer[0] for answer in answers) == made.source
    assert len({answer[1] for answer in answers}) == 1, "one lease"
    assert len({answer[2] for answer in answers}) == 1, "one decision"
    entries = gateway.api(gateway.chan).get(f"/v1/audit?dataset={made.dataset}&effect=allow&limit=500")["entries"]
    decisions = [entry for entry in entries if entry["leaf"]["kind"] == "decision"]
    assert [entry["index"] for entry in decisions] == [int(answers[0][2])]
    assert persons_counted(gateway) - before == 5_000, "its persons are counted once"
    # A second reader of the same dataset adds nobody: the same persons.
    corpus.agree(gateway, gateway.bob, made.dataset)
    assert gateway.api(gateway.bob).request("GET", made.url).status_code == 200
    assert persons_counted(gateway) - before == 5_000
    # Billed once, and exactly the price of the whole.
    price = gateway.api(gateway.alice).post("/v1/plan", {"dataset": made.dataset})["price"]["amount"]

    def billed():
        lines = [line for line in period(gateway, gateway.alice) if line["dataset"] == made.dataset]
        return len(lines) == 1 and lines[0]["amount"] == price

    until("the whole file is billed once", 5, billed)


def persons_counted(gateway):
    """The exporter's counter of this year."""
    return gateway.api(gateway.broker).get("/v1/participants/qianhai/counters")["counted_persons"]


def confirm_baseline(gateway):
    """Personal data need a confirmed baseline; the quickstart's story may have confirmed it already."""
    from datetime import datetime, timedelta, timezone

    year = datetime.now(timezone(timedelta(hours=8))).year
    record = gateway.api(gateway.chan).get("/v1/participants/qianhai")
    baseline = record["baselines"].get(str(year))
    assert baseline is not None, f"the quickstart declares a baseline for {year}: {record}"
    if not baseline["confirmed"]:
        gateway.api(gateway.chan).post("/v1/participants/qianhai/confirm-baseline", {"year": year})
