"""Models from files and into files: ``fastlstm.load(path)`` and ``fastlstm.save(model, path)``.

Of our own runs and models, and of torch, Keras, RTNeural and ONNX; docs/models.md has the table.
Above all other packages: it knows them, and none of them knows it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["load", "save"]


def load(path: str | os.PathLike[str], *, kinds: Mapping[str, str] | None = None) -> Any:
    """Return the model of a file or of the folder of a run; its bytes tell the kind.

    =============================  =============================================================
    folder of a run                what predicts with it: ``fl.load("runs/x").predict(["..."])``;
                                   of a forecast its `fastlstm.sklearn.LSTMForecaster`
    file that `save` wrote         the layer or model itself, to the bit
    safetensors, ``.pt``           the layers of a state_dict by name; a layer alone if its names
                                   have no prefix
    Keras, RTNeural                the model, if its layers stand in one line, else its layers
    ONNX                           a `fastlstm.onnx` model
    =============================  =============================================================

    Parameters
    ----------
    path : of a file or a folder.
    kinds : what layers are, by name, where the file does not tell: "lstm", "gru",
        "gru_reset_before", "rnn_tanh", "rnn_relu", "linear" or "embedding".

    Raises
    ------
    OSError
        If there is no file, or it cannot be read.
    ValueError
        If it is of no kind that is read, is damaged, or holds what cannot be run here.
    ImportError
        If its kind needs a package that is not installed; the error names the extra.
    """
    from fastlstm.formats.kinds import find_reader

    return find_reader(path, kinds)()


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a model or layers into a file, whose kind is that of the name's ending.

    ==========================  ================================================================
    ``.safetensors``            what `load` makes the same layers of, to the bit; its tensors
                                have torch's names
    ``.pt``, ``.pth``           a state_dict for torch
    ``.keras``, ``.h5``         a model for Keras
    ``.weights.h5``             its weights alone
    ``.onnx``                   a graph of standard operators
    ==========================  ================================================================

    Parameters
    ----------
    model : a layer, a model, a list of layers that run one after another (a
        `fastlstm.formats.sequential.Sequential`), or a dict of layers by name.
    path : an earlier file there is replaced, or stays whole if writing fails; links to it stay, and
        so do its permissions.

    Raises
    ------
    TypeError, ValueError
        If the ending is none of these, or that kind of file has no such model.
    OSError
        If the file cannot be written.
    ImportError
        If the kind needs a package that is not installed; the error names the extra.
    """
    from fastlstm.files.naming import named_path
    from fastlstm.formats.kinds import find_writer

    find_writer(path)(model, named_path(path))
