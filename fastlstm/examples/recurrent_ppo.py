"""Reinforcement learning: RecurrentPPO of sb3-contrib, with one line more.

A pole is balanced on a cart. How fast they move is not shown: an LSTM has to remember where they
were. Agents learn on fastlstm's kernels, with --compare also on torch's from the same seeds; then
the same updates are timed on both.

python -m fastlstm.examples.recurrent_ppo
python -m fastlstm.examples.recurrent_ppo --seeds 5 --compare --plot returns.png
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastlstm.cli.errors import exit_status
from fastlstm.cli.parser import ProgramParser
from fastlstm.counts import count_of
from fastlstm.examples.options import add_plot, add_threads, check_least, threaded
from fastlstm.plotting import HIGH, LOW, new_figure, plain_axes, save_png
from fastlstm.runtime import get_num_threads

COLOURS = {"fastlstm": HIGH, "torch": LOW}
SEEN = [0, 2]  # of what CartPole-v1 shows: where the cart is, and the angle of the pole
STEPS = 128  # of each environment between two rounds of updates
TIMED = 5  # rounds of updates on each side


class Course(NamedTuple):
    """What an agent learnt."""

    kernels: str
    seed: int
    steps: list[int]
    returns: list[float]  # after so many steps: the mean of the last 100 episodes


def build_parser() -> ProgramParser:
    """Return the parser."""
    parser = ProgramParser(
        prog="python -m fastlstm.examples.recurrent_ppo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--steps", type=int, default=50_000, metavar="N", help="to learn from (50000)")
    add("--seed", type=int, default=0, help="of the first agent (0)")
    add("--seeds", type=int, default=1, metavar="N", help="train N agents, from that seed on")
    add("--environments", type=int, default=8, metavar="N", help="poles at a time (8)")
    add("--hidden-size", type=int, default=64, metavar="N", help="of the LSTMs (64)")
    add("--compare", action="store_true", help="train without the line too")
    add_threads(parser, 1)
    add_plot(parser, "the returns")
    return parser


def load() -> Any:
    """Return `RecurrentPPO`; ImportError if something is not installed."""
    import fastlstm.torch  # noqa: F401  # says what to install

    try:
        from sb3_contrib import RecurrentPPO
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{error.name} is not installed: pip install 'fastlstm[rl]'", name=error.name
        ) from error
    return RecurrentPPO


def pole() -> Any:
    """Return an environment: a pole on a cart whose velocities are hidden."""
    import gymnasium

    env = gymnasium.make("CartPole-v1")
    low, high = (getattr(env.observation_space, side)[SEEN] for side in ("low", "high"))

    class Positions(gymnasium.ObservationWrapper):  # type: ignore[misc]
        observation_space = gymnasium.spaces.Box(low, high)

        def observation(self, observation: Any) -> Any:
            return observation[SEEN]

    return Positions(env)


def new_agent(given: argparse.Namespace, seed: int) -> Any:
    """Return an agent of torch's modules."""
    RecurrentPPO = load()
    from stable_baselines3.common.env_util import make_vec_env

    return RecurrentPPO(
        "MlpLstmPolicy", make_vec_env(pole, given.environments, seed=seed),
        n_steps=STEPS, batch_size=256, gamma=0.98, gae_lambda=0.8, learning_rate=1e-3,
        policy_kwargs={"lstm_hidden_size": given.hidden_size, "net_arch": [64]},
        seed=seed, device="cpu",
    )  # fmt: skip


def learn(given: argparse.Namespace, seed: int, kernels: str) -> tuple[Any, Course]:
    """Train an agent; return it, and its course."""
    import fastlstm.torch as ft

    agent, course = new_agent(given, seed), Course(kernels, seed, [], [])
    if kernels == "fastlstm":
        ft.accelerate(agent.policy)  # the line
    a_round = STEPS * given.environments
    for number in range(1, -(-given.steps // a_round) + 1):
        agent.learn(a_round, reset_num_timesteps=False)
        episodes = [episode["r"] for episode in agent.ep_info_buffer]
        if episodes:
            course.steps.append(agent.num_timesteps)
            course.returns.append(float(np.mean(episodes)))
        if episodes and (number % 10 == 0 or agent.num_timesteps >= given.steps):
            print(
                f"{kernels}, seed {seed}, {count_of(agent.num_timesteps, 'step')}: "
                f"return {course.returns[-1]:.1f}", flush=True,
            )  # fmt: skip
    return agent, course


def updates_a_second(agent: Any) -> dict[str, float]:
    """Return how many updates a second torch and fastlstm make of what was seen last.

    In turns, the best of each: what else runs on the machine disturbs both.
    """
    import fastlstm.torch as ft

    samples = agent.n_steps * agent.n_envs
    updates = agent.n_epochs * -(-samples // agent.batch_size)
    best: dict[str, float] = {}
    for _ in range(TIMED):
        for kernels, switch in (("torch", ft.restore), ("fastlstm", ft.accelerate)):
            switch(agent.policy)
            begin = time.perf_counter()
            agent.train()
            seconds = time.perf_counter() - begin
            best[kernels] = max(best.get(kernels, 0.0), updates / seconds)
    return best


def draw(path: Path, courses: list[Course]) -> None:
    """Write a picture of the returns, a line for each agent."""
    figure = new_figure(7.5, 4)
    axes = figure.subplots()
    for k, course in enumerate(courses):
        first = course.kernels not in [c.kernels for c in courses[:k]]
        axes.plot(
            course.steps, course.returns, color=COLOURS[course.kernels], linewidth=1.2,
            alpha=0.8, label=course.kernels if first else None,
        )  # fmt: skip
    axes.set_xlabel("steps")
    axes.set_ylabel("return, mean of 100 episodes")
    plain_axes(axes)
    axes.legend(frameon=False, fontsize=8)
    save_png(path, figure)


def run(given: argparse.Namespace) -> None:
    """Train, time, draw; the last line is JSON."""
    load()
    import torch

    torch.set_num_threads(get_num_threads())
    if given.plot:
        new_figure(1, 1)  # what is missing shows at once
    courses = []
    for seed in range(given.seed, given.seed + given.seeds):
        for kernels in ("torch", "fastlstm") if given.compare else ("fastlstm",):
            agent, course = learn(given, seed, kernels)
            courses.append(course)
    speed = updates_a_second(agent)
    print(
        f"updates a second: torch {speed['torch']:.1f}, fastlstm {speed['fastlstm']:.1f} "
        f"({speed['fastlstm'] / speed['torch']:.2f} times)"
    )
    if given.plot:
        draw(given.plot, courses)
    returns: dict[str, list[float]] = {}
    for course in courses:
        returns.setdefault(course.kernels, []).append(round(course.returns[-1], 1))
    print(json.dumps({
        "steps": agent.num_timesteps, "returns": returns,
        "updates_a_second": {k: round(v, 2) for k, v in speed.items()},
        "environments": given.environments, "hidden_size": given.hidden_size,
        "threads": get_num_threads(),
    }))  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status, as `fastlstm` does."""
    parser = build_parser()
    given = parser.parse_args(arguments)
    check_least(parser, given, steps=1, seeds=1, environments=1, hidden_size=1, seed=0)
    return exit_status("recurrent_ppo", lambda: threaded(run, given))


if __name__ == "__main__":
    sys.exit(main())
