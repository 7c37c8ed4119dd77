"""The corpora of the benches, generated from fixed seeds and published through the API."""

from dataclasses import dataclass
from pathlib import Path

import numpy
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from harness import corpus

LARGE = "bench-large"
SMALL = "bench-small"
ROW_GROUP_ROWS = 1 << 18
# Enough that each decision can be about other columns than any before: 2^24 selections.
SMALL_COLUMNS = 24


@dataclass
class Stored:
    """A published file, and where the store keeps it."""

    name: str
    path: str
    file: Path
    bytes: int
    sha256: str


def mixed(rows, seed):
    """Numbers, times, labels and text in about the proportions of a corpus on disk."""
    random = numpy.random.default_rng(seed)
    phrases = pyarrow.array([f"港{n % 997} gate{n} 語料{n % 89}{n % 7}" for n in range(10_000)])
    some = lambda: phrases.take(pyarrow.array(random.integers(0, len(phrases), rows)))
    text = pyarrow.compute.binary_join_element_wise(*(some() for _ in range(4)), " ")
    labels = pyarrow.array([f"label {n}" for n in range(50)])
    return pyarrow.table(
        {
            "id": pyarrow.array(numpy.arange(rows, dtype=numpy.int64)),
            "at": pyarrow.array(numpy.cumsum(random.integers(0, 90, rows)), pyarrow.timestamp("ms", tz="Asia/Hong_Kong")),
            "score": pyarrow.array(random.random(rows)),
            "weight": pyarrow.array(random.random(rows, dtype=numpy.float32), mask=random.random(rows) < 0.05),
            "token": pyarrow.array(random.integers(0, 2**40, rows)),
            "label": labels.take(pyarrow.array(random.integers(0, 50, rows))),
            "text": text,
        }
    )


def write_large(path, rows):
    """Row group by row group, so that memory holds one of them."""
    writer = None
    for first in range(0, rows, ROW_GROUP_ROWS):
        part = mixed(min(ROW_GROUP_ROWS, rows - first), seed=first)
        if writer is None:
            writer = pyarrow.parquet.ParquetWriter(path, part.schema, compression="zstd")
        writer.write_table(part)
    writer.close()


def publish(gateway, dataset, name, data):
    """The whole way of a corpus; the answer says where its bytes lie."""
    published = corpus.publish(gateway, dataset, {name: data})
    digest = published.file["sha256"]
    stored = gateway.data / "objects" / digest
    return Stored(dataset, published.url, stored, stored.stat().st_size, digest)


def large(gateway, work, rows):
    """A Parquet file of a few hundred megabytes, a gigabyte and more once it is decoded."""
    path = Path(work) / "large.parquet"
    write_large(path, rows)
    with open(path, "rb") as source:
        stored = publish(gateway, LARGE, "large.parquet", source)
    path.unlink()
    return stored


def small(gateway):
    """A little file with many columns."""
    random = numpy.random.default_rng(3)
    table = pyarrow.table({f"c{n:02}": random.integers(0, 1000, 100) for n in range(SMALL_COLUMNS)})
    return publish(gateway, SMALL, "small.parquet", corpus.parquet(table))
