"""The best trial of a study as a run like any other: tested once, on texts that no trial saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastlstm.printable import say
from fastlstm.runtime import num_threads
from fastlstm.train.classifier.classify import title_of
from fastlstm.train.classifier.parts import Parts, load_parts
from fastlstm.train.classifier.report import epoch_table, summary
from fastlstm.train.classifier.results import measure
from fastlstm.train.classifier.text_config import TextConfig, load_config
from fastlstm.train.curves import draw_curves
from fastlstm.train.files import write_file
from fastlstm.train.history import History
from fastlstm.tune.folder import TuneFolder
from fastlstm.tune.plan import Plan
from fastlstm.tune.results import Trial
from fastlstm.tune.texts import SharedTexts

TRIAL = "trial"  # in the metrics


def keep_best(folder: TuneFolder, plan: Plan, best: Trial, shared: SharedTexts) -> dict[str, Any]:
    """Make the best trial the run in ``best``, unless it is there; test it and return its metrics.

    Raises ValueError if the files of the trial are damaged, OSError if they are gone.
    """
    run, kept = folder.trial(best.number), folder.best
    if kept.finished and kept.read_metrics().get(TRIAL) == best.number:
        return kept.read_metrics()
    config = load_config(run.config)
    assert isinstance(config, TextConfig)
    with kept.locked(), num_threads(plan.config.threads or None):
        kept.begin(replace(config, threads=plan.config.threads).to_json())
        for source, path in (
            (run.model, kept.model),
            (run.vocab, kept.vocab),
            (run.trained_texts, kept.trained_texts),
        ):
            write_file(path, source.read_bytes())
        parts, _ = load_parts(kept.model)
        metrics = _tested(parts, config, run.read_metrics(), shared)
        metrics[TRIAL] = best.number
        history = History(epochs=run.read_epochs(), best=metrics["best_epoch"])
        if history.epochs:
            kept.write_history(history)
            draw_curves(kept.curves, history, title_of(metrics))
        kept.finish(metrics)
    told = f"{epoch_table(history)}\n\n" if history.epochs else ""
    say(f"\nthe best run is trial {best.number}\n\n{told}{summary(metrics, 'texts')}")
    return metrics


def _tested(
    parts: Parts, config: TextConfig, metrics: dict[str, Any], shared: SharedTexts
) -> dict[str, Any]:
    """Return the metrics of a run with those of the test texts."""
    if parts.net is not None:
        parts.net.set_precision(config.precision)
    data = shared.whole(config)
    tested = measure(parts, data)
    seconds = tested.pop("eval_seconds")
    counts = {f"{part}_{data.noun}": count for part, count in data.sizes.items()}
    return {**metrics, **counts, **tested, "eval_seconds": metrics["eval_seconds"] + seconds}
