"""fastlstm: a CPU engine for recurrent networks, forward and backward through time.

NumPy arrays in, NumPy arrays out: ``import fastlstm as fl; lstm = fl.LSTM(128, 128)``, or GRU,
or RNN. Beside these names are packages:

- nn, models, many: layers and losses, ready models, many models in one call
- train, text, linear, forecast, sklearn: training, words and files, n-grams, series, estimators
- tune: search of good options
- torch, keras, onnx, formats: the kernels under torch and Keras, graphs and files of others
- inside, distributed, examples: looking inside, several processes, programs that run offline

Every name loads on first use: so the commands can answer Ctrl-C before NumPy is loaded, and
optional packages cost time only when they are used.
"""

from typing import TYPE_CHECKING

from fastlstm import lazy
from fastlstm._version import __version__

if TYPE_CHECKING:
    from fastlstm import (
        distributed,
        examples,
        forecast,
        formats,
        inside,
        keras,
        linear,
        many,
        models,
        nn,
        onnx,
        sklearn,
        text,
        torch,
        train,
        tune,
    )
    from fastlstm.custom import custom_cell
    from fastlstm.differences import gradcheck
    from fastlstm.formats import load, save
    from fastlstm.many import together
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
        PeepholeLSTM,
        RNNCell,
        State,
        Tokens,
        bce_with_logits,
        cross_entropy,
        gaussian_nll_loss,
        huber_loss,
        l1_loss,
        mse_loss,
        negative_binomial_nll_loss,
        quantile_loss,
    )
    from fastlstm.notices import FastlstmWarning
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
    "FastlstmWarning",
    "GRUCell",
    "LSTMCell",
    "LanguageModel",
    "Linear",
    "Module",
    "Parameter",
    "PeepholeLSTM",
    "RNNCell",
    "State",
    "TextClassifier",
    "Tokens",
    "__version__",
    "bce_with_logits",
    "cross_entropy",
    "custom_cell",
    "gaussian_nll_loss",
    "get_num_threads",
    "gradcheck",
    "huber_loss",
    "l1_loss",
    "load",
    "models",
    "mse_loss",
    "negative_binomial_nll_loss",
    "nn",
    "num_threads",
    "quantile_loss",
    "runtime_info",
    "save",
    "set_num_threads",
    "show_runtime",
    "together",
]

# Modules to look for a name in, and others.
_HOLDERS = ("nn", "models", "runtime", "custom", "differences", "formats", "notices", "many")
_OTHERS = (
    "distributed",
    "examples",
    "forecast",
    "inside",
    "keras",
    "kernels",
    "linear",
    "onnx",
    "sklearn",
    "text",
    "torch",
    "train",
    "tune",
)

# What nobody needs by these names: all of it that is public has another one.
_NOT_SHOWN = {"custom", "differences", "kernels", "notices", "runtime"}

if not TYPE_CHECKING:
    __getattr__ = lazy.attributes(__name__, __all__, _HOLDERS, _OTHERS)


def __dir__() -> list[str]:
    shown = {n for n in (*_HOLDERS, *_OTHERS) if n not in _NOT_SHOWN}
    return sorted({*(n for n in globals() if n.startswith("__")), *__all__, *shown})
