"""The loop over steps of sb3-contrib's policies, made one call: with a policy that looks like one.

`test_sb3.py` does the same with the library, where it is installed.
"""

from __future__ import annotations

import copy
import sys
from typing import Any

import pytest
from dropin import F32, F64, TOLERANCE, assert_close, ft, torch
from torch import nn

from fastlstm.notices import SlowWarning

T, N, I, H = 7, 4, 3, 5


def library_loop(features: Any, lstm_states: Any, episode_starts: Any, lstm: Any) -> Any:
    """What sb3-contrib does: one call if no episode starts, else one a step."""
    rows = lstm_states[0].shape[1]
    x = features.reshape((rows, -1, lstm.input_size)).swapaxes(0, 1)
    starts = episode_starts.reshape((rows, -1)).swapaxes(0, 1)
    if torch.all(starts == 0.0):
        y, lstm_states = lstm(x, lstm_states)
        return torch.flatten(y.transpose(0, 1), start_dim=0, end_dim=1), lstm_states
    outputs = []
    for step, start in zip(x, starts, strict=True):
        keep = (1.0 - start).view(1, rows, 1)
        y, lstm_states = lstm(step[None], (keep * lstm_states[0], keep * lstm_states[1]))
        outputs.append(y)
    return torch.flatten(torch.cat(outputs).transpose(0, 1), start_dim=0, end_dim=1), lstm_states


library_loop.__module__ = "sb3_contrib.common.recurrent.policies"


class Policy(nn.Module):
    _process_sequence = staticmethod(library_loop)

    def __init__(self, layers: int = 1, dtype: Any = F64, **options: Any) -> None:
        super().__init__()
        self.lstm_actor = nn.LSTM(I, H, layers, dtype=dtype, **options)
        self.out = nn.Linear(H, 2, dtype=dtype)

    def forward(self, features: Any, states: Any, starts: Any) -> Any:
        y, ends = self._process_sequence(features, states, starts, self.lstm_actor)
        return self.out(y), *ends


class Agent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.policy = Policy()


def batch(policy: Policy, starts: Any = 0.3) -> Any:
    lstm, dtype = policy.lstm_actor, policy.out.weight.dtype
    shape = lstm.num_layers, N, H
    states = tuple(torch.randn(shape, dtype=dtype).requires_grad_() for _ in range(2))
    if isinstance(starts, float):
        starts = torch.rand(N * T) < starts
    return torch.randn(N * T, I, dtype=dtype).requires_grad_(), states, starts.float()


def calls_of(module: Any) -> list[Any]:
    """A list that gets an entry for each call of a module."""
    calls: list[Any] = []
    module.register_forward_hook(lambda *_: calls.append(1))
    return calls


def outputs_and_gradients(policy: Policy, given: Any) -> tuple[list[Any], list[Any]]:
    outputs = policy(*given)
    leaves = [given[0], *given[1], *policy.parameters()]
    dy = [torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape).cos() for y in outputs]
    return list(outputs), list(torch.autograd.grad(outputs, leaves, dy))


