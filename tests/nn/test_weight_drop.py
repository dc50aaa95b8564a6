"""Weight drop and variational dropout of recurrent layers: one mask for a training pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kinds import H, N, T, batch, layer, lengths, parts, run

import fastlstm as fl
from fastlstm.nn.dropout import dropout_mask

P = 0.4
DEEP: dict[str, Any] = {"num_layers": 2, "bidirectional": True}


def weight_dropped(kind: str, *sizes: int, **options: Any) -> Any:
    return layer(kind, *sizes, weight_drop=P, **options)


def dropped_by_hand(module: Any, seed: int) -> dict[str, Any]:
    """Drop the weights of `module` itself; return the masks by the parameters' names."""
    rng, masks = np.random.default_rng(seed), {}
    for name, parameter in module.named_parameters():
        if name.startswith("weight_hh"):
            masks[name] = dropout_mask(parameter.data.shape, P, module.dtype, rng)
            parameter.data[...] *= masks[name]
    return masks


def test_it_is_the_layer_with_fewer_weights(kind: str, backend_isa: str) -> None:
    """Outputs to the bit; the gradients of the weights that are left, and none of the others."""
    module, plain = weight_dropped(kind, **DEEP), layer(kind, **DEEP)
    before = module.state_dict()
    masks = dropped_by_hand(plain, 3)
    found = run(module, batch(), lengths=lengths(), rng=3)
    expected = run(plain, batch(), lengths=lengths(), rng=3)
    for name, value in expected.items():
        mask = masks.get(name[1:])
        value = value if mask is None else value * mask
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert len(masks) == 4
    for name, parameter in module.named_parameters():
        np.testing.assert_array_equal(parameter.data, before[name])


def test_weight_drop_of_a_call_is_none(kind: str) -> None:
    np.testing.assert_array_equal(weight_dropped(kind)(batch())[0], layer(kind)(batch())[0])
    y, _, _ = weight_dropped(kind).forward(batch(), rng=0)
    assert not np.array_equal(y, layer(kind)(batch())[0])


def test_each_pass_draws_other_weights() -> None:
    module, rng = weight_dropped("lstm"), np.random.default_rng(0)
    first, second = (module.forward(batch(), rng=rng)[0] for _ in range(2))
    assert not np.array_equal(first, second)


def test_weight_drop_along_differences(kind: str, backend_isa: str) -> None:
    module, x = weight_dropped(kind), batch()
    weights = np.random.default_rng(9).standard_normal(module(x)[0].shape)
    _, _, tape = module.forward(x, rng=7)
    module.backward(tape, weights)
    parameter = module.weight_hh_l0
    direction, start = np.random.default_rng(1).standard_normal(parameter.data.shape), 1e-6
    found = []
    for step in (start, -start):
        parameter.data += step * direction
        found.append(np.sum(module.forward(x, rng=7)[0] * weights))
        parameter.data -= step * direction
    slope = (found[0] - found[1]) / (2 * start)
    assert np.sum(parameter.grad * direction) == pytest.approx(slope, rel=2e-6, abs=1e-6)


def test_gradients_of_dropped_weights_add_up() -> None:
    module = weight_dropped("gru")
    sums = []
    for times in (1, 2):
        module.zero_grad()
        for _ in range(times):
            y, _, tape = module.forward(batch(), rng=2)
            module.backward(tape, y)
        sums.append(module.weight_hh_l0.grad.copy())
    np.testing.assert_allclose(sums[1], 2 * sums[0], rtol=1e-12)


@pytest.mark.parametrize("option", ["weight_drop", "variational"])
def test_threads_do_not_change_what_is_dropped(option: str, threads: None) -> None:
    options = {"weight_drop": P} if option == "weight_drop" else {"variational": True, "dropout": P}
    module = layer("lstm", 5, 96, 2, **options)
    x, found = np.random.default_rng(0).standard_normal((40, 48, 5)), []
    for count in (1, 2, 3):
        fl.set_num_threads(count)
        found.append(run(module, x, rng=1))
    for other in found[1:]:
        for name, value in found[0].items():
            np.testing.assert_array_equal(other[name], value, err_msg=name)


