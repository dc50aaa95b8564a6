"""What `ab` found, as JSON, as a Markdown table and as a picture.

`python -m benchmarks.report ab.json [--readme README.md docs/speed.md]` makes them again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.shapes import Case
from benchmarks.sides import PEERS
from benchmarks.timing import quartiles
from fastlstm.files.writing import replacing

# The other side -> the name of its table in a document; its summary has "summary" after it.
MARKER = {"torch": "ab", "onnxruntime": "onnxruntime"}
INTO = "files to put the table, or its summary, into: between markers"
KINDS = {  # mode -> how a summary calls it
    "infer": "inference",
    "train": "training",
    "step": "one step, the state carried",
    "ragged": "training on rows of unequal length",
}
COLUMNS = (  # {} is the other side's title
    ("case (B, T, I, H)", "---"),
    ("threads", "---:"),
    ("fastlstm ms", "---:"),
    ("{} ms", "---:"),
    ("ratio (quartiles)", "---:"),
    ("GFLOP/s", "---:"),
    ("of peak", "---:"),
    ("memory MB, fastlstm / {}", "---:"),
    ("largest difference", "---:"),
)


def summarise(entry: dict[str, Any], peak_gflops: dict[str, Any]) -> None:
    """Add medians, quartiles, ratio, GFLOP/s and memory to a case of the result.

    A round counts as one value, the median of its samples: samples of one process share its
    luck with memory and neighbours.
    """
    medians: dict[str, list[float]] = {}
    peak = max(peak_gflops[str(entry["threads"])][entry["case"]["dtype"]].values())
    for side, found in entry["sides"].items():
        medians[side] = [statistics.median(r["samples_ms"]) for r in found["rounds"]]
        low, middle, high = quartiles(medians[side])
        found.update(median_ms=middle, quartiles_ms=[low, high])
        found["peak_memory_mb"] = statistics.median(r["peak_memory_mb"] for r in found["rounds"])
        if entry["flops"]:
            found["gflops"] = entry["flops"] / middle / 1e6
            found["of_peak"] = found["gflops"] / peak
    ratios = [other / fast for fast, other in zip(*medians.values(), strict=True)]
    low, ratio, high = quartiles(ratios)
    entry.update(ratio=ratio, ratio_quartiles=[low, high])


def against(result: dict[str, Any]) -> str:
    """Return the other side's name; results of earlier versions are all against torch."""
    return str(result.get("against", "torch"))


def write(result: dict[str, Any], folder: Path) -> list[Path]:
    """Write ab.json, ab.md and ab.png to `folder` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"ab.{kind}" for kind in ("json", "md", "png")]
    write_text(paths[0], json.dumps(result, indent=1) + "\n")
    write_text(paths[1], markdown(result))
    picture(result, paths[2])
    return paths


def heading(argv: Sequence[str] | None, options: argparse.Namespace) -> dict[str, Any]:
    """Return what every result begins with: how, when and where it was measured."""
    return {
        "command": shlex.join(sys.argv[1:] if argv is None else argv),
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "rounds": options.rounds,
        "seconds": options.seconds,
    }


def publish(
    name: str, result: dict[str, Any], table: str, short: str, options: argparse.Namespace
) -> None:
    """Write NAME.json and NAME.md, print the table, and put both into the files asked for."""
    options.out.mkdir(parents=True, exist_ok=True)
    write_text(options.out / f"{name}.json", json.dumps(result, indent=1) + "\n")
    write_text(options.out / f"{name}.md", table)
    print(table)
    put_into(options.readme, name, table, short)


def write_text(path: Path, text: str) -> None:
    """Write `text` under another name first, so that `path` is never half written."""
    with replacing(path) as file:
        file.write(text.encode())


def markdown(result: dict[str, Any]) -> str:
    """Return the table, and below it what was measured on."""
    other = PEERS[against(result)]
    lines = [row([title.format(other) for title, _ in COLUMNS])]
    lines += [row([align for _, align in COLUMNS])]
    lines += [row(_cells(entry)) for entry in result["cases"]]
    return "\n".join([*lines, "", _footnote(result), ""])


def summary(result: dict[str, Any]) -> str:
    """Return a short table: for each kind of case how many times faster, from least to most."""
    threads = list(result["peak_gflops"])
    ratios: dict[str, dict[str, list[float]]] = {}
    for entry in result["cases"]:
        case = Case(**entry["case"])
        kind = ", ".join(filter(None, (KINDS.get(case.mode, case.mode), case.options)))
        ratios.setdefault(kind, {}).setdefault(str(entry["threads"]), []).append(entry["ratio"])
    titles = [f"{n} thread{'s' * (n != '1')}" for n in threads]
    lines = [row([f"how many times faster than {PEERS[against(result)]}", *titles])]
    lines += [row(["---"] + ["---:"] * len(threads))]
    for kind, of in ratios.items():
        count = max(map(len, of.values()))
        name = f"{kind}, {count} shapes" if count > 1 else kind
        lines += [row([name, *(ends(of.get(n, [])) for n in threads)])]
    return "\n".join(lines)


def ends(ratios: list[float]) -> str:
    """Return the least and the largest of some ratios, as "1.09 to 1.49"."""
    found = sorted({min(ratios), max(ratios)}) if ratios else []
    return " to ".join(f"{end:.2f}" if end < 10 else f"{end:.1f}" for end in found)


def put_result_into(paths: list[Path], result: dict[str, Any]) -> None:
    """Put the table of `ab` and its summary into files, as `put_into` does."""
    put_into(paths, MARKER[against(result)], markdown(result), summary(result))


def put_into(paths: list[Path], name: str, table: str, short: str) -> None:
    """Put a table and its summary into files, each where a file has the markers for it.

    Raises
    ------
    ValueError
        If a file has markers for neither.
    """
    for path in paths:
        content = path.read_text(encoding="utf-8")
        if f"<!-- benchmarks:{name} summary -->" in content:
            splice(path, f"{name} summary", short)
            if f"<!-- benchmarks:{name} -->" not in content:
                continue
        splice(path, name, table)


def row(cells: list[str]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _cells(entry: dict[str, Any]) -> list[str]:
    fast, other = entry["sides"].values()
    low, high = entry["ratio_quartiles"]
    counted = entry["flops"] is not None
    return [
        entry["name"],
        str(entry["threads"]),
        three_digits(fast["median_ms"]),
        three_digits(other["median_ms"]),
        f"**{entry['ratio']:.2f}** ({low:.2f} to {high:.2f})",
        f"{fast['gflops']:.0f} / {other['gflops']:.0f}" if counted else "",
        f"{fast['of_peak']:.0%} / {other['of_peak']:.0%}" if counted else "",
        f"{fast['peak_memory_mb']:.0f} / {other['peak_memory_mb']:.0f}",
        " / ".join(f"{v:.0e}" for v in entry["max_difference"].values() if v is not None),
    ]


def three_digits(value: float) -> str:
    """Return a value with its first three digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _footnote(result: dict[str, Any]) -> str:
    machine, versions, other = result["machine"], result["versions"], against(result)
    peaks = [
        f"{max(found.values()):.0f} on {threads} thread{'s' * (threads != '1')} in {dtype}"
        for threads, by_dtype in result["peak_gflops"].items()
        for dtype, found in by_dtype.items()
    ]
    return (
        f"Median over the rounds, {result['rounds']} of them, the sides in separate processes "
        f"taking turns; ratio is {PEERS[other]}'s time to fastlstm's, round by round: median "
        f"and quartiles. Pairs are fastlstm / {PEERS[other]}; the largest difference between the "
        f"two is of outputs / of gradients relative to their scale. {machine['cpu']}, "
        f"{machine['cores']} cores, load {machine['load']} before; matrix product "
        f"{', '.join(peaks)} GFLOP/s. fastlstm {version(versions['fastlstm'])}, commit "
        f"{machine['commit']}; {PEERS[other]} {version(versions[other])}, denormals flushed; "
        f"Python {machine['python']}; {result['time'][:10]}."
    )


