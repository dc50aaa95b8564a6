"""Ten known recurrent models whole: torch, torch on fastlstm, both compiled, and ONNX Runtime.

    python -m benchmarks.bench_models [--threads 1 2] [--rounds 5] [--only NAME] [--readme ...]

The same torch model is a side as it is, after `fastlstm.torch.accelerate`, by `torch.compile` of
either, and exported where it infers. Outputs and gradients of every side must be torch's, or
nothing is timed. Each side has a process of its own, which compiles once; they take turns. The
recurrent modules are also timed alone. Writes models.json and models.md. Exit status 1 if a side
does not agree.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine, report, rounds
from benchmarks.check import GRADIENT, OUTPUT, Mismatch, largest
from benchmarks.model_sides import EAGER, OTHERS, SIDES, saved
from benchmarks.models import tasks
from benchmarks.models.task import Task
from benchmarks.rounds import in_turn, positive, say
from benchmarks.sides import PEERS, Results
from benchmarks.timing import quartiles
from benchmarks.worker import Kept

TITLES = ("model", "a step", "threads", "torch ms", "fastlstm ms", "ratio (quartiles)")
PART_TITLES = ("recurrent part ms, torch / fastlstm", "its ratio (quartiles)")


def main(argv: Sequence[str] | None = None) -> int:
    """Time what the options ask for and write the tables; 1 if a side does not agree."""
    options = _parse(argv)
    result: dict[str, Any] = {
        **report.heading(argv, options),
        "threads": options.threads,
        "against": options.against,
        "versions": {},
        "cases": [],
    }
    for threads in options.threads:
        entries = [_entry(name, task, threads, options) for name, task in options.tasks.items()]
        result["cases"] += entries
        with _processes([*EAGER, *options.against], threads) as processes:
            if not _check(entries, processes, result["versions"]):
                return 1
            _time(entries, processes, options)
    report.publish("models", result, markdown(result), summary(result), options)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = rounds.parser("bench_models", __doc__)
    parser.set_defaults(seconds=0.3)
    add = parser.add_argument
    add("--against", nargs="*", choices=OTHERS, default=list(OTHERS), help="default: all")
    add("--threads", type=positive, nargs="+", default=[machine.cores()])
    add("--out", type=Path, default=Path("build", "models"), help="folder")
    add("--readme", type=Path, nargs="+", default=[], help=report.INTO)
    options = parser.parse_args(argv)
    try:
        found = tasks()
        if "onnxruntime" in options.against:
            import benchmarks.exported  # noqa: F401  # it can be loaded
    except ImportError as error:
        parser.error(str(error))
    options.tasks = {name: task for name, task in found.items() if options.only in name}
    if not options.tasks:
        parser.error(f"no case holds {options.only!r}: {'; '.join(found)}")
    options.threads = sorted(set(options.threads))
    return options


def _entry(name: str, task: Task, threads: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return what a task's times go into: lists, a value for each round, for each side."""
    others = [s for s in options.against if s != "onnxruntime" or not task.trains]
    return {
        "name": name,
        "step": task.described(),
        "threads": threads,
        "trains": task.trains,
        "sides": {side: {"ms": [], "part_ms": []} for side in (*EAGER, *others)},
        "left_out": {},
        "max_difference": {},
    }


