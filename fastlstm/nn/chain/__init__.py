"""Chains of convolutions, dense layers and cells, which a stream runs in one call: inference."""

from fastlstm.nn.chain.chain import Chain
from fastlstm.nn.chain.convolution import Conv1d
from fastlstm.nn.chain.maps import Magnitude, Mean, ReLU, Sigmoid, Tanh
from fastlstm.nn.chain.stream import ChainStream

__all__ = ["Chain", "ChainStream", "Conv1d", "Magnitude", "Mean", "ReLU", "Sigmoid", "Tanh"]
