"""``fastlstm forecast``: the future of a series in a table."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from fastlstm.cli.errors import UsageError, wrong_use
from fastlstm.cli.flags import flag
from fastlstm.cli.options import (
    add_json_option,
    add_option,
    add_quiet_option,
    check_folder,
    check_not_read,
    print_json,
)
from fastlstm.cli.parser import Parser
from fastlstm.cli.processes import add_distributed_option, joined
from fastlstm.cli.training import absolute, add_output_options, take_output, writing
from fastlstm.comma_list import split_names
from fastlstm.distributed.launch import current
from fastlstm.files.naming import named_path
from fastlstm.forecast.folder import ForecastConfig, ForecastFolder
from fastlstm.printable import say

SUMMARY = "forecast the numbers of a table by time"
EXAMPLES = """
fastlstm forecast power.csv --time hour --target load --horizon 24
fastlstm forecast sales.csv --time day --target sold --covariates price,holiday --out runs/sales
fastlstm forecast shops.csv --series shop --time day --target sold --horizon 28
fastlstm forecast --from runs/sales newer.csv --out next.csv
fastlstm forecast --resume runs/sales
"""
ABOUT = """\
DATA is a table (.csv, .tsv, .jsonl, Parquet; perhaps packed) with a row for each step, in order of
time and evenly spaced; with --series one for each step of each series, and one model learns from
all. Rows at the end without a target are the future, of which the covariates are known. The last
part in time is tested on, from every step of it; the part before is trained on, and the end of that
chooses when to stop. Beside the net the table shows the seasonal naive forecast, the last value
and, with "fastlstm[sklearn]", gradient boosting on lagged values. The folder --out gets the model,
metrics.json, the future in forecast.csv and, with "fastlstm[plot]", forecast.png with the last
tested forecasts and the future. --from writes the future of another table, which goes on from what
is in it, with the model of a run. Ctrl-C or SIGTERM saves the run; --resume goes on.
"""

OF_READING = ("time_format", "utc", "fill_gaps", "delimiter", "encoding", "quotes")  # with --from
DIGITS = 9  # of a number of steps, units and so on


def add_options(parser: Parser) -> None:
    nothing: Any = argparse.SUPPRESS
    own = parser.add_argument_group("data")
    own.add_argument("data", metavar="DATA", nargs="?", default=nothing,
                     help="the table; see below")  # fmt: skip
    model = parser.add_argument_group("model and training")
    add_series_options(own, model)
    own.add_argument("--delimiter", metavar="S", default=nothing, help="of the columns")
    own.add_argument("--encoding", metavar="S", default=nothing, help="of the file")
    own.add_argument("--no-quotes", dest="quotes", action="store_false", default=nothing,
                     help="take quotes for characters")  # fmt: skip
    numbers = (
        ("hidden-size", 1, "units of a recurrent layer (default 64)"),
        ("epochs", 0, "most passes over the windows, 0 for no net (default: about 3,000 batches)"),
        ("seed", 0, "of all random numbers (default 0)"),
        ("threads", 0, "threads of the kernels, 0 for one each core (default 0)"),
    )
    _add_numbers(model, numbers)
    model.add_argument("--cell", choices=("lstm", "gru", "rnn"), default=nothing,
                       help="kind of the recurrent layers (default lstm)")  # fmt: skip
    for item in fields(ForecastConfig):
        if item.name in ("num_layers", "dropout", "lr", "batch_size"):
            add_option(model, item)
    model.add_argument("--test-split", metavar="X", type=_fraction, default=nothing,
                       help="fraction at the end to test on (default 0.2)")  # fmt: skip
    output = add_output_options(parser, "runs/<name of DATA>-<time>", extends=False)
    add_distributed_option(parser)
    output.add_argument("--from", dest="from_run", metavar="RUN", default=nothing,
                        help="forecast DATA with the model of RUN; --out is a .csv")  # fmt: skip
    add_quiet_option(output)
    add_json_option(output, "the metrics")


def add_series_options(data: Any, model: Any) -> None:
    """Add to two groups the options that forecasts alone have."""
    nothing: Any = argparse.SUPPRESS
    data.add_argument("--time", metavar="COLUMN", default=nothing, help="column of the times")
    data.add_argument("--target", metavar="COLUMN", type=_names, default=nothing,
                      help="column to forecast; several are joined by commas")  # fmt: skip
    data.add_argument(
        "--covariates", metavar="COLUMNS", type=_names, default=nothing,
        help="columns that are known of the future, too, joined by commas",
    )  # fmt: skip
    data.add_argument(
        "--series", metavar="COLUMN", default=nothing,
        help="column that tells several series apart, for one model of all (default: one series)",
    )  # fmt: skip
    data.add_argument(
        "--time-format", metavar="FORMAT", default=nothing,
        help="how times are written, such as %%d.%%m.%%Y, or unix, unix-ms, unix-us or unix-ns: "
        "seconds or parts of them since 1970 (default ISO 8601)",
    )  # fmt: skip
    data.add_argument("--utc", action="store_true", default=nothing,
                      help="bring times of several zones to UTC")  # fmt: skip
    data.add_argument("--fill-gaps", action="store_true", default=nothing,
                      help="take missing steps and values as missing, not as an error")  # fmt: skip
    numbers = (
        ("horizon", 1, "steps to forecast (default 24)"),
        ("context", 1, "steps that a forecast reads (default: two seasons or more)"),
        ("season", 1, "steps of a season, 1 for none (default: found)"),
    )
    _add_numbers(model, numbers)
    model.add_argument(
        "--quantiles", metavar="LIST", type=_fractions, default=nothing,
        help="quantiles to forecast, joined by commas (default 0.1,0.5,0.9)",
    )  # fmt: skip
    for item in fields(ForecastConfig):
        if item.name in ("low", "high"):
            add_option(model, item)
    model.add_argument("--no-calendar", dest="calendar", action="store_false", default=nothing,
                       help="read no hour, weekday and day of the year")  # fmt: skip


def _add_numbers(group: Any, numbers: Iterable[tuple[str, int, str]]) -> None:
    for name, least, told in numbers:
        group.add_argument(f"--{name}", metavar="N", type=_at_least(least),
                           default=argparse.SUPPRESS, help=told)  # fmt: skip


def check_series(given: Mapping[str, Any]) -> None:
    """Raise UsageError if what a new forecast needs is missing."""
    for name in ("data", "time", "target"):
        if name not in given:
            told = "DATA" if name == "data" else flag(name)
            raise UsageError(f"{told} is missing: fastlstm forecast DATA --time COL --target COL")


def run(options: argparse.Namespace) -> int:
    """Forecast as the options say, with a new run, one that goes on, or one that is there."""
    given = {k: v for k, v in vars(options).items() if k not in ("command", "parser", "run")}
    with joined(given.pop("distributed"), given) as processes:
        if "from_run" in given and not processes.first:  # nothing is trained
            return 0
        return _forecast(given)


def _forecast(given: dict[str, Any]) -> int:
    as_json, quiet = given.pop("json"), given.pop("quiet")
    if "data" in given:
        given["data"] = absolute(given["data"])
    with redirect_stdout(io.StringIO() if quiet else sys.stderr if as_json else sys.stdout):
        if "from_run" in given:
            return _with_model(given)
        metrics = _run(given, quiet)
    if as_json:
        print_json(metrics)
    return 0


def _run(given: dict[str, Any], quiet: bool) -> dict[str, Any]:
    from fastlstm.forecast import run as runs
    from fastlstm.runtime import num_threads

    if given["resume"] is None:
        check_series(given)
    output = take_output(given, Path(given.get("data", "series")).stem, ForecastFolder)
    folder: Any = output.folder
    if output.resume:
        config = _resumed(folder, given)
        if folder.finished:
            say(f"the forecast in {folder.path} is finished")
            metrics: dict[str, Any] = folder.read_metrics()
            return metrics
    else:
        with wrong_use():
            config = ForecastConfig(**given)
    with writing(output, "fastlstm forecast"), num_threads(config.threads or None):
        if not output.resume:
            runs.checked(config)  # before a folder is written
            folder.begin(config)
        current().barrier()  # what stands in the folder is the same to all processes
        return runs.run(config, folder, output.bars and not quiet)


def _resumed(folder: Any, given: dict[str, Any]) -> Any:
    """Return the options of a run to resume; UsageError if a given one differs from its own."""
    saved = folder.read_config()
    for name, value in given.items():
        if name not in saved.free_options and value != getattr(saved, name):
            raise UsageError(
                f"{flag(name)} is {value}, but the run in {folder.path} has "
                f"{getattr(saved, name)}; a resumed run keeps its options"
            )
    return replace(saved, **{name: given[name] for name in saved.free_options if name in given})


def _with_model(given: dict[str, Any]) -> int:
    """Write the future of a table with the model of a run."""
    from fastlstm.forecast.run import forecast_with

    folder = ForecastFolder(given.pop("from_run"))
    out, overwrite = given.pop("out"), given.pop("overwrite")
    for name in ("resume", "no_progress"):
        if given.pop(name):
            raise UsageError(f"{flag(name)} and --from exclude each other")
    wrong = [name for name in given if name not in (*OF_READING, "data", "horizon", "quantiles")]
    if wrong:
        raise UsageError(f"{flag(wrong[0])} and --from exclude each other: the run has its own")
    if "data" not in given:
        raise UsageError("DATA is missing: the table whose future is to be forecast")
    if out is not None:
        out = named_path(out)
        if out.suffix.lower() != ".csv":
            raise UsageError(f"--out is {out}, expected a name that ends in .csv")
        if out.exists() and not overwrite:
            raise FileExistsError(f"{out} is there already; give another --out, or --overwrite")
        check_folder(out)
        check_not_read("out", out, given["data"])
    if not folder.finished:
        raise FileNotFoundError(f"{folder.path} holds no finished forecast")
    config = replace(folder.read_config(), **given)
    text = forecast_with(folder, config, out)
    if out is None:
        say(text.rstrip("\n"))
    else:
        say(f"the forecast is in {out}")
    return 0


def _names(text: str) -> list[str]:
    try:
        return split_names(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _at_least(least: int) -> Any:
    def number(text: str) -> int:
        if not text.isdecimal() or len(text) > DIGITS or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"{text:.60}, expected a whole number from {least} on, of at most {DIGITS} digits"
            )
        return int(text)

    return number


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text}, expected a number between 0 and 1")
    return value


def _fractions(text: str) -> list[float]:
    values = [_fraction(part) for part in text.split(",")]
    if sorted(set(values)) != values:
        raise argparse.ArgumentTypeError(f"{text}, expected each above the one before")
    return values
