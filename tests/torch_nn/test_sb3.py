"""RecurrentPPO of sb3-contrib on fastlstm's kernels."""

from __future__ import annotations

import base64
import copy
import io
import json
import pickle
import zipfile
from typing import Any

import pytest
from dropin import F32, F64, TOLERANCE, assert_close, ft, torch

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install 'fastlstm[rl]'")
import gymnasium
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates

from fastlstm.torch import sb3

T, N, H = 6, 5, 8
OPTIONS: dict[str, dict[str, Any]] = {
    "separate": {},
    "shared": {"shared_lstm": True, "enable_critic_lstm": False},
    "actor": {"enable_critic_lstm": False},
    "layers": {"n_lstm_layers": 2},
    "no bias": {"lstm_kwargs": {"bias": False}},
    "extractors": {"share_features_extractor": False},
}


def agent_of(policy: Any = "MlpLstmPolicy", **options: Any) -> Any:
    options = {"lstm_hidden_size": H, "net_arch": [4], **options}
    sizes = {"n_steps": 32, "batch_size": 32, "n_epochs": 2}
    return RecurrentPPO(policy, "CartPole-v1", seed=0, device="cpu", policy_kwargs=options, **sizes)


def batch(policy: Any, dtype: Any = F32) -> tuple[Any, ...]:
    shape = policy.lstm_actor.num_layers, N, H
    states = [(torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)) for _ in "ab"]
    starts = (torch.rand(N * T) < 0.3).to(dtype)
    return torch.randn(N * T, 4), torch.randint(2, (N * T,)), RNNStates(*states), starts


def evaluated(policy: Any, given: Any) -> tuple[list[Any], list[Any]]:
    outputs = policy.evaluate_actions(*given)
    dy = [torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape).cos() for y in outputs]
    leaves = list(policy.parameters())
    return list(outputs), list(torch.autograd.grad(outputs, leaves, dy, allow_unused=True))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_policies_evaluate_alike(options: dict[str, Any]) -> None:
    policy = agent_of(**options).policy
    theirs = copy.deepcopy(policy)
    report = ft.accelerate(policy)
    assert report.loops == {"": "_process_sequence"}
    calls: list[Any] = []
    policy.lstm_actor.register_forward_hook(lambda *_: calls.append(1))
    given = batch(policy)
    found, expected = (evaluated(p, given) for p in (policy, theirs))
    assert len(calls) == 1
    for kind, ours, loops in zip(("output", "gradient"), found, expected, strict=True):
        for i, (a, b) in enumerate(zip(ours, loops, strict=True)):
            assert_close(a, b, TOLERANCE[kind, F32], f"{kind} {i}")


def test_the_loop_in_float64() -> None:
    policy = agent_of().policy.double()
    theirs = copy.deepcopy(policy)
    ft.accelerate(policy)
    _, _, states, starts = batch(policy, F64)
    x = torch.randn(N * T, 4, dtype=F64)
    found, expected = (
        p._process_sequence(x, states.pi, starts, p.lstm_actor) for p in (policy, theirs)
    )
    for a, b in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        assert_close(a, b, TOLERANCE["output", F64], "loop")


def test_an_agent_learns_alike() -> None:
    """Two rounds, each with all that a policy is asked for; its actions are drawn alike."""
    found = []
    for accelerated in (False, True):
        agent = agent_of()
        if accelerated:
            ft.accelerate(agent.policy)
        agent.learn(64)
        found.append(dict(agent.policy.named_parameters()))
    for name, expected in found[0].items():
        assert_close(found[1][name], expected, 1e-3, name)


