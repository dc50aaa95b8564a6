"""torch's own inputs for its recurrent modules, and its own tests of modules, on our classes.

The inputs, and the inputs that must be refused, are torch's (`torch.testing`). Each test named
below does what the one of that name does in torch's suite for every module, for float32 and
float64 and in both modes; the suite itself is no part of the package torch. Gradients are checked
in one mode: no module reads which, as `test_if_train_and_eval_modes_differ` shows. Not here: those
that need a GPU (`multiple_device_transfer`, `cpu_gpu_parity`) and `check_inplace`, as no recurrent
module has an in-place form.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import pytest
from dropin import CELLS, F32, F64, QUIET, SEQUENCES, assert_alike, ft, manual_seed, tensors, torch
from hypothesis import settings

pytest.importorskip("expecttest", reason="torch's inputs of modules need expecttest")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_modules import ModuleErrorEnum, module_db
settings.load_profile("fastlstm")  # torch's testing has loaded its own

pytestmark = [pytest.mark.pairs, QUIET]
NAMES = (*SEQUENCES, *CELLS)
INFOS = {info.module_cls.__name__: info for info in module_db if info.module_cls.__name__ in NAMES}


class Sample:
    """One of torch's inputs: how to make a module, and what to call it with."""

    def __init__(self, case: Case, sample: Any) -> None:
        self.case = case
        self.args, self.options = sample.constructor_input.args, sample.constructor_input.kwargs
        self.inputs: tuple[Any, ...] = ()
        if sample.forward_input is not None:
            self.inputs = sample.forward_input.args
            assert not sample.forward_input.kwargs
        self.reference = sample.reference_fn

    def make(self, where: Any = ft) -> Any:
        manual_seed(0)
        module = getattr(where, self.case.name)(*self.args, **self.options)
        return module.to(self.case.dtype).train(self.case.training)


class Case:
    """A class, a dtype and a mode."""

    def __init__(self, name: str, dtype: Any, training: bool) -> None:
        self.name, self.dtype, self.training = name, dtype, training

    def samples(self, requires_grad: bool = False, packed: bool = False) -> Iterator[Sample]:
        options: dict[str, Any] = {"requires_grad": requires_grad, "training": self.training}
        if packed and self.name in ("GRU", "RNN"):
            options["with_packed_sequence"] = True
        manual_seed(0)
        info = INFOS[self.name]
        made = info.module_inputs_func(info, device="cpu", dtype=self.dtype, **options)
        for sample in made:
            yield Sample(self, sample)


@pytest.fixture
def case(name: str, dtype: Any, training: bool) -> Case:
    """The case of a test's parameters."""
    return Case(name, dtype, training)


def each(dtypes: Any = (F32, F64), modes: Any = (True, False)) -> Any:
    """Parametrize a test by a class, a dtype and a mode."""

    def parametrize(test: Any) -> Any:
        for names, values, ids in (
            ("training", modes, lambda training: "train" if training else "eval"),
            ("dtype", dtypes, lambda dtype: str(dtype)[6:]),
            ("name", NAMES, None),
        ):
            test = pytest.mark.parametrize(names, values, ids=ids)(test)
        return test

    return parametrize


@each()
def test_equals_torch(case: Case, backend_isa: str) -> None:
    """Outputs and all gradients from the same first values, packed inputs among them."""
    count = 0
    for sample in case.samples(packed=True):
        ours, theirs = sample.make(), sample.make(torch.nn)
        assert_alike(ours, theirs, *sample.inputs)
        count += 1
    assert count >= 2


@each()
def test_forward(case: Case) -> None:
    for sample in case.samples():
        module = sample.make()
        outputs = module(*sample.inputs)
        torch.testing.assert_close(outputs, sample.reference(module, *sample.inputs))
        module.float() if case.dtype == F32 else module.double()
        module(*sample.inputs)
        assert {p.dtype for p in module.parameters()} == {case.dtype}


@each()
def test_factory_kwargs(case: Case) -> None:
    for sample in case.samples():
        for device in ("cpu", "meta"):
            options = {**sample.options, "device": device, "dtype": case.dtype}
            module = getattr(ft, case.name)(*sample.args, **options)
            assert {p.device.type for p in module.parameters()} == {device}
            assert {p.dtype for p in module.parameters()} == {case.dtype}


@each()
def test_repr(case: Case) -> None:
    for sample in case.samples():
        assert repr(sample.make()) == repr(sample.make(torch.nn)) == str(sample.make())


@each()
def test_pickle(case: Case) -> None:
    for sample in case.samples():
        module = sample.make()
        outputs = module(*sample.inputs)
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        again = torch.load(file, weights_only=False)
        assert type(again) is type(module)
        torch.testing.assert_close(again(*sample.inputs), outputs, rtol=0, atol=0)


