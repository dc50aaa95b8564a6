"""Arguments that are either true or false: what else has a truth value is a mistake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm import models, text, train

X = np.zeros((2, 4), "f4")
FLAGS: list[tuple[str, Callable[[Any], Any]]] = [
    ("bias", lambda v: fl.LSTM(2, 3, bias=v)),
    ("bidirectional", lambda v: fl.GRU(2, 3, bidirectional=v)),
    ("variational", lambda v: setattr(fl.LSTM(2, 3), "variational", v)),
    ("grad", lambda v: fl.LSTM(2, 3).gates(grad=v)),
    ("bidirectional", lambda v: fl.LSTM.from_gates([{}, {}], bidirectional=v)),
    ("bias", lambda v: fl.Linear(2, 3, bias=v)),
    ("trainable", lambda v: setattr(fl.Linear(2, 3).weight, "trainable", v)),
    ("sparse", lambda v: fl.Embedding.from_pretrained(X, sparse=v)),
    ("freeze", lambda v: fl.Embedding.from_pretrained(X, freeze=v)),
    ("tied", lambda v: fl.LanguageModel(9, 4, 4, tied=v)),
    ("bias", lambda v: fl.LanguageModel(9, 4, 4, bias=v)),
    ("variational", lambda v: fl.LanguageModel(9, 4, 4, variational=v)),
    ("bidirectional", lambda v: fl.TextClassifier(9, 4, 4, bidirectional=v)),
    ("bidirectional", lambda v: models.Seq2Seq(9, 9, 4, 4, bidirectional=v)),
    ("attention", lambda v: models.Seq2Seq(9, 9, 4, 4, attention=v)),
    ("tied", lambda v: models.Seq2Seq(9, 9, 4, 4, tied=v)),
    ("head_bias", lambda v: models.AdaptiveSoftmax(4, 9, [3], head_bias=v)),
    ("gradient", lambda v: models.AdaptiveSoftmax(4, 9, [3]).loss(X, [1, 2], gradient=v)),
    ("bias", lambda v: models.SoftmaxDecoder(4, 9, bias=v)),
    ("gradient", lambda v: models.SoftmaxDecoder(4, 9).loss(X, [1, 2], gradient=v)),
    ("gradient", lambda v: models.softmax_loss(X.copy(), [1, 2], gradient=v)),
    ("full", lambda v: fl.gaussian_nll_loss(X, X, X + 1, full=v)),
    ("ragged", lambda v: fl.gradcheck(fl.RNN(2, 2, dtype="float64"), ragged=v)),
    ("quiet", lambda v: fl.gradcheck(fl.RNN(2, 2, dtype="float64"), quiet=v)),
    ("nesterov", lambda v: train.SGD(fl.Linear(2, 3), momentum=0.5, nesterov=v)),
    ("cache", lambda v: text.load_imdb("sample", cache=v)),
    ("progress", lambda v: text.load_imdb("sample", progress=v)),
    ("cache", lambda v: text.load_unlabelled("sample", cache=v)),
]


@pytest.mark.parametrize("value", ["no", 2, None, 1.0, np.zeros(2)], ids=repr)
@pytest.mark.parametrize(("name", "use"), FLAGS)
def test_what_is_no_flag_is_refused(name: str, use: Callable[[Any], Any], value: Any) -> None:
    """ "no" is true, and so was bidirectional="no"."""
    told = "a ndarray" if isinstance(value, np.ndarray) else repr(value)
    with pytest.raises(TypeError, match=f"^{name} is {told}, expected True or False$"):
        use(value)


@pytest.mark.parametrize(("yes", "no"), [(True, False), (np.True_, np.False_), (1, 0)])
def test_flags_of_numpy_and_bits_are_flags(yes: Any, no: Any) -> None:
    layer = fl.LSTM(2, 3, bias=no, bidirectional=yes)
    assert (layer.bias, layer.bidirectional) == (False, True)
    assert fl.Linear(2, 3, bias=no).bias is None
    assert fl.LanguageModel(9, 4, 4, tied=yes).tied is True


@pytest.mark.parametrize("yes", [np.True_, 1])
def test_a_model_with_such_flags_is_saved_and_read(yes: Any, tmp_path: Any) -> None:
    model = fl.LanguageModel(9, 4, 4, tied=yes, variational=yes)
    fl.save(model, tmp_path / "a.safetensors")
    found = fl.load(tmp_path / "a.safetensors")
    assert found.tied is True
    np.testing.assert_array_equal(found.decoder.weight.data, model.decoder.weight.data)
