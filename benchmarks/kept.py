"""Results that last: what `ab` found, shortened, one file a run in `results/`.

    python -m benchmarks.ab --group readme --threads 1 2 --keep
    python -m benchmarks.kept build/ab/ab.json        # the same, of a run that is over

A file says what was measured, on what, of which commit, and for each case the quartiles of both
sides: the raw samples stay in ab.json. `history` draws all of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.shapes import Case
from benchmarks.timing import quartiles

RESULTS = Path(__file__).with_name("results")
FORMAT = 1  # of the files
HEAD = ("time", "command", "machine", "versions", "against", "isa", "rounds", "seconds")


def why_not(commit: str) -> str:
    """Return why figures of this commit cannot be kept; nothing if they can."""
    if commit == "unknown" or " " in commit:
        return (
            f"the commit is {commit!r}: kept figures belong to one that others can look up. "
            "Commit what differs (git status) and measure again"
        )
    return ""


def keep(result: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Write the result of `ab` for good and return its path; an earlier one stays.

    Raises
    ------
    ValueError
        If it is of no commit, or was kept before.
    """
    if reason := why_not(result["machine"]["commit"]):
        raise ValueError(reason)
    path = folder / f"{name(result)}.json"
    if path.exists():
        raise ValueError(f"{path} is there already: this result was kept before")
    folder.mkdir(parents=True, exist_ok=True)
    report.write_text(path, as_text(shortened(result)))
    return path


def name(result: dict[str, Any]) -> str:
    """Return when it was measured and of which commit, for a file: "2026-01-02-0304-abc1234"."""
    day, _, clock = result["time"].partition("T")
    return f"{day}-{clock[:2]}{clock[3:5]}-{result['machine']['commit']}"


def shortened(result: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of a result of `ab`."""
    other = report.against(result)
    head = {key: result[key] for key in HEAD if key in result}
    peaks = {
        threads: {dtype: round(max(found.values()), 1) for dtype, found in by_dtype.items()}
        for threads, by_dtype in result["peak_gflops"].items()
    }
    cases = [_shortened(entry) for entry in result["cases"]]
    return {"format": FORMAT, **head, "against": other, "peak_gflops": peaks, "cases": cases}


def _shortened(entry: dict[str, Any]) -> dict[str, Any]:
    plain = asdict(Case("infer", 1, 1, 1, 1))
    sizes = {**plain, **dict.fromkeys("BTIHV", 0)}
    case = {k: v for k, v in entry["case"].items() if k == "mode" or v != sizes.get(k)}
    return {
        "name": entry["name"],
        "case": case,
        "threads": entry["threads"],
        "ms": {side: _quartiles_ms(found) for side, found in entry["sides"].items()},
        "memory_mb": {
            side: round(found["peak_memory_mb"], 2) for side, found in entry["sides"].items()
        },
        "ratio": [_digits(v) for v in _around(entry["ratio_quartiles"], entry["ratio"])],
        "max_difference": entry["max_difference"],
    }


def _quartiles_ms(found: dict[str, Any]) -> list[float]:
    rounds = [statistics.median(one["samples_ms"]) for one in found["rounds"]]
    return [_digits(value) for value in quartiles(rounds)]


def _around(ends: Sequence[float], middle: float) -> tuple[float, float, float]:
    return ends[0], middle, ends[1]


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


def as_text(kept: dict[str, Any]) -> str:
    """Return the file's text: JSON with a line for each case, so that changes can be read."""
    head = json.dumps({k: v for k, v in kept.items() if k != "cases"}, indent=1)
    cases = ",\n".join(f"  {json.dumps(case)}" for case in kept["cases"])
    return f'{head[:-2]},\n "cases": [\n{cases}\n ]\n}}\n'


def load(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Return all results that were kept, the oldest first.

    Raises
    ------
    ValueError
        If a file is none of this format; names it.
    """
    return sorted((_read(path) for path in folder.glob("*.json")), key=lambda kept: kept["time"])


def _read(path: Path) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = kept["format"]
        kept["cases"], kept["machine"]["cpu"], kept["time"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: no kept result ({error!r}), expected what --keep writes"
        ) from error
    if found != FORMAT:
        raise ValueError(f"{path}: has format {found!r}, expected {FORMAT}")
    return kept


def main(argv: Sequence[str] | None = None) -> None:
    """Keep a result that `ab` wrote."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kept", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("result", type=Path, help="ab.json of a run")
    options = parser.parse_args(argv)
    try:
        print(keep(json.loads(options.result.read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"{options.result}: {error}")


if __name__ == "__main__":
    main()
