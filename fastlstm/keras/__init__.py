"""Keras's recurrent layers on fastlstm's kernels, with not a line of a model changed.

``import fastlstm.keras``, then ``fastlstm.keras.enable()``: keras.layers.LSTM, GRU and SimpleRNN,
alone and in Bidirectional or RNN, run on the kernels. On Keras's torch backend with gradients, on
its NumPy backend for inference. What the kernels do not do stays Keras's own; `report` says what.
"""

try:
    import keras as _keras
except ModuleNotFoundError as error:
    if error.name == "keras":
        raise ImportError("fastlstm.keras needs Keras 3: pip install 'fastlstm[keras]'") from error
    raise ImportError(
        f"Keras cannot be loaded ({error}): set the environment variable KERAS_BACKEND to torch or "
        "numpy, which fastlstm.keras is for, before Keras is imported"
    ) from error

from fastlstm.keras.hook import disable, enable, enabled
from fastlstm.keras.report import Report, clear_report, report

__all__ = ["Report", "clear_report", "disable", "enable", "enabled", "report"]
