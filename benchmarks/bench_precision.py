"""Products of bfloat16 and 8 bits: fastlstm beside itself in float32, torch and ONNX Runtime.

    python -m benchmarks.bench_precision [--threads 1 2] [--rounds 5] [--readme README.md ...]

Every case of the group `precision` is checked against the other libraries in its own precision,
then all sides take turns, each timing in a process of its own. Beside each figure stands what part
of the processor's own multiply-adds it is, measured from register to register. Writes
precision.json and precision.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks import machine, report, rounds
from benchmarks.rounds import in_turn, positive, say
from benchmarks.shapes import Case, select
from benchmarks.sides import PEERS, why_not
from benchmarks.worker import ask

# Column -> side and precision of what a case is compared with.
OTHERS: dict[str, tuple[str, str]] = {
    "our float32": ("fastlstm", "float32"),
    "torch bfloat16": ("torch", "bfloat16"),
    "torch int8": ("torch", "int8"),
    "ONNX Runtime int8": ("onnxruntime", "int8"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Time what the options ask for and write the tables; 1 if a case does not agree."""
    options = _parse(argv)
    result: dict[str, Any] = {
        **report.heading(argv, options),
        "threads": options.threads,
        "limits": machine.limits(),
        "versions": {},
        "cases": [
            _entry(case, n, options.against) for n in options.threads for case in options.cases
        ],
    }
    if not _check(result, options):
        return 1
    _time(result)
    for name, value in machine.limits().items():  # the machine may have been busy
        result["limits"][name] = max(value, result["limits"].get(name, 0.0))
    report.publish("precision", result, markdown(result), summary(result), options)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = rounds.parser("bench_precision", __doc__)
    add = parser.add_argument
    add("--against", nargs="*", choices=PEERS, default=list(PEERS), help="default: both")
    add("--threads", type=positive, nargs="+", default=[1, machine.cores()])
    add("--out", type=Path, default=Path("build", "precision"), help="folder")
    add("--readme", type=Path, nargs="+", default=[], help=report.INTO)
    options = parser.parse_args(argv)
    try:
        options.cases = select(["precision"], options.only)
        for peer in options.against:
            why_not(peer, options.cases[0])  # it can be loaded
    except (ValueError, ImportError) as error:
        parser.error(str(error))
    options.threads = sorted(set(options.threads))
    return options


def _entry(case: Case, threads: int, against: Sequence[str]) -> dict[str, Any]:
    """Return what a case's times go into: a list, a value for each round, for each column."""
    columns = ["fastlstm", *(name for name in OTHERS if _other(case, name, against))]
    return {
        "name": str(case),
        "case": asdict(case),
        "threads": threads,
        "ms": {name: [] for name in columns},
    }


def _other(case: Case, name: str, against: Sequence[str]) -> tuple[str, Case] | None:
    """Return side and case of a column, None if the side cannot run it.

    Of torch and ONNX Runtime int8 is for the cases in int8 alone.
    """
    side, precision = OTHERS[name]
    if side not in ("fastlstm", *against) or (precision == "int8" != case.precision):
        return None
    other = replace(case, precision=precision)
    return None if why_not(side, other) else (side, other)


def _check(result: dict[str, Any], options: argparse.Namespace) -> bool:
    """Add the operations of each case; False, and why printed, if the sides differ."""
    agree = True
    for against in ["torch", *(peer for peer in options.against if peer != "torch")]:
        entries = [e for e in result["cases"] if not why_not(against, Case(**e["case"]))]
        for threads in options.threads:
            of = [entry for entry in entries if entry["threads"] == threads]
            answers = ask(
                "check", machine.environment(threads), cases=[entry["case"] for entry in of],
                threads=threads, against=against,
            )  # fmt: skip
            for entry, answer in zip(of, answers, strict=True):
                entry["flops"] = answer.get("flops")
                if "mismatch" in answer:
                    agree = False
                    say(f"not timed, as the sides differ: {answer['mismatch']}")
    return agree


