"""Whole files over mutual TLS: curl from the gateway and from nginx, in turn, HTTP/1.1 and HTTP/2."""

import hashlib
import subprocess

from .cores import Span, on
from .figures import Row, in_turn, middle, paired

AIM = 1.3
# A sample of about a second of server time: the kernel counts in hundredths.
SAMPLE_BYTES = 1 << 30
GIGA = 1e9


def curl(gateway, version, *arguments):
    """curl as alice. No configuration file of the tester's takes part."""
    identity = gateway.alice
    return [
        *("curl", "--disable", "--silent", "--show-error", "--fail", f"--http{version}", "--cacert", gateway.trust),
        *("--cert", str(identity.cert), "--key", str(identity.key), *arguments),
    ]


def digest(gateway, version, url):
    """SHA-256 of what arrives."""
    hasher = hashlib.sha256()
    with subprocess.Popen(curl(gateway, version, url), stdout=subprocess.PIPE) as process:
        while piece := process.stdout.read(1 << 20):
            hasher.update(piece)
    assert process.returncode == 0, f"curl {url} ended with {process.returncode}"
    return hasher.hexdigest()


def download(gateway, version, url, size, pid, core):
    """Fetches the file a few times over one connection; bytes a second, and server CPU seconds a gigabyte."""
    times = max(1, round(SAMPLE_BYTES / size))
    command = curl(gateway, version, "--write-out", "%{http_code} %{http_version} %{size_download} %{time_total}\n")
    for _ in range(times):
        command += [url, "--output", "/dev/null"]
    with Span(pid) as span, on(core):
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answers = [line.split() for line in out.splitlines()]
    expected = ["200", "2" if version == "2" else version, str(size)]
    assert [answer[:3] for answer in answers] == [expected] * times, out
    seconds = sum(float(answer[3]) for answer in answers)
    return {"rate": times * size / seconds / GIGA, "per_cpu": times * size / span.cpu / GIGA}


def rows(gateway, nginx, stored, rounds, core):
    """Two lines a protocol."""
    ours, theirs = gateway.url + stored.path, f"{nginx.url}/{stored.name}"
    lines = []
    for version in ("1.1", "2"):
        for url in (ours, theirs):
            assert digest(gateway, version, url) == stored.sha256, f"{url} sent other bytes"
        samples = in_turn(
            rounds,
            ours=lambda: download(gateway, version, ours, stored.bytes, gateway.pid, core),
            theirs=lambda: download(gateway, version, theirs, stored.bytes, nginx.pid, core),
        )
        name = f"file download, HTTP/{version}"
        for key, unit, aim in (("per_cpu", "GB per server CPU s", AIM), ("rate", "GB/s", None)):
            ours_, theirs_ = samples["ours"], samples["theirs"]
            lines.append(
                Row(name, unit, middle(ours_, key), "nginx", middle(theirs_, key), paired(ours_, theirs_, key), aim)
            )
    return lines
