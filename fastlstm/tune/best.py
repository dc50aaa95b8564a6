"""The best trial of a study as a run like any other: tested once, on data that no trial saw."""

from __future__ import annotations

from typing import Any

from fastlstm.printable import say
from fastlstm.runtime import num_threads
from fastlstm.tune.folder import TuneFolder
from fastlstm.tune.plan import Plan
from fastlstm.tune.results import Trial
from fastlstm.tune.shared import Shared

TRIAL = "trial"  # in the metrics


def keep_best(folder: TuneFolder, plan: Plan, best: Trial, shared: Shared) -> dict[str, Any]:
    """Make the best trial the run in ``best``, unless it is there; test it and return its metrics.

    Raises OSError, with nothing written, if the files of the trial are damaged or gone.
    """
    run, kept = folder.trial(best.number), folder.best
    metrics: dict[str, Any]
    if kept.finished:
        metrics = kept.read_metrics()
        if metrics.get(TRIAL) == best.number:
            return metrics
    say(f"\nthe best run is trial {best.number}")
    with kept.locked(), num_threads(plan.config.threads or None):
        metrics = shared.keep(run, kept, plan.config.threads)
        metrics[TRIAL] = best.number
        kept.finish(metrics)
    return metrics
