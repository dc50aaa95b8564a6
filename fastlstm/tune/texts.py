"""What the trials of a study share: the texts, read once, and their linear part, trained once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastlstm.train.classifier import texts
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import Dataset
from fastlstm.train.classifier.idle_options import OF_NETS
from fastlstm.train.classifier.joining import train_linear
from fastlstm.train.classifier.linear_part import LinearPart
from fastlstm.train.classifier.text_config import TextConfig

# Options of nets that the texts as they are read depend on.
OF_TEXTS = ("vocab_size", "max_length", "truncate", "embedding_dim", "unlabelled")
NOT_OF_TEXTS = (OF_NETS - set(OF_TEXTS)) | {"threads"}


class SharedTexts:
    """Keeps the texts of the last options, and the linear part of these texts."""

    def __init__(self) -> None:
        self._data: tuple[dict[str, Any], Dataset] | None = None
        self._linear: tuple[dict[str, Any], LinearPart] | None = None

    def whole(self, config: Config, bars: bool = False) -> Dataset:
        """Return all texts of some options, those to test on as well; errors as of `texts.load`."""
        assert isinstance(config, TextConfig)
        key = _key(config)
        if self._data is None or self._data[0] != key:
            self._data = self._linear = None  # two are not kept at a time
            self._data = key, texts.load(config, bars)
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


def _key(config: Config) -> dict[str, Any]:
    """Return the options that texts and linear part depend on: all that are not known not to."""
    options = config.to_json()
    if config.vectors is None:
        options.pop("embedding_dim")
    return {name: value for name, value in options.items() if name not in NOT_OF_TEXTS}