def strided(value: Any) -> Any:
    """The same numbers with a stride of 2 along the last axis."""
    if isinstance(value, tuple):
        return tuple(strided(part) for part in value)
    if value is None or not value.dim():
        return value
    wide = value.detach().repeat_interleave(2, dim=-1)
    return wide[..., ::2].requires_grad_(value.requires_grad)


@each()
def test_non_contiguous_tensors(case: Case) -> None:
    for sample in case.samples(requires_grad=True):
        module = sample.make()
        found = []
        for change_x, change_dy in product((False, True), repeat=2):
            inputs = strided(sample.inputs) if change_x else sample.inputs
            leaves = [*tensors(inputs), *module.parameters()]
            outputs = list(tensors(module(*inputs)))
            rng = torch.Generator().manual_seed(0)
            dy = tuple(torch.randn(o.shape, generator=rng, dtype=o.dtype) for o in outputs)
            dy = strided(dy) if change_dy else dy
            found.append((outputs, torch.autograd.grad(outputs, leaves, dy)))
            assert not change_x or not inputs[0].is_contiguous()
        for other in found[1:]:
            torch.testing.assert_close(other, found[0], rtol=0, atol=0)


def check_gradients(case: Case, check: Any) -> None:
    """Apply gradcheck or gradgradcheck with respect to inputs and all parameters, then to one."""
    for sample in case.samples(requires_grad=True):
        module = sample.make()
        leaves = [*tensors(sample.inputs), *module.parameters()]

        def run(*_: Any, module: Any = module, sample: Sample = sample) -> tuple[Any, ...]:
            return tuple(tensors(module(*sample.inputs)))

        assert check(run, leaves)
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        next(module.parameters()).requires_grad_(True)
        assert check(run, [*tensors(sample.inputs), next(module.parameters())])


@each([F64], [True])
def test_grad(case: Case) -> None:
    """As torch's suite does by default: one random direction through all at once."""
    check_gradients(case, partial(torch.autograd.gradcheck, fast_mode=True))


@pytest.mark.slow
@each([F64], [True])
def test_grad_entry_by_entry(case: Case) -> None:
    check_gradients(case, torch.autograd.gradcheck)


@pytest.mark.slow
@each([F64], [True])
def test_gradgrad(case: Case) -> None:
    check_gradients(case, partial(torch.autograd.gradgradcheck, fast_mode=True))


@each()
def test_memory_format(case: Case) -> None:
    for sample in case.samples(requires_grad=True):
        module = sample.make()
        expected = module(*sample.inputs)
        for kind in (torch.preserve_format, torch.contiguous_format):
            module.to(memory_format=kind)
            outputs = module(*sample.inputs)
            torch.testing.assert_close(outputs, expected, rtol=0, atol=0)
            assert all(t.is_contiguous() for t in tensors(outputs))
            leaves = [*tensors(sample.inputs), *module.parameters()]
            total = sum(t.square().sum() for t in tensors(outputs))
            assert all(g.is_contiguous() for g in torch.autograd.grad(total, leaves))


@each(modes=[True])
def test_if_train_and_eval_modes_differ(case: Case) -> None:
    """The flag is read only where it matters, so without dropout not at all."""
    for sample in case.samples():
        module = sample.make()
        del module.training
        module(*sample.inputs)


@each()
def test_device_ctx_init(case: Case) -> None:
    for sample in case.samples():
        with torch.device("meta"):
            module = getattr(ft, case.name)(*sample.args, **sample.options).to(case.dtype)
        for made, expected in zip(module.parameters(), sample.make().parameters(), strict=True):
            assert made.is_meta
            assert (made.shape, made.stride()) == (expected.shape, expected.stride())


@each()
def test_errors(case: Case) -> None:
    info, count = INFOS[case.name], 0
    errors = info.module_error_inputs_func(
        info, device="cpu", dtype=case.dtype, requires_grad=False, training=case.training
    )
    for error in errors:
        inputs = error.module_error_input
        args, options = inputs.constructor_input.args, inputs.constructor_input.kwargs
        if error.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(error.error_type, match=error.error_regex):
                getattr(ft, case.name)(*args, **options)
        else:
            module = getattr(ft, case.name)(*args, **options)
            with pytest.raises(error.error_type, match=error.error_regex):
                module(*inputs.forward_input.args, **inputs.forward_input.kwargs)
        count += 1
    assert count >= 4


@each()
def test_to_and_to_empty(case: Case) -> None:
    """To another dtype and back, and from the device "meta" with the values loaded."""
    for sample in case.samples():
        module = sample.make()
        other = F32 if case.dtype == F64 else F64
        assert {p.dtype for p in module.to(other).parameters()} == {other}
        expected = sample.make()(*sample.inputs)
        with torch.device("meta"):
            empty = getattr(ft, case.name)(*sample.args, **sample.options).to(case.dtype)
        filled = empty.to_empty(device="cpu")
        filled.load_state_dict(sample.make(torch.nn).state_dict())
        torch.testing.assert_close(filled(*sample.inputs), expected, rtol=0, atol=0)
