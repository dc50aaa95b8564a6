"""A recurrent layer's weights gate by gate: views by name, and layers built from such names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from fastlstm.counts import count_of
from fastlstm.nn.check import check_flag, check_size
from fastlstm.nn.module import Array
from fastlstm.nn.parameter import Parameter, fitting
from fastlstm.nn.recurrent.stack import Stack

BY_GATE = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
# Options that `from_gates` takes from the gates.
GIVEN = ("input_size", "hidden_size", "num_layers", "bias", "proj_size", "init", "forget_bias")
Layer = TypeVar("Layer", bound="Gated")


class Gates(Mapping[str, Array]):
    """The weights of one layer in one direction, by name and gate.

    Each entry is a view: ``gates["bias_ih_f"][...] = 1`` changes the layer. The dictionary
    itself cannot be assigned to, as that would change nothing.

    Letters: I input size of the layer, H hidden_size, R the size of an output.

    For each gate of the cell (LSTM: i, f, g, o; GRU: r, z, n; RNN: h), here f:

    ========================  =====  ==========================================================
    weight_ih_f               [H,I]
    weight_hh_f               [H,R]
    bias_ih_f, bias_hh_f      [H]    of a layer with biases
    bias_f                    [H]    their sum: a read-only copy, not found by a loop over this
    ========================  =====  ==========================================================

    With a projection weight_hr [R,H], and the parameters [H] of the cell's own. A GRU has no
    ``bias_n`` but with ``reset_after=False``: its reset gate multiplies bias_hh_n alone.
    """

    def __init__(self, stack: Stack, k: int, grad: bool) -> None:
        self._stack, self._suffix, self._grad = stack, stack._suffixes[k], grad

    def __getitem__(self, name: str) -> Array:
        part, _, gate = name.rpartition("_")
        gates = self._stack._cell.gates
        if gate in gates and part in BY_GATE:
            H, g = self._stack.hidden_size, gates.index(gate)
            return self._array(part)[g * H : (g + 1) * H]
        if name in self._whole():
            return self._array(name)
        if part == "bias" and gate in summed_gates(self._stack):
            total: Array = self[f"bias_ih_{gate}"] + self[f"bias_hh_{gate}"]
            total.flags.writeable = False
            return total
        raise KeyError(f"{name!r}, expected one of {', '.join(self)}")

    def __iter__(self) -> Iterator[str]:
        for part in BY_GATE if self._stack.bias else BY_GATE[:2]:
            yield from (f"{part}_{gate}" for gate in self._stack._cell.gates)
        yield from self._whole()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return "Gates(" + ", ".join(f"{name} {value.shape}" for name, value in self.items()) + ")"

    def _array(self, name: str) -> Array:
        parameter = getattr(self._stack, name + self._suffix)
        if parameter is None:
            raise KeyError(f"{name!r}: the layer has no biases")
        array: Array = parameter.grad if self._grad else parameter.data
        return array

    def _whole(self) -> list[str]:
        """Return the names of what is not divided into gates."""
        names = [
            name[: -len(self._suffix)]
            for name, value in vars(self._stack).items()
            if name.endswith(self._suffix) and isinstance(value, Parameter)
        ]
        return [name for name in names if name not in BY_GATE]


class Gated(Stack):
    """What recurrent layers offer for looking at their weights by gate."""

    def gates(self, layer: int = 0, direction: int = 0, *, grad: bool = False) -> Gates:
        """Return the weights of one layer in one direction by name and gate, as views.

        ``lstm.gates()["weight_hh_f"]`` is what the forget gate makes of h. All steps share it:
        writing to it changes every step.

        Parameters
        ----------
        layer : 0 to num_layers - 1, the first one reads the input.
        direction : 0, or of a bidirectional layer 1.
        grad : of the gradients in place of the weights.

        Raises
        ------
        TypeError, IndexError
            If there is no such layer or direction.
        """
        limits = {"layer": self.num_layers, "direction": self._directions}
        for (name, limit), value in zip(limits.items(), (layer, direction), strict=True):
            if check_size(name, value, -(1 << 62)) not in range(limit):
                raise IndexError(f"{name} is {value}, expected 0 to {limit - 1}")
        return Gates(self, layer * self._directions + direction, check_flag("grad", grad))

    @classmethod
    def from_gates(
        cls: type[Layer],
        gates: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        bidirectional: bool = False,
        **options: Any,
    ) -> Layer:
        """Return a layer with the given weights; its sizes are theirs.

        Parameters
        ----------
        gates : arrays (or torch tensors) under all names that `gates` lists; they are copied.
            Of the two biases of a gate either both, or their sum as ``bias_f``: bias_ih_f then,
            with zeros in bias_hh_f. Without any bias the layer has none. Several layers and
            directions are a list of such dictionaries: first layer, its second direction,
            second layer, and so on.
        bidirectional : whether the layer has two directions.
        options : others of the class: batch_first, dropout, dtype, recompute, ... Without dtype
            it is float64 if any array is, else float32.

        Raises
        ------
        KeyError
            If a name is missing or unknown.
        TypeError, ValueError
            If an array's shape or values do not fit, or an option is one that the gates set.
        """
        for name in GIVEN:
            if name in options:
                raise TypeError(f"{name} is given, expected only gates: they say it")
        parts = [gates] if isinstance(gates, Mapping) else list(gates)
        bidirectional = check_flag("bidirectional", bidirectional)
        D = 2 if bidirectional else 1
        if not parts or len(parts) % D:
            per = " for each direction of each layer" if bidirectional else " for each layer"
            raise ValueError(
                f"gates has {count_of(len(parts), 'dictionary', 'dictionaries')}, expected one{per}"
            )
        options.update(num_layers=len(parts) // D, bidirectional=bidirectional)
        options.setdefault("dtype", _dtype_of(parts))
        layer: Layer = _empty_like(cls, parts, options)
        for k, part in enumerate(parts):
            where = "gates" if isinstance(gates, Mapping) else f"gates[{k}]"
            _fill(layer.gates(*divmod(k, D)), _both_biases(layer, part, where), where)
        return layer


def summed_gates(stack: Stack) -> tuple[str, ...]:
    """Return the gates that see their two biases as one."""
    cell = stack._cell
    return tuple(gate for gate in cell.gates if gate not in cell.split)


def _empty_like(make: Any, parts: list[Mapping[str, Any]], options: dict[str, Any]) -> Any:
    """Return a layer of the class `make`, of the sizes that the first dictionary tells."""
    gate, first = make(1, 1, **options)._cell.gates[0], parts[0]
    shapes = []
    for name in (f"weight_ih_{gate}", f"weight_hh_{gate}"):
        if name not in first:
            raise KeyError(f"{name!r} is missing, which tells the sizes of the layer")
        shapes.append(np.shape(first[name]))
        if len(shapes[-1]) != 2:
            raise ValueError(f"{name} has shape {shapes[-1]}, expected two axes")
    (H, I), (_, R) = shapes
    if "weight_hr" in first:
        options = {**options, "proj_size": R}
    bias = any(name.startswith("bias_") for part in parts for name in part)
    return make(I, H, bias=bias, **options)


def _dtype_of(parts: list[Mapping[str, Any]]) -> str:
    values = [value for part in parts for value in part.values()]
    double = any(str(getattr(value, "dtype", "")).endswith("float64") for value in values)
    return "float64" if double else "float32"


def _both_biases(stack: Stack, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the entries with each ``bias_f`` as ``bias_ih_f`` and zeros in ``bias_hh_f``."""
    found = dict(given)
    for gate in summed_gates(stack):
        if f"bias_{gate}" not in found:
            continue
        for name in (f"bias_ih_{gate}", f"bias_hh_{gate}"):
            if name in found:
                raise ValueError(f"{where} has bias_{gate} and {name}, expected the sum or both")
        found[f"bias_ih_{gate}"] = found.pop(f"bias_{gate}")
        found[f"bias_hh_{gate}"] = np.zeros(stack.hidden_size, stack.dtype)
    return found


def _fill(gates: Gates, given: Mapping[str, Any], where: str) -> None:
    missing, unknown = gates.keys() - given.keys(), given.keys() - gates.keys()
    if missing or unknown:
        raise KeyError(f"{where}: missing {sorted(missing)}, unknown {sorted(unknown)}")
    for name, view in gates.items():
        view[...] = fitting(f"{where}[{name!r}]", given[name], view)
