"""Gateways for the tests. The shared one is for tests that leave it as they found it; whatever cuts, suspends, damages or
kills takes a gateway of its own."""

import datetime
import tempfile
from pathlib import Path

import pytest

from harness import corpus, store
from harness.clock import Clock
from harness.gateway import Gateway, binary, told

SHM = Path("/dev/shm")


@pytest.fixture(scope="module")
def memory():
    """A folder in memory, where there is one: for nodes that are killed a hundred times, which says nothing of disks."""
    with tempfile.TemporaryDirectory(prefix="kouan-", dir=SHM if SHM.is_dir() else None) as folder:
        yield Path(folder)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the gateway said."""
    report = (yield).get_result()
    if report.failed:
        for name in ("gateway", "own_gateway", "december_gateway"):
            node = getattr(item, "funcargs", {}).get(name)
            if isinstance(node, Gateway):
                report.sections.append((f"{name} log", node.log(12)))


def _running(folder, clock=None):
    node = Gateway(folder)
    if clock:
        node.live_by(clock)
    try:
        yield node.start()
    finally:
        if node.stop() == 0:
            store.audit_books(node)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    """A quickstart that stays up for the whole run. In the end every decision of the run is decided again, from the log
    alone, and comes out as it was recorded (INV-3)."""
    folder = tmp_path_factory.mktemp("gateway") / "node"
    yield from _running(folder)
    said = told([binary(), "policy", "replay", "--log", str(folder / "data" / "log"), "--json"])
    assert said.status == 0 and said.json["decisions"] == said.json["reproduced"] > 0, said


@pytest.fixture(scope="module")
def own_gateway(tmp_path_factory):
    """A quickstart of one module's own."""
    yield from _running(tmp_path_factory.mktemp("own") / "node")


@pytest.fixture(scope="module")
def december_gateway(tmp_path_factory):
    """A quickstart of one module's own which began on the first of December 2026, whenever the tests run: what happens at
    the end of a year is in reach of its certificates. Its clock is `clock`."""
    clock = Clock(tmp_path_factory.mktemp("clock"))
    clock.set(datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=8))))
    yield from _running(tmp_path_factory.mktemp("december") / "node", clock)


@pytest.fixture(scope="session")
def mixed(gateway):
    """A public corpus of every kind of column, five row groups, priced, agreed with alice and bob."""
    data = corpus.parquet(corpus.mixed(50_000, seed=1), row_group_size=10_000, compression="zstd")
    price = '{ model = "per_gib", amount = "120000000", currency = "CNY" }'
    return corpus.publish(gateway, "test-mixed", {"mixed.parquet": data}, price=price, accept=("alice", "bob"))


@pytest.fixture(scope="session")
def people(gateway):
    """Invented persons with two sensitive columns: a refusal, and a redacted version."""
    data = corpus.parquet(corpus.people(20_000, seed=2), row_group_size=5_000)
    return corpus.publish(
        gateway,
        "test-people",
        {"people.parquet": data},
        columns={"resident_id": "sensitive", "phone": "sensitive"},
        subjects=(20_000, 2_000, 0),
    )
