"""What users compose: layers, losses and their base class."""

from fastlstm.kernels import Tokens
from fastlstm.nn.cell import LSTMCell
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.linear import Linear
from fastlstm.nn.losses import bce_with_logits, cross_entropy
from fastlstm.nn.lstm import LSTM
from fastlstm.nn.module import Module, Parameter, RowGrad, Tape

__all__ = [
    "LSTM",
    "Dropout",
    "Embedding",
    "LSTMCell",
    "Linear",
    "Module",
    "Parameter",
    "RowGrad",
    "Tape",
    "Tokens",
    "bce_with_logits",
    "cross_entropy",
]
