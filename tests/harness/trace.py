"""strace around a gateway: system calls that fail, or kill, at their Nth time; or a record of what was asked of the disk."""

import re
import subprocess


def injecting(calls, fault, number, log):
    """A prefix for the gateway's command: the `number`th of `calls` in each of its threads meets `fault`. The gateway stays our
    own child (-D), so that signals and its status are its own."""
    names = ",".join(calls)
    return ["strace", "-D", "-f", "-q", "-y", "-o", str(log), "-e", f"trace={names}", "-e", f"inject={names}:{fault}:when={number}", "--"]


def injected(log):
    """How many calls met the fault."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return len(re.findall(r"\(INJECTED\)|killed by SIGKILL", text))


def where(log):
    """The files whose calls met the fault."""
    return re.findall(r"\(\d+<([^>]*)>[^\n]*\(INJECTED\)", log.read_text(errors="replace"))


def ended(log, pid):
    """Whether the record of that process is complete."""
    return re.search(rf"(?m)^{pid} +\+\+\+ ", log.read_text(errors="replace")) is not None


def recording(log):
    """A prefix that records every call that changes what is on disk, with paths and bytes."""
    calls = "openat,mkdir,mkdirat,pwrite64,write,pwritev,writev,fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,ftruncate,fallocate,close,dup,fcntl,mmap"
    return ["strace", "-D", "-f", "-qq", "-y", "-xx", "-s", "1048576", "-o", str(log), "-e", f"trace={calls}", "--"]


def version():
    """strace, or a failure that says what is missing."""
    return subprocess.run(["strace", "-V"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
