"""What a step costs in n processes: the model of docs/scale.md, and its tables.

    python -m benchmarks.scale

prints them for the two nets whose seconds `benchmarks.bench_scale` measured.
"""

from __future__ import annotations

import math
from typing import NamedTuple

RANKS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
NOTE = 8 * 13  # bytes that a process tells the others of a step, before 8 for each parameter


class Link(NamedTuple):
    """How processes reach each other: seconds of a message, and bytes a second beside that."""

    latency: float
    bandwidth: float


class Net(NamedTuple):
    """What a step of a net is.

    Attributes
    ----------
    rows : of the whole batch.
    shared, fixed : seconds of a step in one process, of what is divided among the processes and of
        what each does whole (the optimizer's step, drawing for the whole batch).
    early, late : bytes of dense gradients that leave during the backward pass, and after it.
    groups : messages of the former.
    hidden : part of the step's seconds during which the early ones may travel.
    words, row_words : distinct words of the batch and of one row; 0 if no table is sent by rows.
    word_bytes : of the gradient of a word's vector.
    parameters : how many arrays are learned.
    """

    rows: int
    shared: float
    fixed: float
    early: float
    late: float
    groups: int
    hidden: float
    words: float = 0.0
    row_words: float = 0.0
    word_bytes: float = 0.0
    parameters: int = 10


class Cost(NamedTuple):
    """Seconds of a step in n processes, how much of it is sending that nothing hides, and bytes."""

    seconds: float
    exposed: float
    sent: float


def union(net: Net, n: int) -> float:
    """Return the distinct words that one process of n touches.

    A batch of r rows has about r ** b times as many as one row.
    """
    if not net.words:
        return 0.0
    power = math.log(net.words / net.row_words) / math.log(net.rows)
    return float(net.row_words * max(1.0, net.rows / n) ** power)


def summed(size: float, n: int, link: Link) -> float:
    """Return the seconds of adding up vectors of so many bytes: each process adds a part.

    A part goes to each other process, and each sum comes back: 2 (n - 1) messages.
    """
    return 2 * (n - 1) * (link.latency + size / n / link.bandwidth)


def gathered(size: float, n: int, link: Link) -> float:
    """Return the seconds of telling all others so many bytes, in log2 n rounds."""
    return math.ceil(math.log2(n)) * link.latency + (n - 1) * size / link.bandwidth


def cost(net: Net, n: int, link: Link) -> Cost:
    """Return what a step costs; with more processes than rows some have nothing to do."""
    compute = net.fixed + net.shared * max(1, math.ceil(net.rows / n)) / net.rows
    if n == 1:
        return Cost(net.fixed + net.shared, 0.0, 0.0)
    early = net.groups * summed(net.early / max(1, net.groups), n, link)
    after = max(0.0, early - net.hidden * (compute - net.fixed))
    after += gathered(NOTE + 8 * net.parameters, n, link)
    late = net.late + net.words * net.word_bytes
    after += summed(late, n, link)
    if net.words:
        after += gathered(8 * union(net, n), n, link)
    sent = 2 * (n - 1) / n * (net.early + late)
    return Cost(compute + after, after, sent)


def table(net: Net, link: Link) -> str:
    """Return the rows of a Markdown table, for 1 to 1,024 processes."""
    alone = cost(net, 1, link).seconds
    lines = [f"| 1 | {alone * 1e3:.1f} | | | 1 | 100% |"]
    for n in RANKS:
        c = cost(net, n, link)
        gain = alone / c.seconds
        lines.append(
            f"| {n:,} | {c.seconds * 1e3:.1f} | {c.exposed * 1e3:.1f} | {c.sent / 1e6:.1f} | "
            f"{gain:.1f} | {gain / n:.0%} |"
        )
    return "\n".join(lines)


# Machines that are apart, 25 Gbit/s between them: not measured.
NETWORK = Link(2e-5, 2.5e9)
# The defaults of train_imdb: a direction and the head leave while the other direction is at work.
IMDB = Net(64, 0.0885, 0.007, 5.3e5, 5.3e5, 1, 0.3, 1755, 110, 512)
# Two layers of 650 units and a tied table of 10,000 words: table and lower layer leave last.
LANGUAGE = Net(1024, 19.5, 0.105, 1.35e7, 1.35e7 + 2.6e7, 1, 0.15, parameters=11)


def main() -> None:
    """Print the tables."""
    for name, net in (("train_imdb", IMDB), ("language model", LANGUAGE)):
        print(f"{name}, {net.rows:,} rows\n{table(net, NETWORK)}\n")


if __name__ == "__main__":
    main()
