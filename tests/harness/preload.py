"""Libraries of ours that are loaded before libc: what they change is changed from outside, not by anything in the gateway."""

import subprocess
from pathlib import Path


def library(name, folder):
    """`name`.c, which stands beside this file, built in `folder`."""
    built = Path(folder) / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", built, source], check=True)
    return built
