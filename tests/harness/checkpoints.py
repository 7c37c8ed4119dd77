"""How much of a log its checkpoints cover."""


def size(path):
    return int(path.read_text().splitlines()[1]) if path.exists() else 0


def published(gateway):
    return size(gateway.log_folder() / "checkpoint")


def cosigned(gateway):
    return size(gateway.data / "witnessed" / "checkpoint")
