"""A picture of a study: how it went, and the measure over each option."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastlstm.plotting import HIGH, LOW, QUIET, fitted, new_figure, plain_axes, save_png
from fastlstm.printable import cut
from fastlstm.tune.measures import smallness
from fastlstm.tune.plan import Plan
from fastlstm.tune.report import option, short
from fastlstm.tune.results import Trial, best_of
from fastlstm.tune.space import Choices, Range

COLUMNS = 4
WIDTH, HEIGHT = 2.9, 2.5  # inches of a panel
STYLES: dict[str, dict[str, Any]] = {
    "complete": {"marker": "o", "color": HIGH, "s": 22, "alpha": 0.8},
    "pruned": {"marker": "x", "color": QUIET, "s": 18, "alpha": 0.7, "linewidths": 1},
}
LOG_ROOM = 1.25  # beside the ends of a range of factors
FEW = 4  # complete trials, of which all are shown with those that were ended early
LONGEST = 10  # letters of a value below an axis


def draw_study(path: Path, trials: Sequence[Trial], plan: Plan, title: str) -> bool:
    """Write a PNG; return False, and write nothing, without matplotlib or a trial to show."""
    found = [t for t in trials if t.state in STYLES and getattr(t, plan.by) is not None]
    if not found:
        return False
    try:
        figure = figure_of(found, plan, title)
    except ImportError:
        return False
    save_png(path, figure)
    return True


def figure_of(trials: Sequence[Trial], plan: Plan, title: str) -> Any:
    """Return the figure: a panel for the course, and one for each option."""
    count = 1 + len(plan.space)
    rows = math.ceil(count / COLUMNS)
    columns = math.ceil(count / rows)
    figure = new_figure(WIDTH * columns, HEIGHT * rows + 0.6)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    _course(panels[0], trials, plan)
    for axes, name in zip(panels[1:], plan.space, strict=False):
        _option(axes, trials, plan, name)
    for axes in panels[count:]:
        axes.remove()
    for n, axes in enumerate(panels[:count]):
        plain_axes(axes)
        if n % columns == 0:
            axes.set_ylabel(f"validation {plan.by}")
    if plan.by == "accuracy":
        panels[0].yaxis.set_major_formatter(lambda value, position: f"{100 * value:.4g} %")
    ends = limits(trials, plan.by)
    if ends is not None:
        panels[0].set_ylim(*ends)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.suptitle(fitted(title, WIDTH * columns - 0.4, 10), fontsize=10, color=QUIET)
    return figure


def _course(axes: Any, trials: Sequence[Trial], plan: Plan) -> None:
    """Draw the values in their order, and the best so far."""
    from matplotlib.ticker import MaxNLocator

    labels = {"complete": "complete", "pruned": "ended early"}
    _points(axes, trials, plan.by, lambda trial: trial.number, labels)
    complete = [trial for trial in trials if trial.state == "complete"]
    better = max if plan.rises else min
    values: list[float] = []
    for trial in complete:
        value = getattr(trial, plan.by)
        values.append(better(values[-1], value) if values else value)
    if complete:
        numbers = [trial.number for trial in complete]
        axes.step(numbers, values, where="post", color=LOW, linewidth=1.2, label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("trial")


def _option(axes: Any, trials: Sequence[Trial], plan: Plan, name: str) -> None:
    values = plan.space[name]
    if isinstance(values, Choices):
        places = {option(value): n for n, value in enumerate(values.values)}
        names = [cut(text, LONGEST) for text in places]
        axes.set_xticks(range(len(names)), names, fontsize=8)
        axes.set_xlim(-0.5, len(names) - 0.5)
        _points(axes, trials, plan.by, lambda trial: places[option(trial.options[name])])
    else:
        from matplotlib.ticker import NullFormatter

        assert isinstance(values, Range)
        if values.log:
            axes.set_xscale("log")
            axes.set_xlim(values.low / LOG_ROOM, values.high * LOG_ROOM)
            axes.xaxis.set_minor_formatter(NullFormatter())
        _points(axes, trials, plan.by, lambda trial: trial.options[name])
        if isinstance(values.low, int) and values.high - values.low < 6:
            axes.set_xticks(range(int(values.low), int(values.high) + 1))
    axes.set_xlabel(short(name))


def _points(
    axes: Any, trials: Sequence[Trial], by: str, place: Any, labels: dict[str, str] | None = None
) -> None:
    best, ends = best_of(trials, by), limits(trials, by)
    for state, style in STYLES.items():
        chosen = [trial for trial in trials if trial.state == state]
        if chosen:
            x, y = [place(trial) for trial in chosen], [getattr(trial, by) for trial in chosen]
            y = y if ends is None else [min(max(value, ends[0]), ends[1]) for value in y]
            axes.scatter(x, y, label=labels and labels[state], clip_on=False, **style)
    if best is not None:
        axes.scatter(
            [place(best)], [getattr(best, by)], marker="o", s=80, facecolors="none", zorder=3,
            edgecolors=LOW, linewidths=1.5, label=labels and "best",
        )  # fmt: skip


def limits(trials: Sequence[Trial], by: str) -> tuple[float, float] | None:
    """Return the range of the better nine tenths of complete trials; None to show all values.

    What is worse would press them together, and is drawn at the edge.
    """
    complete = [getattr(trial, by) for trial in trials if trial.state == "complete"]
    values = sorted(complete, key=lambda value: smallness(by, value))
    if len(values) < FEW:
        return None
    low, high = sorted((values[0], values[math.ceil(0.9 * len(values)) - 1]))
    room = 0.15 * (high - low) or 0.05 * abs(high)
    return low - room, high + room
