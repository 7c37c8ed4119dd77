"""Logs and witnesses of our own: a log that signs what it is told, and a real witness process."""

import base64
import contextlib
import hashlib
import os
import re
import signal
import subprocess
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter

from . import ed25519, log_keys
from .gateway import binary, told
from .ports import free_port
from .wait import until

SIZE = "text/x.tlog.size"
TESTED = "\n# Witnesses of a test"


def leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root(leaves):
    """RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(root(leaves[:split]), root(leaves[split:]))


def consistency(old, leaves, whole=True):
    """RFC 6962, section 2.1.2."""
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return consistency(old, leaves[:split], whole) + [root(leaves[split:])]
    return consistency(old - split, leaves[split:], False) + [root(leaves[:split])]


def b64(data):
    return base64.b64encode(data).decode()


class Log:
    """A log whose key is ours: it signs any history."""

    def __init__(self, name, seed):
        self.name, self.seed = name, seed
        self.public = ed25519.public(seed)

    @classmethod
    def of_key_file(cls, path):
        """`PRIVATE+KEY+<name>+<id>+base64(0x01 ‖ seed)`."""
        name, _, key = Path(path).read_text().strip().removeprefix("PRIVATE+KEY+").split("+", 2)
        return cls(name, base64.b64decode(key)[1:])

    @property
    def id(self):
        return hashlib.sha256(self.name.encode() + b"\n\1" + self.public).digest()[:4]

    @property
    def vkey(self):
        return f"{self.name}+{self.id.hex()}+{b64(bytes([1]) + self.public)}"

    def checkpoint(self, size, root_hash, origin=None):
        body = f"{origin or self.name}\n{size}\n{b64(root_hash)}\n"
        line = f"— {origin or self.name} {b64(self.id + ed25519.sign(self.seed, body.encode()))}\n"
        return body + "\n" + line

    def request(self, leaves, size, old):
        """`add-checkpoint` of the first `size` leaves, from `old`."""
        proof = consistency(old, leaves[:size]) if old else []
        lines = "".join(b64(hash_) + "\n" for hash_ in proof)
        return f"old {old}\n{lines}\n{self.checkpoint(size, root(leaves[:size]))}"


def history(size, forks_at=None):
    """Leaf hashes; from `forks_at` on other ones."""
    return [leaf(b"%d" % n if forks_at is None or n < forks_at else b"other %d" % n) for n in range(size)]


class Witness:
    """`kouan witness serve` in a folder of its own, with the server certificate of a quickstart's `pki`."""

    def __init__(self, folder, pki, name, logs, extra=None):
        self.folder, self.pki, self.name = Path(folder), Path(pki), name
        self.port, self.process, self.extra, self.wrapper = free_port(), None, extra or {}, []
        self.folder.mkdir()
        listed = ", ".join(f'"{log}"' for log in logs)
        self.config = self.folder / "witness.toml"
        self.config.write_text(
            f'listen = "127.0.0.1:{self.port}"\nname = "{name}"\nkey = "witness.key"\nstore = "seen.db"\nlogs = [{listed}]\n'
            f'[server]\ncert = "{self.pki / "server.pem"}"\nkey = "{self.pki / "server.key"}"\n'
        )
        command = [binary(), "witness", "key", "--config", str(self.config)]
        said = told(command, env={**os.environ, **self.extra})
        self.died = said.status == -signal.SIGKILL
        if self.died:
            said, self.extra = told(command), {}
        assert said.status == 0, said
        self.vkey = said.out.strip()
        self.session = self._session()

    def _session(self):
        session = requests.Session()
        session.trust_env, session.verify = False, str(self.pki / "trust.pem")
        session.mount("https://", HTTPAdapter(max_retries=0, pool_maxsize=32))
        return session

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def start(self):
        with open(self.folder / "log", "ab") as log:
            command = [*self.wrapper, binary(), "witness", "serve", "--config", str(self.config)]
            environment = {**os.environ, **self.extra}
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment)
        until("the witness answers", 30, self._answers)
        return self

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return self.session.get(self.url + "/", timeout=5).status_code == 404
        except OSError:
            return False

    def add(self, body):
        return self.session.post(self.url + "/add-checkpoint", data=body if isinstance(body, bytes) else body.encode(), timeout=30)

    def stop(self, how=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(15)
        return self.process and self.process.returncode

    def kill(self):
        self.stop(signal.SIGKILL)


def configure(gateway, sides, lost_after=3, ca="pki/trust.pem", **more):
    """Has the stopped quickstart ask these witnesses instead of its own: `sides` gives each side its witness, or nothing
    for a gateway without witnesses."""
    config = gateway.folder / "kouan.toml"
    text = re.sub(r"\[witness\].*?(?=# Revocation lists)", "", config.read_text().split(TESTED)[0], flags=re.S)
    if sides:
        logs = log_keys.every(gateway).read_text().split()
        policy = gateway.folder / "tested-policy"
        lines = [f"log {log}" for log in logs]
        lines += [f"witness {side.lower()}1 {witness.vkey}" for side, witness in sides.items()]
        lines += [f"group {side} any {side.lower()}1" for side in sides]
        lines += [f"group BORDER all {' '.join(sides)}", "quorum BORDER"]
        policy.write_text("\n".join(lines) + "\n")
        text += f'{TESTED}\n[witness]\npolicy = "tested-policy"\nlost_after = {lost_after}\n'
        text += "".join(f"{name} = {value}\n" for name, value in more.items())
        for side, witness in sides.items():
            text += f'[witness.at.{side.lower()}1]\nurl = "{witness.url}"\nca = "{ca}"\n'
    config.write_text(text)


@contextlib.contextmanager
def both(gateway, folder):
    """Has the stopped quickstart ask two witness processes that run, one on each side, until the end."""
    vkey = str(gateway.pki / "log.vkey")
    sides = {side: Witness(folder / side, gateway.pki, f"{side.lower()}.example/w", [vkey]) for side in ("HK", "QH")}
    configure(gateway, sides)
    try:
        for one in sides.values():
            one.start()
        yield sides
    finally:
        for one in sides.values():
            one.stop()


def ready(gateway):
    """Status and report of /readyz."""
    admin = re.search(r'^admin = "(.*?)"', (gateway.folder / "kouan.toml").read_text(), re.M).group(1)
    answer = requests.get(f"http://{admin}/readyz", timeout=10)
    return answer.status_code, answer.json()["checks"]


def metric(gateway, name):
    admin = re.search(r'^admin = "(.*?)"', (gateway.folder / "kouan.toml").read_text(), re.M).group(1)
    text = requests.get(f"http://{admin}/metrics", timeout=10).text
    found = re.search(rf"^{name}(?:{{.*?}})? (\S+)$", text, re.M)
    return found and float(found.group(1))
