"""Put modules with weights of few bits in the place of a model's float ones."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from fastlstm.kernels.arguments import MOST_SUMMED
from fastlstm.nn.check import check_flag
from fastlstm.torch import quantized
from fastlstm.torch.accelerate import ITSELF, OURS, Skipped
from fastlstm.torch.check import check_module
from fastlstm.torch.stored import DTYPES, Stored

# by name: of torch's LSTM, GRU, RNN, their cells and Linear
MAPPING: dict[Any, Any] = {
    getattr(nn, name): getattr(quantized, name) for name in quantized.__all__
}
USUAL = (nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.RNNCell, nn.GRUCell)  # torch's, without RNN
KINDS = (nn.RNNBase, nn.RNNCellBase, nn.Linear)
READERS = (nn.TransformerEncoderLayer,)  # give the weights of their parts to one operation
THEIRS = {ours: theirs for theirs, ours in OURS.items()}
HOOKS = (
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called",
    "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs",
)  # fmt: skip


class QuantizeReport(NamedTuple):
    """What `quantize_dynamic` did.

    Attributes
    ----------
    converted : name -> what stands there now.
    left : each recurrent or linear module that is as it was, and why.
    unused : the entries of `qconfig_spec` that no module goes by.
    """

    converted: dict[str, str]
    left: list[Skipped]
    unused: list[str]

    def __repr__(self) -> str:
        lines = [f"quantize_dynamic: {len(self.converted)} converted, {len(self.left)} left"]
        lines += [f"  converted  {n or ITSELF}  {kind}" for n, kind in self.converted.items()]
        lines += [f"  left       {s.name or ITSELF}  {s.module}: {s.why}" for s in self.left]
        lines += [f"  unused     {key}: no module goes by it" for key in self.unused]
        return "\n".join(lines)


def quantize_dynamic(
    model: nn.Module,
    qconfig_spec: Any = None,
    dtype: torch.dtype = torch.qint8,
    mapping: Mapping[Any, Any] | None = None,
    inplace: bool = False,
) -> nn.Module:
    """Return a model whose recurrent and linear modules keep their weights in few bits.

    To be called as torch.ao.quantization.quantize_dynamic, and for inference only. Beside what
    that converts: LSTMs with a projection, modules without biases, torch.nn.RNN where
    `qconfig_spec` names it, those of fastlstm.torch, and the model itself if it is such a module
    (take what is returned). Its attribute `quantize_report`, a `QuantizeReport`, says what was
    converted, and what not and why.

    With qint8 every row of a weight has a scale of its own, and every row that meets it, whatever
    the observers of a qconfig say: a result depends on no other row of its batch. Recurrent
    modules give to the bit what ``accelerate(model, "int8")`` gives. With float16 weights are
    rounded to float16 and products are made in float32: half the memory, no gain in speed.

    Parameters
    ----------
    model : a float model; modules that cannot be converted stay as they are.
    qconfig_spec : a set of types and names of submodules, or a dict from them to QConfigs of
        torch.ao, of which the dtype of weights counts; None in it for none. An entry goes for all
        inside of a module, until one of theirs. None for Linear, LSTM, GRU and the three cells.
    dtype : torch.qint8 or torch.float16, where `qconfig_spec` is no dict.
    mapping : from a type to a class whose ``from_float(module)`` makes the new module; None for
        those of `fastlstm.torch.quantized`.
    inplace : change `model` itself and not a copy.

    Returns
    -------
    model : in eval mode.

    Raises
    ------
    TypeError
        If the model is not a torch.nn.Module, or `qconfig_spec` not what it should be.
    ValueError
        If there is no such conversion without `qconfig_spec`, or a weight is not finite in 8
        bits, with its name. Nothing is changed then.
    RuntimeError
        If there is no conversion to the dtype that `qconfig_spec` and `dtype` ask for.
    """
    check_module(model)
    spec = _Spec(qconfig_spec, dtype)
    if not check_flag("inplace", inplace):
        model = copy.deepcopy(model)
    made, report = _convert(model, spec, MAPPING if mapping is None else mapping)
    for module in model.modules():
        vars(module).pop("qconfig", None)
        for key, child in module._modules.items():
            if id(child) in made:
                module._modules[key] = made[id(child)]
    model = made.get(id(model), model)
    model.eval()
    vars(model)["quantize_report"] = report
    return model


class _Spec:
    """What `qconfig_spec` and `dtype` ask for, by type and by name."""

    def __init__(self, given: Any, dtype: torch.dtype) -> None:
        self.usual = given is None
        if given is None:
            if not _known(dtype):
                raise ValueError(
                    f"Don't know how to quantize with default settings for {dtype}, expected "
                    "torch.qint8 or torch.float16"
                )
            given = USUAL
        elif not isinstance(given, (set, frozenset, dict)):
            raise TypeError(
                f"qconfig_spec is a {type(given).__name__}, expected a set of types and names, or "
                "a dict from them to QConfigs"
            )
        if not isinstance(given, dict):
            if not _known(dtype):
                raise RuntimeError(
                    f"Unknown dtype specified for quantize_dynamic: {dtype}, expected torch.qint8 "
                    "or torch.float16"
                )
            given = dict.fromkeys(given, dtype)
        self.entries = {THEIRS.get(key, key): _checked(key, value) for key, value in given.items()}
        self.used: set[Any] = set()

    def find(self, module: nn.Module, name: str, inherited: Any) -> Any:
        """Return what is asked for a module: a dtype, a QConfig, or None."""
        for key in (_type(module), name):
            if key in self.entries:
                self.used.add(key)
                inherited = self.entries[key]
        return getattr(module, "qconfig", inherited)

    def unused(self) -> list[str]:
        """Return the entries that no module goes by."""
        keys = [] if self.usual else [key for key in self.entries if key not in self.used]
        return [key.__name__ if isinstance(key, type) else str(key) for key in keys]


def _known(dtype: object) -> bool:
    """Whether there are weights of that dtype; asked of anything, of arrays too."""
    return isinstance(dtype, torch.dtype) and dtype in DTYPES


def _checked(key: Any, value: Any) -> Any:
    if value is None or _known(value) or hasattr(value, "weight"):
        return value
    raise TypeError(
        f"qconfig_spec[{key!r}] is a {type(value).__name__}, expected a QConfig or None"
    )


def _convert(
    model: nn.Module, spec: _Spec, mapping: Mapping[Any, Any]
) -> tuple[dict[int, nn.Module], QuantizeReport]:
    """Return the new modules by the ids of those whose place they take."""
    made: dict[int, nn.Module] = {}
    read = {id(part) for m in model.modules() if isinstance(m, READERS) for part in m.children()}
    walked, reasons = list(_walk(model, "", None, spec)), {}
    for name, module, wanted in walked:
        if id(module) not in made:
            why = _why_not(module, wanted, mapping)
            if why is None and id(module) in read:
                why = "the module it stands in reads its weight itself"
            if why is None:
                made[id(module)] = _converted(name, module, wanted, mapping)
            else:
                reasons[name] = why
    # Only now it is known what becomes of a module that another of its names asks for.
    report = QuantizeReport({}, [], spec.unused())
    for name, module, _ in walked:
        if new := made.get(id(module)):
            report.converted[name] = f"{new._get_name()}({new.extra_repr()})"
        elif reasons[name]:
            report.left.append(Skipped(name, type(module).__name__, reasons[name]))
    return made, report


def _walk(
    module: nn.Module, name: str, inherited: Any, spec: _Spec
) -> Iterator[tuple[str, nn.Module, Any]]:
    """Yield every module inside by each of its names, and what is asked for it."""
    wanted = spec.find(module, name, inherited)
    yield name, module, wanted
    for key, child in module._modules.items():
        if child is not None:
            yield from _walk(child, f"{name}.{key}" if name else key, wanted, spec)


def _why_not(module: nn.Module, wanted: Any, mapping: Mapping[Any, Any]) -> str | None:
    """Return why a module is left, "" if it is of no kind that could be converted."""
    if isinstance(module, torch.jit.ScriptModule):
        known = getattr(module, "original_name", "") in quantized.__all__
        return "it is compiled by torch.jit: quantize the model before" if known else ""
    cls = _type(module)
    made = mapping.get(cls)
    if made is None and not isinstance(module, KINDS):
        return ""
    if wanted is None:
        return "no entry of qconfig_spec asks for it"
    if made is None:
        base = next((b.__name__ for b in MAPPING if issubclass(cls, b)), None)
        if cls in MAPPING or base is None:
            return "the mapping has no class for it"
        return f"its class is derived from {base}, and may compute something else"
    if not issubclass(made, Stored):
        return None
    if "forward" in vars(module):
        return "it has a forward of its own, which would be lost"
    if module._forward_pre_hooks and _has_plain_weight(module):
        return "a hook makes its weight before each call: take that hook off first"
    for parameter in module.parameters():
        if parameter.device.type != "cpu":
            return f"its parameters are on device {parameter.device}, not on the CPU"
        if parameter.dtype is not torch.float32:
            return f"its parameters are {parameter.dtype}, not float32"
        if not parameter.numel():
            return "it has no weights to round"
        if parameter.dim() == 2 and parameter.shape[1] > MOST_SUMMED:
            return f"its rows of {parameter.shape[1]:,} are too long for sums of 32 bits"
    return None


def _has_plain_weight(module: nn.Module) -> bool:
    """Whether a weight is no parameter: weight_norm, spectral_norm and pruning make it of others.

    Their hook would not find those in the new module.
    """
    values = vars(module).items()
    return any(n.startswith(("weight", "bias")) and isinstance(v, Tensor) for n, v in values)


def _converted(name: str, module: nn.Module, wanted: Any, mapping: Mapping[Any, Any]) -> nn.Module:
    made: Any = mapping[_type(module)]
    if not issubclass(made, Stored):
        module.qconfig = _qconfig(wanted)
        new: nn.Module = made.from_float(module)
    else:
        try:
            new = made.from_float(module, _weight_dtype(wanted))
        except ValueError as error:
            raise ValueError(f"{name or ITSELF}: {error}") from None
    for hooks in HOOKS:
        vars(new)[hooks].update(vars(module)[hooks])
    return new


def _weight_dtype(wanted: Any) -> torch.dtype:
    if isinstance(wanted, torch.dtype):
        return wanted
    dtype: torch.dtype = torch.qint8 if wanted.weight is None else wanted.weight().dtype
    return dtype


def _qconfig(wanted: Any) -> Any:
    """Return a QConfig, for classes that ask for one."""
    if not isinstance(wanted, torch.dtype):
        return wanted
    from torch.ao.quantization import qconfig  # one day it will be gone

    usual: Any = qconfig.default_dynamic_qconfig
    return usual if wanted is torch.qint8 else qconfig.float16_dynamic_qconfig


def _type(module: nn.Module) -> Any:
    """Return the class of a module: torch's own for one of fastlstm's, or with parametrizations."""
    cls = type(module).__bases__[0] if is_parametrized(module) else type(module)
    return THEIRS.get(cls, cls)
