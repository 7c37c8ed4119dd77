"""The virtual Parquet file: what may not leave is physically absent, and the rest is the source."""

import io

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from harness import corpus

DROPPED = ["resident_id", "phone"]


@pytest.fixture(scope="module")
def redacted(gateway, people):
    """The redacted file, and the response that brought it."""
    response = gateway.api(gateway.alice).request("GET", f"{people.url}?redact=true")
    assert response.status_code == 200, response.text
    return response


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_equals_the_projection_and_opens_in_duckdb(gateway, compression, tmp_path):
    table = corpus.people(6_000, seed=5)
    data = corpus.parquet(table, row_group_size=2_000, compression=compression, write_page_index=True)
    made = corpus.publish(
        gateway,
        f"test-redact-{compression}",
        {"p.parquet": data},
        columns={"resident_id": "sensitive", "phone": "sensitive"},
        subjects=(6_000, 6_000, 0),
    )
    response = gateway.api(gateway.alice).request("GET", f"{made.url}?redact=true")
    assert response.status_code == 200, response.text
    expected = table.select(["row", "remark"])
    assert pq.read_table(io.BytesIO(response.content)).equals(expected)
    path = tmp_path / "redacted.parquet"
    path.write_bytes(response.content)
    assert duckdb.sql(f"select count(*), sum(row) from '{path}'").fetchall() == [(6_000, sum(range(6_000)))]
    names = [row[0] for row in duckdb.sql(f"describe select * from '{path}'").fetchall()]
    assert names == ["row", "remark"]


def test_no_byte_of_a_dropped_value(people, redacted):
    """Uncompressed pages, so that a value that stayed would be seen: values, statistics, and the names themselves."""
    source = pq.read_table(io.BytesIO(people.source))
    for column in DROPPED:
        values = source.column(column)
        extremes = {pc.min(values).as_py(), pc.max(values).as_py()}
        # The source shows its statistics, or their absence here would prove nothing.
        assert all(value.encode() in people.source for value in extremes)
        found = [value for value in values.to_pylist() if value.encode() in redacted.content]
        assert not found, (column, found[:3])
        assert column.encode() not in redacted.content


def test_no_byte_of_a_dropped_value_in_uncompressed_pages(gateway):
    table = corpus.people(3_000, seed=6)
    data = corpus.parquet(table, compression="none", use_dictionary=False, write_page_index=True)
    made = corpus.publish(
        gateway,
        "test-redact-plain",
        {"p.parquet": data},
        columns={"resident_id": "sensitive", "phone": "sensitive"},
        subjects=(3_000, 3_000, 0),
    )
    content = gateway.api(gateway.alice).request("GET", f"{made.url}?redact=true").content
    for column in DROPPED:
        values = [value.encode() for value in table.column(column).to_pylist()]
        assert all(value in data for value in values[:100])
        assert not [value for value in values if value in content]
    assert b"remark 5" in content, "what may leave is there in plain bytes"


def test_nothing_of_the_source_footer_survives(gateway):
    """Key-value metadata may say anything: it is made anew."""
    table = corpus.people(1_000, seed=7).replace_schema_metadata({"owner": "secret-owner 139-1111"})
    made = corpus.publish(
        gateway,
        "test-redact-metadata",
        {"p.parquet": corpus.parquet(table)},
        columns={"resident_id": "sensitive", "phone": "sensitive"},
        subjects=(1_000, 1_000, 0),
    )
    content = gateway.api(gateway.alice).request("GET", f"{made.url}?redact=true").content
    assert b"secret-owner" in made.source and b"secret-owner" not in content
    metadata = pq.read_metadata(io.BytesIO(content))
    assert set(metadata.metadata or {}) <= {b"ARROW:schema"}


def test_ranges_of_the_virtual_file(gateway, people, redacted):
    api, whole = gateway.api(gateway.alice), redacted.content
    assert redacted.headers["accept-ranges"] == "bytes"
    for first, last in [(0, 3), (len(whole) - 8, len(whole) - 1), (1000, 200_000), (len(whole) // 2, len(whole) - 1)]:
        got = api.request("GET", f"{people.url}?redact=true", headers={"range": f"bytes={first}-{last}"})
        end = min(last, len(whole) - 1)
        assert got.status_code == 206 and got.content == whole[first : end + 1], (first, last)
        assert got.headers["content-range"] == f"bytes {first}-{end}/{len(whole)}"
        assert got.headers["etag"] == redacted.headers["etag"]


def test_named_columns_and_redaction_agree(gateway, people, redacted):
    """The same columns are the same representation, however they were asked for, in whatever order."""
    api = gateway.api(gateway.alice)
    for query in ("columns=row,remark", "columns=remark&columns=row"):
        named = api.request("GET", f"{people.url}?{query}")
        assert named.status_code == 200, named.text
        assert named.content == redacted.content and named.headers["etag"] == redacted.headers["etag"]


def test_nothing_to_drop_gives_the_original(gateway, mixed):
    got = gateway.api(gateway.alice).request("GET", f"{mixed.url}?redact=true")
    assert corpus.sha256(got.content) == mixed.file["sha256"]


def test_forbidden_columns_are_refused_by_name(gateway, people):
    api = gateway.api(gateway.alice)
    document = api.refused("GET", f"{people.url}?columns=row,phone", 403, "denied")
    assert "CN-06" in document["explain"]["rules"]
    api.refused("GET", f"{people.url}?columns=row,nothing", 400, "bad_input")


def test_the_chunk_list_tiles_the_file(gateway, people, redacted):
    chunks = gateway.api(gateway.alice).get(f"{people.url}/chunks?redact=true")
    at = 0
    for chunk in chunks:
        assert chunk["offset"] == at, "the list has a hole"
        at += chunk["bytes"]
    assert at == len(redacted.content)
    assert {chunk["column"] for chunk in chunks} - {None} == {"row", "remark"}


def test_catalog_answers_hold_no_value(gateway, people):
    """What a consumer never sees of a sensitive column: no value, so no extremes and no examples either."""
    source = pq.read_table(io.BytesIO(people.source))
    shown = gateway.api(gateway.alice).request("GET", people.path).text
    assert "resident_id" in shown, "names and classes are fine"
    for column in DROPPED:
        assert not [value for value in source.column(column).to_pylist() if value in shown], column