def test_predictions() -> None:
    agent, obs = agent_of(), torch.randn(3, 4).numpy()
    theirs = copy.deepcopy(agent.policy)
    ft.accelerate(agent.policy)
    starts = torch.tensor([1, 0, 1]).bool().numpy()
    states = tuple(torch.randn(1, 3, H).numpy() for _ in range(2))
    given = {"state": states, "episode_start": starts, "deterministic": True}
    (a, ends), (b, expected) = (p.predict(obs, **given) for p in (agent.policy, theirs))
    assert a.tolist() == b.tolist()
    for state, other in zip(ends, expected, strict=True):
        assert_close(torch.tensor(state), torch.tensor(other), 1e-5, "state")
    with ft.fixed_weights(agent.policy):
        assert agent.policy.predict(obs, **given)[0].tolist() == a.tolist()


def saved(agent: Any) -> Any:
    file = io.BytesIO()
    agent.save(file)
    file.seek(0)
    return RecurrentPPO.load(file, device="cpu")


def pickles_in(agent: Any) -> bytes:
    """What a file of the agent has that names classes."""
    file = io.BytesIO()
    agent.save(file)
    with zipfile.ZipFile(file) as archive:
        data = json.loads(archive.read("data"))
        held = [v[":serialized:"] for v in data.values() if ":serialized:" in str(v)]
        return b"".join(map(base64.b64decode, held)) + archive.read("policy.pth")


def is_fast(policy: Any) -> bool:
    return isinstance(policy.lstm_actor, ft.LSTM) and "_process_sequence" in vars(policy)


def test_loaded_it_is_accelerated_again() -> None:
    agent = agent_of()
    ft.accelerate(agent.policy)
    agent.learn(32)
    loaded = saved(agent)
    assert not is_fast(loaded.policy)
    for a, b in zip(loaded.policy.parameters(), agent.policy.parameters(), strict=True):
        assert torch.equal(a, b)
    optimizer = loaded.policy.optimizer
    ft.accelerate(loaded.policy)
    assert is_fast(loaded.policy)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in loaded.policy.parameters()}
    loaded.set_env(agent.get_env())
    loaded.learn(32)


def test_files_need_fastlstm_for_its_classes_alone() -> None:
    agent = agent_of()
    ft.accelerate(agent.policy)
    assert b"fastlstm" not in pickles_in(agent)
    assert b"fastlstm" in pickles_in(agent_of(sb3.MlpLstmPolicy))


@pytest.mark.filterwarnings("ignore:.*policy on the GPU")
@pytest.mark.parametrize("name", sb3.__all__)
def test_classes_that_load_as_they_were(name: str) -> None:
    spaces_of = {
        "MlpLstmPolicy": spaces.Box(-1, 1, (3,)),
        "CnnLstmPolicy": spaces.Box(0, 255, (3, 36, 36), "uint8"),
        "MultiInputLstmPolicy": spaces.Dict({"a": spaces.Box(-1, 1, (3,))}),
    }
    agent = RecurrentPPO(
        getattr(sb3, name), Still(spaces_of[name]), n_steps=4, batch_size=4, n_epochs=1,
        device="cpu", policy_kwargs={"lstm_hidden_size": H},
    )  # fmt: skip
    assert is_fast(agent.policy)
    agent.learn(8)
    loaded = saved(agent)
    assert type(loaded.policy) is getattr(sb3, name)
    assert is_fast(loaded.policy)
    for a, b in zip(loaded.policy.parameters(), agent.policy.parameters(), strict=True):
        assert torch.equal(a, b)


class Still(gymnasium.Env):  # type: ignore[misc]
    """A world in which nothing moves, and episodes have three steps."""

    action_space = spaces.Discrete(2)

    def __init__(self, space: Any) -> None:
        self.observation_space = space
        self.seen = space.sample()

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.steps = 0
        return self.seen, {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        return self.seen, float(action), self.steps == 3, False, {}


def test_policies_travel() -> None:
    policy = agent_of().policy
    ft.accelerate(policy)
    made = pickle.loads(pickle.dumps(policy._process_sequence))
    assert made.func is policy._process_sequence.func
    assert made.args == policy._process_sequence.args
