"""A gateway's wall clock, moved from outside: by a library that is loaded before libc, not by anything in the gateway."""

import datetime
import struct
from pathlib import Path

from . import preload


class Clock:
    """Give `environment` to the process; `set` moves its clock while it runs."""

    def __init__(self, folder):
        self._file = Path(folder) / "moved-clock"
        self._file.write_bytes(struct.pack("=q", 0))
        self._library = preload.library("clock", folder)

    @property
    def environment(self):
        return {"LD_PRELOAD": str(self._library), "MOVED_CLOCK": str(self._file)}

    def set(self, when):
        """From now on it is `when` there, an aware time, and time goes on."""
        away = when - datetime.datetime.now(datetime.timezone.utc)
        with open(self._file, "r+b") as file:
            file.write(struct.pack("=q", round(away.total_seconds())))
