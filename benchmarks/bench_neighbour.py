"""fastlstm, torch and ONNX Runtime beside other processes that compute, taking turns.

    python -m benchmarks.bench_neighbour [--neighbour 1] [--threads 2] [--rounds 5]

Each case is timed on one thread and on several, alone and beside the neighbours, each timing in a
process of its own. What counts is the mean of all calls: a call that waits for a core for
milliseconds is part of it. Writes neighbour.json and neighbour.md. Whether the sides agree is what
`benchmarks.ab` checks.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import machine, report, rounds
from benchmarks.neighbour import EXAMPLES, Others, neighbours
from benchmarks.rounds import in_turn, positive, say
from benchmarks.shapes import select
from benchmarks.sides import PEERS, SIDES, why_not
from benchmarks.worker import ask

TITLES = {"fastlstm": "fastlstm", **PEERS}
# A timing during which others took more of a core is made again, so often in all at most.
QUIET, TRIES = 0.1, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Time what the options ask for and write the tables."""
    options = _parse(argv)
    result: dict[str, Any] = {
        **report.heading(argv, options),
        "neighbours": options.neighbour,
        "threads": options.threads,
        "versions": {},
        "cases": options.cases,
    }
    _time(result)
    report.publish("neighbour", result, markdown(result), summary(result), options)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = rounds.parser("bench_neighbour", __doc__)
    add = parser.add_argument
    add("--neighbour", type=positive, default=1, metavar="N", help="processes beside, default 1")
    add("--threads", type=positive, default=machine.cores(), help="default: all cores")
    add("--sides", nargs="+", choices=SIDES, default=SIDES)
    add("--out", type=Path, default=Path("build", "neighbour"), help="folder")
    add("--readme", type=Path, nargs="+", default=[], help=report.INTO)
    options = parser.parse_args(argv)
    try:
        options.cases = [e for e in _entries(options) if options.only in e["name"]]
    except ImportError as error:
        parser.error(str(error))
    if not options.cases:
        parser.error(f"no case holds {options.only!r}")
    return options


def _entries(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return an entry for each case and each side that can run it; examples are fastlstm's alone.

    Its `ms` has a list, a value for each round, for each setting of `settings`.
    """
    tasks = [
        {"name": str(case), "side": side, "case": asdict(case)}
        for case in select(["neighbour"])
        for side in options.sides
        if side != "onnxruntime" or not why_not(side, case)
    ]
    if "fastlstm" in options.sides:
        tasks += [{"name": name, "side": "fastlstm", "case": None} for name in EXAMPLES]
    return [{**task, "ms": [[], [], [], []], "others": []} for task in tasks]


def settings(result: dict[str, Any]) -> list[tuple[int, int]]:
    """Return threads and neighbours of the timings of a case; first and last are compared."""
    threads, beside = result["threads"], result["neighbours"]
    return [(1, 0), (threads, 0), (1, beside), (threads, beside)]


def _time(result: dict[str, Any]) -> None:
    """Add the times of all rounds; sides and settings take turns at being first."""
    for number in range(result["rounds"]):
        for entry in in_turn(number, result["cases"]):
            for place, (threads, beside) in in_turn(number, [*enumerate(settings(result))]):
                answer, others = _ask(entry, threads, beside, result["seconds"])
                entry["ms"][place].append(answer["ms"])
                entry["others"].append(round(others, 2))
                result["versions"][entry["side"]] = answer["versions"]
                what = f"{entry['name']}: {entry['side']}, {threads} threads, {beside} beside"
                say(f"round {number + 1}: {what}: {answer['ms']} ms, others {others:.2f} cores")


def _ask(
    entry: dict[str, Any], threads: int, beside: int, seconds: float
) -> tuple[dict[str, Any], float]:
    """Return an answer, and how many cores others had meanwhile: of the quietest try."""
    found = []
    for _ in range(TRIES):
        others = Others()
        with neighbours(beside):
            answer = ask(
                "neighbour_time", machine.environment(threads), side=entry["side"],
                name=entry["name"], case=entry["case"], threads=threads, seconds=seconds,
            )  # fmt: skip
        found.append((answer, others.cores()))
        if found[-1][1] <= QUIET:
            break
    return min(found, key=lambda each: each[1])


def markdown(result: dict[str, Any]) -> str:
    """Return the table of all cases, and below it what was measured on."""
    several, beside = f"{result['threads']} threads", result["neighbours"]
    titles = ["case (B, T, I, H)", "side", "1 thread alone, ms", f"{several} alone"]
    titles += [f"1 thread beside {beside}", f"{several} beside {beside}", "last to first"]
    lines = [report.row(titles), report.row(["---"] * 2 + ["---:"] * 5)]
    for entry in result["cases"]:
        ms = [report.three_digits(statistics.median(values)) for values in entry["ms"]]
        cells = [entry["name"], TITLES[entry["side"]], *ms, f"**{_slower(entry):.2f}**"]
        lines.append(report.row(cells))
    return "\n".join([*lines, "", _footnote(result), ""])


def summary(result: dict[str, Any]) -> str:
    """Return a line for each side: the least and the largest factor of its cases."""
    lines = []
    for side, title in TITLES.items():
        factors = [_slower(entry) for entry in result["cases"] if entry["side"] == side]
        if factors:
            lines.append(report.row([title, f"{min(factors):.2f} to {max(factors):.2f}"]))
    beside = f"beside {result['neighbours']} busy process{'es' * (result['neighbours'] > 1)}"
    title = f"time on {result['threads']} threads {beside}, to that on one thread alone"
    return "\n".join([report.row([title, "factor"]), report.row(["---", "---:"]), *lines])


def _slower(entry: dict[str, Any]) -> float:
    """Return how many times as long the last setting takes as the first, round by round."""
    first, *_, last = entry["ms"]
    return float(statistics.median(b / a for a, b in zip(first, last, strict=True)))


def _footnote(result: dict[str, Any]) -> str:
    about = result["machine"]
    others = max(others for entry in result["cases"] for others in entry["others"])
    versions = [f"{TITLES[s]} {report.version(v)}" for s, v in result["versions"].items()]
    return (
        f"Mean of all calls, median of {result['rounds']} rounds; each timing in a process of its "
        f"own, the neighbours multiply matrices on one thread each. `names` and `toy` are the "
        f"examples, whole. Other programs had up to {others:.2f} cores meanwhile. "
        f"{about['cpu']}, {about['cores']} cores. {', '.join(versions)}, commit "
        f"{about['commit']}; Python {about['python']}; {result['time'][:10]}."
    )


if __name__ == "__main__":
    sys.exit(main())
