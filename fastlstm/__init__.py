"""fastlstm: a CPU engine for recurrent networks, forward and backward through time.

NumPy arrays in, NumPy arrays out: ``import fastlstm as fl; lstm = fl.LSTM(128, 128)``, or GRU,
or RNN. Layers and losses are in `fastlstm.nn`, ready models in `fastlstm.models`, text handling
in `fastlstm.text`, training in `fastlstm.train`.
"""

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
