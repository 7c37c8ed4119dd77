"""Measuring in turn, and the table at the end."""

import json
from dataclasses import asdict, dataclass
from statistics import median


def in_turn(rounds, **sides):
    """Calls the sides in turn, A B A B …, so that what the machine does meanwhile falls on both. Returns their samples."""
    samples = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            samples[name].append(side())
    return samples


def middle(samples, key):
    """The median of one member of the samples."""
    return median(sample[key] for sample in samples)


def paired(ours, theirs, key):
    """The median of the rounds' ratios ours / theirs: what slows a whole round down falls out of it."""
    return median(our[key] / their[key] for our, their in zip(ours, theirs, strict=True))


@dataclass
class Row:
    """One line: what, in which unit, ours, the peer's, and how many times the peer's ours is (above 1 is better)."""

    what: str
    unit: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    ratio: float | None = None
    aim: float | None = None

    @property
    def verdict(self):
        if self.aim is None or self.ratio is None:
            return ""
        return f"aim {self.aim:.1f} × " + ("reached" if self.ratio >= self.aim else "MISSED")


def number(value):
    """Three digits that matter."""
    if value is None:
        return ""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def table(rows):
    """The table as text."""
    head = ("figure", "unit", "kouan", "peer", "", "ratio", "")
    lines = [head] + [
        (row.what, row.unit, number(row.ours), row.peer, number(row.theirs), row.ratio and f"{row.ratio:.2f} ×" or "", row.verdict)
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    right = {2, 4, 5}
    text = lambda line: "  ".join(
        cell.rjust(width) if column in right else cell.ljust(width) for column, (cell, width) in enumerate(zip(line, widths))
    ).rstrip()
    return "\n".join([text(head), "  ".join("-" * width for width in widths), *map(text, lines[1:])])


def save(rows, path):
    """The same as JSON."""
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"rows": [asdict(row) for row in rows]}, out, indent=1, ensure_ascii=False)
        out.write("\n")
