"""Flight DoGet with pyarrow's client: from the gateway and from pyarrow's own C++ server, in turn, the same stored file."""

import json
import subprocess
import sys
from pathlib import Path

from .cores import Span, on
from .figures import Row, in_turn, middle, paired

AIM = 1.2
GIGA = 1e9


def pull(gateway, port, how, what, pid, core):
    """One client process reads everything over one connection."""
    script = Path(__file__).with_name("flight_pull.py")
    identity = gateway.alice
    command = [sys.executable, script, port, identity.cert, identity.key, gateway.trust, how, what]
    with Span(pid) as span, on(core):
        out = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
    told = json.loads(out)
    rate, per_cpu = told["bytes"] / told["seconds"] / GIGA, told["bytes"] / span.cpu / GIGA
    return {"rate": rate, "per_cpu": per_cpu, "rows": told["rows"], "bytes": told["bytes"]}


def rows(gateway, peer, stored, rounds, core):
    """Two lines."""
    samples = in_turn(
        rounds,
        ours=lambda: pull(gateway, gateway.port, "path", stored.name, gateway.pid, core),
        theirs=lambda: pull(gateway, peer.port, "ticket", "parquet", peer.pid, core),
    )
    ours, theirs = samples["ours"], samples["theirs"]
    counts = {sample["rows"] for sample in ours + theirs}
    assert len(counts) == 1, f"the servers sent different rows: {counts}"
    sizes = sorted({sample["bytes"] for sample in ours + theirs})
    assert sizes[-1] < sizes[0] * 1.02, f"the servers sent buffers of different sizes: {sizes}"
    return [
        Row("Flight DoGet from Parquet", unit, middle(ours, key), "pyarrow", middle(theirs, key), paired(ours, theirs, key), aim)
        for key, unit, aim in (("per_cpu", "GB per server CPU s", AIM), ("rate", "GB/s", None))
    ]
