"""What inspection finds beyond the declared classes blocks a version, until the class is raised or an officer of an authority
accepts it with a reason."""

import json

import pyarrow

from harness import corpus
from harness.api import problem

IDS = ["440305190102030017", "44030519010204008X"]


def table():
    """A hundred remarks, two of which name somebody."""
    notes = [f"remark {n}" for n in range(100)]
    notes[6] = f"身份證號碼{IDS[0]}，請保密"
    notes[41] = f"see {IDS[1]}, or call +852 5123 4567"
    return pyarrow.table({"row": pyarrow.array(range(100), pyarrow.int64()), "note": notes})


def uploaded(gateway, dataset, version="1", **terms):
    corpus.register(gateway, corpus.manifest(dataset, version, **terms))
    corpus.upload(gateway, dataset, version, "notes.parquet", corpus.parquet(table()))
    return f"/v1/datasets/{dataset}/versions/{version}"


def test_what_was_not_declared_blocks_submission(gateway):
    path = uploaded(gateway, "test-found")
    broker, chan = gateway.api(gateway.broker), gateway.api(gateway.chan)

    # The broker sees what and where, masked.
    view = broker.get(path)
    [found] = view["findings"]
    assert (found["column"], found["declared"], found["found"]) == ("note", "none", "sensitive")
    assert found["kinds"] == ["cn_resident_id", "hk_mobile"]
    assert found["positions"] == [{"file": "notes.parquet", "row": 7}, {"file": "notes.parquet", "row": 42}]
    [column] = [column for column in view["inspection"]["columns"] if column["name"] == "note"]
    assert column["suggested"] == "sensitive"
    ids = next(found for found in column["identifiers"] if found["kind"] == "cn_resident_id")
    assert (ids["rows"], ids["values"], ids["share_ppm"]) == (2, 2, 20_000)
    assert not any(number in json.dumps(column["identifiers"]) for number in IDS)

    document = problem(broker.request("POST", f"{path}/submit", json={}), 409, "conflict")
    assert document["findings"] == view["findings"]
    assert [way["kind"] for way in document["ways_out"]] == ["raise-class", "accept-finding"]
    for word in ("`note`", "cn_resident_id", "`notes.parquet` row 7", "accept-finding", "new version"):
        assert word in document["detail"], document["detail"]
    told = gateway.kouan(gateway.broker, "dataset", "submit", "test-found@1", "--json")
    assert told.status != 0 and "cn_resident_id" in told.json["error"]["message"], told.out
    told = gateway.kouan(gateway.broker, "dataset", "show", "test-found@1")
    assert "cn_resident_id" in told.out and "accept-finding" in told.out, told.out

    # Not the broker's to accept, not without a reason, not a column in which nothing is.
    body = {"column": "note", "reason": "specimens of the ministry, nobody's numbers"}
    problem(broker.request("POST", f"{path}/accept-finding", json=body), 403, "forbidden")
    problem(gateway.api(gateway.alice).request("POST", f"{path}/accept-finding", json=body), 403, "forbidden")
    problem(chan.request("POST", f"{path}/accept-finding", json={**body, "reason": " "}), 400, "bad_input")
    problem(chan.request("POST", f"{path}/accept-finding", json={**body, "column": "row"}), 409, "conflict")
    assert broker.get(path)["findings"] == view["findings"]

    told = gateway.kouan(
        gateway.chan, "dataset", "accept-finding", "test-found@1", "--column", "note", "--reason", body["reason"], "--json"
    )
    assert told.status == 0 and told.json["open"] == 0, told.err
    entry = chan.get(f"/v1/audit/{told.json['leaf']}")["leaf"]
    assert (entry["kind"], entry["columns"], entry["rows"]) == ("finding_accept", ["note"], 2)
    assert entry["identifiers"] == found["kinds"] and (entry["declared"], entry["found"]) == ("none", "sensitive")
    assert body["reason"] not in json.dumps(entry) and "reason" in entry, "committed to, not written out"
    problem(chan.request("POST", f"{path}/accept-finding", json=body), 409, "conflict")
    accepted = broker.get(path)["accepted_findings"]
    assert [(one["column"], one["reason"], one["by"]) for one in accepted] == [("note", body["reason"], "regulator")]

    # Other files are another matter; the same file again is too, since the version is no longer what was accepted.
    corpus.upload(gateway, "test-found", "1", "more.parquet", corpus.parquet(table()))
    problem(broker.request("POST", f"{path}/submit", json={}), 409, "conflict")
    chan.post(f"{path}/accept-finding", body)
    corpus.release(gateway, "test-found", "1")

    # A consumer sees kinds and counts, neither examples nor places.
    seen = gateway.api(gateway.alice).get(path)
    [column] = [column for column in seen["inspection"]["columns"] if column["name"] == "note"]
    assert column["identifiers"] and all({"examples", "positions"}.isdisjoint(one) for one in column["identifiers"])
    assert "values" not in column and "findings" not in seen and "accepted_findings" not in seen
    assert not any(number in json.dumps(seen) for number in IDS)

    # A new version needs it anew.
    again = uploaded(gateway, "test-found", "2")
    problem(broker.request("POST", f"{again}/submit", json={}), 409, "conflict")


def test_a_raised_class_lets_it_through(gateway):
    path = uploaded(gateway, "test-raised", columns={"note": "personal"}, subjects=(2, 2, 0))
    broker = gateway.api(gateway.broker)
    [found] = broker.get(path)["findings"]
    assert found["kinds"] == ["cn_resident_id"], "a telephone number is personal, as declared"
    problem(broker.request("POST", f"{path}/submit", json={}), 409, "conflict")
    uploaded(gateway, "test-raised", "2", columns={"note": "sensitive"}, subjects=(1, 1, 0))
    corpus.release(gateway, "test-raised", "2")
    # One person is declared, two were found: the larger number counts.
    assert broker.get("/v1/datasets/test-raised/versions/2")["inspection"]["persons_estimate"] == 2
    corpus.agree(gateway, gateway.alice, "test-raised")
    # One person is declared, two were found. The consumer is refused; an officer reads the provider's year.
    document = gateway.api(gateway.alice).refused("GET", "/v1/datasets/test-raised/versions/2/data", 403, "denied")
    explain = gateway.api(gateway.chan).get(f"/v1/audit/{document['leaf']}/explain")["explain"]
    assert explain["effect"] == "deny" and explain["counters_after"]["persons"] >= 2, explain
