"""Receipts as any program can give them: canonical JSON, a context before it, and openssl with the client's key."""

import base64
import functools
import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

CONTEXT = b"hkqh-receipt/v1\n"


def canonical(value):
    """RFC 8785 for what an acknowledgement holds: ASCII names, strings and small integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signed_bytes(ack):
    return CONTEXT + canonical(ack)


def digest(ack):
    return "sha256:" + hashlib.sha256(signed_bytes(ack)).hexdigest()


@functools.lru_cache
def is_ed25519(key):
    """Of a private key's PEM."""
    told = subprocess.run(["openssl", "pkey", "-noout", "-text"], input=key, capture_output=True, text=True, check=True)
    return "ED25519" in told.stdout.upper()


def sign(key, message):
    """The signature in base64. Ed25519 signs the message itself, ECDSA its SHA-256."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(message)
        file.flush()
        if is_ed25519(Path(key).read_text()):
            command = ["openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", file.name]
        else:
            command = ["openssl", "dgst", "-sha256", "-sign", key, file.name]
        return base64.b64encode(subprocess.run(command, capture_output=True, check=True).stdout).decode()


def ack(lease, manifest, seq, file, columns, row_groups):
    """All of some columns in some row groups of one file."""
    units = [{"file": f"sha256:{file['sha256']}", "column": column, "row_groups": row_groups} for column in columns]
    return {"lease": lease, "manifest": manifest, "seq": seq, "units": units}


def signed(identity, body):
    return {"ack": body, "signature": sign(str(identity.key), signed_bytes(body))}
