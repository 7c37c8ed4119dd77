"""requests, fsspec with aiohttp, pyarrow.parquet, pandas, polars and DuckDB, unmodified."""

import base64
import io

import duckdb
import fsspec
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import requests

from harness import corpus


@pytest.fixture
def filesystem(gateway):
    """fsspec's https with a certificate, without its cache of instances."""
    return fsspec.filesystem("https", ssl=gateway.context(gateway.alice), skip_instance_cache=True)


def test_requests(gateway, mixed):
    got = requests.get(gateway.url + mixed.url, cert=gateway.alice.pair, verify=gateway.trust, timeout=60)
    assert got.status_code == 200, got.text
    assert corpus.sha256(got.content) == mixed.file["sha256"]
    assert got.headers["kouan-lease"] and int(got.headers["kouan-leaf"]) >= 0
    amount, currency = got.headers["kouan-price"].split()
    assert int(amount) > 0 and currency == "CNY"
    digest = base64.b64decode(got.headers["repr-digest"].removeprefix("sha-256=:").removesuffix(":"))
    assert digest.hex() == mixed.file["sha256"]


def test_fsspec_and_pyarrow_read_the_table_by_ranges(gateway, mixed, filesystem):
    source = pq.read_table(io.BytesIO(mixed.source))
    table = pq.read_table(gateway.url + mixed.url, filesystem=filesystem)
    assert table.equals(source)
    part = pq.read_table(gateway.url + mixed.url, columns=["id", "score"], filesystem=filesystem)
    assert part.equals(source.select(["id", "score"]))


def test_pyarrow_dataset_pushes_a_filter_down(gateway, mixed, filesystem):
    data = pyarrow.dataset.dataset(gateway.url + mixed.url, filesystem=filesystem, format="parquet")
    rows = data.to_table(filter=pyarrow.dataset.field("id") >= 49_990, columns=["id"])
    assert rows.column("id").to_pylist() == list(range(49_990, 50_000))


def test_arrow_stream_over_https(gateway, mixed):
    response = gateway.api(gateway.alice).request(
        "GET", f"{mixed.path}/data", headers={"accept": "application/vnd.apache.arrow.stream"}, stream=True
    )
    assert response.status_code == 200, response.text
    response.raw.decode_content = True
    table = pyarrow.ipc.open_stream(response.raw).read_all()
    source = pq.read_table(io.BytesIO(mixed.source))
    assert table.schema.remove_metadata().equals(source.schema.remove_metadata())
    assert table.equals(source)


@pytest.mark.parametrize(
    ("accept", "read"),
    [
        ("text/csv", lambda text: pandas.read_csv(io.StringIO(text))),
        ("application/jsonl", lambda text: pandas.read_json(io.StringIO(text), lines=True)),
    ],
)
def test_text_streams(gateway, mixed, accept, read):
    response = gateway.api(gateway.alice).request(
        "GET", f"{mixed.path}/data?columns=id,score", headers={"accept": accept}
    )
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith(accept)
    frame = read(response.content.decode())
    assert list(frame["id"]) == list(range(50_000))
    source = pq.read_table(io.BytesIO(mixed.source), columns=["score"]).column("score").to_pandas()
    assert abs(frame["score"] - source).max() < 1e-12


def test_what_was_pulled_opens_everywhere(gateway, mixed, tmp_path):
    told = gateway.kouan(gateway.alice, "pull", mixed.dataset, "--out", tmp_path, "--json")
    assert told.status == 0, told
    path = tmp_path / "mixed.parquet"
    source = pq.read_table(io.BytesIO(mixed.source))
    assert pq.read_table(path).equals(source)
    total = sum(source.column("id").to_pylist())
    assert duckdb.sql(f"select count(*), sum(id) from '{path}'").fetchall() == [(50_000, total)]
    assert int(pandas.read_parquet(path)["id"].sum()) == total
    assert polars.read_parquet(path, columns=["id"])["id"].sum() == total


def test_the_real_corpus_of_the_quickstart(gateway, tmp_path):
    """It is public, tens of thousands of rows, and says where it comes from."""
    listed = gateway.api(gateway.alice).get("/v1/datasets")["datasets"]
    real = [entry for entry in listed if not entry["id"].startswith("test-") and entry["columns_class"] == "none"]
    assert real, listed
    entry = max(real, key=lambda entry: entry["rows"])
    assert entry["rows"] >= 20_000 and entry["licence"]
    told = gateway.kouan(gateway.alice, "pull", entry["id"], "--accept", "--out", tmp_path, "--json")
    assert told.status == 0, told
    rows = sum(pq.read_metadata(path).num_rows for path in tmp_path.glob("*.parquet"))
    assert rows == entry["rows"]
    version = gateway.api(gateway.alice).get(f"/v1/datasets/{entry['id']}/versions/{entry['latest_version']}")
    assert version["entry"]["source_statement"].strip()


def test_search_finds_either_script(gateway):
    """資料庫 finds 资料库, and the other way round; over REST and over the command line."""
    data = corpus.parquet(pyarrow.table({"a": [1]}))
    corpus.publish(gateway, "test-script", {"a.parquet": data}, extra='keyword = ["语音资料库", "speech"]')
    api = gateway.api(gateway.alice)
    for words in ("資料庫", "资料库", "語音", "SPEECH", "test-script"):
        found = [entry["id"] for entry in api.get("/v1/datasets", params={"q": words})["datasets"]]
        assert "test-script" in found, words
        said = gateway.kouan(gateway.alice, "dataset", "search", words, "--json")
        assert said.status == 0 and "test-script" in said.out, words
    assert not api.get("/v1/datasets", params={"q": "nothing-has-this-word"})["datasets"]
