"""Ports for processes that are started again on the one they had."""

import itertools
import random
import socket

# Below those that the kernel gives to clients, or somebody could take one while its process is down.
_ports = itertools.count(random.randrange(20_000))


def free_port():
    while True:
        port = 10_000 + next(_ports) % 20_000
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