@pytest.mark.parametrize("starts", [0.0, 0.3, 1.0, "first"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("dtype", [F32, F64])
def test_one_call_equals_the_loop(dtype: Any, layers: int, starts: Any) -> None:
    policy = Policy(layers, dtype)
    theirs = copy.deepcopy(policy)
    if starts == "first":  # as a buffer of sb3-contrib cuts its sequences
        starts = torch.zeros(N, T)
        starts[:, 0] = 1
        starts = starts.flatten()
    given = batch(policy, starts)
    report = ft.accelerate(policy)
    assert (report.loops, report.skipped) == ({"": "_process_sequence"}, [])
    assert "one call (the model itself)  _process_sequence" in repr(report)
    calls = calls_of(policy.lstm_actor)
    found, expected = (outputs_and_gradients(p, given) for p in (policy, theirs))
    assert len(calls) == 1
    for kind, ours, loops in zip(("output", "gradient"), found, expected, strict=True):
        for i, (a, b) in enumerate(zip(ours, loops, strict=True)):
            assert_close(a, b, TOLERANCE[kind, dtype], f"{kind} {i}")


def test_of_that_policy_alone() -> None:
    policy, other = Policy(), Policy()
    ft.accelerate(policy)
    assert vars(Policy)["_process_sequence"].__func__ is library_loop
    assert policy._process_sequence is not library_loop
    assert other._process_sequence is library_loop
    twin = copy.deepcopy(policy)
    assert twin._process_sequence.func is policy._process_sequence.func
    assert ft.restore(policy)._process_sequence is library_loop
    assert twin._process_sequence is not library_loop


def test_inside_a_model_and_again() -> None:
    agent = Agent()
    assert ft.accelerate(agent).loops == {"policy": "_process_sequence"}
    report = ft.accelerate(agent)
    assert report.loops == {}
    assert [(s.name, s.module, s.why) for s in report.skipped] == [
        ("policy.lstm_actor", "LSTM", "it runs on fastlstm already"),
        ("policy", "Policy._process_sequence", "it is one call already"),
    ]


def test_draws_no_number() -> None:
    policy = Policy()
    before = torch.get_rng_state()
    ft.accelerate(policy)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_single_step_is_the_loops() -> None:
    policy = Policy()
    theirs = copy.deepcopy(policy)
    ft.accelerate(policy)
    states = tuple(torch.randn(1, N, H, dtype=F64) for _ in range(2))
    given = torch.randn(N, I, dtype=F64), states, torch.tensor([1.0, 0, 0, 1])
    for a, b in zip(policy(*given), theirs(*given), strict=True):
        torch.testing.assert_close(a, b)


def test_names_of_arguments() -> None:
    policy = Policy()
    ft.accelerate(policy)
    names = ("features", "lstm_states", "episode_starts", "lstm")
    given = (*batch(policy), policy.lstm_actor)
    y, _ = policy._process_sequence(**dict(zip(names, given, strict=True)))
    assert torch.equal(y, policy._process_sequence(*given)[0])


def test_another_lstm_later() -> None:
    """One that is not fastlstm's takes no reset: the loop is there for it."""
    policy = Policy()
    ft.accelerate(policy)
    given, calls = batch(policy), []
    for lstm in (nn.LSTM(I, H, dtype=F64), ft.LSTM(I, H, dtype=F64, batch_first=True)):
        policy.lstm_actor = lstm
        calls = calls_of(lstm)
        if lstm.batch_first:  # what the library does then is an error, or not worth the name
            with pytest.raises((RuntimeError, ValueError)):
                policy(*given)
        else:
            for a, b in zip(policy(*given)[1:], library_loop(*given, lstm)[1], strict=True):
                assert torch.equal(a, b)
            assert len(calls) == 2 * T


def test_traced_it_is_the_loop() -> None:
    """Where torch's own operations run, a call takes no reset."""
    policy = Policy()
    given = tuple(batch(policy))
    theirs = policy(*given)
    ft.accelerate(policy)
    with torch.no_grad():
        gradient = torch.func.grad(lambda x: policy(x, *given[1:])[0].sum())(given[0])
    assert gradient.shape == given[0].shape
    for a, b in zip(policy(*given), theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_compiled_it_is_one_operator() -> None:
    policy = Policy(dtype=F32)
    given = batch(policy)
    with torch.no_grad():
        theirs = policy(*given)
        ft.accelerate(policy)
        compiled = torch.compile(policy, backend="eager", fullgraph=True)
        for a, b in zip(compiled(*given), theirs, strict=True):
            assert_close(a, b, 1e-5, "compiled")


def named(module: str, loop: Any) -> Any:
    """A policy with another loop, which says that it is of a module."""
    loop.__module__ = module
    return type("Other", (Policy,), {"_process_sequence": staticmethod(loop)})()


def test_left_alone_by_name() -> None:
    own = named("my_project.policies", lambda *given: library_loop(*given))
    doubled = named("sb3_contrib.new", lambda x, *given: library_loop(2 * x, *given))
    other = named("sb3_contrib.new", lambda x, states: (x, states))
    longer = named("sb3_contrib.new", lambda *given: (*library_loop(*given), None))
    patched = Policy()
    patched._process_sequence = library_loop
    for policy, why in (
        (own, "it is not that of sb3_contrib, and might be lost"),
        (patched, "it is not that of sb3_contrib, and might be lost"),
        (doubled, "it does not return what one call with reset= does"),
        (other, "it raised TypeError: .* positional arguments"),
        (longer, "it raised ValueError: "),
    ):
        loop = policy._process_sequence
        name = f"{type(policy).__name__}._process_sequence"
        with pytest.warns(SlowWarning, match=f"^{name} stays a loop over single steps: {why}"):
            report = ft.accelerate(policy)
        assert policy._process_sequence is loop
        assert report.loops == {}
        assert report.swapped == {"lstm_actor": "LSTM"}
        assert [(s.name, s.module) for s in report.skipped] == [("", name)]
        assert ft.restore(policy)._process_sequence is loop


def test_without_an_lstm_of_fastlstm() -> None:
    policy = Policy()
    policy.lstm_actor.half()
    report = ft.accelerate(policy)
    assert (report.loops, len(report.skipped)) == ({}, 1)
    assert policy._process_sequence is library_loop


def test_bad_states_are_an_error() -> None:
    policy = Policy()
    ft.accelerate(policy)
    x, states, starts = batch(policy)
    with pytest.raises(ValueError, match=r"LSTM: reset holds 2.0|LSTM: reset\[.*\] is 2.0"):
        policy(x, states, starts + 2 * (starts == 0))
    with pytest.raises(RuntimeError, match="shape"):
        policy(x, states, starts[:-1])


@pytest.mark.parametrize("missing", ["sb3_contrib", "sb3_contrib.ppo_recurrent"])
def test_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "sb3_contrib"]:
        monkeypatch.delitem(sys.modules, name)  # a part that is loaded would be found without it
    monkeypatch.delitem(sys.modules, "fastlstm.torch.sb3", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"needs sb3-contrib: pip install 'fastlstm\[rl\]'"):
        import fastlstm.torch.sb3  # noqa: F401
