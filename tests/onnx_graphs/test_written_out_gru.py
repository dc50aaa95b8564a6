"""GRU cells that a file has written out, and LSTM cells of joined matrices: found and run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx_build import in_runtime, int_tensor, model, node, value

from fastlstm import kernels
from fastlstm import onnx as fonnx

N, I, H = 3, 5, 4
SHAPES = {"x": (N, I), "h": (N, H), "c": (N, H)}
native = pytest.mark.skipif(kernels.default_backend() != "native", reason="needs the kernels")


def drawn(rng: Any, dtype: Any = np.float32, **shapes: Any) -> dict[str, Any]:
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


def both(ops: Any, *names: str) -> list[Any]:
    """The same operator on several values: ``both("Sigmoid", "a>r", "b>z")``."""
    return [node(ops, [n.split(">")[0]], [n.split(">")[1]]) for n in names]


# Each way to write a cell: nodes up to r, z and n, and the shapes of its constants.
def after_split(rng: Any) -> tuple[list[Any], dict[str, Any]]:
    """As torch's decomposition is exported."""
    nodes = [
        node("Gemm", ["x", "W", "b"], ["gi"], transB=1),
        node("Gemm", ["h", "R", "bh"], ["gh"], transB=1),
        node("Split", ["gi", "sizes"], ["ir", "iz", "in"], axis=1),
        node("Split", ["gh", "sizes"], ["hr", "hz", "hn"], axis=1),
        node("Add", ["ir", "hr"], ["ar"]),
        node("Add", ["hz", "iz"], ["az"]),
        *both("Sigmoid", "ar>r", "az>z"),
        node("Mul", ["hn", "r"], ["rh"]),
        node("Add", ["in", "rh"], ["an"]),
        node("Tanh", ["an"], ["n"]),
    ]
    shapes = {"W": (3 * H, I), "R": (3 * H, H), "b": 3 * H, "bh": 3 * H}
    return nodes, {**drawn(rng, **shapes), "sizes": int_tensor([H] * 3)}


def after_joined(rng: Any) -> tuple[list[Any], dict[str, Any]]:
    """One sum and one sigmoid for both gates, the biases added after."""
    nodes = [
        node("MatMul", ["x", "W"], ["gx"]),
        node("MatMul", ["h", "R"], ["gh"]),
        node("Add", ["gx", "b"], ["gi"]),
        node("Slice", ["gi", "0", "2H", "axis"], ["irz"]),
        node("Slice", ["gh", "0", "2H", "axis"], ["hrz"]),
        node("Slice", ["gi", "2H", "end", "axis"], ["in"]),
        node("Slice", ["gh", "2H", "end", "axis"], ["hn0"]),
        node("Add", ["hn0", "bh"], ["hn"]),
        node("Add", ["irz", "hrz"], ["rz"]),
        node("Sigmoid", ["rz"], ["srz"]),
        node("Split", ["srz"], ["z", "r"], axis=-1),
        node("Mul", ["r", "hn"], ["rh"]),
        node("Add", ["rh", "in"], ["an"]),
        node("Tanh", ["an"], ["n"]),
    ]
    places = {"0": [0], "2H": [2 * H], "end": [1 << 40], "axis": [1]}
    shapes = {"W": (I, 3 * H), "R": (H, 3 * H), "b": 3 * H, "bh": H}
    return nodes, {**drawn(rng, **shapes), **{k: int_tensor(v) for k, v in places.items()}}


def before_apart(rng: Any) -> tuple[list[Any], dict[str, Any]]:
    """Matrices of each gate, as Keras and textbooks have them; some biases, one a number."""
    nodes, constants = [], {"bz": np.full(1, 0.7, np.float32), "bn": np.float32([0.1] * H)}
    for gate, state in (("r", "h"), ("z", "h"), ("n", "rh")):
        if gate == "n":
            nodes.append(node("Mul", ["r", "h"], ["rh"]))
        nodes += [
            node("MatMul", ["x", f"W{gate}"], [f"x{gate}"]),
            node("MatMul", [state, f"R{gate}"], [f"h{gate}"]),
            node("Add", [f"x{gate}", f"h{gate}"], [f"a{gate}"]),
        ]
        constants |= drawn(rng, **{f"W{gate}": (I, H), f"R{gate}": (H, H)})
        name = f"a{gate}"
        if gate != "r":
            nodes.append(node("Add", [name, f"b{gate}"], [f"s{gate}"]))
            name = f"s{gate}"
        nodes.append(node("Tanh" if gate == "n" else "Sigmoid", [name], [gate]))
    return nodes, constants


