"""ONNX Runtime's side of the recurrent layers: one function a mode that it has, as in
`torch_layer.py`. It only infers; the model is made here, of ONNX's own LSTM, GRU and RNN."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import isas
from benchmarks.problem import Array, Arrays
from benchmarks.shapes import Case
from benchmarks.sides import Results, Side

try:
    import onnxruntime
    from onnx import ModelProto, NodeProto, TensorProto, helper, load, numpy_helper, save
except ImportError as error:
    raise ImportError(f"{error}; for ONNX Runtime: pip install onnx onnxruntime") from error

MODES = ("infer", "step")
OPSET, IR_VERSION = 14, 8  # the oldest that have all that is used: old versions read them too
# Where ONNX's gates are among torch's: i o f c in i f g o, z r h in r z n.
GATES = {"LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2], "RNN": [0]}
# Activations are the defaults; torch's reset gate multiplies a product, not what goes into it.
ATTRIBUTES: dict[str, Any] = {"LSTM": {}, "GRU": {"linear_before_reset": 1}, "RNN": {}}
STATES = {"LSTM": ("h", "c"), "GRU": ("h",), "RNN": ("h",)}
PROVIDERS = ["CPUExecutionProvider"]

Values = dict[str, Any]  # an OrtValue for each input and output of a session

_threads = 1


def setup(threads: int) -> None:
    """Use `threads` threads in the sessions made from now on."""
    global _threads
    _threads = threads


def versions() -> dict[str, Any]:
    """Return what is in use; which instruction set it chose it does not tell."""
    return {"version": onnxruntime.__version__}


def why_not(case: Case) -> str:
    """Return why it cannot run `case`; nothing if it can."""
    if case.mode not in MODES:
        return f"ONNX Runtime has no mode {case.mode}, only {' and '.join(MODES)}"
    if case.proj:
        return "ONNX Runtime's LSTM has no projection"
    if case.dtype != "float32":
        return f"ONNX Runtime's {case.cell} has no {case.dtype} on CPUs, only float32"
    if case.precision == "bfloat16":
        return f"ONNX Runtime's {case.cell} has no bfloat16 on CPUs"
    if case.precision == "int8" and case.cell != "LSTM":
        return f"ONNX Runtime has no {case.cell} in int8, only LSTM"
    return ""


def infer(case: Case, a: Arrays) -> Side:
    """Whole sequences, made time-major before the clock starts: on CPUs it takes nothing else.

    The last layer's output is left as ONNX defines it, [T,directions,B,H].
    """
    session = _session(case, a["weights"], case.T, carried=False)
    values = _values(session)
    values["x"].update_inplace(np.ascontiguousarray(a["x"].swapaxes(0, 1)))
    run = _bind(session, values)

    def results() -> Results:
        run()
        return Results({"y": _batch_first(values["y"]), **_last_states(case, values)}, {})

    return Side(run, results)


def step(case: Case, a: Arrays) -> Side:
    """One step: it writes the states that the next one reads, to and fro between two buffers."""
    session = _session(case, a["weights"], 1, carried=True)
    values = _values(session)
    values["x"].update_inplace(a["x"][:1])
    turns = cycle(_to_and_fro(case, session, values))

    def results() -> Results:
        outputs, fresh = [], _values(session)
        steps = cycle(_to_and_fro(case, session, fresh))
        for x_t in a["x"]:
            fresh["x"].update_inplace(x_t[None])
            next(steps)()
            outputs.append(_batch_first(fresh["y"])[:, 0])
        return Results({"y": np.stack(outputs)}, {})

    return Side(lambda: next(turns)(), results)


def model(case: Case, weights: Arrays, steps: int, carried: bool) -> ModelProto:
    """Return the ONNX model of a case: x [T,B,I] to y [T,directions,B,H] and the last states.

    Parameters
    ----------
    weights : by torch's names.
    steps : T.
    carried : whether it takes initial states too, as c_0_l1 for the cell state of layer 1; the
        last ones are c_n_l1.
    """
    directions = 2 if case.bidirectional else 1
    state, y = [directions, case.B, case.H], [steps, directions, case.B, case.H]
    names = [f"{part}_{{}}_l{n}" for n in range(case.layers) for part in STATES[case.cell]]
    inputs = [_info("x", [steps, case.B, case.I])]
    inputs += [_info(name.format(0), state) for name in names if carried]
    outputs = [_info("y", y), *(_info(name.format("n"), state) for name in names)]
    nodes, initializers = [], []
    if case.layers > 1:
        joined = np.array([steps, case.B, directions * case.H])
        initializers.append(numpy_helper.from_array(joined, "joined"))
    for number in range(case.layers):
        parameters = _parameters(case, weights, number)
        initializers += [numpy_helper.from_array(w, name) for name, w in parameters.items()]
        nodes += _layer(case, number, list(parameters), carried)
    graph = helper.make_graph(nodes, case.cell, inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _layer(case: Case, number: int, parameters: list[str], carried: bool) -> list[NodeProto]:
    """Return a layer's node, and those that put its directions beside each other for the next."""
    first, last = number == 0, number == case.layers - 1
    states = [f"{part}_{{}}_l{number}" for part in STATES[case.cell]]
    initial = ["", *(state.format(0) for state in states)] if carried else []  # "": no lengths
    y = "y" if last else f"y_l{number}"
    node = helper.make_node(
        case.cell,
        ["x" if first else f"x_l{number}", *parameters, *initial],
        [y, *(state.format("n") for state in states)],
        hidden_size=case.H,
        direction="bidirectional" if case.bidirectional else "forward",
        **ATTRIBUTES[case.cell],
    )
    if last:
        return [node]
    beside = f"beside_l{number}"  # [T,B,directions,H]
    return [
        node,
        helper.make_node("Transpose", [y], [beside], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", [beside, "joined"], [f"x_l{number + 1}"]),
    ]


def _parameters(case: Case, weights: Arrays, number: int) -> dict[str, Array]:
    """Return W, R and B of a layer by name, in ONNX's order of gates."""
    found: dict[str, list[Array]] = {"W": [], "R": [], "B": []}
    for direction in ("", "_reverse") if case.bidirectional else ("",):
        suffix = f"l{number}{direction}"
        bias = [_gates(case, weights[f"bias_{kind}_{suffix}"]) for kind in ("ih", "hh")]
        found["W"].append(_gates(case, weights[f"weight_ih_{suffix}"]))
        found["R"].append(_gates(case, weights[f"weight_hh_{suffix}"]))
        found["B"].append(np.concatenate(bias))
    return {f"{name}_l{number}": np.stack(parts) for name, parts in found.items()}


def _gates(case: Case, weight: Array) -> Array:
    """Return weights or biases of all gates in ONNX's order."""
    gates = weight.reshape(case.gates, case.H, *weight.shape[1:])
    return gates[GATES[case.cell]].reshape(weight.shape)


def _info(name: str, shape: list[int]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def session(serialized: bytes) -> Any:
    """Return a session of a model; the first of a process flushes denormals in its thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return onnxruntime.InferenceSession(serialized, options, providers=PROVIDERS)


def _session(case: Case, weights: Arrays, steps: int, carried: bool) -> Any:
    made = model(case, weights, steps, carried)
    return session((_quantized(made) if case.precision == "int8" else made).SerializeToString())


def _quantized(made: ModelProto) -> ModelProto:
    """Return a model with DynamicQuantizeLSTM in the place of LSTM.

    On x86-64 without VNNI its products add up pairs in 16 bits and cut off what is larger: outputs
    are off by a fifth. Its documentation asks for weights of 7 bits there, which pairs fit.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        before, after = (Path(folder, name) for name in ("float.onnx", "int8.onnx"))
        save(made, before)
        quantize_dynamic(
            before, after, weight_type=QuantType.QInt8, reduce_range=not _adds_up_in_32_bits()
        )
        return load(after)


def _adds_up_in_32_bits() -> bool:
    """Whether the processor has instructions whose sums of 8-bit products are exact."""
    found = set(isas())
    return "avx2" not in found or not found.isdisjoint(("avx512vnni", "avxvnni"))


def _values(session: Any) -> Values:
    """Return zeros for all inputs and outputs of a session."""
    return {each.name: _zeros(each.shape) for each in session.get_inputs() + session.get_outputs()}


def _zeros(shape: list[int]) -> Any:
    """Return an OrtValue that owns its memory; an array's, once bound, older versions let go."""
    value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32)
    value.update_inplace(np.zeros(shape, np.float32))
    return value


def _bind(session: Any, values: Values) -> Callable[[], object]:
    """Return a call that reads and writes `values`.

    Bound once as it is the fastest: a step of H = 128 takes 9 us so, 13 us by `session.run` and
    38 us by `run_with_ort_values`; whole sequences take the same by all three.
    """
    binding = session.io_binding()
    for each in session.get_inputs():
        binding.bind_ortvalue_input(each.name, values[each.name])
    for each in session.get_outputs():
        binding.bind_ortvalue_output(each.name, values[each.name])
    return lambda: session.run_with_iobinding(binding)


def _to_and_fro(case: Case, session: Any, values: Values) -> list[Callable[[], object]]:
    """Return two calls: one reads the states that the other writes."""
    swapped = dict(values)
    for number in range(case.layers):
        for part in STATES[case.cell]:
            before, after = f"{part}_0_l{number}", f"{part}_n_l{number}"
            swapped.update({before: values[after], after: values[before]})
    return [_bind(session, each) for each in (values, swapped)]


def _batch_first(y: Any) -> Array:
    """Return [T,directions,B,H] as [B,T,directions * H], copied."""
    moved = y.numpy().transpose(2, 0, 1, 3)
    return np.array(moved.reshape(*moved.shape[:2], -1))


def _last_states(case: Case, values: Values) -> dict[str, Array]:
    """Return h_n and, of the LSTM, c_n, all layers together as torch has them."""
    return {
        f"{part}_n": np.concatenate(
            [values[f"{part}_n_l{number}"].numpy() for number in range(case.layers)]
        )
        for part in STATES[case.cell]
    }
