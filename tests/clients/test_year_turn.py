"""The turn of the year, at midnight in Shanghai: what leaves afterwards counts in the new year too, or does not leave."""

import datetime

import pytest

from harness import corpus, store
from harness.lines import Broken, Http1
from harness.wait import until

SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))


def counted(gateway, year):
    return gateway.api(gateway.broker).get(f"/v1/participants/qianhai/counters?year={year}")["counted_persons"]


@pytest.fixture
def new_year_s_eve(december_gateway):
    """A node that the quickstart left behind, started again an hour before its year ends in Shanghai."""
    gateway, year = december_gateway, 2026
    gateway.stop()
    gateway.clock.set(datetime.datetime(year, 12, 31, 23, 0, tzinfo=SHANGHAI))
    gateway.serve()
    return gateway.clock, year


def test_a_stream_over_midnight_counts_in_both_years(december_gateway, new_year_s_eve):
    gateway, (clock, year) = december_gateway, new_year_s_eve

    # On its last day the year's persons are read for the next one, before anybody needs them.
    def ahead():
        with store.database(gateway) as records:
            return records.execute("SELECT count(*) FROM keyset JOIN tally ON tally = id WHERE year = ?", (year + 1,)).fetchone()[0]

    until("the next year is prepared", 30, lambda: ahead() > 0)
    # The baseline of the new year leaves room for the first of these, and not for both.
    numbers = ("--year", year + 1, "--persons", 90_000, "--sensitive", 0)
    signed = gateway.kouan(gateway.broker, "participant", "baseline", "qianhai", *numbers, "--json")
    assert signed.status == 0, signed
    gateway.api(gateway.chan).post("/v1/participants/qianhai/confirm-baseline", {"year": year + 1})
    table = corpus.numbers(1_000_000, seed=77, columns=2)
    seen = {}
    for name, persons in (("test-goes-on", 6_000), ("test-ends", 5_000)):
        data = {"large.parquet": corpus.parquet(table, compression="none", use_dictionary=False)}
        seen[name] = corpus.publish(gateway, name, data, columns={"n0": "personal"}, subjects=(persons, 0, 0))
    before = counted(gateway, year)
    streams = {name: Http1(gateway, gateway.alice, made.url, receive_buffer=65536) for name, made in seen.items()}
    for stream in streams.values():
        assert stream.status == 200, stream.headers
        stream.read()
    assert counted(gateway, year) == before + 11_000 and counted(gateway, year + 1) == 0

    clock.set(datetime.datetime(year + 1, 1, 1, 0, 10, tzinfo=SHANGHAI))
    goes_on, ends = streams["test-goes-on"], streams["test-ends"]
    while goes_on.read():
        pass
    assert goes_on.received == goes_on.expected == seen["test-goes-on"].file["bytes"]
    assert (counted(gateway, year), counted(gateway, year + 1)) == (before + 11_000, 6_000)
    leaves = gateway.api(gateway.chan).get(f"/v1/audit?dataset=test-goes-on&effect=allow&limit=50")["entries"]
    turned = [entry["leaf"] for entry in leaves if entry["leaf"].get("turn_of_year")]
    assert len(turned) == 1 and turned[0]["lease"] == goes_on.headers["kouan-lease"]

    # The other would pass the new year's threshold: not a byte more than the sockets held.
    with pytest.raises(Broken):
        while ends.read():
            pass
    assert ends.received < 4 << 20 < ends.expected, "what the kernels held at midnight"
    assert counted(gateway, year + 1) == 6_000
    lease = gateway.api(gateway.alice).get(f"/v1/leases/{ends.headers['kouan-lease']}")
    assert lease["state"] == "closed" and "CN-07" in lease["reason"], lease
    refused = gateway.api(gateway.alice).refused("GET", seen["test-ends"].url, 403, "denied")
    assert "CN-07" in refused["explain"]["rules"]
    # A later range of the stream that went on joins its lease and adds nobody.
    again = gateway.api(gateway.alice).request("GET", seen["test-goes-on"].url, headers={"range": "bytes=0-99"})
    assert again.headers["kouan-lease"] == goes_on.headers["kouan-lease"]
    assert counted(gateway, year + 1) == 6_000
