"""Two commits beside each other: each built, then timed in processes of its own that take turns.

    python -m benchmarks.compare A [B] [--group quick] [--threads 1 2] [--rounds 7]

A and B are whatever git knows; B, or "." in place of either, is this tree as it stands. Both run
this tree's benchmarks. First each is checked against torch. Then the rounds: in each, for every
case, one process for either commit. A difference counts where it is larger than the noise: where
the whole interval in which the median of A's time to B's lies, with 95 % certainty or more, is on
one side of 1. To see the noise alone, compare a commit with itself. Writes compare.json, with all
samples, and compare.md. Exit status 1 if a commit does not build or computes wrongly.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import builds, machine, report, rounds
from benchmarks.report import row, three_digits
from benchmarks.rounds import in_turn, positive, say
from benchmarks.shapes import GROUPS, select
from benchmarks.worker import ask

SURE = 0.95
LEAST_ROUNDS = 6  # of fewer no interval is that sure


class Interval(NamedTuple):
    """Where the median lies, and how sure that is."""

    low: float
    high: float
    sure: float


def main(argv: Sequence[str] | None = None) -> int:
    """Build, check, time and print what the options ask for."""
    options = _parse(argv)
    try:
        commits = [builds.commit_of(name) for name in (options.before, options.after)]
        sides = [_side(name, commit, options) for name, commit in zip("AB", commits, strict=True)]
        result = {**report.heading(argv, options), "sides": sides, "cases": _entries(options)}
        _check(sides, options)
        _time(result, options)
    except (builds.BuildError, RuntimeError) as error:
        say(f"compare: {error}")
        return 1
    for entry in result["cases"]:
        summarise(entry)
    text = markdown(result)
    options.out.mkdir(parents=True, exist_ok=True)
    report.write_text(options.out / "compare.json", json.dumps(result, indent=1) + "\n")
    report.write_text(options.out / "compare.md", text)
    print(text)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = rounds.parser("compare", __doc__)
    add = parser.add_argument
    add("before", metavar="A", help="commit, branch or tag")
    add("after", metavar="B", nargs="?", default=builds.THIS, help="default: this tree")
    add("--group", nargs="+", default=["quick"], choices=GROUPS)
    add("--threads", type=positive, nargs="+", default=[machine.cores()])
    add("--isa", choices=machine.SAME_ISA, help="hold both to it")
    add("--out", type=Path, default=Path("build/compare"), help="folder, of the builds too")
    parser.set_defaults(rounds=7)
    options = parser.parse_args(argv)
    if options.rounds < LEAST_ROUNDS:
        parser.error(
            f"argument --rounds: {options.rounds}, expected {LEAST_ROUNDS} or more: fewer cannot "
            "tell a difference from noise"
        )
    try:
        options.cases = select(options.group, options.only)
    except ValueError as error:
        parser.error(str(error))
    return options


def _side(name: str, commit: str, options: argparse.Namespace) -> dict[str, str]:
    """Return a side's name, commit and folder; sure that its processes have that very package."""
    folder = builds.built(commit, options.out)
    found = ask("package", machine.environment(1), folder)
    expected = (folder / "fastlstm").resolve()
    if Path(found["folder"]) != expected:
        raise RuntimeError(f"{commit} would be timed with {found['folder']}, not {expected}")
    shown = machine.commit() if commit == builds.THIS else commit
    return {"name": name, "commit": shown, "version": found["version"], "folder": str(folder)}


def _entries(options: argparse.Namespace) -> list[dict[str, Any]]:
    return [
        {"name": str(c), "case": asdict(c), "threads": n, "sides": {"A": [], "B": []}}
        for n in options.threads
        for c in options.cases
    ]


def _check(sides: list[dict[str, str]], options: argparse.Namespace) -> None:
    """RuntimeError if a case of either side does not agree with torch."""
    cases = [asdict(case) for case in options.cases]
    for threads in options.threads:
        for side in sides:
            say(f"checking {len(cases)} cases of {side['commit']}, threads={threads}")
            environment = machine.environment(threads, options.isa)
            folder = Path(side["folder"])
            for answer in ask("check", environment, folder, cases=cases, threads=threads):
                if "mismatch" in answer:
                    raise RuntimeError(f"{side['commit']} is wrong: {answer['mismatch']}")


