"""Optimizers against torch's, dense and row-sparse."""

from __future__ import annotations

import numpy as np
import pytest

from fastlstm.nn import Parameter, RowGrad
from fastlstm.train import SGD, Adam, AdamW, Optimizer

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.usefixtures("torch_on_one_thread", "backend_isa")

STEPS = 50
DENSE = {
    "sgd": (SGD, torch.optim.SGD, {"lr": 0.1}),
    "sgd decay": (SGD, torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.02}),
    "momentum": (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    "nesterov": (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": (Adam, torch.optim.Adam, {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-6}),
    "adam decay": (Adam, torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.1}),
    "adamw": (AdamW, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
    "adamw defaults": (AdamW, torch.optim.AdamW, {}),
}


def parameters(rng: np.random.Generator) -> list[Parameter]:
    """Several shapes, one of them large enough for two threads."""
    shapes = [(3,), (7, 5), (60_011,)]
    return [Parameter(rng.standard_normal(shape)) for shape in shapes]


@pytest.mark.parametrize("case", DENSE)
def test_dense_steps_equal_torch(case: str) -> None:
    ours, theirs, options = DENSE[case]
    rng = np.random.default_rng(0)
    own = parameters(rng)
    other = [torch.nn.Parameter(torch.tensor(p.data)) for p in own]
    optimizer, oracle = ours(own, **options), theirs(other, **options)
    for _ in range(STEPS):
        for p, q in zip(own, other, strict=True):
            p.grad[...] = rng.standard_normal(p.data.shape)
            q.grad = torch.tensor(p.grad)
        optimizer.step()
        oracle.step()
    for p, q in zip(own, other, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("width", [1, 3, 16, 17, 12_345])
def test_row_sparse_adam_equals_torch_sparse_adam(width: int) -> None:
    rng = np.random.default_rng(1)
    own = Parameter(rng.standard_normal((9, width)))
    other = torch.nn.Parameter(torch.tensor(own.data))
    # SparseAdam adds eps before the bias correction, Adam after it: no eps, no difference
    options = {"lr": 0.01, "eps": 1e-30}
    optimizer, oracle = Adam([own], **options), torch.optim.SparseAdam([other], **options)
    for _ in range(STEPS):
        index = np.flatnonzero(rng.random(9) < 0.4)
        value = rng.standard_normal((index.size, width))
        own.rows = RowGrad(index, value)
        other.grad = torch.sparse_coo_tensor(
            torch.tensor(index)[None], torch.tensor(value), (9, width), check_invariants=True
        )
        optimizer.step()
        oracle.step()
    np.testing.assert_allclose(own.data, other.detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", DENSE)
def test_rows_touched_move_as_in_the_dense_optimizer_and_others_stay(case: str) -> None:
    ours, _, options = DENSE[case]
    rng = np.random.default_rng(2)
    dense = Parameter(rng.standard_normal((6, 4)))
    sparse = Parameter(dense.data.copy())
    start = dense.data.copy()
    index = np.array([0, 2, 5])
    steps = [ours([dense], **options), ours([sparse], **options)]
    for _ in range(5):  # the same rows each time, so that the moments agree
        value = rng.standard_normal((3, 4))
        dense.grad[index] = value
        sparse.rows = RowGrad(index, value)
        for optimizer in steps:
            optimizer.step()
    assert np.array_equal(sparse.data[index], dense.data[index])
    others = np.setdiff1d(np.arange(6), index)
    assert np.array_equal(sparse.data[others], start[others])
    assert not np.array_equal(sparse.data[index], start[index])


def test_untouched_rows_keep_their_moments() -> None:
    """The documented difference from dense Adam: dense moves on and forgets, lazy waits."""
    dense, lazy = Parameter(np.zeros((2, 1))), Parameter(np.zeros((2, 1)))
    of_dense, of_lazy = Adam([dense], lr=0.1), Adam([lazy], lr=0.1)
    for index in ([0, 1], [1], [1]):
        dense.grad[...] = 0
        dense.grad[index] = 1.0
        lazy.rows = RowGrad(np.array(index), np.ones((len(index), 1)))
        of_dense.step()
        of_lazy.step()
    assert lazy.data[0] == pytest.approx(-0.1)  # one step
    assert dense.data[0] < -0.15  # went on after its only gradient
    assert of_lazy.state_dict()["m.0"][0] == pytest.approx(0.1)
    assert of_dense.state_dict()["m.0"][0] == pytest.approx(0.081)
    assert lazy.data[1] == pytest.approx(dense.data[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(dtype: str) -> None:
    parameter = Parameter(np.ones((4, 4), dtype=dtype))
    optimizer = AdamW([parameter], weight_decay=0.1)
    parameter.grad[...] = 1
    optimizer.step()
    assert parameter.data.dtype == dtype
    assert optimizer.state_dict()["m.0"].dtype == dtype


def test_parameter_without_gradient_is_left_alone() -> None:
    parameter, other = Parameter(np.ones(3)), Parameter(np.ones(3))
    optimizer = AdamW([parameter, other], lr=0.1, weight_decay=0.5)
    other.grad[...] = 1
    optimizer.step()
    assert np.array_equal(parameter.data, np.ones(3))
    assert not np.array_equal(other.data, np.ones(3))


def test_learning_rate_can_be_changed_between_steps() -> None:
    parameter = Parameter(np.zeros(1))
    optimizer = SGD([parameter], lr=1.0)
    parameter.grad[...] = 1
    optimizer.step()
    optimizer.lr = 0.25
    optimizer.step()
    assert parameter.data[0] == -1.25


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_state_dict_continues_exactly(kind: type[Optimizer]) -> None:
    options = {"momentum": 0.9} if kind is SGD else {}
    gradients = np.random.default_rng(3).standard_normal((6, 5, 2))

    def run(parameter: Parameter, optimizer: Optimizer, steps: range) -> None:
        for step in steps:
            parameter.grad[...] = gradients[step]
            optimizer.step()

    whole = Parameter(np.ones((5, 2)))
    run(whole, kind([whole], **options), range(6))
    first = Parameter(np.ones((5, 2)))
    optimizer = kind([first], **options)
    run(first, optimizer, range(3))
    second = Parameter(first.data.copy())
    resumed = kind([second], **options)
    resumed.load_state_dict(optimizer.state_dict())
    run(second, resumed, range(3, 6))
    assert np.array_equal(second.data, whole.data)


def test_state_of_another_shape_or_kind_is_refused_whole() -> None:
    wide, narrow = Parameter(np.ones(4)), Parameter(np.ones(3))
    pair = [("w", wide), ("b", narrow)]
    optimizer = Adam(pair)
    state = optimizer.state_dict()
    state["v.b"] = np.ones(9)
    state["m.w"] = np.ones(4)
    with pytest.raises(ValueError, match=r"v\.b.*\(9,\).*expected \(3,\)"):
        optimizer.load_state_dict(state)
    assert not optimizer.state_dict()["m.w"].any()
    state["v.b"] = np.ones(3, np.float32)
    with pytest.raises(ValueError, match=r"v\.b.*float32, expected .*float64"):
        optimizer.load_state_dict(state)
    assert not optimizer.state_dict()["m.w"].any()
    with pytest.raises(ValueError, match=r"missing \['m.b'"):
        optimizer.load_state_dict(SGD(pair, momentum=0.9).state_dict())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: Adam(p, lr=-1), "lr is -1"),
        (lambda p: Adam(p, lr=float("nan")), "lr is nan"),
        (lambda p: Adam(p, lr=float("inf")), "lr is inf, expected at least 0 and finite"),
        (lambda p: Adam(p, betas=(0.9, 1.0)), "betas is 1.0"),
        (lambda p: Adam(p, eps=-1), "eps is -1"),
        (lambda p: AdamW(p, weight_decay=-0.1), "weight_decay is -0.1"),
        (lambda p: SGD(p, momentum=1.5), "momentum is 1.5"),
        (lambda p: SGD(p, nesterov=True), "nesterov is True but momentum is 0"),
    ],
)
def test_bad_values_are_named(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make([Parameter(np.ones(2))])  # type: ignore[operator]


def test_bad_parameters_are_named() -> None:
    parameter = Parameter(np.ones(2))
    with pytest.raises(ValueError, match="empty"):
        SGD([])
    with pytest.raises(ValueError, match="twice"):
        SGD([parameter, parameter])
    with pytest.raises(TypeError, match="1 is a ndarray"):
        SGD([parameter, np.ones(2)])  # type: ignore[list-item]