def before_concat(rng: Any) -> tuple[list[Any], dict[str, Any]]:
    """As TensorFlow 1 had it: x and h side by side; the activations go into the products."""
    nodes = [
        node("Concat", ["x", "h"], ["xh"], axis=1),
        node("MatMul", ["xh", "G"], ["g0"]),
        node("Add", ["g0", "bg"], ["g"]),
        node("Sigmoid", ["g"], ["s"]),
        node("Split", ["s"], ["r", "z"], axis=1),
        node("Mul", ["r", "h"], ["rh"]),
        node("Concat", ["x", "rh"], ["xrh"], axis=-1),
        node("MatMul", ["xrh", "C"], ["n0"]),
        node("Add", ["n0", "bn"], ["n1"]),
        node("Tanh", ["n1"], ["n"]),
    ]
    return nodes, drawn(rng, G=(I + H, 2 * H), bg=2 * H, C=(I + H, H), bn=H)


CELLS = {f.__name__: f for f in (after_split, after_joined, before_apart, before_concat)}


def two(op: str, one: str, other: str, to: str) -> Any:
    return node(op, [one, other], [to])


ENDS = {  # ways to write n + z * (h - n), and of the same with 1 - z
    "torch": [two("Sub", "h", "n", "d"), two("Mul", "d", "z", "e"), two("Add", "e", "n", "y")],
    "usual": [two("Sub", "one", "z", "w"), two("Mul", "w", "n", "p"), two("Mul", "z", "h", "q"),
              two("Add", "p", "q", "y")],
    "less": [two("Sub", "n", "h", "d"), two("Mul", "z", "d", "e"), two("Sub", "n", "e", "y")],
    "thrice": [two("Mul", "n", "z", "p"), two("Sub", "n", "p", "m"), two("Mul", "h", "z", "q"),
               two("Add", "q", "m", "y")],
    "other way": [two("Sub", "one", "z", "w"), two("Mul", "w", "h", "p"),
                  two("Mul", "z", "n", "q"), two("Add", "q", "p", "y")],
    "from h": [two("Sub", "n", "h", "d"), two("Mul", "d", "z", "e"), two("Add", "h", "e", "y")],
}  # fmt: skip
NO_ENDS = {
    "not less": [two("Sub", "n", "h", "d"), two("Mul", "z", "d", "e"), two("Add", "n", "e", "y")],
    "no candidate": [two("Mul", "z", "n", "p"), two("Mul", "z", "h", "q"),
                     two("Add", "p", "q", "y")],
    "twice": [two("Sub", "h", "n", "d"), two("Mul", "d", "z", "e"), two("Mul", "e", "z", "f"),
              two("Add", "f", "n", "y")],
    "of r": [two("Sub", "h", "n", "d"), two("Mul", "d", "r", "e"), two("Mul", "e", "z", "f"),
             two("Add", "f", "n", "y")],
    "of x": [two("Sub", "c", "n", "d"), two("Mul", "d", "z", "e"), two("Add", "e", "n", "y")],
}  # fmt: skip


def check(
    nodes: Any, constants: Any, rng: Any, outputs: Any = ("y",), sizes: Any = SHAPES
) -> list[str]:
    """Compare with ONNX Runtime; return the steps."""
    read = {name for made in nodes for name in made.input}
    shapes = {n: s for n, s in sizes.items() if n in read}
    data = model(
        nodes,
        [value(n, shape=s) for n, s in shapes.items()],
        [value(n) for n in outputs],
        {**constants, "one": np.ones((), np.float32)},
    )
    loaded = fonnx.load(data)
    for _ in range(2):
        feeds = drawn(rng, **shapes)
        for got, want in zip(loaded.run(feeds).values(), in_runtime(data, feeds), strict=True):
            np.testing.assert_allclose(got, want, atol=2e-6)
    return [step.op for step in loaded._runner.plans[0].steps]


@native
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_gru_cell_is_one_step(cell: str, end: str) -> None:
    rng = np.random.default_rng(0)
    nodes, constants = CELLS[cell](rng)
    assert check([*nodes, *ENDS[end]], constants, rng) == ["GRU"]


@native
@pytest.mark.parametrize("end", NO_ENDS)
def test_what_ends_otherwise_is_no_gru(end: str) -> None:
    rng = np.random.default_rng(1)
    nodes, constants = after_split(rng)
    assert "GRU" not in check([*nodes, *NO_ENDS[end]], constants, rng)


@native
def test_what_begins_otherwise_is_no_gru() -> None:
    """Other states in the gates, another activation, a state that the reset does not meet."""
    rng = np.random.default_rng(2)
    for cell in CELLS.values():
        for old, new in ((("Sigmoid", "r"), "Tanh"), (("Tanh", "n"), "Sigmoid")):
            nodes, constants = cell(rng)
            for made in nodes:
                if made.op_type == old[0] and (old[1] in made.output or made.output[0][0] == "s"):
                    made.op_type = new
            assert "GRU" not in check([*nodes, *ENDS["usual"]], constants, rng)
    for place, name in ((1, "c"), (8, "r")):  # a gate of c; r met by the gate itself
        nodes, constants = after_split(rng)
        nodes[place].input[0] = name
        assert "GRU" not in check([*nodes, *ENDS["usual"]], constants, rng)
    nodes, constants = before_apart(rng)
    (reset,) = (made for made in nodes if made.op_type == "Mul")
    reset.input[1] = "c"
    assert "GRU" not in check([*nodes, *ENDS["usual"]], constants, rng)


