"""The results that were kept, by machine and by release: a page and its pictures.

`python -m benchmarks.history` writes them to build/history; `make docs` puts them on the site.
"""

from __future__ import annotations

import argparse
import io
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import kept, report
from benchmarks.report import KINDS, row, three_digits
from benchmarks.sides import PEERS

PAGE = "history.md"
SHOWN = 6  # columns of a table, the newest: the files have all
HEAD = """# Speed by release and machine

Each run of `python -m benchmarks.ab --group readme --threads 1 2 --keep` leaves a file in
`benchmarks/results`, and here they are drawn: how many times faster than the other side, both
measured in the same minutes, each in processes of its own that take turns, results compared first.
A run on another machine is welcome. What the cases are, and how they are timed, is in
[Speed](speed.md#measured). Two commits are compared by `python -m benchmarks.compare A B`.
"""
NONE = "No result has been kept yet."

Result = dict[str, Any]


def page(results: Sequence[Result], pictures: str = "history") -> dict[str, str | bytes]:
    """Return the page and its pictures: path -> content.

    Parameters
    ----------
    results : what `kept.load` gives.
    pictures : the folder of their paths.
    """
    files: dict[str, str | bytes] = {}
    parts = [HEAD, *([] if results else [NONE])]
    for number, ((machine, against), found) in enumerate(by_machine(results).items(), 1):
        path = f"{pictures}/{number}.svg"
        files[path] = picture(found, against)
        about = f"How many times faster than {PEERS[against]} on {machine}, by release"
        parts += [f"## {machine}, beside {PEERS[against]}\n", f"![{about}]({path})\n"]
        parts += [table(found[-SHOWN:]), _footnote(found[-1])]
    return {PAGE: "\n".join(parts) + "\n", **files}


def by_machine(results: Sequence[Result]) -> dict[tuple[str, str], list[Result]]:
    """Return the results of each machine and other side, those measured last first."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        about = result["machine"]
        machine = f"{about['cpu']}, {about['cores']} core{'s' * (about['cores'] != 1)}"
        groups.setdefault((machine, report.against(result)), []).append(result)
    return dict(sorted(groups.items(), key=lambda group: group[1][-1]["time"], reverse=True))


def release(result: Result) -> list[str]:
    """Return what a result is of, in lines: version, commit, day."""
    version = result["versions"]["fastlstm"]["version"]
    return [str(version), result["machine"]["commit"], result["time"][:10]]


def table(results: Sequence[Result]) -> str:
    """Return a row for each case: in each release ms, and how many times faster that is."""
    lines = [row(["case (B, T, I, H)", "threads", *("<br>".join(release(r)) for r in results)])]
    lines += [row(["---", "---:", *["---:"] * len(results)])]
    names = {(c["name"], c["threads"]): None for r in reversed(results) for c in r["cases"]}
    found = [{(c["name"], c["threads"]): c for c in r["cases"]} for r in results]
    for key in names:
        lines += [row([key[0], str(key[1]), *(_cell(cases.get(key)) for cases in found)])]
    return "\n".join(lines) + "\n"


def _cell(case: Result | None) -> str:
    if case is None:
        return ""
    return f"{three_digits(case['ms']['fastlstm'][1])} ms (**{case['ratio'][1]:.2f}**)"


def _footnote(result: Result) -> str:
    about, other = result["machine"], report.against(result)
    versions = result["versions"]
    isas = ", ".join(about.get("isas", [])) or "no compiled kernels"
    return (
        f"ms are fastlstm's, the figure behind them is {PEERS[other]}'s time to it: medians over "
        f"rounds, of which the newest has {result['rounds']}. It was measured with fastlstm "
        f"{report.version(versions['fastlstm'])} and {PEERS[other]} "
        f"{report.version(versions[other])} on {about['system']}, load {about['load']} before; "
        f"Python {about['python']}, NumPy {versions['fastlstm']['numpy']}. "
        f"The processor runs {isas}.\n"
    )


def picture(results: Sequence[Result], against: str) -> bytes:
    """Return an SVG: a panel for each kind of case, releases from left to right.

    A dot is a case; the line goes through their geometric means.
    """
    from matplotlib import rc_context

    # The same results give the same file; letters are for narrow screens too.
    with rc_context({"svg.hashsalt": "fastlstm", "font.size": 11}):
        return _drawn(results, against)


def _drawn(results: Sequence[Result], against: str) -> bytes:
    from matplotlib.figure import Figure

    kinds = [k for k in KINDS if any(c["case"]["mode"] == k for r in results for c in r["cases"])]
    figure = Figure(figsize=(6.4, 0.8 + 2.2 * len(kinds)), layout="constrained")
    panels = figure.subplots(len(kinds), 1, sharex=True, squeeze=False)[:, 0]
    for axes, kind in zip(panels, kinds, strict=True):
        _panel(axes, results, kind)
        axes.set_title(
            f"{KINDS[kind]}: times faster than {PEERS[against]}", loc="left", fontsize=11
        )
    labels = ["\n".join(release(result)) for result in results]
    panels[-1].set_xticks(range(len(results)), labels)
    panels[-1].set_xlim(-0.6, len(results) - 0.4)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _panel(axes: Any, results: Sequence[Result], kind: str) -> None:
    from matplotlib.ticker import LogLocator

    of_kind = [[c for c in r["cases"] if c["case"]["mode"] == kind] for r in results]
    counts = sorted({c["threads"] for cases in of_kind for c in cases})
    for number, threads in enumerate(counts):
        places, means = [], []
        aside = 0.12 * (number - (len(counts) - 1) / 2)
        for k, cases in enumerate(of_kind):
            ratios = [c["ratio"][1] for c in cases if c["threads"] == threads]
            if not ratios:
                continue
            places.append(k + aside)
            means.append(statistics.geometric_mean(ratios))
            axes.plot([k + aside] * len(ratios), ratios, "o", color=f"C{number}", ms=3, alpha=0.4)
        label = f"{threads} thread{'s' * (threads != 1)}"
        axes.plot(places, means, "-D", color=f"C{number}", ms=5, label=label)
    axes.axhline(1, color="black", linewidth=1)
    axes.set_yscale("log", base=2)
    low, high = axes.get_ylim()
    between = (1, 1.25, 1.5, 1.75) if high < 4 * low else (1,)  # at 1x alone nothing can be read
    axes.yaxis.set_major_locator(LogLocator(base=2, subs=between))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page and its pictures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.history", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--results", type=Path, default=kept.RESULTS, help="folder of kept results")
    parser.add_argument("--out", type=Path, default=Path("build/history"))
    options = parser.parse_args(argv)
    try:
        results = kept.load(options.results)
    except ValueError as error:
        parser.error(str(error))
    for name, content in page(results).items():
        path = options.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        print(path)


if __name__ == "__main__":
    main()
