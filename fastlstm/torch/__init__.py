"""torch.nn's recurrent modules on fastlstm's kernels: the same names, signatures and results.

``import fastlstm.torch as ft``, then ``ft.LSTM`` where ``torch.nn.LSTM`` stood; or leave a model
as it is and call ``ft.accelerate(model)``. Each class is a subclass of torch's: only the forward
and backward passes differ. For CPU tensors in float32 and float64.
"""

try:
    import torch as _torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError("fastlstm.torch needs PyTorch: pip install 'fastlstm[torch]'") from error

from fastlstm.torch.accelerate import Report, Skipped, accelerate, restore
from fastlstm.torch.cells import GRUCell, LSTMCell, RNNCell
from fastlstm.torch.explain import Explanation, explain
from fastlstm.torch.fixed import fixed_weights
from fastlstm.torch.modules import GRU, LSTM, RNN
from fastlstm.torch.quantize import QuantizeReport, quantize_dynamic

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Explanation",
    "GRUCell",
    "LSTMCell",
    "QuantizeReport",
    "RNNCell",
    "Report",
    "Skipped",
    "accelerate",
    "explain",
    "fixed_weights",
    "quantize_dynamic",
    "restore",
]
