"""Words that name somebody, and the search for them in whatever a node leaves behind (I17)."""

import base64
import sqlite3


class Canary:
    """A word that occurs nowhere else, in every form in which it may have been written down."""

    def __init__(self, word):
        self.word = word
        raw = word.encode()
        self.forms = {"as it is": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
        # In base64 it looks different at each offset from a multiple of three; the ends depend on what stands beside it.
        for shift in range(3):
            whole = base64.b64encode(b"\0" * shift + raw + b"\0" * (-(shift + len(raw)) % 3)).decode().rstrip("=")
            first = -(-shift * 8 // 6)
            last = (shift + len(raw)) * 8 // 6
            for name, text in (("base64", whole), ("base64url", whole.replace("+", "-").replace("/", "_"))):
                self.forms[f"{name} at {shift}"] = text[first:last].encode()

    def __str__(self):
        return self.word

    def found(self, data):
        """The forms in which it stands in `data`."""
        return [name for name, form in self.forms.items() if form in data]


def traces(canaries, folder):
    """Every file below `folder` with a canary in it: (file, word, form)."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            found += [(str(path), str(canary), form) for canary in canaries for form in canary.found(data)]
    return found


def cells(database):
    """Every text and blob of a database, as it is read: a value that spans pages is not whole in the file."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for cell in row:
                    if isinstance(cell, (str, bytes)):
                        yield table, cell.encode() if isinstance(cell, str) else cell