@contextmanager
def _processes(sides: Sequence[str], threads: int) -> Iterator[dict[str, Kept]]:
    """Yield a process for each side; none finds what was compiled before, or by another."""
    environment = {
        **machine.environment(threads),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no processes beside those that are timed
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield {
            side: stack.enter_context(
                Kept({**environment, "TORCHINDUCTOR_CACHE_DIR": str(folder / side)})
            )
            for side in sides
        }


def _check(
    entries: list[dict[str, Any]], processes: dict[str, Kept], versions: dict[str, Any]
) -> bool:
    """Run the first step of all; False, and why printed, if a side differs from torch."""
    agree = True
    with tempfile.TemporaryDirectory() as folder:
        for entry in entries:
            results = {}
            for side in list(entry["sides"]):
                answer = processes[side].ask(
                    "model_first", side=side, name=entry["name"], threads=entry["threads"],
                    path=(path := str(Path(folder, "found.npz"))),
                )  # fmt: skip
                what = f"{entry['name']} threads={entry['threads']}: {SIDES[side]}"
                if "why_not" in answer:
                    del entry["sides"][side]
                    entry["left_out"][side] = answer["why_not"]
                    say(f"{what} left out: {answer['why_not']}")
                    continue
                versions[side.partition("-")[0]] = answer["versions"]
                entry["sides"][side]["first_seconds"] = answer["seconds"]
                results[side] = saved(path)
                try:
                    entry["max_difference"][side] = compare(results, side, entry["name"])
                except Mismatch as reason:
                    agree = False
                    say(f"not timed, as the sides differ: {reason}")
                say(f"{what} checked, first step {answer['seconds']} s")
    return agree


def compare(results: dict[str, Results], side: str, name: str) -> dict[str, float]:
    """Return how far a side is from torch: outputs, and gradients if there are any.

    Raises
    ------
    Mismatch
        If it is more than rounding explains; names the array.
    """
    found, expected = results[side], results["torch"]
    what = f"{name}, {SIDES[side]}", "torch", SIDES[side]
    difference = {
        "outputs": largest(found.outputs, expected.outputs, OUTPUT["float32"], 1.0, *what)
    }
    if expected.gradients or found.gradients:
        difference["gradients"] = largest(
            found.gradients, expected.gradients, GRADIENT["float32"], 0.0, *what
        )
    return difference


def _time(
    entries: list[dict[str, Any]], processes: dict[str, Kept], options: argparse.Namespace
) -> None:
    """Add the times of all rounds; the sides take turns, and turns at being first."""
    for number in range(options.rounds):
        for entry in entries:
            for side in in_turn(number, list(entry["sides"])):
                answer = processes[side].ask(
                    "model_time", side=side, name=entry["name"], threads=entry["threads"],
                    seconds=options.seconds,
                )  # fmt: skip
                for key, value in answer.items():
                    entry["sides"][side][key].append(value)
                what = f"{entry['name']} threads={entry['threads']}"
                say(f"round {number + 1}: {what}: {SIDES[side]} {answer['ms']} ms")


def ratios(entry: dict[str, Any], slow: str, fast: str, key: str = "ms") -> list[float]:
    """Return how many times as long one side takes as another, round by round; [] if absent."""
    sides = entry["sides"]
    if slow not in sides or fast not in sides:
        return []
    pairs = zip(sides[slow][key], sides[fast][key], strict=True)
    return [other / ours for other, ours in pairs]


def markdown(result: dict[str, Any]) -> str:
    """Return the table of all tasks, and below it what was measured on."""
    others = [f"{OTHERS[side]} ms" for side in result["against"]]
    titles = [*TITLES, *PART_TITLES, *others]
    lines = [report.row(titles), report.row(["---"] * 2 + ["---:"] * (len(titles) - 2))]
    for entry in result["cases"]:
        others = [_other(entry, side) for side in result["against"]]
        lines.append(report.row([*_cells(entry), *others]))
    return "\n".join([*lines, "", _footnote(result), ""])


def _cells(entry: dict[str, Any]) -> list[str]:
    whole = [_middle(entry, side) for side in EAGER]
    part = " / ".join(_middle(entry, side, "part_ms") for side in EAGER)
    about = [entry["name"], entry["step"], str(entry["threads"])]
    return [*about, *whole, _ratio(entry, "ms"), part, _ratio(entry, "part_ms")]


def _middle(entry: dict[str, Any], side: str, key: str = "ms") -> str:
    return report.three_digits(statistics.median(entry["sides"][side][key]))


def _ratio(entry: dict[str, Any], key: str) -> str:
    low, middle, high = quartiles(ratios(entry, "torch", "fastlstm", key))
    return f"**{middle:.2f}** ({low:.2f} to {high:.2f})"


def _other(entry: dict[str, Any], side: str) -> str:
    """Return milliseconds of another side, and what its first step took where it compiles."""
    if side not in entry["sides"]:
        return "left out" if side in entry["left_out"] else ""
    seconds = entry["sides"][side]["first_seconds"]
    told = f" ({seconds:.1f} s)" if side.endswith("-compiled") else ""
    return _middle(entry, side) + told


def summary(result: dict[str, Any]) -> str:
    """Return a short table: how many times faster, from the least to the most of the models."""
    titles = [f"{n} thread{'s' * (n != 1)}" for n in result["threads"]]
    lines = [report.row(["how many times faster", *titles])]
    lines += [report.row(["---"] + ["---:"] * len(titles))]
    compared = [
        ("whole model than torch", "torch", "fastlstm", "ms"),
        ("recurrent part than torch", "torch", "fastlstm", "part_ms"),
        ("both compiled", "torch-compiled", "fastlstm-compiled", "ms"),
        ("than ONNX Runtime", "onnxruntime", "fastlstm", "ms"),
    ]
    for trains, kind in ((False, "inference"), (True, "training")):
        of = [entry for entry in result["cases"] if entry["trains"] == trains]
        for title, *sides in compared:
            found = [(e["threads"], ratios(e, *sides)) for e in of]
            cells = [
                report.ends([statistics.median(r) for n, r in found if n == threads and r])
                for threads in result["threads"]
            ]
            if any(cells):
                count = len({e["name"] for e in of if ratios(e, *sides)})
                name = f"{kind}, {title}, {count} model{'s' * (count != 1)}"
                lines.append(report.row([name, *cells]))
    return "\n".join(lines)


def _footnote(result: dict[str, Any]) -> str:
    about = result["machine"]
    versions = [
        f"{PEERS.get(side, side)} {report.version(found)}"
        for side, found in result["versions"].items()
    ]
    reasons = {
        f"{OTHERS[side]} of {entry['name']}: {reason}"
        for entry in result["cases"]
        for side, reason in entry["left_out"].items()
    }
    left_out = "".join(f" Left out: {reason}." for reason in sorted(reasons))
    return (
        f"fastlstm is torch's model after `accelerate`; a step that trains is forward, loss and "
        f"backward. Ratio is torch's time to fastlstm's, round by round: median and quartiles; "
        f"the recurrent part is what its LSTM modules take of either, run alone with the same "
        f"inputs and gradients. In brackets behind compiled sides the first step, which compiles."
        f"{left_out} Median of {result['rounds']} rounds, each side in a process of its own, "
        f"taking turns. {about['cpu']}, {about['cores']} cores, load {about['load']} before. "
        f"{', '.join(versions)}, commit {about['commit']}; Python {about['python']}; "
        f"{result['time'][:10]}."
    )


if __name__ == "__main__":
    sys.exit(main())
