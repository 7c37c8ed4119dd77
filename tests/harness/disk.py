"""A small disk that a test can fill: a tmpfs in a mount namespace that ends with the test run, whatever becomes of it."""

import ctypes
import os
from contextlib import contextmanager

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)
_private = False


def _check(failed, what):
    if failed:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)} (root may)")


def _alone():
    """From now on mounts of this process and of what it starts are nobody else's."""
    global _private
    if not _private:
        _check(_libc.unshare(CLONE_NEWNS), "a mount namespace")
        _check(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
        _private = True


class Disk:
    """A file system of so many bytes."""

    def __init__(self, path):
        self.path, self._filler = path, path / "filler"

    def fill(self):
        """Leaves no room at all."""
        with open(self._filler, "ab", buffering=0) as filler:
            for size in (1 << 20, 1 << 16, 1 << 12, 1):
                try:
                    while filler.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass

    def empty(self):
        """There is room again."""
        self._filler.unlink()


@contextmanager
def disk(path, size):
    """Mounts an empty disk at `path`."""
    _alone()
    path.mkdir(exist_ok=True)
    _check(_libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", 0, f"size={size},mode=0700".encode()), "a tmpfs")
    try:
        yield Disk(path)
    finally:
        _libc.umount2(os.fsencode(path), MNT_DETACH)
