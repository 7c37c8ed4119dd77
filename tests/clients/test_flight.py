"""pyarrow.flight, unmodified: list, info, schema, get; and what it is told when it may not."""

import io
import json

import pyarrow
import pyarrow.flight as flight
import pyarrow.parquet as pq
import pytest

PATH = flight.FlightDescriptor.for_path


def connect(gateway, identity):
    read = lambda path: open(path, "rb").read()
    return flight.connect(
        f"grpc+tls://127.0.0.1:{gateway.port}",
        tls_root_certs=read(gateway.trust),
        cert_chain=read(identity.cert),
        private_key=read(identity.key),
    )


def command(**members):
    return flight.FlightDescriptor.for_command(json.dumps(members).encode())


def everything(client, info):
    """All endpoints, in order."""
    assert all(not endpoint.locations for endpoint in info.endpoints), "an empty location means this connection"
    return pyarrow.concat_tables(client.do_get(endpoint.ticket).read_all() for endpoint in info.endpoints)


@pytest.fixture(scope="module")
def alice(gateway):
    with connect(gateway, gateway.alice) as client:
        yield client


def test_list_flights(alice, mixed, people):
    found = {tuple(info.descriptor.path): info for info in alice.list_flights()}
    assert {(b"test-mixed",), (b"test-people",)} <= set(found), found.keys()
    assert found[(b"test-mixed",)].total_records == 50_000


@pytest.mark.parametrize("path", [("test-mixed",), ("test-mixed", "1")])
def test_info_schema_and_all_endpoints_give_the_source(alice, mixed, path):
    source = pq.read_table(io.BytesIO(mixed.source))
    info = alice.get_flight_info(PATH(*path))
    assert info.total_records == 50_000 and info.total_bytes > 0 and info.endpoints
    assert all(endpoint.expiration_time is not None for endpoint in info.endpoints)
    schema = alice.get_schema(PATH(*path)).schema
    assert schema.remove_metadata().equals(source.schema.remove_metadata())
    table = everything(alice, info)
    assert table.schema.remove_metadata().equals(source.schema.remove_metadata())
    assert table.equals(source)


def test_columns_of_a_command(alice, mixed):
    source = pq.read_table(io.BytesIO(mixed.source)).select(["id", "text"])
    info = alice.get_flight_info(command(dataset=mixed.dataset, columns=["text", "id"]))
    assert everything(alice, info).equals(source), "columns stand in source order"


def test_redacted(alice, people):
    source = pq.read_table(io.BytesIO(people.source)).select(["row", "remark"])
    info = alice.get_flight_info(command(dataset=people.dataset, redact=True))
    assert everything(alice, info).equals(source)


def test_denied_with_rules_and_problem(alice, people):
    with pytest.raises(flight.FlightUnauthorizedError, match="CN-06, MECH-MISSING") as refused:
        alice.get_flight_info(PATH(people.dataset))
    document = json.loads(refused.value.extra_info)
    assert document["code"] == "denied" and document["explain"]["remedies"]
    # What decided and who can help fit in, if not every sentence.
    because = document["explain"]["because"][0]
    assert because["facts"][0]["fact"] == "columns.sensitive" and because["who"][0]["who"] == "consumer"
    assert document["explain"]["help"][0]["commands"]


def test_explain_moves_nothing(alice, people):
    [result] = alice.do_action(flight.Action("explain", json.dumps({"dataset": people.dataset}).encode()))
    explained = json.loads(result.body.to_pybytes())
    assert "CN-06" in explained["rules"] and explained["remedies"]
    assert explained["because"][0]["facts"][0]["text"]["zh-Hant"] and explained["help"][0]["text"]["zh-Hans"]


def test_a_ticket_is_worthless_from_another_certificate(gateway, alice, mixed):
    ticket = alice.get_flight_info(PATH(mixed.dataset)).endpoints[0].ticket
    assert alice.do_get(ticket).read_all().num_rows > 0
    with connect(gateway, gateway.bob) as bob:
        # Bob may read the dataset himself, so that nothing but the ticket is wrong.
        assert everything(bob, bob.get_flight_info(PATH(mixed.dataset))).num_rows == 50_000
        with pytest.raises(flight.FlightUnauthorizedError):
            bob.do_get(ticket).read_all()
        with pytest.raises(flight.FlightUnauthorizedError):
            list(bob.do_action(flight.Action("renew", ticket.ticket)))


def test_a_changed_ticket_is_none(alice, mixed):
    ticket = bytearray(alice.get_flight_info(PATH(mixed.dataset)).endpoints[0].ticket.ticket)
    for position in (0, len(ticket) // 2, len(ticket) - 1):
        changed = bytearray(ticket)
        changed[position] ^= 1
        with pytest.raises((pyarrow.ArrowInvalid, flight.FlightError), match="not a ticket"):
            alice.do_get(flight.Ticket(bytes(changed))).read_all()


def test_what_is_not_there(alice):
    with pytest.raises(Exception, match="no-such-thing|there is no") as missing:
        alice.get_flight_info(PATH("no-such-thing"))
    assert isinstance(missing.value, (KeyError, pyarrow.ArrowKeyError, flight.FlightError)), type(missing.value)


def test_an_unfinished_door_says_so(alice, mixed):
    with pytest.raises((NotImplementedError, flight.FlightError), match="not in this release"):
        alice.get_flight_info(command(dataset=mixed.dataset, where="id > 1"))


def test_no_certificate_no_flight(gateway):
    client = flight.connect(f"grpc+tls://127.0.0.1:{gateway.port}", tls_root_certs=open(gateway.trust, "rb").read())
    with pytest.raises((flight.FlightUnavailableError, flight.FlightInternalError)):
        list(client.list_flights(options=flight.FlightCallOptions(timeout=10)))
