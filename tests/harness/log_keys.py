"""The log's signing keys as an operator changes them: `log_key` and `next_log_key` of a stopped node."""

import json

from . import store
from .gateway import binary, told


def configured(gateway, **keys):
    """Changes `log_key` and `next_log_key` of the stopped node."""
    path = gateway.folder / "kouan.toml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith(("log_key", "next_log_key"))]
    at = next(number for number, line in enumerate(lines) if line.startswith("origin"))
    lines[at + 1 : at + 1] = [f'{name} = "{value}"' for name, value in keys.items()]
    path.write_text("\n".join(lines) + "\n")


def made(gateway, old, new):
    """A key that may take over from `old`; both verifier keys."""
    said = told([binary(), "audit", "rotate-key", str(gateway.pki / old), "--out", str(gateway.pki / new), "--json"])
    assert said.status == 0, said
    return said.json["old"], said.json["new"]


def every(gateway):
    """The file of verifier keys by which every checkpoint of the node verifies."""
    several = gateway.pki / "log-keys.vkey"
    return several if several.exists() else gateway.pki / "log.vkey"


def rotations(gateway):
    """The entries in which keys of the log change."""
    with store.database(gateway) as records:
        rows = [json.loads(row["body"]) for row in records.execute("SELECT body FROM entry ORDER BY idx")]
    return [leaf for leaf in rows if leaf["kind"] == "key_rotate"]


def signatures(folder):
    """Signature lines of the checkpoint by the log itself."""
    note = (folder / "checkpoint").read_text()
    origin = note.splitlines()[0]
    return [line for line in note.splitlines() if line.startswith(f"— {origin} ")]
