"""`fastlstm.torch` against `torch.nn`, module by module, taking turns.

    python -m benchmarks.bench_dropin [--only LSTMCell] [--rounds 5] [--threads 2] [--out FILE]

Outputs and gradients of both sides are compared first, and nothing is timed if they differ. Each
timing is made in a process of its own. Prints a line for each case: milliseconds (lower quartile,
median, upper quartile) of both sides, how many times faster `fastlstm.torch` is, and how much of
two threads is asked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine, report, rounds
from benchmarks.dropin import CASES, SIDES
from benchmarks.timing import quartiles
from benchmarks.worker import ask


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the cases one after the other."""
    options = _parse(argv)
    environment = machine.environment(options.threads)
    described = {"machine": machine.describe(), "threads": options.threads}
    results = []
    for name in CASES:
        if options.only not in name:
            continue
        difference = ask("dropin_check", environment, name=name, threads=options.threads)
        results.append({**_compare(name, options), "difference": difference})
        print(json.dumps(results[-1]), flush=True)
        if options.out:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({**described, "results": results}, indent=1)
            report.write_text(options.out, text + "\n")
    if not results:
        print(f"no case holds {options.only!r}: {', '.join(CASES)}", file=sys.stderr)
    return 0 if results else 2


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = rounds.parser("bench_dropin", __doc__)
    parser.add_argument("--threads", type=rounds.positive, default=machine.cores())
    parser.add_argument("--out", type=Path, help="file for the results")
    return parser.parse_args(argv)


def _compare(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time both sides in turn; return milliseconds and the median of the rounds' ratios."""
    medians: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(options.rounds):
        for side in rounds.in_turn(number, SIDES):
            samples = ask(
                "dropin_time", machine.environment(options.threads),
                side=side, name=name, threads=options.threads, seconds=options.seconds,
            )  # fmt: skip
            medians[side].append(statistics.median(samples))
    found = {side: [float(f"{1e3 * q:.4g}") for q in quartiles(medians[side])] for side in SIDES}
    ratio = statistics.median(
        theirs / ours
        for ours, theirs in zip(medians["fastlstm.torch"], medians["torch.nn"], strict=True)
    )
    return {"case": name, **found, "ratio": round(ratio, 2), "asked": CASES[name].at_least or None}


if __name__ == "__main__":
    sys.exit(main())
