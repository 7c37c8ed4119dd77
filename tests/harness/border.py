"""Two witnesses of one node, one on each side, of which one may be killed: what they remember covers what left them, and they
cosign no other history."""

import shutil
import signal
import sqlite3

from . import witness
from .checkpoints import cosigned, published
from .wait import until

# Nothing of a story may wait for a witness that a test has killed.
LOST_AFTER = 600


class Border:
    """The witnesses of a stopped node that has just been copied; `extra` is the environment of the first."""

    def __init__(self, gateway, folder, extra=None, lost_after=LOST_AFTER, **more):
        self.gateway, self.folder = gateway, folder
        logs = witness.log_keys.every(gateway).read_text().split()
        make = lambda side, **more: witness.Witness(folder / f"witness-{side}", gateway.pki, f"witness.example/{side}", logs, **more)
        self.sides = {"HK": make("hk", extra=extra), "QH": make("qh")}
        witness.configure(gateway, self.sides, lost_after=lost_after, **more)
        # What other witnesses cosigned before.
        shutil.rmtree(gateway.data / "witnessed", ignore_errors=True)
        self.tested = self.sides["HK"]

    def start(self):
        """Whoever does not run."""
        for side in self.sides.values():
            if side.process is None or side.process.poll() is not None:
                side.start()

    def goes_on(self):
        return cosigned(self.gateway) > 0 or self.died()

    def died(self):
        """Whether the tested witness is gone."""
        return self.tested.process.poll() is not None

    def killed(self):
        """Whether the armed witness has died at its point; whoever starts it again does so unarmed."""
        status = self.tested.process and self.tested.process.poll()
        assert status in (None, -signal.SIGKILL), (status, (self.tested.folder / "log").read_text())
        died, self.tested.extra = self.tested.died or status is not None, {}
        # One that has not passed its point so often would do so later.
        self.tested.kill()
        return died

    def seen(self):
        """Size and root that the tested witness remembers; of a dead one from a copy, or this would do its recovery."""
        folder = self.tested.folder
        if self.tested.process is None or self.tested.process.poll() is not None:
            folder = self.folder / "remembered"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for path in self.tested.folder.glob("seen.db*"):
                shutil.copy(path, folder / path.name)
        row = sqlite3.connect(folder / "seen.db", timeout=10).execute("SELECT size, root FROM seen").fetchone()
        return row or (0, witness.root([]))

    def remembers(self):
        """What the node holds cosigned is remembered by whoever cosigned it."""
        assert self.seen()[0] >= cosigned(self.gateway), (self.seen(), cosigned(self.gateway))

    def catches_up(self):
        until("everything is witnessed", 30, lambda: cosigned(self.gateway) == published(self.gateway))

    def refuses(self, key):
        """Signed with the log's own key, neither a smaller tree nor another history is cosigned."""
        log = witness.Log.of_key_file(self.gateway.pki / key)
        before = self.seen()
        size, other = before[0], witness.history(before[0] + 3, forks_at=1)
        for new, old in ((size, size), (size + 3, size), (size - 1, size), (size - 1, size - 1), (size - 1, 0), (size + 3, 0)):
            proof = old if old <= new else 0
            body = log.request(other, new, proof).replace(f"old {proof}\n", f"old {old}\n", 1)
            answer = self.tested.add(body)
            assert answer.status_code in (400, 409, 422), (new, old, answer.status_code, answer.text)
        assert self.seen() == before

    def stop(self):
        for side in self.sides.values():
            side.kill()
