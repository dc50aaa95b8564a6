"""What users compose: layers, losses and their base class."""

from fastlstm.kernels import Tokens
from fastlstm.nn.cell import GRUCell, LSTMCell, RNNCell
from fastlstm.nn.chain import Chain, Conv1d, Magnitude, Mean, ReLU, Sigmoid, Tanh
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.gru import GRU
from fastlstm.nn.linear import Linear
from fastlstm.nn.losses import bce_with_logits, cross_entropy
from fastlstm.nn.lstm import LSTM, PeepholeLSTM
from fastlstm.nn.module import Module, Parameter, RowGrad, Tape
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