def _time(result: dict[str, Any]) -> None:
    """Add the times of all rounds; the sides take turns at being first."""
    for number in range(result["rounds"]):
        for entry in result["cases"]:
            for name in in_turn(number, list(entry["ms"])):
                side, case = "fastlstm", Case(**entry["case"])
                if name in OTHERS:
                    side, precision = OTHERS[name]
                    case = replace(case, precision=precision)
                answer = ask(
                    "time", machine.environment(entry["threads"]), side=side, case=asdict(case),
                    threads=entry["threads"], seconds=result["seconds"],
                )  # fmt: skip
                entry["ms"][name].append(statistics.median(answer["samples_ms"]))
                result["versions"][side] = answer["versions"]
                what = f"{entry['name']} threads={entry['threads']}"
                say(f"round {number + 1}: {what}: {name} {entry['ms'][name][-1]} ms")


def ratio(entry: dict[str, Any], name: str) -> float | None:
    """Return how many times as long another column takes, median over the rounds; None: absent."""
    others = entry["ms"].get(name)
    if others is None:
        return None
    pairs = zip(entry["ms"]["fastlstm"], others, strict=True)
    return float(statistics.median(other / ours for ours, other in pairs))


def _of_limit(entry: dict[str, Any], limits: dict[str, float], name: str, precision: str) -> str:
    """Return a column's milliseconds and its part of the limit of its precision."""
    ms = statistics.median(entry["ms"][name])
    limit = machine.best_limit(limits, precision) * entry["threads"]
    part = f" ({entry['flops'] / 2 / ms / 1e6 / limit:.0%})" if limit and entry["flops"] else ""
    return report.three_digits(ms) + part


def markdown(result: dict[str, Any]) -> str:
    """Return the table of all cases, and below it what was measured on."""
    titles = ["case (B, T, I, H)", "threads", "fastlstm ms (of limit)", "our float32 (of limit)"]
    lines = [report.row([*titles, *OTHERS]), report.row(["---"] + ["---:"] * 7)]
    for entry in result["cases"]:
        ratios = [ratio(entry, name) for name in OTHERS]
        lines.append(
            report.row(
                [
                    entry["name"],
                    str(entry["threads"]),
                    _of_limit(entry, result["limits"], "fastlstm", entry["case"]["precision"]),
                    _of_limit(entry, result["limits"], "our float32", "float32"),
                    *("" if value is None else f"**{value:.2f}**" for value in ratios),
                ]
            )
        )
    return "\n".join([*lines, "", _footnote(result), ""])


def summary(result: dict[str, Any]) -> str:
    """Return a short table: how many times faster than each other side, from least to most."""
    titles = [f"{n} thread{'s' * (n != 1)}" for n in result["threads"]]
    limits = result["limits"]
    told = ", ".join(f"{name} {value:.0f}" for name, value in limits.items())
    lines = [report.row(["how many times faster", *titles])]
    lines += [report.row(["---"] + ["---:"] * len(titles))]
    kinds = dict.fromkeys((e["case"]["mode"], e["case"]["precision"]) for e in result["cases"])
    for mode, precision in kinds:
        of = [
            entry
            for entry in result["cases"]
            if (entry["case"]["mode"], entry["case"]["precision"]) == (mode, precision)
        ]
        for name in OTHERS:
            cells = []
            for threads in result["threads"]:
                found = [ratio(e, name) for e in of if e["threads"] == threads]
                cells.append(report.ends([value for value in found if value is not None]))
            if any(cells):
                kind = report.KINDS.get(mode, mode)
                lines.append(report.row([f"{kind} in {precision}, than {name}", *cells]))
    note = f"A core's limit, billion multiply-adds a second: {told}." if told else ""
    return "\n".join([*lines, "", note]).strip()


def _footnote(result: dict[str, Any]) -> str:
    about, versions = result["machine"], result["versions"]
    limits = ", ".join(f"{name} {value:.0f}" for name, value in result["limits"].items())
    used = [f"{PEERS.get(s, s)} {report.version(v)}" for s, v in versions.items()]
    return (
        f"Behind the milliseconds the part of the limit: of what the fastest instruction of a "
        f"precision makes from register to register; on one core, billion multiply-adds a second: "
        f"{limits or 'not measured'}. Last columns: how many times as long the other side takes. "
        f"torch bfloat16 is its whole module in bfloat16, int8 its quantize_dynamic; ONNX Runtime "
        f"int8 is after its own. Median of {result['rounds']} rounds in separate processes taking "
        f"turns. {about['cpu']}, {about['cores']} cores, load {about['load']} before. "
        f"{', '.join(used)}, commit {about['commit']}; Python {about['python']}; "
        f"{result['time'][:10]}."
    )


if __name__ == "__main__":
    sys.exit(main())