@native
def test_what_stands_across_is_no_gru() -> None:
    """Of as many rows as columns a row and a column are alike in size, not in what they do."""
    rng, square = np.random.default_rng(6), {"x": (H, I), "h": (H, H)}
    nodes, constants = before_apart(rng)
    constants["bz"] = drawn(rng, b=(H, 1))["b"]
    assert "GRU" not in check([*nodes, *ENDS["usual"]], constants, rng, sizes=square)
    nodes, constants = before_apart(rng)
    for k in range(len(ENDS["torch"])):
        end = [helper.make_node(m.op_type, list(m.input), list(m.output)) for m in ENDS["torch"]]
        turned = node("Transpose", [end[k].input[0]], ["turned"])
        end[k].input[0] = "turned"
        found = check([*nodes, *end[:k], turned, *end[k:]], constants, rng, sizes=square)
        assert "GRU" not in found


@native
def test_plans_share_the_weights_of_a_gru() -> None:
    """Rows of another number need another plan: the weights are made once."""
    rng = np.random.default_rng(7)
    nodes, constants = after_joined(rng)
    inputs = [value("x", shape=("N", I)), value("h", shape=("N", H))]
    constants["one"] = np.ones((), np.float32)
    data = model([*nodes, *ENDS["usual"]], inputs, [value("y")], constants)
    loaded = fonnx.load(data)
    for rows in (2, 3, 5):
        feeds = drawn(rng, x=(rows, I), h=(rows, H))
        (want,) = in_runtime(data, feeds)
        np.testing.assert_allclose(loaded.run(feeds)["y"], want, atol=2e-6)
    made = [key for key in loaded._runner.shared if isinstance(key, tuple) and key[0] == "cell"]
    assert len(made) == 1


@native
def test_what_others_read_of_a_gru_stays() -> None:
    rng = np.random.default_rng(3)
    nodes, constants = after_split(rng)
    found = check([*nodes, *ENDS["torch"], node("Neg", ["z"], ["m"])], constants, rng, ("y", "m"))
    assert "GRU" in found
    assert "Sigmoid" in found


@native
def test_cells_one_after_another_share_weights() -> None:
    """A GRU over three steps, unrolled; an LSTM of x and h side by side on top of it."""
    rng = np.random.default_rng(4)
    nodes, (held, constants) = [], before_concat(rng)
    constants |= {**drawn(rng, L=(2 * H, 4 * H), bl=4 * H), "forget": np.float32(1)}
    for t in range(3):
        names = {n: n for n in (*constants, "one", "x")} | {"h": f"y{t - 1}" if t else "h"}
        for made in [*held, *ENDS["usual"]]:
            one = helper.make_node(
                made.op_type,
                [
                    names.get(n, n if n in constants or n == "one" else f"{n}{t}")
                    for n in made.input
                ],
                [f"{n}{t}" for n in made.output],
            )
            one.attribute.extend(made.attribute)
            nodes.append(one)
    nodes += [
        node("Concat", ["y2", "c"], ["yc"], axis=1),
        node("Gemm", ["yc", "L", "bl"], ["g"]),
        node("Split", ["g"], ["gi", "gj", "gf", "go"], axis=1, num_outputs=4),
        node("Add", ["gf", "forget"], ["gf1"]),
        *both("Sigmoid", "gi>si", "gf1>sf", "go>so"),
        node("Tanh", ["gj"], ["j"]),
        node("Mul", ["h", "sf"], ["kept"]),
        node("Mul", ["si", "j"], ["new"]),
        node("Add", ["kept", "new"], ["c1"]),
        node("Tanh", ["c1"], ["tc"]),
        node("Mul", ["tc", "so"], ["out"]),
    ]
    for made in nodes:
        del made.attribute[1:]
    assert check(nodes, constants, rng, ("out", "c1")) == ["GRU"] * 3 + ["LSTM"]


@native
def test_a_loop_of_gru_cells_in_double_precision() -> None:
    """The body of a Scan has a plan of its own."""
    rng = np.random.default_rng(5)
    nodes, constants = before_apart(rng)
    constants = {n: a.astype(np.float64) for n, a in constants.items()}
    body = helper.make_graph(
        [*nodes, *ENDS["torch"], node("Identity", ["y"], ["out"])],
        "body",
        [value("h", np.float64, (N, H)), value("x", np.float64, (N, I))],
        [value(n, np.float64, (N, H)) for n in ("y", "out")],
    )
    scan = node("Scan", ["first", "xs"], ["hn", "ys"], body=body, num_scan_inputs=1)
    shapes = {"first": (N, H), "xs": (6, N, I)}
    inputs = [value(n, np.float64, s) for n, s in shapes.items()]
    data = model([scan], inputs, [value(n, np.float64) for n in ("hn", "ys")], constants)
    feeds = drawn(rng, np.float64, **shapes)
    loaded = fonnx.load(data)
    for got, want in zip(loaded.run(feeds).values(), in_runtime(data, feeds), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)
