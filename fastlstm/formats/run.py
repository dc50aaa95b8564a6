"""The folder of a run: a classifier, a language model, a translator or a forecast."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.forecast.folder import ForecastFolder
from fastlstm.models import LanguageModel, sample
from fastlstm.nn.check import Rng, check_rng
from fastlstm.text.symbols import Symbols
from fastlstm.train.checkpoint import CheckpointError
from fastlstm.train.classifier.loaded_run import load_run
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.language.run import LanguageFolder
from fastlstm.train.model_file import load_model


@dataclass(frozen=True)
class LanguageRun:
    """A trained language model and its tokens."""

    model: LanguageModel
    symbols: Symbols

    def write(
        self, prompt: str = "\n", length: int = 200, temperature: float = 1.0, rng: Rng = None
    ) -> str:
        """Return a text, and `length` tokens that the model draws after it."""
        start = self.symbols.encode(prompt)
        if self.symbols.level == "word" and len(start) and not prompt.endswith("\n"):
            start = start[:-1]  # without the end of the line
        if not len(start):
            start = self.symbols.encode("\n")
        ids = sample(self.model, length, start, temperature, check_rng(rng), exclude=[0])
        return prompt + self.symbols.decode(np.asarray(ids))


def load_run_folder(path: Path) -> Any:
    """Return what predicts with the run of a folder.

    Raises FileNotFoundError if it holds none, ValueError if a file of it is damaged.
    """
    language = LanguageFolder(path)
    if language.holds_run:
        return _language(language)
    if ForecastFolder(path).holds_run:
        return load_forecast(path)
    if RunFolder(path).holds_run or not (path / "model.safetensors").exists():
        return load_run(path)
    from fastlstm.formats.own import load_own  # of a translator there is the model alone

    return load_own(path / "model.safetensors")


def load_forecast(path: Path) -> Any:
    """Return the `LSTMForecaster` of a run or of a file; ImportError without scikit-learn."""
    from fastlstm.sklearn import LSTMForecaster

    return LSTMForecaster.load(path)


def _language(folder: LanguageFolder) -> LanguageRun:
    if not folder.model.exists():
        raise FileNotFoundError(f"{folder.path} has no {folder.model.name} yet: go on with it")
    model, symbols = load_model(folder.model, LanguageModel), Symbols.load(folder.symbols)
    known = model.embedding.num_embeddings
    if len(symbols) != known:
        raise CheckpointError(
            f"{folder.path} is damaged: {folder.symbols.name} has "
            f"{count_of(len(symbols), 'token')}, {folder.model.name} is for {known}"
        )
    return LanguageRun(model, symbols)
