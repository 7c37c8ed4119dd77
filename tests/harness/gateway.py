"""A gateway of our own: started, found, asked, stopped by its own process id."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .api import Api
from .wait import until

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python has no name for.
NO_CHECK_TIME = 0x200000
START_SECONDS = 90
STOP_SECONDS = 45


def binary():
    """The binary under test, as `tests/run` built it."""
    path = os.environ.get("KOUAN_BIN")
    assert path and Path(path).is_file(), "KOUAN_BIN names no binary: run tests/run, or set it to the built kouan"
    return path


@dataclass(frozen=True)
class Identity:
    """A certificate and its key on disk."""

    cert: Path
    key: Path

    @property
    def pair(self):
        return str(self.cert), str(self.key)


@dataclass(frozen=True)
class Told:
    """What a `kouan` command said."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON object of `--json`; two objects, or none, are a failure."""
        value = json.loads(self.out)
        assert isinstance(value, dict), self.out
        return value


class Gateway:
    """One node in its own folder. `start` runs the quickstart, `serve` starts a stopped node again."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.log_path = self.folder.with_name(self.folder.name + ".log")
        self.process = None
        self.extra, self.wrapper = {}, []
        self.clock = None

    # Life

    def live_by(self, clock):
        """From its next start on its time is the clock's, and that of the clients which it is told of."""
        self.clock, self.extra = clock, clock.environment

    def start(self):
        """`kouan quickstart`, until its story is told and it stays up."""
        self._spawn("quickstart", "--dir", str(self.folder), "--listen", "127.0.0.1:0")
        ready = self.folder / "ready"
        until("the quickstart is ready", START_SECONDS, lambda: self._alive() and ready.exists() and ready.read_text().strip())
        assert ready.read_text().strip().rstrip("/") == self.url
        assert self.reachable(), self.log()
        return self

    def serve(self, *more):
        """`kouan serve` on the node that an earlier start left behind."""
        self._spawn("serve", "--config", str(self.folder / "kouan.toml"), *more)
        until("the gateway answers", START_SECONDS, lambda: self._alive() and self.reachable())
        return self

    def _spawn(self, *args):
        assert self.process is None or self.process.poll() is not None, "it is running already"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, binary(), *args],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "NO_COLOR": "1", **self.extra},
            )

    def _alive(self):
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log()}"
        return True

    def stop(self):
        """SIGTERM, then its exit status; a gateway that does not go is a failure."""
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still there {STOP_SECONDS} s after SIGTERM:\n{self.log()}") from None

    def kill(self):
        """kill -9."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)

    @property
    def pid(self):
        return self.process.pid

    def log(self, lines=40):
        """The end of what it printed."""
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    # Where it is

    @property
    def url(self):
        """The base URL, with the port that was really bound."""
        # Not by a TOML parser: every request asks for it.
        listen = re.search(r'(?m)^listen = "([^"]*)"', (self.folder / "kouan.toml").read_text())
        return f"https://{listen[1]}"

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    @property
    def pki(self):
        return self.folder / "pki"

    @property
    def trust(self):
        return str(self.pki / "trust.pem")

    @property
    def data(self):
        return self.folder / "data"

    def log_folder(self):
        """The published log."""
        return self.data / "log"

    def reachable(self):
        """Whether a principal gets an answer."""
        try:
            return Api(self, self.operator).request("GET", "/v1/whoami").status_code == 200
        except OSError:
            return False

    # Who asks

    def identity(self, participant, stem):
        return Identity(self.pki / participant / f"{stem}.pem", self.pki / participant / f"{stem}.key")

    @property
    def alice(self):
        return self.identity("hku", "researcher-alice")

    @property
    def bob(self):
        return self.identity("cuhk", "researcher-bob")

    @property
    def broker(self):
        return self.identity("qianhai", "broker-lin")

    @property
    def operator(self):
        return self.identity("qianhai", "operator-ops")

    @property
    def chan(self):
        return self.identity("regulator", "compliance-chan")

    @property
    def lee(self):
        return self.identity("regulator", "compliance-lee")

    def api(self, identity):
        return Api(self, identity)

    def context(self, identity, alpn=None, version=None):
        """A TLS context that trusts the gateway and presents `identity`, if any."""
        context = ssl.create_default_context(cafile=self.trust)
        if self.clock is not None:
            # Python's own clock is not moved: for it those certificates may have ended, or not begun.
            context.verify_flags |= NO_CHECK_TIME
        if identity is not None:
            context.load_cert_chain(*identity.pair)
        if alpn:
            context.set_alpn_protocols(alpn)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    def connect(self, identity, alpn=None, receive_buffer=None, timeout=20):
        """A raw TLS connection."""
        plain = socket.socket()
        plain.settimeout(timeout)
        if receive_buffer is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.connect(("127.0.0.1", self.port))
        return self.context(identity, alpn).wrap_socket(plain, server_hostname="localhost")

    def environment(self, identity):
        """What a `kouan` client command needs."""
        return {
            **os.environ,
            "KOUAN_GATEWAY": self.url,
            "KOUAN_CERT": str(identity.cert),
            "KOUAN_KEY": str(identity.key),
            "KOUAN_CA": self.trust,
            "KOUAN_PROFILE_FILE": str(self.empty_profile()),
            "NO_COLOR": "1",
            **(self.clock.environment if self.clock else {}),
        }

    def empty_profile(self):
        """A profile file that says nothing: the tester's own must not take part."""
        path = self.folder.with_name("no-profile.toml")
        path.touch()
        return path

    def kouan(self, identity, *args, timeout=120, **kwargs):
        """Runs `kouan ARGS` as `identity`."""
        return told([binary(), *map(str, args)], timeout=timeout, env=self.environment(identity), **kwargs)

    # What it is

    def anonymous_memory(self):
        """RssAnon in bytes: a file mapping's pages are not ours."""
        return status_bytes(self.pid, "RssAnon")


def told(command, timeout=120, **kwargs):
    """Runs a command to its end."""
    done = subprocess.run(command, capture_output=True, timeout=timeout, **kwargs)
    return Told(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def status_bytes(pid, field):
    """A size in /proc/PID/status."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"/proc/{pid}/status has no {field}")