@pytest.mark.parametrize(
    "options", [{"weight_drop": P}, {"num_layers": 2, "dropout": P, "variational": True}], ids=str
)
def test_windows_share_what_their_sequence_drops(kind: str, options: dict[str, Any]) -> None:
    module, x = layer(kind, **options), batch()
    whole, state_n, _ = module.forward(x, rng=4)
    windows = list(module.tbptt(x, steps=4, rng=4))
    np.testing.assert_array_equal(np.concatenate([w.y for w in windows]), whole)
    for a, b in zip(parts(windows[-1].state), parts(state_n), strict=True):
        np.testing.assert_array_equal(a, b)


def test_recompute_with_dropped_weights_changes_no_bit(kind: str, backend_isa: str) -> None:
    first, again = (
        run(weight_dropped(kind, **DEEP, recompute=steps), batch(), rng=2) for steps in (0, 2)
    )
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_weight_drop_in_bfloat16_and_not_in_int8() -> None:
    module = weight_dropped("lstm", dtype="float32", precision="bfloat16")
    x = batch().astype("float32")
    found = run(module, x, rng=0)
    module.precision = "float32"
    for name, value in run(module, x, rng=0).items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=0.05 * np.abs(value).max())
    module.precision = "int8"
    with pytest.raises(ValueError, match="int8"):
        module.forward(x)


def test_variational_dropout_between_layers_is_the_same_at_all_steps(kind: str) -> None:
    """With a first layer whose output is known, what comes through shows the mask."""
    module = layer(kind, num_layers=2, dropout=P, variational=True)
    _, _, tape = module.forward(batch(), rng=3)
    (mask,) = (m for m in module._look(tape)[0].masks if m is not None)
    assert mask.shape == (N, module._width)
    np.testing.assert_array_equal(
        mask, dropout_mask(mask.shape, P, module.dtype, np.random.default_rng(3))
    )


def test_variational_dropout_by_hand(kind: str, backend_isa: str) -> None:
    """Two single layers with the mask between them, in outputs and gradients."""
    module = layer(kind, num_layers=2, dropout=P, variational=True)
    found = run(module, batch(), rng=3)
    below, above = layer(kind), layer(kind, module._width, H)
    for number, single in enumerate((below, above)):
        single.load_state_dict(
            {
                name.replace(f"_l{number}", "_l0"): value
                for name, value in module.state_dict().items()
                if name.endswith(f"_l{number}")
            }
        )
    mask = dropout_mask((N, module._width), P, module.dtype, np.random.default_rng(3))
    y_0, _, tape_0 = below.forward(batch())
    y, _, tape_1 = above.forward(y_0 * mask)
    np.testing.assert_array_equal(found["y"], y)
    module.zero_grad()
    y_both, _, tape = module.forward(batch(), rng=3)
    dx, _ = module.backward(tape, y_both)
    expected, _ = below.backward(tape_0, above.backward(tape_1, y)[0] * mask)
    np.testing.assert_array_equal(dx, expected)
    assert y.shape[0] == T


def test_plain_dropout_draws_as_before() -> None:
    """The options that are new take no numbers from the generator where they are not used."""
    module = layer("lstm", num_layers=2, dropout=P)
    rng = np.random.default_rng(3)
    module.forward(batch(), rng=rng)
    other = np.random.default_rng(3)
    dropout_mask((T, N, H), P, module.dtype, other)
    assert rng.random() == other.random()


def test_repr_and_errors_of_weight_drop() -> None:
    module = layer("gru", num_layers=2, weight_drop=P, dropout=0.1, variational=True)
    assert "weight_drop=0.4, variational=True" in repr(module)
    with pytest.raises(ValueError, match=r"weight_drop is 1\.5, expected 0 to 1"):
        fl.LSTM(2, 3, weight_drop=1.5)
    with pytest.raises(TypeError, match="weight_drop is 'x', expected a number"):
        module.weight_drop = "x"
    with pytest.raises(TypeError, match="variational is a ndarray, expected True or False"):
        module.variational = np.zeros(2)