def _time(result: dict[str, Any], options: argparse.Namespace) -> None:
    """Add the samples of all rounds to the entries."""
    turns = [
        (entry, side)
        for number in range(options.rounds)
        for entry in result["cases"]
        for side in in_turn(number, result["sides"])
    ]
    for number, (entry, side) in enumerate(turns, 1):
        answer = ask(
            "time",
            machine.environment(entry["threads"], options.isa),
            Path(side["folder"]),
            side="fastlstm",
            case=entry["case"],
            threads=entry["threads"],
            seconds=options.seconds,
        )
        entry["sides"][side["name"]].append(answer["samples_ms"])
        middle = statistics.median(answer["samples_ms"])
        what = f"{entry['name']} threads={entry['threads']}"
        say(f"{number}/{len(turns)} {what}: {side['name']} {three_digits(middle)} ms")


def summarise(entry: dict[str, Any]) -> None:
    """Add both medians, the ratio of A's time to B's, its interval and what follows from it."""
    a, b = ([statistics.median(s) for s in entry["sides"][name]] for name in "AB")
    entry.update(median_ms={"A": statistics.median(a), "B": statistics.median(b)})
    ratios = [before / after for before, after in zip(a, b, strict=True)]
    around = interval(ratios)
    entry.update(ratio=statistics.median(ratios), interval=around, verdict=verdict(around))


def interval(values: Sequence[float]) -> Interval:
    """Return the narrowest interval of the median, of any distribution, that is `SURE` enough.

    Its ends are the k-th least and the k-th largest value: the median is below the one or above
    the other with the chance that a coin thrown so often shows fewer than k heads, or tails.
    Of fewer than `LEAST_ROUNDS` values it is the widest there is.
    """
    ordered, n, fewer = sorted(values), len(values), 0
    best = Interval(ordered[0], ordered[-1], 1 - 2 / 2**n)
    for k in range(1, n // 2 + 1):
        fewer += math.comb(n, k - 1)
        sure = 1 - 2 * fewer / 2**n
        if sure < SURE:
            break
        best = Interval(ordered[k - 1], ordered[n - k], sure)
    return best


def verdict(around: Interval) -> str:
    """Return what an interval says: B is "faster", "slower", or it is "noise"."""
    if around.sure < SURE or around.low <= 1 <= around.high:
        return "noise"
    return "faster" if around.low > 1 else "slower"


def markdown(result: dict[str, Any]) -> str:
    """Return the table, and below it what it says."""
    a, b = result["sides"]
    titles = ["case (B, T, I, H)", "threads", f"A {a['commit']} ms", f"B {b['commit']} ms"]
    lines = [row([*titles, "A / B (interval)", "B is"])]
    lines += [row(["---", "---:", "---:", "---:", "---:", "---"])]
    lines += [row(_cells(entry)) for entry in result["cases"]]
    return "\n".join([*lines, "", _conclusion(result), ""])


def _cells(entry: dict[str, Any]) -> list[str]:
    around = entry["interval"]
    said = entry["verdict"]
    if said == "noise":
        said = "no different: the noise is larger"
    return [
        entry["name"],
        str(entry["threads"]),
        *(three_digits(entry["median_ms"][name]) for name in "AB"),
        f"**{entry['ratio']:.3f}** ({around.low:.3f} to {around.high:.3f})",
        said,
    ]


def _conclusion(result: dict[str, Any]) -> str:
    cases = result["cases"]
    count = {said: sum(e["verdict"] == said for e in cases) for said in ("faster", "slower")}
    mean = statistics.geometric_mean([e["ratio"] for e in cases])
    about, sure = result["machine"], cases[0]["interval"].sure
    noise = statistics.median([e["interval"].high / e["interval"].low for e in cases]) - 1
    return (
        f"Of {len(cases)} cases B is faster in {count['faster']}, slower in {count['slower']}; in "
        f"the others the noise is larger than the difference. Geometric mean of A / B: {mean:.3f}. "
        f"Medians of {result['rounds']} rounds; each interval holds the median of A / B with "
        f"{sure:.1%} certainty, so that of {len(cases)} equal cases "
        f"{len(cases) * (1 - sure):.1f} would look different by chance; it is {noise:.1%} wide in "
        f"the middle case. {about['cpu']}, {about['cores']} cores, load {about['load']} before; "
        f"{result['time'][:10]}."
    )


if __name__ == "__main__":
    sys.exit(main())
