"""What users compose: layers, losses and their base class. Each loads on first use."""

from typing import TYPE_CHECKING

from fastlstm import lazy

if TYPE_CHECKING:
    from fastlstm.kernels import Tokens
    from fastlstm.nn.cell import GRUCell, LSTMCell, RNNCell
    from fastlstm.nn.chain import Chain, Conv1d, Magnitude, Mean, ReLU, Sigmoid, Tanh
    from fastlstm.nn.dropout import Dropout
    from fastlstm.nn.embedding import Embedding
    from fastlstm.nn.gru import GRU
    from fastlstm.nn.linear import Linear
    from fastlstm.nn.losses import bce_with_logits, cross_entropy
    from fastlstm.nn.lstm import LSTM, PeepholeLSTM
    from fastlstm.nn.module import Module, Tape
    from fastlstm.nn.parameter import Parameter, RowGrad
    from fastlstm.nn.regression_losses import (
        gaussian_nll_loss,
        huber_loss,
        l1_loss,
        mse_loss,
        negative_binomial_nll_loss,
        quantile_loss,
    )
    from fastlstm.nn.rnn import RNN
    from fastlstm.nn.state import State

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Chain",
    "Conv1d",
    "Dropout",
    "Embedding",
    "GRUCell",
    "LSTMCell",
    "Linear",
    "Magnitude",
    "Mean",
    "Module",
    "Parameter",
    "PeepholeLSTM",
    "RNNCell",
    "ReLU",
    "RowGrad",
    "Sigmoid",
    "State",
    "Tanh",
    "Tape",
    "Tokens",
    "bce_with_logits",
    "cross_entropy",
    "gaussian_nll_loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "negative_binomial_nll_loss",
    "quantile_loss",
]

# Modules to look for a name in: what most programs use first.
_HOLDERS = (
    "lstm", "gru", "rnn", "state", "module", "parameter", "linear", "embedding", "dropout",
    "losses", "regression_losses", "cell", "chain",
)  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = lazy.attributes(__name__, __all__, _HOLDERS, ("recurrent",))


def __dir__() -> list[str]:
    return sorted({*(n for n in globals() if n.startswith("__")), *__all__, *_HOLDERS, "recurrent"})
