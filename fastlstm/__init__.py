"""fastlstm: a CPU engine for recurrent networks, forward and backward through time.

NumPy arrays in, NumPy arrays out: ``import fastlstm as fl; lstm = fl.LSTM(128, 128)``, or GRU,
or RNN. Layers and losses are in `fastlstm.nn`, ready models in `fastlstm.models`, text handling
in `fastlstm.text`, training in `fastlstm.train`; the packages named last, and `fastlstm.torch`,
`fastlstm.sklearn`, `fastlstm.inside` and `fastlstm.examples`, load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastlstm import models, nn
from fastlstm._version import __version__
from fastlstm.custom import custom_cell
from fastlstm.differences import gradcheck
from fastlstm.models import LanguageModel, TextClassifier
from fastlstm.nn import (
    GRU,
    LSTM,
    RNN,
    Dropout,
    Embedding,
    GRUCell,
    Linear,
    LSTMCell,
    Module,
    Parameter,
    RNNCell,
    State,
    Tokens,
    bce_with_logits,
    cross_entropy,
)
from fastlstm.runtime import (
    get_num_threads,
    num_threads,
    runtime_info,
    set_num_threads,
    show_runtime,
)

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Dropout",
    "Embedding",
    "GRUCell",
    "LSTMCell",
    "LanguageModel",
    "Linear",
    "Module",
    "Parameter",
    "RNNCell",
    "State",
    "TextClassifier",
    "Tokens",
    "__version__",
    "bce_with_logits",
    "cross_entropy",
    "custom_cell",
    "get_num_threads",
    "gradcheck",
    "models",
    "nn",
    "num_threads",
    "runtime_info",
    "set_num_threads",
    "show_runtime",
]

# Loaded when they are first asked for: these take longer, or need packages that may not be there.
_ON_FIRST_USE = ("examples", "inside", "sklearn", "text", "torch", "train")

if TYPE_CHECKING:
    from fastlstm import examples, inside, sklearn, text, torch, train
else:

    def __getattr__(name: str) -> Any:
        if name not in _ON_FIRST_USE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            return import_module(f"{__name__}.{name}")
        except ImportError as error:  # hasattr and dir() expect no other error
            raise AttributeError(f"{__name__}.{name} cannot be loaded: {error}") from error


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_FIRST_USE})
