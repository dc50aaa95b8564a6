"""The attack: ``python -m attack --minutes 60 --seed 1 --only fuzz,files``; see ``--help``.

Ends with a table of its figures, which it also writes as JSON, and exit status 1 if anything failed
or fell short. Each failure comes with the command that makes it happen again, alone.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attack import report
from attack.plan import FULL, QUICK, ROOT, Plan
from attack.report import Figure

Part = Callable[[Plan], Iterator[Figure]]

# In this order: what breaks most often comes first.
PARTS = {
    "fuzz": "attack.cases_part:fuzz",
    "files": "attack.cases_part:files",
    "kills": "attack.kills:part",
    "trouble": "attack.trouble:part",
    "races": "attack.races:part",
    "memory": "attack.memory:part",
    "faults": "attack.faults:part",
}


def load(name: str) -> Part:
    """Return the function that makes a part's figures."""
    module, _, function = PARTS[name].partition(":")
    part: Part = getattr(importlib.import_module(module), function)
    return part


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m attack", description=__doc__)
    add = parser.add_argument
    add("--only", metavar="PARTS", default=",".join(PARTS), help="some of them: %(default)s")
    add("--kinds", default="", help="of a part some kinds only, such as torch or tables,archives")
    add("--quick", action="store_true", help="a little of each part: about a minute")
    add("--scale", type=float, default=1.0, help="so many times as many of everything")
    add("--minutes", type=float, default=60.0, help="nothing new is begun after so many")
    add("--seed", type=int, default=int(time.time()), help="by default the time; it is printed")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time (%(default)s)")
    add("--json", type=Path, default=ROOT / "build" / "attack.json", help="where figures go")
    add("--case", metavar="FAMILY:SEED:NUMBER", help="one case alone")
    options = parser.parse_args(arguments)
    options.only = [name for name in options.only.split(",") if name]
    strange = [name for name in options.only if name not in PARTS]
    if strange:
        parser.error(f"--only is {strange[0]!r}, expected some of {', '.join(PARTS)}")
    return options


def plan_of(options: argparse.Namespace) -> Plan:
    counts = QUICK if options.quick else FULL
    return Plan(
        seed=options.seed,
        jobs=max(1, options.jobs),
        counts={name: max(1, round(n * options.scale)) for name, n in counts.items()},
        deadline=time.monotonic() + 60 * options.minutes,
        quick=options.quick,
        kinds=tuple(name for name in options.kinds.split(",") if name),
    )


def run_parts(options: argparse.Namespace, plan: Plan) -> list[Figure]:
    """Run the parts one after another, telling what each finds as it ends."""
    figures: list[Figure] = []
    for name in options.only:
        for figure in load(name)(plan):
            figures.append(figure)
            state = "passed" if figure.passed else "FAILED"
            made = f"{figure.reached:,} of {figure.goal:,}"
            print(f"{name}: {figure.what}: {made}, {figure.seconds:.0f} s, {state}", flush=True)
            print("\n".join(f"  {line}" for line in figure.told()), flush=True)
    return figures


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    plan = plan_of(options)
    print(f"seed {plan.seed}, {plan.jobs} processes at a time", flush=True)
    if options.case:
        from attack.cases_part import one_case

        figure = one_case(plan, options.case)
        print("\n".join(figure.told()) or "passed")
        return 0 if figure.passed else 1
    figures = run_parts(options, plan)
    print("\n" + report.table(figures))
    report.write(options.json, plan.seed, figures)
    print(f"\nthese figures as JSON: {options.json}")
    return 0 if all(figure.passed for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
