"""`kouan pull`: whole, redacted, in other formats; interrupted and killed, and taken up again without paying twice."""

import io
import json
import os
import re
import signal
import subprocess

import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from harness import corpus
from harness.gateway import binary
from harness.lines import Http1
from harness.wait import until

PRICE = '{ model = "per_gib", amount = "120000000", currency = "CNY" }'


def pull(gateway, *args, who="alice"):
    return gateway.kouan(getattr(gateway, who), "pull", *args, "--json")


@pytest.fixture(scope="module")
def large(gateway):
    """64 MB, so that a pull can be stopped on its way."""
    data = corpus.parquet(corpus.numbers(2_000_000, seed=30), row_group_size=100_000, compression="none", use_dictionary=False)
    return corpus.publish(gateway, "test-large", {"large.parquet": data}, price=PRICE)


def test_verified_renamed_and_nothing_left_beside(gateway, mixed, tmp_path):
    said = pull(gateway, mixed.dataset, "--out", tmp_path)
    assert said.status == 0, said
    [file] = said.json["files"]
    assert file["sha256"] == mixed.file["sha256"] and file["fetched_bytes"] == mixed.file["bytes"]
    assert [path.name for path in tmp_path.iterdir()] == ["mixed.parquet"]
    again = pull(gateway, mixed.dataset, "--out", tmp_path)
    assert again.status == 0 and again.json["files"][0]["fetched_bytes"] == 0, "what is there and right is not fetched again"


def test_a_refusal_a_remedy_and_the_redacted_version(gateway, people, tmp_path):
    said = pull(gateway, people.dataset, "--out", tmp_path)
    assert said.status == 3, said
    error = said.json["error"]
    assert error["code"] == "denied" and error["explain"]["rules"] == ["CN-06", "MECH-MISSING"]
    assert not list(tmp_path.iterdir()), "a refusal leaves nothing behind"
    said = pull(gateway, people.dataset, "--redact", "--out", tmp_path)
    assert said.status == 0 and said.json["columns"] == ["row", "remark"], said
    expected = pq.read_table(io.BytesIO(people.source)).select(["row", "remark"])
    assert pq.read_table(tmp_path / "people.parquet").equals(expected)
    assert pull(gateway, people.dataset, "--columns", "row,phone", "--out", tmp_path).status == 3


EXPLAINED = {
    "en": ["it may not leave", "selected sensitive columns: ", "would pass: none", "who can help: you, the provider", "what would help"],
    "zh-Hant": ["不得放行", "所選的敏感欄位：", "可通過的情形：沒有", "可以協助的人：", "任一即可"],
    "zh-Hans": ["不得放行", "所选的敏感列：", "可通过的情形：没有", "可以协助的人：", "任一即可"],
}


@pytest.mark.parametrize("lang", EXPLAINED)
def test_a_plan_and_a_refusal_are_told_in_the_readers_language(gateway, people, tmp_path, lang):
    plan = gateway.kouan(gateway.alice, "plan", people.dataset, "--columns", "row,phone", "--purpose", "academic-research", "--lang", lang)
    pulled = gateway.kouan(gateway.alice, "pull", people.dataset, "--columns", "row,phone", "--out", tmp_path, "--lang", lang)
    assert (plan.status, pulled.status) == (3, 3), (plan, pulled)
    verdict, *rest = EXPLAINED[lang]
    assert verdict in plan.out, plan.out
    for part in [*rest, "CN-06", "MECH-MISSING", "kouan mechanism add --kind sc --reference"]:
        assert part in plan.out and part in pulled.err, (part, plan.out, pulled.err)
    # The exact command of the remedy, ready to paste.
    assert f"kouan pull {people.dataset} --columns row,phone --redact --purpose academic-research" in plan.out, plan.out
    command = f"kouan pull {people.dataset} --columns row,phone --out {tmp_path} --redact"
    assert command in pulled.err, pulled.err
    assert gateway.kouan(gateway.alice, *command.split()[1:]).status == 0
    explained = gateway.kouan(gateway.alice, "audit", "explain", pulled.err.rsplit("kouan audit show ", 1)[1].split()[0], "--lang", lang)
    assert explained.status == 0 and verdict in explained.out and rest[0] in explained.out, explained


def test_a_price_limit_stops_before_the_first_byte(gateway, large, tmp_path):
    said = pull(gateway, large.dataset, "--max-price", "1", "--out", tmp_path)
    assert said.status == 10, said
    assert not list(tmp_path.glob("*"))


@pytest.mark.parametrize("format_", ["arrow", "csv", "jsonl"])
def test_formats(gateway, mixed, tmp_path, format_):
    said = pull(gateway, mixed.dataset, "--columns", "id,score", "--format", format_, "--out", tmp_path)
    assert said.status == 0, said
    [path] = tmp_path.iterdir()
    source = pq.read_table(io.BytesIO(mixed.source)).select(["id", "score"])
    if format_ == "arrow":
        assert pyarrow.ipc.open_stream(path).read_all().equals(source)
    elif format_ == "csv":
        assert pyarrow.csv.read_csv(path).column("id").equals(source.column("id"))
    else:
        assert len(path.read_text().splitlines()) == 50_000


class Running:
    """A pull that is under way."""

    def __init__(self, gateway, made, out, parallel=2):
        self.gateway, self.made, self.out = gateway, made, out
        command = [binary(), "pull", made.dataset, "--out", str(out), "--parallel", str(parallel), "--json"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=gateway.environment(gateway.alice)
        )

    def slowed(self):
        """Stopped again and again, so that it is certain to be on its way when a test acts on it."""
        part = self.out / "large.parquet.part"
        until("the pull has begun", 20, lambda: part.exists() and part.stat().st_blocks > 0 or self.process.poll() is not None, 0.001)
        self.process.send_signal(signal.SIGSTOP)
        assert self.process.poll() is None, "it was over before it could be stopped: make the corpus larger"
        return self

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        return self

    def end(self, how):
        self.process.send_signal(how)
        self.process.send_signal(signal.SIGCONT)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out.decode(), err.decode()


