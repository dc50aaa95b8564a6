"""The option of the commands that use a run: how its products are made."""

from __future__ import annotations

from typing import Any

from fastlstm.cli.errors import UsageError, wrong_use
from fastlstm.kernels.arguments import check_precision
from fastlstm.kernels.call import PRECISIONS
from fastlstm.train.classifier.loaded_run import LoadedRun


def add_precision_option(parser: Any) -> None:
    parser.add_argument(
        "--precision", choices=PRECISIONS,
        help="of the products; bfloat16 and int8 are faster (default: that of the training)",
    )  # fmt: skip


def set_precision(trained: LoadedRun, precision: str | None) -> None:
    """Let the model of a run make its products in a precision; None leaves it as it is.

    Raises UsageError if the run's dtype does not allow that.
    """
    if precision is None:
        return
    if trained.parts.net is None:
        raise UsageError("--precision is that of a net, which this run has not")
    with wrong_use():
        check_precision(precision, trained.model.head.dtype, save=False)
    trained.model.set_precision(precision)
