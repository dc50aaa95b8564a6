"""Texts that the trials of a study share, read once, and their linear part, trained once."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any

from fastlstm.counts import count_of
from fastlstm.files.opening import check_file
from fastlstm.files.writing import write_file
from fastlstm.printable import say
from fastlstm.train.classifier import classify, texts
from fastlstm.train.classifier.classify import title_of
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import Dataset
from fastlstm.train.classifier.idle_options import OF_NETS
from fastlstm.train.classifier.joining import train_linear
from fastlstm.train.classifier.linear_part import LinearPart
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.classifier.parts import Parts
from fastlstm.train.classifier.report import epoch_table, summary
from fastlstm.train.classifier.results import measure
from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.train.curves import draw_curves
from fastlstm.train.history import History
from fastlstm.tune.shared import Shared, reading_trial
from fastlstm.tune.trial import Judge

# Options of nets that the texts as they are read depend on.
OF_TEXTS = ("vocab_size", "max_length", "truncate", "embedding_dim", "unlabelled")
NOT_OF_TEXTS = (OF_NETS - set(OF_TEXTS)) | {"threads"}


class SharedTexts(Shared):
    """Keeps the texts of the last options, and the linear part of these texts."""

    def __init__(self, contents: Any = None) -> None:
        super().__init__(contents)
        self._data: tuple[dict[str, Any], Dataset] | None = None
        self._linear: tuple[dict[str, Any], LinearPart] | None = None

    def begin(self, config: Config, bars: bool = False) -> tuple[dict[str, Any], str, str]:
        data = self.whole(config, bars)
        counts = data.sizes
        parts = (
            f"{count_of(counts['train'], 'text')} to train on, {counts['validation']:,} to choose "
            f"by, {counts['test']:,} that no trial sees"
        )
        return data.identity, data.source, parts

    def train(self, config: Config, run: Any, judge: Judge, bars: bool = False) -> dict[str, Any]:
        if run.finished:  # it was killed before it could tell
            with reading_trial():
                metrics: dict[str, Any] = run.read_metrics()
            return metrics
        with redirect_stdout(io.StringIO()):
            return classify.run(
                self.for_trial, config, run, resume=run.holds_run, bars=bars, listeners=[judge],
                linear_part=self.linear_part,
            )  # fmt: skip

    def keep(self, run: Any, kept: Any, threads: int) -> dict[str, Any]:
        with reading_trial():
            for path in (run.config, run.model, run.vocab, run.trained_texts):
                check_file(path)
            found, epochs, metrics = load_run(run.path), run.read_epochs(), run.read_metrics()
            found.read_hashes()
        config = found.config
        kept.begin(replace(config, threads=threads).to_json())
        for source, path in (
            (run.model, kept.model),
            (run.vocab, kept.vocab),
            (run.trained_texts, kept.trained_texts),
        ):
            write_file(path, source.read_bytes())
        metrics = self._tested(found.parts, config, metrics)
        history = History(epochs=epochs, best=metrics["best_epoch"])
        if history.epochs:
            kept.write_history(history)
            draw_curves(kept.curves, history, title_of(metrics))
        told = f"{epoch_table(history)}\n\n" if history.epochs else ""
        say(f"\n{told}{summary(metrics, 'texts')}")
        return metrics

    def whole(self, config: Config, bars: bool = False) -> Dataset:
        """Return all texts of some options, those to test on as well.

        Errors as of `texts.load`; DataChangedError if they are others than before.
        """
        assert isinstance(config, TextConfig)
        key = _key(config)
        if self._data is None or self._data[0] != key:
            self._data = self._linear = None  # two are not kept at a time
            data = texts.load(config, bars)
            self.read(data.contents, str(config.data))
            self._data = key, data
        data = self._data[1]
        sized = config.sized(len(data.train), len(data.train.tokens))
        return replace(data, options={**data.options, **sized})

    def for_trial(self, config: Config, bars: bool = False) -> Dataset:
        """Return the texts without those to test on, which no trial sees."""
        return replace(self.whole(config, bars), test=None)

    def linear_part(self, config: Config, data: Dataset) -> LinearPart:
        """Return the linear part of the texts, as `train_linear` does."""
        key = _key(config)
        if self._linear is None or self._linear[0] != key:
            self._linear = key, train_linear(config, data)
        return self._linear[1]

    def _tested(self, parts: Parts, config: Config, metrics: dict[str, Any]) -> dict[str, Any]:
        """Return the metrics of a run with those of the test texts."""
        data = self.whole(config)
        tested = measure(parts, data)
        seconds = tested.pop("eval_seconds")
        counts = {f"{part}_{data.noun}": count for part, count in data.sizes.items()}
        return {**metrics, **counts, **tested, "eval_seconds": metrics["eval_seconds"] + seconds}


def _key(config: Config) -> dict[str, Any]:
    """Return the options that texts and linear part depend on: all that are not known not to."""
    options = config.to_json()
    if config.vectors is None:
        options.pop("embedding_dim")
    return {name: value for name, value in options.items() if name not in NOT_OF_TEXTS}