def test_ctrl_c_and_kill_9_are_resumed(gateway, large, tmp_path):
    """What was verified is not fetched again; in the end the digest is right and every unit is billed once."""
    status, out, err = Running(gateway, large, tmp_path).slowed().end(signal.SIGINT)
    assert status == 130, (status, out, err)
    assert '"interrupted"' in out
    assert not (tmp_path / "large.parquet").exists(), "nothing unverified has its final name"
    kept = durable(tmp_path)

    status, *_ = Running(gateway, large, tmp_path).slowed().end(signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert durable(tmp_path) >= kept, "a kill loses nothing that was durable"
    kept = durable(tmp_path)

    said = pull(gateway, large.dataset, "--out", tmp_path)
    assert said.status == 0, said
    [file] = said.json["files"]
    assert file["sha256"] == large.file["sha256"] == corpus.sha256((tmp_path / "large.parquet").read_bytes())
    assert file["resumed_bytes"] == kept
    assert file["fetched_bytes"] + file["resumed_bytes"] == large.file["bytes"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.parquet"]

    # The gateway's own account. What was on its way when a run broke off may not be counted, but nothing is counted twice:
    # when one more consumer of the participant has pulled the whole, it has cost exactly its price.
    price = int(gateway.api(gateway.alice).post("/v1/plan", {"dataset": large.dataset})["price"]["amount"])
    assert price * 0.9 < billed(gateway, large) <= price
    assert pull(gateway, large.dataset, "--out", tmp_path / "again").status == 0
    until("every unit is billed exactly once", 10, lambda: billed(gateway, large) == price)


@pytest.mark.parametrize("rounds", [1, 8])
def test_a_broken_stream_pays_for_what_arrived(gateway, rounds):
    """Whoever hangs up early has what its kernel took, and pays for that: neither nothing nor what never came."""
    data = corpus.parquet(corpus.numbers(1_000_000, seed=31 + rounds), compression="none", use_dictionary=False)
    made = corpus.publish(gateway, f"test-hang-up-{rounds}", {"n.parquet": data}, price=PRICE)
    buffer, got = 64 << 10, 0
    for _ in range(rounds):
        first = got
        stream = Http1(gateway, gateway.alice, made.url, receive_buffer=buffer, headers=[f"Range: bytes={first}-"])
        while stream.received < 3_000_000:
            stream.read()
        got += stream.received
        stream.close()
    # One row group of 32 MB: nearly all of it is units. For each connection: one frame of 512 KiB of which only a part has
    # arrived, and what its receive buffer held.
    slack = rounds * ((512 << 10) + 4 * buffer)
    until("what arrived is billed", 10, lambda: got - slack <= delivered(gateway, made) <= got + slack)


def delivered(gateway, made):
    return sum(int(line["unit_bytes"]) for line in lines(gateway, made))


def lines(gateway, made):
    """hku's lines of the dataset this month."""
    statement = gateway.api(gateway.alice).get("/v1/statements?participant=hku")
    return [line for part in statement["statements"] for line in part["lines"] if line["dataset"] == made.dataset]


def billed(gateway, made):
    """What hku owes for it."""
    return sum(int(line["amount"]) for line in lines(gateway, made))


def durable(folder):
    """Bytes that the sidecar of a partial file vouches for."""
    path = folder / "large.parquet.part.json"
    if not path.exists():
        return 0
    done = json.loads(path.read_text())["done"]
    return sum(end - start for start, end in ((i["start"], i["end"]) if isinstance(i, dict) else i for i in done))


def test_damaged_parts_are_fetched_again(gateway, large, tmp_path):
    """Somebody wrote into the partial file: what no longer verifies is not trusted."""
    Running(gateway, large, tmp_path).slowed().end(signal.SIGINT)
    part = tmp_path / "large.parquet.part"
    if part.exists():
        with open(part, "r+b") as file:
            file.seek(100_000)
            file.write(b"\0" * 1000)
    said = pull(gateway, large.dataset, "--out", tmp_path)
    assert said.status == 0, said
    assert corpus.sha256((tmp_path / "large.parquet").read_bytes()) == large.file["sha256"]


def test_progress_goes_to_standard_error(gateway, mixed, tmp_path):
    done = subprocess.run(
        [binary(), "pull", mixed.dataset, "--out", str(tmp_path)], capture_output=True, env=gateway.environment(gateway.alice)
    )
    assert done.returncode == 0
    assert b"\r" not in done.stdout and b"\x1b" not in done.stdout
    assert mixed.file["sha256"].encode() in done.stdout


def test_progress_bar_on_a_terminal(gateway, large, tmp_path):
    """Bytes, rate and time left, where a person watches."""
    script = ["script", "-qefc", f"{binary()} pull {large.dataset} --out {tmp_path}", "/dev/null"]
    environment = {**gateway.environment(gateway.alice), "TERM": "xterm-256color", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    done = subprocess.run(script, capture_output=True, env=environment, stdin=subprocess.DEVNULL, timeout=60)
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, said
    assert re.search(r"[\d.]+ [MK]iB/s", said), said[-2000:]


def test_nowhere_to_write(gateway, mixed, tmp_path):
    (tmp_path / "file").write_text("in the way")
    said = pull(gateway, mixed.dataset, "--out", tmp_path / "file" / "folder")
    assert said.status == 74, said
    assert os.path.isfile(tmp_path / "file")
