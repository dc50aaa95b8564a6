"""``fastlstm compare``: several runs side by side."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from fastlstm.cli.errors import UsageError
from fastlstm.cli.options import add_json_option, add_plot_option, check_plot, print_json
from fastlstm.cli.parser import Parser
from fastlstm.files.writing import write_file
from fastlstm.printable import say
from fastlstm.train.classifier.loaded_run import RunRecord, read_record
from fastlstm.train.classifier.run_curves import draw_runs
from fastlstm.train.table import aligned

SUMMARY = "show runs side by side"
EXAMPLES = """
fastlstm compare runs/lstm runs/gru
fastlstm compare runs/* --plot curves.png
"""
ABOUT = """\
Shows the options in which the runs differ, and their results; a run that is not finished shows what
it has so far. Of a net joined to a linear part also the accuracy of each alone. The curves are loss
and accuracy by epoch: those of the net; a diamond is it joined, a dotted line the linear part.
"""

# Of a net and a linear part joined: the accuracies of each, below that of both.
OF_PARTS = {
    f"{part}_{texts}_accuracy": f"  {part} alone"
    for texts in ("test", "validation")
    for part in ("net", "linear")
}
# The rows of the results: name in metrics.json, and format.
RESULTS = {
    "test_accuracy": ".2%", "net_test_accuracy": ".2%", "linear_test_accuracy": ".2%",
    "validation_accuracy": ".2%", "net_validation_accuracy": ".2%",
    "linear_validation_accuracy": ".2%", "net_share": ".2f", "test_loss": ".4f",
    "validation_loss": ".4f", "test_macro_f1": ".4f", "test_calibration_error": ".4f",
    "best_epoch": "", "epochs": "", "train_seconds": ",.1f", "words_per_second": ",.0f",
    "threads": "", "parameters": ",", "data": "",
}  # fmt: skip
WIDEST = 40  # letters of a cell


def add_options(parser: Parser) -> None:
    parser.add_argument("paths", metavar="RUN", nargs="+", help="folders of two or more runs")
    add_json_option(parser, "options and results")
    add_plot_option(parser, "the curves of all runs")


def run(options: argparse.Namespace) -> int:
    """Print the comparison."""
    paths = list(dict.fromkeys(os.path.normpath(path) for path in options.paths))
    if len(paths) < 2:
        raise UsageError("expected the folders of two or more runs")
    check_plot(options.plot)
    records = [read_record(path) for path in paths]
    names = short_names(paths)
    differing, found = differing_options(records), [results(record) for record in records]
    if options.json:
        by_run = {
            path: {"options": {n: row[i] for n, row in differing.items()}, "results": found[i]}
            for i, path in enumerate(paths)
        }
        print_json({"runs": by_run})
    else:
        say(_table(names, differing, found))
    if options.plot is not None:
        write_file(options.plot, draw_runs(records, names))
        say(f"the curves are in {options.plot}", file=sys.stderr)
    return 0


def short_names(paths: Sequence[str]) -> list[str]:
    """Return the last parts of the paths where these differ, else the paths."""
    names = [os.path.basename(os.path.abspath(path)) for path in paths]
    return names if len(set(names)) == len(names) else list(paths)


def differing_options(records: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """Return the options that are not the same in all runs, and what each run has."""
    all_options = [record.config.to_json() for record in records]
    names = dict.fromkeys(name for options in all_options for name in options)
    rows = {name: [options.get(name) for options in all_options] for name in names}
    return {name: row for name, row in rows.items() if any(value != row[0] for value in row)}


def results(record: RunRecord) -> dict[str, Any]:
    """Return the results of a run, or those of its best epoch so far."""
    joined = record.config.parts == "joined"
    if record.metrics is not None:
        names = RESULTS if joined else RESULTS.keys() - OF_PARTS.keys()
        found = {name: record.metrics.get(name) for name in names}
        return dict.fromkeys(RESULTS) | found | {"finished": True}
    known: dict[str, Any] = dict.fromkeys(RESULTS)
    if record.epochs:
        best = max(record.epochs, key=lambda epoch: epoch.score)
        known["validation_accuracy"] = best.validation_accuracy
        if joined:  # so far there is the net alone
            known["net_validation_accuracy"] = best.validation_accuracy
        known["validation_loss"] = best.validation_loss
        known["best_epoch"] = best.epoch
        known["train_seconds"] = sum(epoch.seconds for epoch in record.epochs)
    return known | {"epochs": len(record.epochs), "finished": False}


def _table(
    names: Sequence[str], differing: dict[str, list[Any]], found: Sequence[dict[str, Any]]
) -> str:
    rows = [("option", *names)]
    rows += [(name, *map(_option, values)) for name, values in differing.items()]
    text = aligned(rows, left=1) if differing else "all options are the same"
    rows = [("result", *names)]
    if not all(result["finished"] for result in found):
        rows.append(("state", *("finished" if r["finished"] else "unfinished" for r in found)))
    for name, form in RESULTS.items():
        values = [result[name] for result in found]
        if any(value is not None for value in values):
            title = OF_PARTS.get(name, name.replace("_", " "))
            rows.append((title, *(_result(value, form) for value in values)))
    return f"{text}\n\n{aligned(rows, left=1)}"


def _option(value: Any) -> str:
    """Return the cell of an option, cut at the front: long paths differ at their end."""
    text = "-" if value is None else str(value)
    return text if len(text) <= WIDEST else "\u2026" + text[1 - WIDEST :]


def _result(value: Any, form: str) -> str:
    text = "-" if value is None else format(value, form)
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "\u2026"
