"""The `onnx` package's own node tests: every case of every operator that is supported."""

from __future__ import annotations

import contextlib
import importlib
import io
import pkgutil
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx.backend.test.case.node as node_cases
import pytest
from onnx import numpy_helper

from fastlstm import onnx as fonnx
from fastlstm.onnx import operators
from fastlstm.onnx.tensors import TYPES

# Modules of the package whose operators are not supported here.
ELSEWHERE = {
    "ai_onnx_ml", "adagrad", "adam", "affinegrid", "attention", "bernoulli", "bitcast",
    "blackmanwindow", "causal_conv_with_state", "center_crop_pad", "col2im",
    "cumprod", "deformconv", "det", "dft", "einsum", "flexattention",
    "gridsample", "hammingwindow", "hannwindow", "image_decoder",
    "linear_attention", "lppool", "lrn", "maxunpool",
    "melweightmatrix", "momentum", "negativeloglikelihoodloss", "nonmaxsuppression",
    "optionalgetelement",
    "optionalhaselement", "qlinearconv", "regex_full_match", "resize",
    "roialign", "rotaryembedding", "sequence_map", "sequenceinsert",
    "softmax_cross_entropy_loss", "splittosequence", "stft", "string_concat", "string_split",
    "stringnormalizer", "swiglu", "tensorscatter", "tfidfvectorizer", "unique",
    "upsample",
}  # fmt: skip
# Cases that are left out, by the beginning of their names, and why.
LEFT_OUT = {
    "test_batchnorm_example_training_mode": "training",
    "test_batchnorm_epsilon_training_mode": "training",
    "test_training_dropout": "random: training",
    "test_dequantizelinear_blocked": "scales of blocks",
    "test_quantizelinear_blocked": "scales of blocks",
    "test_castlike_FLOAT_to_BFLOAT16": "bfloat16 is float32 here: there is nothing to be like",
}


def modules() -> list[str]:
    return sorted(
        m.name for m in pkgutil.iter_modules(node_cases.__path__) if not m.name.startswith("_")
    )


@cache
def cases(module: str) -> list[Any]:
    """The cases of a module: its import makes them."""
    made = node_cases._NodeTestCases
    before = len(made)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        importlib.import_module(f"{node_cases.__name__}.{module}")
    return list(made[before:])


def values_of(graph: Any) -> Iterator[Any]:
    yield from (*graph.input, *graph.output, *graph.value_info)
    for one in graph.node:
        for attribute in one.attribute:
            if attribute.HasField("g"):
                yield from values_of(attribute.g)


def reason(case: Any) -> str:
    """Why a case is left out; empty if it runs."""
    for name, why in LEFT_OUT.items():
        if case.name.startswith(name):
            return why
    domains = {entry.domain: entry.version for entry in case.model.opset_import}
    for one in case.model.graph.node:
        if operators.find(one.domain, one.op_type, domains.get(one.domain, 0)) is None:
            return f"operator {one.op_type}"
    for v in values_of(case.model.graph):
        kind = v.type.WhichOneof("value")
        if kind not in (None, "tensor_type"):
            return f"a {kind}"
        if kind and v.type.tensor_type.elem_type not in (0, *TYPES):
            return "elements that NumPy does not have"
    return ""


@pytest.mark.parametrize("module", [m for m in modules() if m not in ELSEWHERE])
def test_every_case(module: str) -> None:
    ran, failed = 0, []
    for case in cases(module):
        if not reason(case):
            ran += 1
            try:
                check(case)
            except Exception as error:
                failed.append(f"{case.name}: {type(error).__name__}: {str(error)[:400]}")
    assert not failed, f"{len(failed)} of {ran}:\n" + "\n".join(failed)
    assert ran, f"no case of {module} runs"


def array_of(value: Any) -> Any:
    """A case's value as an array: some are written as tensors."""
    return (
        numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)
    )


def check(case: Any) -> None:
    model = fonnx.load(case.model.SerializeToString())
    for inputs, outputs in case.data_sets:
        found = model(*map(array_of, inputs))
        assert len(found) == len(outputs)
        for got, want in zip(found, outputs, strict=True):
            want, rtol = array_of(want), case.rtol
            if want.dtype.name == "bfloat16":  # computed in float32 here, and not rounded after
                want, rtol = want.astype(np.float32), 2**-8
            assert got.dtype == want.dtype, f"{got.dtype}, expected {want.dtype}"
            assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
            np.testing.assert_allclose(got, want, rtol=rtol, atol=case.atol)


def test_the_recurrent_cases_are_all_there() -> None:
    names = [case.name for module in ("lstm", "gru", "rnn") for case in cases(module)]
    assert len(names) == len(set(names)) >= 18
    assert not any(reason(case) for m in ("lstm", "gru", "rnn") for case in cases(m))


def test_modules_elsewhere_are_modules() -> None:
    assert set(modules()) >= {m for m in ELSEWHERE if m != "ai_onnx_ml"}