def version(found: dict[str, Any]) -> str:
    """Return a library's version and, where it tells it, its instruction set."""
    return f"{found['version']} ({found['isa']})" if "isa" in found else str(found["version"])


def picture(result: dict[str, Any], path: Path) -> None:
    """Draw the ratios as horizontal bars, in the colour of their mode."""
    from matplotlib.figure import Figure

    entries = result["cases"]
    labels = [_label(entry, result) for entry in entries]
    ratios = [entry["ratio"] for entry in entries]
    modes = list(dict.fromkeys(entry["case"]["mode"] for entry in entries))
    figure = Figure(figsize=(8, 1.4 + 0.28 * len(entries)), layout="constrained")
    axes = figure.add_subplot()
    for mode in modes:
        rows = [row for row, entry in enumerate(entries) if entry["case"]["mode"] == mode]
        widths = [ratios[row] - 1 for row in rows]
        colour = f"C{modes.index(mode) % 10}"
        axes.barh(rows, widths, left=1, height=0.7, color=colour, label=mode)
    for row, entry in enumerate(entries):
        axes.plot(entry["ratio_quartiles"], [row, row], color="black", linewidth=1)
        end = max(entry["ratio"], entry["ratio_quartiles"][1], 1.0)
        axes.annotate(
            f"{entry['ratio']:.2f}", (end, row), (4, 0), textcoords="offset points", va="center"
        )
    _dress(axes, labels, ratios, PEERS[against(result)])
    if len(modes) > 1:
        figure.legend(loc="outside lower center", ncols=len(modes), frameon=False)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)


def _label(entry: dict[str, Any], result: dict[str, Any]) -> str:
    several = len(result["peak_gflops"]) > 1
    return f"{entry['name']}, threads {entry['threads']}" if several else str(entry["name"])


def _dress(axes: Any, labels: list[str], ratios: list[float], other: str) -> None:
    """Scale, ticks and labels: a logarithmic axis, on which 2 and 1/2 are as far from 1."""
    axes.set_xscale("log", base=2)
    low, high = min([*ratios, 0.9]), max([*ratios, 2.0])
    axes.set_xlim(low / 1.1, high * 1.5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.axvline(1, color="black", linewidth=1)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"fastlstm against {other}, (B, T, I, H): how many times faster", loc="left")


def splice(path: Path, name: str, text: str) -> None:
    """Put `text` between the two markers of `name` in a file.

    Raises
    ------
    ValueError
        If the file has not both markers once and in order.
    """
    start, end = f"<!-- benchmarks:{name} -->", f"<!-- benchmarks:{name} end -->"
    content = path.read_text(encoding="utf-8")
    if content.count(start) != 1 or content.count(end) != 1:
        raise ValueError(f"{path} has not one {start} and one {end} to put the table between")
    before, _, rest = content.partition(start)
    if end not in rest:
        raise ValueError(f"{path} has {end} before {start}")
    after = rest.partition(end)[2]
    write_text(path, f"{before}{start}\n{text.strip()}\n{end}{after}")


def main() -> None:
    """Make table and picture again from a result."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("result", type=Path, help="ab.json of an earlier run")
    parser.add_argument("--readme", type=Path, nargs="+", default=[], help=INTO)
    options = parser.parse_args()
    result = json.loads(options.result.read_text(encoding="utf-8"))
    for path in write(result, options.result.parent):
        print(path)
    put_result_into(options.readme, result)


if __name__ == "__main__":
    main()
