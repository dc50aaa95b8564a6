"""fastlstm and torch, or ONNX Runtime, side by side, each in processes of its own, taking turns.

    python -m benchmarks.ab [--against torch] [--group quick] [--rounds 5] [--threads 1 2] [--keep]

First every case is checked: outputs and gradients of both sides must agree, or nothing is timed.
Then the rounds: in each, for every case, one process for either side. Writes ab.json (everything,
raw samples too), ab.md and ab.png; with --keep also a file in benchmarks/results, which the site
draws. Exit status 1 if a case does not agree.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import kept, machine, report, rounds
from benchmarks.rounds import in_turn, positive, say
from benchmarks.shapes import GROUPS, Case, select
from benchmarks.sides import PEERS, why_not
from benchmarks.worker import ask


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison that the options ask for."""
    options = _parse(argv)
    cases: list[Case] = options.cases
    result: dict[str, Any] = {
        **report.heading(argv, options),
        "isa": options.isa or "best of each side",
        "against": options.against,
        "peak_gflops": {},
        "cases": [],
    }
    for threads in options.threads:
        _measure_peak(result, cases, threads, options)
        if not _check(result, cases, threads, options):
            return 1
    _time(result, options)
    for threads in options.threads:
        _measure_peak(result, cases, threads, options)
    for entry in result["cases"]:
        report.summarise(entry, result["peak_gflops"])
    for path in report.write(result, options.out):
        print(path)
    if options.keep:
        print(kept.keep(result))
    report.put_result_into(options.readme, result)
    print(*options.readme, sep="\n")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = rounds.parser("ab", __doc__)
    add = parser.add_argument
    add("--against", choices=PEERS, default="torch", help="the other side")
    add("--group", nargs="+", default=["quick"], choices=GROUPS)
    add("--threads", type=positive, nargs="+", default=[machine.cores()])
    add("--isa", choices=machine.SAME_ISA, help="hold both sides to it")
    add("--out", type=Path, help="folder, default build/ab or build/onnxruntime")
    add("--keep", action="store_true", help="in benchmarks/results, for good")
    add("--readme", type=Path, nargs="+", default=[], help=report.INTO)
    options = parser.parse_args(argv)
    if options.isa and options.against != "torch":
        parser.error(f"argument --isa: nothing holds {PEERS[options.against]} to {options.isa}")
    if options.keep and (reason := kept.why_not(machine.commit())):
        parser.error(f"argument --keep: {reason}")
    options.out = options.out or Path("build", report.MARKER[options.against])
    try:
        options.cases = _runnable(select(options.group, options.only), options.against)
    except (ValueError, ImportError) as error:
        parser.error(str(error))
    return options


def _runnable(cases: list[Case], against: str) -> list[Case]:
    """Return the cases that the other side can run; says how many it cannot.

    Raises
    ------
    ValueError
        If it can run none.
    """
    if against == "torch":
        return cases  # and it need not be loaded here
    found = [case for case in cases if not why_not(against, case)]
    if not found:
        raise ValueError(f"{cases[0]}: {why_not(against, cases[0])}")
    if left_out := len(cases) - len(found):
        say(f"{left_out} of {len(cases)} cases left out: {PEERS[against]} cannot run them")
    return found


def _measure_peak(
    result: dict[str, Any], cases: list[Case], threads: int, options: argparse.Namespace
) -> None:
    """Add the speed of matrix products: the best so far, as the machine may have been busy."""
    found = ask(
        "peak",
        machine.environment(threads, options.isa),
        dtypes=sorted({case.dtype for case in cases}),
        seconds=options.seconds / 2,
    )
    before = result["peak_gflops"].get(str(threads), {})
    result["peak_gflops"][str(threads)] = {
        dtype: {name: max(now, before.get(dtype, {}).get(name, now)) for name, now in by.items()}
        for dtype, by in found.items()
    }


def _check(
    result: dict[str, Any], cases: list[Case], threads: int, options: argparse.Namespace
) -> bool:
    """Add an entry for every case; False, and the reasons printed, if a case does not agree."""
    say(f"checking {len(cases)} cases, threads={threads}")
    fields = [asdict(case) for case in cases]
    answers = ask(
        "check",
        machine.environment(threads, options.isa),
        cases=fields,
        threads=threads,
        against=options.against,
    )
    mismatches = [answer["mismatch"] for answer in answers if "mismatch" in answer]
    for mismatch in mismatches:
        say(f"not timed, as the sides differ: {mismatch}")
    for case, answer in zip(cases, answers, strict=True):
        sides: dict[str, Any] = {side: {"rounds": []} for side in ("fastlstm", options.against)}
        result["cases"].append(
            {
                "name": str(case),
                "case": asdict(case),
                "threads": threads,
                "flops": answer.get("flops"),
                "max_difference": {k: answer.get(k) for k in ("outputs", "gradients")},
                "sides": sides,
            }
        )
    return not mismatches


def _time(result: dict[str, Any], options: argparse.Namespace) -> None:
    """Add the raw samples of all rounds to the entries."""
    turns = list(_turns(result["cases"], options.rounds))
    for number, (entry, side) in enumerate(turns, 1):
        answer = ask(
            "time",
            machine.environment(entry["threads"], options.isa),
            side=side,
            case=entry["case"],
            threads=entry["threads"],
            seconds=options.seconds,
        )
        result.setdefault("versions", {})[side] = answer.pop("versions")
        entry["sides"][side]["rounds"].append(answer)
        middle = sorted(answer["samples_ms"])[len(answer["samples_ms"]) // 2]
        what = f"{entry['name']} threads={entry['threads']}"
        say(f"{number}/{len(turns)} {what}: {side} {middle} ms")


def _turns(entries: list[dict[str, Any]], count: int) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield who is next in so many rounds: the sides take turns, and turns at being first."""
    for number in range(count):
        for entry in entries:
            for side in in_turn(number, list(entry["sides"])):
                yield entry, side


if __name__ == "__main__":
    sys.exit(main())
