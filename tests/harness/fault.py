"""The Nth call of some kind fails, or kills, in one process: by a library that is loaded before libc, not by anything in the
gateway. Calls are counted over all threads; strace counts those of each thread, so that of a fault that ends the process only the
thread that gets there first would ever be tried."""

import mmap
import struct

# As the system calls are named, where libc has another name for the function.
FUNCTIONS = {"ftruncate": "ftruncate64", "fallocate": "posix_fallocate"}


class Fault:
    """Of one process, which `environment` is for, by the `library` "fault": `fault` (EIO, ENOSPC or KILL) at the `number`th of `calls` on what is in
    `under`. A number that is not reached counts."""

    def __init__(self, library, page, under, calls, fault, number):
        self._page = page
        page.write_bytes(bytes(mmap.PAGESIZE))
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAULT_PAGE": str(page),
            "FAULT_UNDER": str(under),
            "FAULT_CALLS": ",".join(FUNCTIONS.get(call, call) for call in calls),
            "FAULT": fault,
            "FAULT_AT": str(number),
        }

    def counted(self):
        """How many calls there were, and how many met the fault."""
        return struct.unpack_from("=qq", self._page.read_bytes())
